#!/usr/bin/env bash
# The embedded model from nothing, in order: some hours on two cores. Stopped at any moment, the same command goes on.
# Not run as a whole in this form: the shipped weights went on from earlier ones in fewer steps (models/pocket/README.md). At the 83 to 108
# pictures a second that the painter was seen to learn, its 6,600 steps of 128 take two to three hours.
# Sample sheets and losses lie under runs/out/pocket while it trains.
set -euo pipefail
cd "$(dirname "$0")/.."
setup/bootstrap
cmake --build build --target longhand

# Pictures ↔ latents [8, 16, 16]: everything else is learned in this space.
build/longhand train runs/pocket/autoencoder.json
# The tokenizer: as much of CLIP's vocabulary as the world's captions and common words need (17,012 tokens), lest most of the text
# encoder be rows that nothing trains.
if [ ! -e models/pocket/tokenizer_2/merges.txt ]; then
  build/longhand world --out runs/out/pocket/words --count 40000 --size 32
  python3 runs/pocket/vocabulary.py runs/out/pocket/words
fi
# Captions ↔ latents: CLIP, whose text encoder the painter reads with, and whose image embeddings it can paint from.
build/longhand train runs/pocket/clip.json
# Latents → captions: first as the web has them, then short and descriptive ones.
build/longhand train runs/pocket/captioner_alt.json
build/longhand train runs/pocket/captioner.json
# Text → latents, on short and descriptive captions, and on pictures' own embeddings.
build/longhand train runs/pocket/painter.json
# Text → image embeddings: unCLIP's two priors.
build/longhand train runs/pocket/prior.json
build/longhand train runs/pocket/autoregressive_prior.json
# Pictures of 128×128 → 256×256.
build/longhand train runs/pocket/super_resolution.json
# Pictures → what they show: the judge of `longhand eval`.
build/longhand train runs/pocket/detector.json
