"""Records what diffusers and PEFT make of one LoRA in each of the published key layouts, for tests/models/lora_golden.cpp.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_loras.py
Writes golden/lora: base.safetensors (a small UNet and text encoder, their names behind "unet." and "text_encoder."), the LoRA in files named by
layout, and fused.safetensors and fused_attention.safetensors, the weights that the LoRA changes after fusing at 0.75. That each file gives them
through diffusers' (or PEFT's) own loading is checked here.
"""
import copy
import json
import pathlib

import torch
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin
from peft import LoraConfig, PeftModel, inject_adapter_in_model, set_peft_model_state_dict
from record_checkpoints import text_keys, tiny_text, tiny_unet, unet_to_original
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "lora"
RANK, ALPHA, TIME_ALPHA, WEIGHT = 2, 3, 5, 0.75
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv_shortcut", "time_emb_proj",
           "downsamplers.0.conv", "upsamplers.0.conv", "conv_in", "conv_out", "time_embedding.linear_1")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def adapted(model, targets: tuple) -> dict:
    """Random matrices for the model's modules: name → (down, up), as PEFT shapes them."""
    found = {}
    for name, module in model.named_modules():
        if not name.endswith(targets) or not hasattr(module, "weight"):
            continue
        weight = module.weight
        down = 0.3 * torch.randn(RANK, *weight.shape[1:])
        up = 0.3 * torch.randn(weight.shape[0], RANK, *[1] * (weight.dim() - 2))
        found[name] = (down, up)
    return found


def alpha_of(name: str) -> int:
    return TIME_ALPHA if name.endswith("time_emb_proj") else ALPHA


def keyed(factors: dict, key, down: str, up: str, alpha: str | None) -> dict:
    tensors = {}
    for name, (a, b) in factors.items():
        tensors[key(name) + down], tensors[key(name) + up] = a, b
        if alpha is not None:
            tensors[key(name) + alpha] = torch.tensor(float(alpha_of(name)))
    return {k: v.clone().contiguous() for k, v in tensors.items()}


def peft_config(targets) -> dict:
    pattern = {"time_emb_proj": TIME_ALPHA} if any(alpha_of(name) == TIME_ALPHA for name in targets) else {}
    return dict(r=RANK, lora_alpha=ALPHA, alpha_pattern=pattern, target_modules=sorted(targets))


def fused_by_peft(model, factors: dict) -> dict:
    """The weights that change, by PEFT's merge."""
    model = copy.deepcopy(model)
    config = LoraConfig(**peft_config(factors))
    inject_adapter_in_model(config, model)
    set_peft_model_state_dict(model, keyed(factors, lambda n: n, ".lora_A.weight", ".lora_B.weight", None))
    merged = {}
    for name, module in model.named_modules():
        if name in factors:
            module.scale_layer(WEIGHT)
            module.merge()
            merged[name + ".weight"] = module.get_base_layer().weight.detach().clone()
    return merged


def fused_by_diffusers(unet, path: pathlib.Path) -> dict:
    """The UNet after diffusers has loaded and fused a file."""
    unet = copy.deepcopy(unet)
    state, alphas, metadata = StableDiffusionXLLoraLoaderMixin.lora_state_dict(str(path), unet_config=unet.config, return_lora_metadata=True)
    unet.load_lora_adapter(state, prefix="unet", network_alphas=alphas, metadata=metadata)
    unet.fuse_lora(lora_scale=WEIGHT)
    return {k.replace(".base_layer", ""): v.detach() for k, v in unet.named_parameters() if ".lora_" not in k}


def check(unet, path: pathlib.Path, fused: dict) -> None:
    got = fused_by_diffusers(unet, path)
    for name, weight in unet.named_parameters():
        assert torch.allclose(got[name], fused.get(name, weight), atol=1e-6), (path.name, name)


def main() -> None:
    torch.manual_seed(12)
    FOLDER.mkdir(exist_ok=True)
    unet, text = tiny_unet(xl=True, linear=True).eval(), tiny_text(projection=False).eval()
    factors, text_factors = adapted(unet, TARGETS), text_keys(adapted(text, TEXT_TARGETS))
    attention = {k: v for k, v in factors.items() if ".attn" in k}
    base = {"unet." + k: v.detach() for k, v in unet.named_parameters()}
    base |= {"text_encoder." + k: v.detach() for k, v in text_keys(dict(text.named_parameters())).items()}
    save_file(base, FOLDER / "base.safetensors")
    fused, fused_attention = fused_by_peft(unet, factors), fused_by_peft(unet, attention)
    fused_text = text_keys(fused_by_peft(text, adapted_names(text_factors, text)))
    save_file({"unet." + k: v for k, v in fused.items()} | {"text_encoder." + k: v for k, v in fused_text.items()}, FOLDER / "fused.safetensors")
    save_file({"unet." + k: v for k, v in fused_attention.items()}, FOLDER / "fused_attention.safetensors")

    def write(name: str, tensors: dict, expected: dict, metadata: dict | None = None) -> None:
        save_file(tensors, FOLDER / f"{name}.safetensors", metadata)
        check(unet, FOLDER / f"{name}.safetensors", expected)

    def old(name: str) -> str:
        return "unet." + name.replace(".to_out.0", ".to_out").replace(".attn1.", ".attn1.processor.").replace(".attn2.", ".attn2.processor.")

    def kohya(prefix: str):
        return lambda name: prefix + name.replace(".", "_")

    text_peft = keyed(text_factors, lambda n: "text_encoder." + n, ".lora_A.weight", ".lora_B.weight", None)
    text_kohya = keyed(text_factors, kohya("lora_te1_"), ".lora_down.weight", ".lora_up.weight", ".alpha")
    text_old = keyed(text_factors, lambda n: "text_encoder." + n, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ".alpha")
    settings = {f"{part}.{k}": v for part, names in (("unet", factors), ("text_encoder", text_factors)) for k, v in peft_config(names).items()}
    write("peft", keyed(factors, lambda n: "unet." + n, ".lora_A.weight", ".lora_B.weight", None) | text_peft, fused,
          {"format": "pt", "lora_adapter_metadata": json.dumps(settings)})
    write("kohya", keyed(factors, kohya("lora_unet_"), ".lora_down.weight", ".lora_up.weight", ".alpha") | text_kohya, fused)
    write("kohya_original_blocks", keyed(factors, lambda n: kohya("lora_unet_")(unet_to_original(n + ".weight", unet.config)[:-7]),
                                         ".lora_down.weight", ".lora_up.weight", ".alpha") | text_kohya, fused)
    lora = keyed(factors, lambda n: "unet." + n, ".lora.down.weight", ".lora.up.weight", ".alpha")
    save_file(lora | text_old, FOLDER / "diffusers.safetensors")
    check_alphas(unet, lora, fused)
    processors = keyed(attention, old, "_lora.down.weight", "_lora.up.weight", None)
    save_file({k: v * (ALPHA / RANK if ".up." in k else 1) for k, v in processors.items()}, FOLDER / "attention_processors.safetensors")
    check(unet, FOLDER / "attention_processors.safetensors", fused_attention)

    (FOLDER / "adapter").mkdir(exist_ok=True)
    save_file(keyed(factors, lambda n: "base_model.model." + n, ".lora_A.weight", ".lora_B.weight", None), FOLDER / "adapter" / "adapter_model.safetensors")
    (FOLDER / "adapter" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **peft_config(factors)}, indent=2))
    merged = PeftModel.from_pretrained(copy.deepcopy(unet), FOLDER / "adapter").merge_and_unload()
    for name, weight in merged.named_parameters():
        at_one = unet.get_parameter(name) + (fused[name] - unet.get_parameter(name)) / WEIGHT if name in fused else unet.get_parameter(name)
        assert torch.allclose(weight, at_one, atol=1e-5), name


def adapted_names(text_factors: dict, text) -> dict:
    """The factors by the module names that this version of transformers has."""
    names = dict(text.named_modules())
    return {k if k in names else k.removeprefix("text_model."): v for k, v in text_factors.items()}


def check_alphas(unet, tensors: dict, fused: dict) -> None:
    """diffusers takes the alphas of its own layout beside the tensors, not among them."""
    unet = copy.deepcopy(unet)
    alphas = {k: v.item() for k, v in tensors.items() if k.endswith(".alpha")}
    unet.load_lora_adapter({k: v for k, v in tensors.items() if k not in alphas}, prefix="unet", network_alphas=alphas)
    unet.fuse_lora(lora_scale=WEIGHT)
    got = {k.replace(".base_layer", ""): v for k, v in unet.named_parameters()}
    assert all(torch.allclose(got[k], v, atol=1e-6) for k, v in fused.items())


if __name__ == "__main__":
    main()
