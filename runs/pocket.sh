#!/usr/bin/env bash
# The embedded model from nothing, in order: about two hours on two cores. Stopped at any moment, the same command goes on.
# Sample sheets and losses lie under runs/out/pocket while it trains.
set -euo pipefail
cd "$(dirname "$0")/.."
setup/bootstrap
cmake --build build --target longhand

# Pictures ↔ latents [8, 16, 16]: everything else is learned in this space.
build/longhand train runs/pocket/autoencoder.json
# Captions ↔ latents: CLIP, whose text encoder the painter reads with.
build/longhand train runs/pocket/clip.json
# Text → latents, on short and descriptive captions.
build/longhand train runs/pocket/painter.json
