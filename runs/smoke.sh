#!/usr/bin/env bash
# The story of runs/pocket.sh in small: every stage, some ten minutes on two cores, and a picture by what was trained.
# It shows that all parts work together, no more. Stopped at any moment, the same command goes on.
#
#   runs/smoke.sh                 recipes in runs/smoke, results in runs/out/smoke
#   runs/smoke.sh RECIPES OUT     other recipes, and the folder that they write to
set -euo pipefail
cd "$(dirname "$0")/.."
recipes=${1:-runs/smoke}
out=${2:-runs/out/smoke}
longhand=${LONGHAND_BINARY:-build/longhand}
if [ -z "${LONGHAND_BINARY:-}" ]; then
  setup/bootstrap
  cmake --build build --target longhand
fi

# What a model has beside what is trained: the names of its parts, the tokenizer, how pictures are prepared.
mkdir -p "$out/model"
cp -r models/pocket/{model_index.json,tokenizer_2,feature_extractor} "$out/model"

for stage in autoencoder decoder clip captioner_alt captioner recaption painter prior autoregressive_prior super_resolution detector; do
  "$longhand" train "$recipes/$stage.json"
done
"$longhand" draw "a red car on a green meadow" --model "$out/model" --no-upsample --seed 1 -o "$out/picture.png"
"$longhand" draw "a red car on a green meadow" --model "$out/model" --no-upsample --seed 1 --imagine --prior "$out/model" -o "$out/imagined.png"
"$longhand" eval --model "$out/model" --detector "$out/judge" --limit 2 --kind truth --kind short --kind described --out "$out/eval"
"$longhand" caption --model "$out/model" "$out/picture.png" --out "$out/captions.jsonl"
"$longhand" eval --model "$out/model" --study sdedit --limit 2 --steps 10 --out "$out/sdedit"
"$longhand" eval --model "$out/model" --study compositing --limit 2 --steps 10 --out "$out/compositing"
