#!/usr/bin/env bash
# The embedded model's CLIP and captioner further, half on scenes and half on Open Clip Art's drawings with what people wrote of them,
# and a page that shows what both make of drawings that were held back. After runs/pocket.sh; needs Debian's package openclipart-svg
# (25 MB, public domain). Stopped at any moment, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
longhand=${LONGHAND_BINARY:-build/longhand}
out=runs/out/openclipart

[ -e "$out/drawings.jsonl" ] || runs/openclipart/table.py --out "$out/drawings.jsonl"
[ -e "$out/model" ] || { mkdir -p "$out" && cp -r models/pocket "$out/model"; }
"$longhand" train runs/openclipart/clip.json
"$longhand" train runs/openclipart/captioner.json
cp "$out"/clip/text_encoder/* "$out/model/text_encoder_2/"
cp "$out"/clip/image_encoder/* "$out/model/image_encoder/"
"$longhand" eval --model "$out/model" --study drawings --drawings "$out/drawings.jsonl" --limit 400 --out "$out/eval"
