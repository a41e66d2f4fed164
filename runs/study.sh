#!/usr/bin/env bash
# The finding of DALL·E 3's report in small (Betker et al. 2023, section 3): painters trained alike on alt-texts, and on 65, 80 and 95 %
# descriptive captions that a captioner wrote with alt-texts for the rest, each evaluated on the way. They all begin with the shipped painter's
# weights but for those that read text, which are fresh: what things look like is known, what words mean is learnt from the captions alone.
# On two cores two at a time, 47 minutes for each two; the evaluations come on top (docs/study.md).
# After runs/pocket.sh and longhand train runs/pocket/recaption.json. Stopped at any moment, the same command goes on.
#
#   runs/study.sh [PROMPTS]       of each task at a training's end (default: 40), a third of them on the way; runs/out/study/curves then has
#                                 curves.html and curves.md
set -euo pipefail
cd "$(dirname "$0")/.."
longhand=${LONGHAND_BINARY:-build/longhand}
limit=${1:-40}
out=runs/out/study

for painter in alt 65 80 95; do
  if [ ! -e "$out/models/$painter" ]; then
    mkdir -p "$out/models"
    rm -rf "$out/models/$painter.begun"
    cp -r models/pocket "$out/models/$painter.begun"
    mv "$out/models/$painter.begun" "$out/models/$painter"
  fi
done
# As many trainings side by side as there are cores for: apart they need no core to wait for another.
cores=$(nproc)
jobs=$((cores < 4 ? cores : 4))
printf '%s\n' alt 65 80 95 | OMP_NUM_THREADS=$((cores / jobs)) xargs -P "$jobs" -I{} "$longhand" train runs/study/{}.json
# What the language model makes of the prompts is the same for all: the first evaluation, of all prompts, asks it.
captions=()
for painter in alt 65 80 95; do
  prompts=$limit
  for snapshot in $(printf '%s\n' "$out/$painter/snapshots"/???????? | sort -r); do
    evaluation="$out/eval/$painter-$(basename "$snapshot")"
    "$longhand" eval --model "$snapshot" --kind short --kind lengthened --kind described --limit "$prompts" "${captions[@]}" --out "$evaluation"
    [ ${#captions[@]} -gt 0 ] || captions=(--captions-of "$evaluation")
    prompts=$(((limit + 2) / 3))
  done
done
"$longhand" eval --study curves "$out"/eval/* --out "$out/curves"
