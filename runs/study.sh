#!/usr/bin/env bash
# The finding of DALL·E 3's report in small (Betker et al. 2023, section 3): painters trained alike on alt-texts, and on 65, 80 and 95 %
# descriptive captions that a captioner wrote with alt-texts for the rest, each evaluated on the way. Not timed yet (the four trainings alone: over an hour on two cores), after
# runs/pocket.sh and longhand train runs/pocket/recaption.json. Stopped at any moment, the same command goes on.
#
#   runs/study.sh [PROMPTS]       of each task (default: 40); runs/out/study/curves then has curves.html and curves.md
set -euo pipefail
cd "$(dirname "$0")/.."
longhand=${LONGHAND_BINARY:-build/longhand}
limit=${1:-40}
out=runs/out/study

for painter in alt 65 80 95; do
  if [ ! -e "$out/models/$painter" ]; then
    mkdir -p "$out/models"
    cp -r models/pocket "$out/models/$painter"
  fi
  "$longhand" train "runs/study/$painter.json"
done
# What the language model makes of the prompts is the same for all: the first evaluation asks it.
captions=()
for painter in alt 65 80 95; do
  for snapshot in "$out/$painter/snapshots"/????????; do
    evaluation="$out/eval/$painter-$(basename "$snapshot")"
    "$longhand" eval --model "$snapshot" --kind short --kind lengthened --kind described --limit "$limit" "${captions[@]}" --out "$evaluation"
    [ ${#captions[@]} -gt 0 ] || captions=(--captions-of "$evaluation")
  done
done
"$longhand" eval --study curves "$out"/eval/* --out "$out/curves"
