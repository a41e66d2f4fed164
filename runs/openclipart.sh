#!/usr/bin/env bash
# The embedded model's CLIP and captioner further, half on scenes and half on Open Clip Art's drawings with what people wrote of them,
# and pages that show what both make of drawings that were held back, before and after. Needs Debian's package openclipart-svg
# (25 MB, public domain). Stopped at any moment, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
longhand=${LONGHAND_BINARY:-build/longhand}
out=runs/out/openclipart

[ -e "$out/drawings.jsonl" ] || runs/openclipart/table.py --out "$out/drawings.jsonl"
if [ ! -e "$out/start" ]; then
  mkdir -p "$out/new"
  cp -rT models/pocket "$out/model"
  cp -rT models/pocket/text_encoder_2 "$out/new/text_encoder"
  cp -rT models/pocket/image_encoder "$out/new/image_encoder"
  mv "$out/new" "$out/start"
fi
"$longhand" train runs/openclipart/clip.json
"$longhand" train runs/openclipart/captioner.json
cp "$out"/clip/text_encoder/* "$out/model/text_encoder_2/"
cp "$out"/clip/image_encoder/* "$out/model/image_encoder/"
for model in models/pocket "$out/model"; do
  "$longhand" eval --model "$model" --study drawings --drawings "$out/drawings.jsonl" --limit 400 --out "$out/eval-$(basename "$model")"
done
