"""Models at full size with random weights, in diffusers' layout, for benches: what is measured does not depend on the values.

Components are made from the published configs under data/models, in bfloat16, once.
"""
import json
import pathlib
import shutil

import diffusers
import torch
import transformers
from safetensors.torch import save_file

MODELS = pathlib.Path(__file__).parent.parent / "data" / "models"


def shapes(folder: pathlib.Path) -> dict:
    """The names in the published weights of a config.json, and their shapes; made without memory for the weights."""
    config = json.loads((folder / "config.json").read_text())
    with torch.device("meta"):
        if "_class_name" in config:
            module, prefix = getattr(diffusers, config["_class_name"]).from_config(config), ""
        else:
            reference = getattr(transformers, config["architectures"][0])
            module = reference(reference.config_class.from_pretrained(folder))
            prefix = "text_model." if isinstance(module, transformers.CLIPTextModel) else ""  # which transformers 5 drops
    return {prefix + name: tensor.shape for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def random_tensor(name: str, shape: torch.Size) -> torch.Tensor:
    """Norms pass on what they get, and all else neither grows nor vanishes on its way."""
    tensor = torch.empty(shape, dtype=torch.bfloat16)
    return tensor.fill_(1) if len(shape) == 1 and name.endswith("weight") else tensor.normal_(std=0.02)


def written(model: str, component: str, out: pathlib.Path) -> pathlib.Path:
    """out/MODEL/COMPONENT with its config and weights, made where they are missing."""
    source, folder = MODELS / model / component, out / model / component
    text = component.startswith("text_encoder")
    weights = folder / ("model.safetensors" if text else "diffusion_pytorch_model.safetensors")
    if not weights.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "config.json", folder)
        torch.manual_seed(0)
        partial = weights.with_suffix(".partial")
        save_file({name: random_tensor(name, shape) for name, shape in shapes(source).items()}, partial, {"format": "pt"})
        partial.rename(weights)
    return folder
