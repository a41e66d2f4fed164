"""Records what the networks of the unCLIP family answer in the reference implementations.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_unclip.py
Writes beside itself, for each network, a small seeded configuration in the diffusers layout with
expected.safetensors (inputs and outputs); and clip_image, pictures as transformers prepares them.
"""
import json

import numpy
import torch
from diffusers import PriorTransformer, VQModel
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from PIL import Image
from safetensors.torch import save_file
from transformers import (CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection,
                          CLIPVisionConfig, CLIPVisionModelWithProjection)

from record_networks import HERE, enliven, save

TEXT = dict(vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=12, projection_dim=20)
VISION = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=28,
              patch_size=7, projection_dim=20)


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """enliven, and what the reference starts at zero or at one away from it."""
    for parameter in model.parameters():
        if parameter.dim() > 0 and parameter.unique().numel() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return enliven(model)


def token_ids(end: int, pad: int) -> torch.Tensor:
    ids = torch.randint(1, 97, (2, 12))
    ids[:, 0] = 98
    for row, length in enumerate((7, 4)):
        ids[row, length], ids[row, length + 1 :] = end, pad
    return ids


def record_prior() -> None:
    torch.manual_seed(11)
    model = lively(PriorTransformer(num_attention_heads=4, attention_head_dim=8, num_layers=2, embedding_dim=12,
                                    num_embeddings=7))
    latents, text_embeds, states = torch.randn(2, 12), torch.randn(2, 12), torch.randn(2, 7, 12)
    timesteps, mask = torch.tensor([999.0, 42.0]), torch.ones(2, 7)
    mask[0, 5:], mask[1, 2:] = 0, 0
    answer = lambda m: model(latents, timesteps, text_embeds, states, m).predicted_image_embedding
    save("prior", model, {"latents": latents, "timesteps": timesteps, "text_embeds": text_embeds, "states": states,
                          "mask": mask, "answer": answer(mask.bool()), "answer_without_mask": answer(None),
                          "post_processed": model.post_process_latents(latents)})


def record_text(folder: str, ids: torch.Tensor, **options) -> None:
    torch.manual_seed(12)
    model = lively(CLIPTextModelWithProjection(CLIPTextConfig(**TEXT, bos_token_id=98, **options)))
    out = model(ids, output_hidden_states=True)
    save(folder, model, {"ids": ids, "last_hidden_state": out.last_hidden_state, "penultimate": out.hidden_states[-2],
                         "text_embeds": out.text_embeds})


def record_vision() -> None:
    torch.manual_seed(13)
    model = lively(CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION, hidden_act="gelu")))
    pixels = torch.randn(2, 3, 28, 28)
    out = model(pixels)
    save("clip_vision", model, {"pixel_values": pixels, "last_hidden_state": out.last_hidden_state,
                                "image_embeds": out.image_embeds})


def record_clip() -> None:
    torch.manual_seed(14)
    model = lively(CLIPModel(CLIPConfig(text_config={**TEXT, "eos_token_id": 2}, vision_config=VISION, projection_dim=20)))
    ids, pixels = token_ids(99, 99), torch.randn(3, 3, 28, 28)
    out = model(ids, pixels)
    save("clip", model, {"ids": ids, "pixel_values": pixels, "logits_per_image": out.logits_per_image,
                         "text_embeds": model.get_text_features(ids).pooler_output,
                         "image_embeds": model.get_image_features(pixels).pooler_output})


def record_vq(folder: str, half: bool, **options) -> None:
    torch.manual_seed(15)
    model = lively(VQModel(
        latent_channels=4, num_vq_embeddings=16, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"), **options))
    channels = model.config.vq_embed_dim
    model.quantize.embedding.weight.data = torch.randn(16, channels)
    model = model.half().float() if half else model
    pictures, latents = torch.rand(2, 3, 12, 8) * 2 - 1, torch.randn(2, channels, 6, 4)
    expected = {"pictures": pictures, "latents": latents, "encoded": model.encode(pictures).latents,
                "quantized": model.quantize(latents)[0], "answer_quantized": model.decode(latents).sample,
                "answer": model.decode(latents, force_not_quantize=True).sample}
    save(folder, model.half() if half else model, expected)


def record_text_proj() -> None:
    torch.manual_seed(16)
    model = lively(UnCLIPTextProjModel(clip_extra_context_tokens=3, clip_embeddings_dim=12, time_embed_dim=20,
                                       cross_attention_dim=16))
    image_embeds, text_embeds, states = torch.randn(2, 12), torch.randn(4, 12), torch.randn(4, 7, 12)
    answer = lambda images, guided: model(image_embeddings=images, prompt_embeds=text_embeds,
                                          text_encoder_hidden_states=states, do_classifier_free_guidance=guided)
    context, time = answer(image_embeds, True)
    plain_context, plain_time = answer(image_embeds.repeat(2, 1), False)
    save("unclip_text_proj", model, {
        "image_embeds": image_embeds, "text_embeds": text_embeds, "states": states, "context": context, "time": time,
        "plain_context": plain_context, "plain_time": plain_time})


def record_normalizer() -> None:
    torch.manual_seed(17)
    model = lively(StableUnCLIPImageNormalizer(embedding_dim=12))
    embeds = torch.randn(2, 12)
    save("image_normalizer", model, {"embeds": embeds, "scaled": model.scale(embeds), "unscaled": model.unscale(embeds)})


def record_image() -> None:
    """Waves and noise, wide, tall, smaller than what is asked for, and partly transparent."""
    rng = numpy.random.default_rng(18)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 24, "width": 24})
    tensors = {}
    for name, (width, height, channels) in {"wide": (90, 61, 3), "tall": (35, 70, 3), "small": (21, 17, 3),
                                            "transparent": (60, 50, 4)}.items():
        y, x = numpy.mgrid[0:height, 0:width][..., None] / 5
        waves = 127 + 90 * numpy.sin(x + y * numpy.arange(1, channels + 1)) + rng.normal(0, 40, (height, width, channels))
        pixels = waves.clip(0, 255).astype(numpy.uint8)
        values = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
        tensors |= {f"{name}.pixels": torch.from_numpy(pixels), f"{name}.pixel_values": values.contiguous()}
    folder = HERE / "clip_image"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "expected.safetensors")
    config = {key: value for key, value in processor.to_dict().items() if value is not None}
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")


if __name__ == "__main__":
    record_prior()
    # The configs of before transformers 4.30, with the pad id of SDXL's second encoder; and a config of today.
    record_text("text_projection", token_ids(99, 0), hidden_act="gelu", eos_token_id=2, pad_token_id=1)
    record_text("text_projection_eos", token_ids(50, 50), hidden_act="quick_gelu", eos_token_id=50, pad_token_id=50)
    record_vision()
    record_clip()
    record_vq("vq", False, block_out_channels=(8, 16), layers_per_block=1, vq_embed_dim=3)
    # SpatialNorm has 32 groups, so no level can be narrower: few layers, and float16, keep the file small.
    record_vq("movq", True, block_out_channels=(32, 32), layers_per_block=0, vq_embed_dim=4, norm_type="spatial")
    record_text_proj()
    record_normalizer()
    record_image()
