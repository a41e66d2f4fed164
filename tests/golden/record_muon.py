"""Records what torch.optim.Muon makes of weights in a few steps with given gradients.

    .venv/bin/python tests/golden/record_muon.py

A convolution's weights [out, in, height, width] are a matrix [out, in * height * width] to it.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

SHAPES = {"wide.weight": (6, 40), "tall.weight": (40, 6), "conv.weight": (8, 4, 3, 3)}
STEPS, LEARNING_RATE, WEIGHT_DECAY, MOMENTUM = 4, 0.01, 0.1, 0.95

torch.manual_seed(0)
recorded = {}
for name, shape in SHAPES.items():
    weight = torch.nn.Parameter(torch.randn(shape).flatten(1))
    recorded[f"{name}.start"] = weight.detach().reshape(shape).clone()
    optimizer = torch.optim.Muon(
        [weight],
        lr=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        momentum=MOMENTUM,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
    )
    for step in range(STEPS):
        weight.grad = torch.randn_like(weight)
        recorded[f"{name}.gradient.{step}"] = weight.grad.reshape(shape).clone()
        optimizer.step()
        recorded[f"{name}.{step}"] = weight.detach().reshape(shape).clone()

save_file(recorded, Path(__file__).parent / "muon.safetensors")
