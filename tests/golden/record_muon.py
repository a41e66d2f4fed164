"""Records what torch.optim.Muon makes of weights in a few steps with given gradients.

    .venv/bin/python tests/golden/record_muon.py

A convolution's weights [out, in, height, width] are a matrix [out, in * height * width] to it. It makes matrices
orthogonal in bfloat16, whatever their type; in float32 it is made to do so by leaving that conversion out.
"""

from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import save_file

SHAPES = {"wide.weight": (6, 40), "tall.weight": (40, 6), "conv.weight": (8, 4, 3, 3)}
STEPS, LEARNING_RATE, WEIGHT_DECAY, MOMENTUM = 4, 0.01, 0.1, 0.95


def steps(start, gradients):
    """The weights after each step."""
    weight = torch.nn.Parameter(start.flatten(1))
    optimizer = torch.optim.Muon(
        [weight],
        lr=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        momentum=MOMENTUM,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
    )
    for gradient in gradients:
        weight.grad = gradient.flatten(1).clone()
        optimizer.step()
        yield weight.detach().reshape(start.shape).clone()


torch.manual_seed(0)
recorded = {}
for name, shape in SHAPES.items():
    start = torch.randn(shape)
    gradients = [torch.randn(shape).bfloat16().float() for _ in range(STEPS)]  # the same in both types
    recorded[f"{name}.start"] = start.clone()
    for step, weight in enumerate(steps(start.clone(), gradients)):
        recorded[f"{name}.bfloat16.{step}"] = weight
    with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.float):
        for step, weight in enumerate(steps(start.clone(), gradients)):
            recorded[f"{name}.float32.{step}"] = weight
            recorded[f"{name}.gradient.{step}"] = gradients[step]

save_file(recorded, Path(__file__).parent / "muon.safetensors")
