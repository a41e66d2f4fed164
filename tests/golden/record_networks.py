"""Records what diffusers and transformers answer, for the golden tests of networks.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_networks.py
Writes beside itself, for each network, a small seeded configuration in the diffusers layout with
expected.safetensors (inputs and outputs, float32).
"""
import pathlib

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel, UNet2DModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = pathlib.Path(__file__).parent


def save(folder: str, model: torch.nn.Module, tensors: dict) -> None:
    model.save_pretrained(HERE / folder)
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, HERE / folder / "expected.safetensors")


def enliven(model: torch.nn.Module) -> torch.nn.Module:
    """Norms and biases away from ones and zeros, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def record_unet(folder: str, conditions: dict, batch: int = 2, **options) -> None:
    torch.manual_seed(1)
    options = dict(sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), norm_num_groups=8,
                   down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                   up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=16, layers_per_block=1) | options
    model = enliven(UNet2DConditionModel(**options))
    tensors = {"sample": torch.randn(batch, options["in_channels"], 8, 8 if "Simple" in options["down_block_types"][1] else 6),
               "timesteps": torch.tensor([3.0, 977.0])}
    tensors |= {name: torch.randn(batch, *shape) for name, shape in conditions.items()}
    arguments = {"encoder_hidden_states": tensors.get("context")}
    if "context_mask" in conditions:
        tensors["context_mask"] = (tensors["context_mask"] > 0).float()
        arguments["attention_mask"] = tensors["context_mask"].bool()
    for name in ("class_labels", "timestep_cond"):
        if name in conditions:
            arguments[name] = tensors[name]
    if "time_ids" in conditions:
        tensors["time_ids"] = (tensors["time_ids"].abs() * 500).round()
    arguments["added_cond_kwargs"] = {k: tensors[k] for k in ("text_embeds", "time_ids", "image_embeds") if k in conditions}
    tensors["answer"] = model(tensors["sample"], tensors["timesteps"], **arguments).sample
    save(folder, model, tensors)


def record_unet_2d(folder: str, **options) -> None:
    torch.manual_seed(1)
    model = enliven(UNet2DModel(sample_size=16, block_out_channels=(16, 32), norm_num_groups=8, layers_per_block=1, **options))
    sample = torch.randn(2, options["in_channels"], 16, 8)
    timesteps = torch.tensor([3.0, 977.0])
    save(folder, model, {"sample": sample, "timesteps": timesteps, "answer": model(sample, timesteps).sample})


def record_vae() -> None:
    torch.manual_seed(2)
    model = enliven(AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32), layers_per_block=1, latent_channels=4, norm_num_groups=8))
    pictures, latents = torch.rand(2, 3, 12, 8) * 2 - 1, torch.randn(2, 4, 6, 4)
    moments = model.encode(pictures).latent_dist
    save("vae", model, {"pictures": pictures, "latents": latents, "mean": moments.mean, "logvar": moments.logvar,
                        "answer": model.decode(latents).sample})


def record_tiny_vae() -> None:
    torch.manual_seed(5)
    model = enliven(AutoencoderTiny(
        encoder_block_out_channels=(12,) * 3, decoder_block_out_channels=(12,) * 3, latent_channels=4,
        num_encoder_blocks=(1, 2, 1), num_decoder_blocks=(1, 2, 1)))
    pictures, latents = torch.rand(2, 3, 16, 8) * 2 - 1, 2 * torch.randn(2, 4, 4, 2)
    save("vae_tiny", model, {"pictures": pictures, "latents": latents, "encoded": model.encode(pictures).latents,
                             "answer": model.decode(latents).sample})


def record_text() -> None:
    torch.manual_seed(3)
    model = enliven(CLIPTextModel(CLIPTextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=12, eos_token_id=99, bos_token_id=98, pad_token_id=99)))
    ids = torch.randint(0, 97, (2, 12))
    ids[:, 0], ids[0, 7:], ids[1, 4:] = 98, 99, 99
    out = model(ids)
    save("text_encoder", model, {"ids": ids, "last_hidden_state": out.last_hidden_state, "pooled": out.pooler_output})


if __name__ == "__main__":
    context = {"context": (7, 16)}
    record_unet("unet_sd1", context, attention_head_dim=2, layers_per_block=2)
    record_unet("unet_sd2", context, attention_head_dim=(2, 4), use_linear_projection=True,
                transformer_layers_per_block=(2, 1))
    record_unet("unet_sdxl", context | {"text_embeds": (12,), "time_ids": (6,)}, attention_head_dim=(2, 4),
                use_linear_projection=True, transformer_layers_per_block=(1, 3), addition_embed_type="text_time",
                addition_time_embed_dim=8, projection_class_embeddings_input_dim=12 + 6 * 8,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    record_unet("unet_lcm", context | {"timestep_cond": (10,)}, attention_head_dim=2, time_cond_proj_dim=10)
    record_unet("unet_stable_unclip", context | {"class_labels": (20,)}, attention_head_dim=2,
                class_embed_type="projection", projection_class_embeddings_input_dim=20)
    pixels = dict(down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
                  mid_block_type="UNetMidBlock2DSimpleCrossAttn", attention_head_dim=8, resnet_time_scale_shift="scale_shift",
                  up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"))
    record_unet("unet_kandinsky", {"image_embeds": (12,)}, out_channels=8, addition_embed_type="image",
                encoder_hid_dim_type="image_proj", encoder_hid_dim=12, **pixels)
    record_unet("unet_karlo", context | {"context_mask": (7,), "class_labels": (64,)}, in_channels=3, out_channels=6,
                class_embed_type="identity", **pixels)
    record_unet_2d("unet_2d_ddpm", in_channels=3, out_channels=3, attention_head_dim=None, downsample_padding=0,
                   flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6,
                   down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    record_unet_2d("unet_2d_super_resolution", in_channels=6, out_channels=3, add_attention=False,
                   down_block_types=("ResnetDownsampleBlock2D",) * 2, up_block_types=("ResnetUpsampleBlock2D",) * 2)
    record_vae()
    record_tiny_vae()
    record_text()
