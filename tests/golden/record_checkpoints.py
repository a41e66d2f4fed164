"""Records how diffusers reads foreign checkpoints, for tests/models/checkpoint_golden.cpp.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_checkpoints.py
Writes
  keys/original/MODEL.txt.gz       keys and shapes of the published single-file checkpoints: tests/keys in the original names. diffusers' own
                                   conversion, run on tensors without contents, gives back exactly tests/keys, or the script stops.
  golden/checkpoints/KIND.*        small checkpoints in the original layouts, of whole numbers, and expected.json.gz: for each tensor after
                                   diffusers' conversion its shape and the sum of value × place, which is exact.
  golden/checkpoints/ddpm.*        UNet2DModel's names in pytorch_diffusion's; a forward pass written with those names agrees with diffusers.
"""
import gzip
import json
import math
import pathlib
import re

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.loaders import single_file_utils
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

TESTS = pathlib.Path(__file__).parent.parent
MODELS = TESTS.parent / "data" / "models"

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}


def replaced(text: str, table: dict) -> str:
    for old, new in table.items():
        text = re.sub(old, new, text)
    return text


def unet_to_original(name: str, config: dict) -> str:
    """The inverse of diffusers' convert_ldm_unet_checkpoint."""
    per_level = config["layers_per_block"] + 1
    flat = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
            "add_embedding.linear_2": "label_emb.0.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    for new, old in flat.items():
        if name.startswith(new):
            return old + name[len(new):]
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        kind, i, rest = match.groups()
        return f"middle_block.1.{rest}" if kind == "attentions" else f"middle_block.{2 * int(i)}.{resnet_to_original(rest)}"
    side, level, kind, layer, rest = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name).groups()
    level, layer = int(level), int(layer)
    down = side == "down"
    if kind == "downsamplers":
        return f"input_blocks.{(level + 1) * per_level}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        part = 2 if "CrossAttn" in config["up_block_types"][level] else 1
        return f"output_blocks.{level * per_level + per_level - 1}.{part}.{rest}"
    block = f"{'input' if down else 'output'}_blocks.{level * per_level + layer + (1 if down else 0)}"
    return f"{block}.0.{resnet_to_original(rest)}" if kind == "resnets" else f"{block}.1.{rest}"


def resnet_to_original(rest: str) -> str:
    head, tail = rest.split(".", 1)
    return f"{RESNET[head]}.{tail}"


def ddpm_to_original(name: str, levels: int) -> str:
    """The inverse of diffusers' convert_ldm_vae_checkpoint, and of the UNet's names in pytorch_diffusion."""
    name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}", name)
    return replaced(name, {
        r"time_embedding\.linear_1": "temb.dense.0", r"time_embedding\.linear_2": "temb.dense.1", "time_emb_proj": "temb_proj",
        "conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut", r"mid_block\.resnets\.0": "mid.block_1",
        r"mid_block\.resnets\.1": "mid.block_2", r"mid_block\.attentions\.0": "mid.attn_1", "down_blocks": "down", "resnets": "block",
        "attentions": "attn", r"(down|up)samplers\.0": r"\1sample", "group_norm": "norm", r"to_([qkv])": r"\1", r"to_out\.0": "proj_out"})


def as_convolutions(tensors: dict) -> dict:
    """Attention's linear layers as the 1×1 convolutions that the original code has."""
    return {k: v[:, :, None, None] if re.search(r"attn.*\.(q|k|v|proj_out)\.weight", k) else v for k, v in tensors.items()}


def open_clip_to_original(tensors: dict) -> dict:
    """The inverse of diffusers' convert_open_clip_checkpoint."""
    table = {r"^text_model\.embeddings\.token_embedding": "token_embedding", r"^text_model\.embeddings\.position_embedding\.weight": "positional_embedding",
             r"^text_model\.final_layer_norm": "ln_final", r"^text_projection\.weight": "text_projection",
             r"^text_model\.encoder\.layers": "transformer.resblocks", r"layer_norm([12])": r"ln_\1", r"mlp\.fc1": "mlp.c_fc",
             r"mlp\.fc2": "mlp.c_proj", "self_attn": "attn"}
    result = {}
    for name, tensor in tensors.items():
        if match := re.match(r"(.+\.)q_proj\.(weight|bias)", name):
            parts = [tensors[f"{match[1]}{p}_proj.{match[2]}"] for p in "qkv"]
            result[replaced(match[1], table) + "in_proj_" + match[2]] = torch.cat(parts)
        elif not re.search(r"\.[kv]_proj\.", name):
            result[replaced(name, table)] = tensor.T.contiguous() if name.startswith("text_projection") else tensor
    return result


def with_last_layer(tensors: dict) -> dict:
    """Stable Diffusion 2's file has a layer and a projection more than its text encoder reads. diffusers leaves out the 24th by its name."""
    layers = 1 + max(int(m[1]) for k in tensors if (m := re.match(r"transformer\.resblocks\.(\d+)", k)))
    last = {k.replace(f"resblocks.{layers - 1}.", "resblocks.23."): torch.ones_like(v) for k, v in tensors.items() if f"resblocks.{layers - 1}." in k}
    width = tensors["positional_embedding"].shape[1]
    return {**tensors, **last, "text_projection": torch.ones_like(tensors["positional_embedding"][:1]).expand(width, width).contiguous()}


KINDS = {  # the published model, its open_clip encoder's prefix, its CLIP-L encoder's
    "stable-diffusion-v1-5": (None, ("text_encoder", "cond_stage_model.transformer.")),
    "stable-diffusion-2-1": (("text_encoder", "cond_stage_model.model."), None),
    "stable-diffusion-xl-base-1.0": (("text_encoder_2", "conditioner.embedders.1.model."), ("text_encoder", "conditioner.embedders.0.transformer.")),
    "stable-diffusion-xl-refiner-1.0": (("text_encoder_2", "conditioner.embedders.0.model."), None),
}


def to_original(kind: str, components: dict, unet_config: dict, vae_levels: int) -> dict:
    open_clip, clip = KINDS[kind]
    file = {"model.diffusion_model." + unet_to_original(k, unet_config): v for k, v in components["unet"].items()}
    vae = as_convolutions({ddpm_to_original(k, vae_levels): v for k, v in components["vae"].items()})
    file |= {"first_stage_model." + k: v for k, v in vae.items()}
    if open_clip:
        text = open_clip_to_original(components[open_clip[0]])
        text = with_last_layer(text) if kind == "stable-diffusion-2-1" else text
        file |= {open_clip[1] + k: v for k, v in text.items()}
    if clip:
        file |= {clip[1] + k: v for k, v in components[clip[0]].items()}
    return file


class TextModel:
    """What convert_open_clip_checkpoint asks of a model."""
    def __init__(self, width):
        self.config = type("Config", (), {"hidden_size": width})


def converted(kind: str, file: dict, unet_config: dict, vae_config: dict) -> dict:
    """diffusers' conversion of a single file."""
    open_clip, clip = KINDS[kind]
    result = {"unet": single_file_utils.convert_ldm_unet_checkpoint(file, unet_config),
              "vae": single_file_utils.convert_ldm_vae_checkpoint(file, vae_config)}
    if open_clip:
        width = file[open_clip[1] + "positional_embedding"].shape[1]
        result[open_clip[0]] = single_file_utils.convert_open_clip_checkpoint(TextModel(width), dict(file), prefix=open_clip[1])
    if clip:
        text = single_file_utils.convert_ldm_clip_checkpoint(file)
        result[clip[0]] = {k: v for k, v in text.items() if "position_ids" not in k}
    return result


def published(model: str, component: str) -> dict:
    tensors = {}
    for line in gzip.open(TESTS / "keys" / f"{model}.{component}.txt.gz", "rt"):
        name, what, shape = line.rstrip("\n").split("\t")
        if what == "param":
            tensors[name] = torch.empty([int(side) for side in shape.split("x")], device="meta")
    return tensors


def record_keys() -> None:
    (TESTS / "keys" / "original").mkdir(exist_ok=True)
    for kind, parts in KINDS.items():
        names = ["unet", "vae"] + [part[0] for part in parts if part]
        components = {name: published(kind, name) for name in names}
        unet, vae = (json.loads((MODELS / kind / name / "config.json").read_text()) for name in ("unet", "vae"))
        unet["layers_per_block"] = unet.get("layers_per_block", 2)
        file = to_original(kind, components, unet, len(vae["block_out_channels"]))
        back = converted(kind, file, unet, vae)
        for name in names:
            expected, got = ({k: tuple(v.shape) for k, v in each.items()} for each in (components[name], back[name]))
            assert got == expected, (kind, name, set(got.items()) ^ set(expected.items()))
        with gzip.GzipFile(TESTS / "keys" / "original" / f"{kind}.txt.gz", "wb", mtime=0) as out:
            for key in sorted(file):
                out.write(f"{key}\t{'x'.join(map(str, file[key].shape))}\n".encode())


def whole_numbers(model) -> dict:
    """Its parameters' names with whole numbers that float16 holds exactly."""
    return {k: torch.randint(-99, 100, v.shape).half() for k, v in model.named_parameters()}


def tiny_unet(xl: bool, linear: bool) -> UNet2DConditionModel:
    extra = dict(addition_embed_type="text_time", addition_time_embed_dim=2, projection_class_embeddings_input_dim=16) if xl else {}
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(4, 8), norm_num_groups=2, layers_per_block=2, cross_attention_dim=6, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D") if xl else ("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D") if xl else ("UpBlock2D", "CrossAttnUpBlock2D"),
        use_linear_projection=linear, transformer_layers_per_block=(1, 2) if xl else 1, **extra)


def tiny_text(projection: bool):
    config = CLIPTextConfig(vocab_size=20, hidden_size=6, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, projection_dim=6,
                            max_position_embeddings=5, eos_token_id=19, bos_token_id=18, pad_token_id=19)
    return CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)


def text_keys(tensors: dict) -> dict:
    """transformers 5 leaves out "text_model." before a CLIPTextModel's keys; published checkpoints have it."""
    return {k if k.startswith(("text_model.", "text_projection")) else "text_model." + k: v for k, v in tensors.items()}


def checksum(tensor: torch.Tensor) -> list:
    flat = tensor.double().flatten()
    return [list(tensor.shape), float((flat * torch.arange(1, len(flat) + 1, dtype=torch.double)).sum())]


def record_single_files() -> None:
    from diffusers import AutoencoderKL
    folder = TESTS / "golden" / "checkpoints"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(11)
    recorded = {}
    for kind, (open_clip, clip) in KINDS.items():
        unet = tiny_unet("xl" in kind, "v1" not in kind)
        vae = AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
                            block_out_channels=(2, 4, 4), layers_per_block=1, latent_channels=2, norm_num_groups=2)
        components = {"unet": whole_numbers(unet), "vae": whole_numbers(vae)}
        if open_clip:
            components[open_clip[0]] = text_keys(whole_numbers(tiny_text(projection=open_clip[0] == "text_encoder_2")))
        if clip:
            components[clip[0]] = text_keys(whole_numbers(tiny_text(projection=False)))
        file = to_original(kind, components, unet.config, 3)
        back = converted(kind, file, unet.config, vae.config)
        for name, tensors in components.items():
            assert back[name].keys() == tensors.keys(), (kind, name, back[name].keys() ^ tensors.keys())
            assert all(torch.equal(back[name][k], tensors[k]) for k in tensors), (kind, name)
        recorded[kind] = {name: {k: checksum(v) for k, v in tensors.items()} for name, tensors in back.items()}
        one = torch.ones(1)
        superfluous = {"model_ema.diffusion_modeltime_embed0weight": one, "model_ema.decay": one, "alphas_cumprod": one, "betas": one,
                       "sqrt_recipm1_alphas_cumprod": one, "posterior_mean_coef1": one, "first_stage_model.loss.logvar": one}
        if clip:
            superfluous[clip[1] + "text_model.embeddings.position_ids"] = torch.arange(5)
        if open_clip:
            superfluous[open_clip[1] + "logit_scale"] = one
        save_file({k: v.clone().contiguous() for k, v in (file | superfluous).items()}, folder / f"{kind}.safetensors")

    model = UNet2DModel(sample_size=8, block_out_channels=(4, 8, 12), layers_per_block=2, norm_num_groups=2, norm_eps=1e-6, freq_shift=1,
                        flip_sin_to_cos=False, downsample_padding=0, attention_head_dim=None,
                        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")).eval()
    check_ddpm(model)
    tensors = whole_numbers(model)
    recorded["ddpm"] = {"unet": {k: checksum(v) for k, v in tensors.items()}}
    save_file(as_convolutions({ddpm_to_original(k, 3): v for k, v in tensors.items()}), folder / "ddpm.safetensors")
    with gzip.GzipFile(folder / "expected.json.gz", "wb", mtime=0) as out:
        out.write(json.dumps(recorded).encode())


def check_ddpm(model: UNet2DModel) -> None:
    """pytorch_diffusion's forward pass (ermongroup/SDEdit models/diffusion.py), by its own names, agrees with UNet2DModel."""
    t = as_convolutions({ddpm_to_original(k, 3): v for k, v in model.named_parameters()})

    def norm(x, name):
        return F.group_norm(x, 2, t[name + ".weight"], t[name + ".bias"], 1e-6)

    def conv(x, name, **options):
        return F.conv2d(x, t[name + ".weight"], t[name + ".bias"], **options)

    def dense(x, name):
        return F.linear(x, t[name + ".weight"], t[name + ".bias"])

    def resnet(x, name):
        h = conv(F.silu(norm(x, name + ".norm1")), name + ".conv1", padding=1)
        h = h + dense(F.silu(temb), name + ".temb_proj")[:, :, None, None]
        h = conv(F.silu(norm(h, name + ".norm2")), name + ".conv2", padding=1)
        return (conv(x, name + ".nin_shortcut") if name + ".nin_shortcut.weight" in t else x) + h

    def attend(x, name):
        h = norm(x, name + ".norm")
        q, k, v = (conv(h, f"{name}.{part}").flatten(2) for part in "qkv")
        w = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / math.sqrt(q.shape[1]), -1)
        return x + conv(torch.einsum("bij,bcj->bci", w, v).view_as(h), name + ".proj_out")

    def maybe_attend(x, name):
        return attend(x, name) if name + ".q.weight" in t else x

    x, steps = torch.randn(2, 3, 8, 8), torch.tensor([3.0, 977.0])
    frequencies = torch.exp(torch.arange(2) * -math.log(10000) / (2 - 1))
    angles = steps[:, None] * frequencies[None]
    temb = dense(F.silu(dense(torch.cat([angles.sin(), angles.cos()], 1), "temb.dense.0")), "temb.dense.1")
    with torch.no_grad():
        hs = [conv(x, "conv_in", padding=1)]
        for i in range(3):
            for j in range(2):
                hs.append(maybe_attend(resnet(hs[-1], f"down.{i}.block.{j}"), f"down.{i}.attn.{j}"))
            if i < 2:
                hs.append(conv(F.pad(hs[-1], (0, 1, 0, 1)), f"down.{i}.downsample.conv", stride=2))
        h = resnet(attend(resnet(hs[-1], "mid.block_1"), "mid.attn_1"), "mid.block_2")
        for i in reversed(range(3)):
            for j in range(3):
                h = maybe_attend(resnet(torch.cat([h, hs.pop()], 1), f"up.{i}.block.{j}"), f"up.{i}.attn.{j}")
            if i > 0:
                h = conv(F.interpolate(h, scale_factor=2.0), f"up.{i}.upsample.conv", padding=1)
        h = conv(F.silu(norm(h, "norm_out")), "conv_out", padding=1)
        assert torch.allclose(h, model(x, steps).sample, atol=1e-5)


if __name__ == "__main__":
    record_keys()
    record_single_files()
