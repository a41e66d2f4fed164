"""Every component of every model at full size, with random weights, against the reference.

Usage: setup/bootstrap --test && cmake --build build --target component && .venv/bin/python tests/parity/parity.py [NAME…]
NAME picks models, components or both ("stable-diffusion-v1-5", "unet", "kandinsky-2-2-prior/prior"); --list prints them.
float32 must be within 1e-4 of the reference's largest value. bfloat16 must be as near to the reference's float32 as the
reference's own bfloat16 is, a quarter more allowed for the luck of rounding. Weights go through a file of the published
layout, so that loading is compared too: up to 10 GB on disk and in memory, one component at a time.
"""
import argparse
import gc
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers
import torch
import transformers
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).parent.parent.parent
MODELS = ROOT / "data" / "models"
COMPONENT = ROOT / "build" / "bench" / "component"
diffusers.utils.logging.disable_progress_bar()
torch.set_grad_enabled(False)


def unet_inputs(config: dict) -> dict:
    """Two pictures of 16×16 latents, at a late and an early step, with all that the config conditions on."""
    inputs = {"sample": torch.randn(2, config["in_channels"], 16, 16), "timesteps": torch.tensor([981.0, 21.0])}
    if config.get("encoder_hid_dim_type") == "image_proj":
        inputs["image_embeds"] = torch.randn(2, config["encoder_hid_dim"])
    else:
        inputs["encoder_hidden_states"] = torch.randn(2, 77, config["cross_attention_dim"])
    width = config["block_out_channels"][0] * 4
    if config.get("class_embed_type") == "identity":
        inputs |= {"class_labels": torch.randn(2, width), "mask": (torch.arange(77) < torch.tensor([[9], [31]])).float()}
    if config.get("class_embed_type") == "projection":
        inputs["class_labels"] = torch.randn(2, config["projection_class_embeddings_input_dim"])
    if config.get("addition_embed_type") == "text_time":
        ids = 5 if config["projection_class_embeddings_input_dim"] == 2560 else 6
        inputs["text_embeds"] = torch.randn(2, config["projection_class_embeddings_input_dim"] - 256 * ids)
        inputs["time_ids"] = torch.tensor([[1024.0, 768.0, 0.0, 8.0, 1024.0, 768.0]] * 2)[:, :ids]
    return inputs


def run_unet(model, x: dict) -> dict:
    added = {name: x[name] for name in ("text_embeds", "time_ids", "image_embeds") if name in x}
    mask = x["mask"].bool() if "mask" in x else None
    return {"sample": model(x["sample"], x["timesteps"], x.get("encoder_hidden_states"), class_labels=x.get("class_labels"),
                            attention_mask=mask, added_cond_kwargs=added).sample}


def vae_inputs(config: dict) -> dict:
    factor = 2 ** (len(config.get("block_out_channels", config.get("encoder_block_out_channels"))) - 1)
    return {"pictures": torch.rand(1, 3, 16 * factor, 8 * factor) * 2 - 1,
            "latents": torch.randn(1, config.get("vq_embed_dim") or config["latent_channels"], 16, 8)}


def run_vae(model, x: dict) -> dict:
    encoded = model.encode(x["pictures"])
    return {"mean": encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents,
            "sample": model.decode(x["latents"], **({"force_not_quantize": True} if isinstance(model, diffusers.VQModel) else {})).sample}


def text_inputs(config: dict) -> dict:
    ids = torch.randint(0, 49000, (2, 77))
    ids[:, 0], ids[0, 12:], ids[1, 76:] = 49406, 49407, 49407
    return {"ids": ids}


def run_text(model, x: dict) -> dict:
    out = model(x["ids"], output_hidden_states=True)
    states = {"last_hidden_state": out.last_hidden_state, "penultimate": out.hidden_states[-2]}
    return states | ({"text_embeds": out.text_embeds} if "text_embeds" in out else {})


def prior_inputs(config: dict) -> dict:
    width = config["embedding_dim"]
    return {"sample": torch.randn(2, width), "timesteps": torch.tensor([999.0, 42.0]), "text_embeds": torch.randn(2, width),
            "encoder_hidden_states": torch.randn(2, config["num_embeddings"], width),
            "mask": (torch.arange(config["num_embeddings"]) < torch.tensor([[9], [31]])).float()}


def run_prior(model, x: dict) -> dict:
    return {"sample": model(x["sample"], x["timesteps"], proj_embedding=x["text_embeds"],
                            encoder_hidden_states=x["encoder_hidden_states"], attention_mask=x["mask"].bool()).predicted_image_embedding}


def text_proj_inputs(config: dict) -> dict:
    width = config["clip_embeddings_dim"]
    return {"image_embeds": torch.randn(1, width), "text_embeds": torch.randn(2, width),
            "encoder_hidden_states": torch.randn(2, 77, width)}


def run_text_proj(model, x: dict) -> dict:
    context, time_embeds = model(image_embeddings=x["image_embeds"], prompt_embeds=x["text_embeds"],
                                 text_encoder_hidden_states=x["encoder_hidden_states"], do_classifier_free_guidance=True)
    return {"context": context, "time": time_embeds}


CLASSES = {
    "UNet2DConditionModel": (diffusers.UNet2DConditionModel, unet_inputs, run_unet),
    "UNet2DModel": (diffusers.UNet2DModel, lambda c: {"sample": torch.randn(1, c["in_channels"], 64, 64), "timesteps": torch.tensor([500.0])},
                    lambda m, x: {"sample": m(x["sample"], x["timesteps"]).sample}),
    "AutoencoderKL": (diffusers.AutoencoderKL, vae_inputs, run_vae),
    "AutoencoderTiny": (diffusers.AutoencoderTiny, vae_inputs, run_vae),
    "VQModel": (diffusers.VQModel, vae_inputs, run_vae),
    "PriorTransformer": (diffusers.PriorTransformer, prior_inputs, run_prior),
    "UnCLIPTextProjModel": (UnCLIPTextProjModel, text_proj_inputs, run_text_proj),
    "CLIPTextModel": (transformers.CLIPTextModel, text_inputs, run_text),
    "CLIPTextModelWithProjection": (transformers.CLIPTextModelWithProjection, text_inputs, run_text),
    "CLIPVisionModelWithProjection": (transformers.CLIPVisionModelWithProjection, lambda c: {"pixel_values": torch.randn(2, 3, 224, 224)},
                                      lambda m, x: {"image_embeds": m(x["pixel_values"]).image_embeds}),
}


def cast(inputs: dict, dtype: torch.dtype) -> dict:
    exact = ("timesteps", "time_ids", "mask")
    return {k: v.to(dtype) if v.is_floating_point() and k not in exact else v for k, v in inputs.items()}


def components() -> dict:
    """MODEL/COMPONENT → its config; each different config once."""
    found, seen = {}, set()
    for path in sorted(MODELS.glob("*/config.json")) + sorted(MODELS.glob("*/*/config.json")):
        config = json.loads(path.read_text())
        name = config.get("_class_name") or (config.get("architectures") or [""])[0]
        key = json.dumps({k: v for k, v in config.items() if not k.startswith("_") or k == "_class_name"}, sort_keys=True)
        if name in CLASSES and key not in seen:
            seen.add(key)
            found[str(path.parent.relative_to(MODELS))] = (name, config, path)
    return found


def made(kind: str, config: dict, path: pathlib.Path) -> torch.nn.Module:
    torch.manual_seed(0)
    reference = CLASSES[kind][0]
    if hasattr(reference, "from_config"):
        model = reference.from_config(config)
    else:
        model = reference(reference.config_class.from_pretrained(path.parent))
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model.float().eval()  # a config may say float16


def worst(answers: dict, expected: dict) -> float:
    return max(((answers[k].float() - v).abs().max() / v.abs().max()).item() for k, v in expected.items())


def compare(name: str, kind: str, config: dict, path: pathlib.Path) -> bool:
    began = time.monotonic()
    _, inputs_of, run = CLASSES[kind]
    model = made(kind, config, path)
    inputs = {k: v.contiguous() for k, v in inputs_of(config).items()}
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as scratch:
        folder = pathlib.Path(scratch)
        model.save_pretrained(folder, max_shard_size="100GB")
        save_file(inputs, folder / "inputs.safetensors")
        expected = {k: v.float().clone() for k, v in run(model, inputs).items()}
        theirs = worst(run(model.to(torch.bfloat16), cast(inputs, torch.bfloat16)), expected)
        del model
        gc.collect()
        ours = {}
        for dtype in ("float32", "bfloat16"):
            subprocess.run([COMPONENT, folder, dtype, folder / "inputs.safetensors", folder / "outputs.safetensors"], check=True)
            ours[dtype] = worst(load_file(folder / "outputs.safetensors"), expected)
    good = ours["float32"] < 1e-4 and ours["bfloat16"] <= 1.25 * theirs
    print(f"| {name} | {kind} | {ours['float32']:.1e} | {ours['bfloat16']:.1e} | {theirs:.1e} | {time.monotonic() - began:.0f} s |"
          f"{'' if good else ' **differs**'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    chosen = {name: value for name, value in components().items()
              if not arguments.names or any(wanted in (name, *name.split("/")) for wanted in arguments.names)}
    if arguments.list:
        print("\n".join(f"{name}  {kind}" for name, (kind, _, _) in chosen.items()))
        return 0
    print("| component | class | float32 | bfloat16 | reference's bfloat16 | took |\n|---|---|---|---|---|---|", flush=True)
    return 0 if all([compare(name, *value) for name, value in chosen.items()]) else 1


if __name__ == "__main__":
    sys.exit(main())
