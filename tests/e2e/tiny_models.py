"""Tiny models with random weights in diffusers' layout: the reference paints with the same weights as the binary."""
import functools
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers
import numpy
import torch
import transformers
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from PIL import Image
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from support import ROOT

sys.path.insert(0, str(ROOT / "runs/pocket"))

from vocabulary import clip_merges, write_tokenizer

diffusers.utils.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_grad_enabled(False)
PROMPT = "a red car and two dogs"


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """Norms and biases away from ones and zeros, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@functools.cache
def vocabulary() -> tempfile.TemporaryDirectory:
    """CLIP's whole one."""
    folder = tempfile.TemporaryDirectory()
    write_tokenizer(pathlib.Path(folder.name), clip_merges())
    return folder


def tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(vocabulary().name, pad_token=pad, model_max_length=77)


def text_encoder(width: int = 32, projection: int = 0, **options) -> torch.nn.Module:
    config = CLIPTextConfig(vocab_size=49408, hidden_size=width, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                            projection_dim=projection or width, bos_token_id=49406, eos_token_id=49407, **options)
    return lively((CLIPTextModelWithProjection if projection else CLIPTextModel)(config))


def image_encoder(projection: int) -> torch.nn.Module:
    return lively(CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=224, patch_size=32,
        projection_dim=projection)))


def vae(**options) -> diffusers.AutoencoderKL:
    return lively(diffusers.AutoencoderKL(
        block_out_channels=(16, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1, norm_num_groups=8, latent_channels=4, **options))


def autoencoder_tiny() -> diffusers.AutoencoderTiny:
    sides = dict(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    return lively(diffusers.AutoencoderTiny(**sides))


def unet(context: int = 32, **options) -> diffusers.UNet2DConditionModel:
    options = dict(sample_size=16, in_channels=4, out_channels=4, block_out_channels=(16, 32), norm_num_groups=8,
                   layers_per_block=1, attention_head_dim=2, cross_attention_dim=context,
                   down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                   up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")) | options
    return lively(diffusers.UNet2DConditionModel(**options))


LATENT_BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def stable_diffusion(**schedule) -> diffusers.StableDiffusionPipeline:
    torch.manual_seed(0)
    scheduler = diffusers.PNDMScheduler(**LATENT_BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    if schedule:
        scheduler = diffusers.DDIMScheduler(**LATENT_BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1, **schedule)
    return diffusers.StableDiffusionPipeline(
        vae=vae(), text_encoder=text_encoder(), tokenizer=tokenizer(), unet=unet(), scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)


def xl_unet(context: int, pooled: int, ids: int) -> diffusers.UNet2DConditionModel:
    return unet(context, attention_head_dim=(2, 4), transformer_layers_per_block=(1, 2), use_linear_projection=True,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                addition_embed_type="text_time", addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=pooled + 8 * ids)


def euler(**options) -> diffusers.EulerDiscreteScheduler:
    return diffusers.EulerDiscreteScheduler(**LATENT_BETAS, timestep_spacing="leading", steps_offset=1, **options)


def xl() -> diffusers.StableDiffusionXLPipeline:
    torch.manual_seed(1)
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(scaling_factor=0.13025), text_encoder=text_encoder(), tokenizer=tokenizer(), text_encoder_2=text_encoder(24, 20, hidden_act="gelu"),
        tokenizer_2=tokenizer("!"), unet=xl_unet(32 + 24, 20, 6), scheduler=euler(), force_zeros_for_empty_prompt=True,
        add_watermarker=False)


def refiner(base: diffusers.StableDiffusionXLPipeline) -> diffusers.StableDiffusionXLImg2ImgPipeline:
    torch.manual_seed(2)
    return diffusers.StableDiffusionXLImg2ImgPipeline(
        vae=base.vae, text_encoder=None, tokenizer=None, text_encoder_2=base.text_encoder_2, tokenizer_2=base.tokenizer_2,
        unet=xl_unet(24, 20, 5), scheduler=euler(), requires_aesthetics_score=True, force_zeros_for_empty_prompt=False,
        add_watermarker=False)


EMBEDDING = 32  # of texts and pictures in the models below


def prior_transformer() -> diffusers.PriorTransformer:
    """With statistics that are not zero and weights so large that a text makes a difference."""
    prior = lively(diffusers.PriorTransformer(num_attention_heads=4, attention_head_dim=8, num_layers=2, embedding_dim=EMBEDDING,
                                              num_embeddings=77))
    for parameter in prior.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return prior


def prior_parts() -> dict:
    return dict(prior=prior_transformer(), text_encoder=text_encoder(EMBEDDING, EMBEDDING),
                scheduler=diffusers.UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0))


def unclip_unet(**options) -> diffusers.UNet2DConditionModel:
    return unet(24, attention_head_dim=8, down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
                mid_block_type="UNetMidBlock2DSimpleCrossAttn", up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
                resnet_time_scale_shift="scale_shift", **options)


def movq() -> diffusers.VQModel:
    # SpatialNorm has 32 groups, so no level can be narrower.
    return lively(diffusers.VQModel(
        latent_channels=4, vq_embed_dim=4, num_vq_embeddings=16, norm_num_groups=8, norm_type="spatial", block_out_channels=(32, 32),
        layers_per_block=1, down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D")))


def kandinsky() -> diffusers.KandinskyV22CombinedPipeline:
    torch.manual_seed(3)
    scheduler = diffusers.DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=True, steps_offset=1)
    parts = prior_parts() | dict(tokenizer=tokenizer(), image_encoder=image_encoder(EMBEDDING), image_processor=CLIPImageProcessor())
    return diffusers.KandinskyV22CombinedPipeline(
        unet=unclip_unet(out_channels=8, addition_embed_type="image", encoder_hid_dim_type="image_proj", encoder_hid_dim=EMBEDDING),
        scheduler=scheduler, movq=movq(), **{f"prior_{name}": part for name, part in parts.items()})


def super_resolution(gain: float = 1) -> diffusers.UNet2DModel:
    model = lively(diffusers.UNet2DModel(
        sample_size=32, in_channels=6, out_channels=3, block_out_channels=(16, 32), norm_num_groups=8, layers_per_block=1,
        add_attention=False, down_block_types=("ResnetDownsampleBlock2D",) * 2, up_block_types=("ResnetUpsampleBlock2D",) * 2))
    model.conv_out.weight.data *= gain
    return model


def karlo_parts() -> dict:
    return dict(
        tokenizer=tokenizer("!"),
        text_proj=lively(UnCLIPTextProjModel(clip_embeddings_dim=EMBEDDING, time_embed_dim=64, cross_attention_dim=24)),
        decoder=unclip_unet(in_channels=3, out_channels=6, class_embed_type="identity"), super_res_first=super_resolution(),
        super_res_last=super_resolution(50),  # the last step removes so little noise that a quiet model's would not show
        decoder_scheduler=diffusers.UnCLIPScheduler(variance_type="learned_range"),
        super_res_scheduler=diffusers.UnCLIPScheduler())


def karlo() -> diffusers.UnCLIPPipeline:
    torch.manual_seed(4)
    prior = prior_parts()
    return diffusers.UnCLIPPipeline(prior_scheduler=prior.pop("scheduler"), **prior, **karlo_parts())


def karlo_variations(karlo: diffusers.UnCLIPPipeline) -> diffusers.UnCLIPImageVariationPipeline:
    shared = {name: getattr(karlo, name) for name in karlo_parts()}
    return diffusers.UnCLIPImageVariationPipeline(
        text_encoder=karlo.text_encoder, image_encoder=image_encoder(EMBEDDING), feature_extractor=CLIPImageProcessor(), **shared)


def stable_unclip_parts() -> dict:
    normalizer = StableUnCLIPImageNormalizer(EMBEDDING)
    normalizer.mean.data, normalizer.std.data = 0.3 * torch.randn(1, EMBEDDING), 1 + 0.3 * torch.rand(1, EMBEDDING)
    return dict(
        image_normalizer=normalizer, image_noising_scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer("!"), text_encoder=text_encoder(), vae=vae(),
        unet=unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * EMBEDDING),
        scheduler=diffusers.DDIMScheduler(**LATENT_BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1))


def stable_unclip() -> diffusers.StableUnCLIPImg2ImgPipeline:
    torch.manual_seed(6)
    return diffusers.StableUnCLIPImg2ImgPipeline(
        image_encoder=image_encoder(EMBEDDING), feature_extractor=CLIPImageProcessor(), **stable_unclip_parts())


def stable_unclip_from_text() -> diffusers.StableUnCLIPPipeline:
    torch.manual_seed(7)
    prior = prior_parts()
    return diffusers.StableUnCLIPPipeline(
        prior=prior["prior"], prior_text_encoder=prior["text_encoder"], prior_tokenizer=tokenizer("!"),
        prior_scheduler=diffusers.DDPMScheduler.from_config(prior["scheduler"].config), **stable_unclip_parts())


def ddpm() -> diffusers.DDPMPipeline:
    torch.manual_seed(5)
    unet = lively(diffusers.UNet2DModel(
        sample_size=32, block_out_channels=(16, 32), norm_num_groups=8, layers_per_block=1, attention_head_dim=None, norm_eps=1e-6,
        flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D")))
    return diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler())


def generators(seed: int, n: int) -> list:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def distance(images: list, paths: list) -> int:
    """The largest difference of a channel, of 255, between the reference's pictures and files."""
    worst = 0
    for image, path in zip(images, paths, strict=True):
        ours, theirs = (numpy.asarray(each.convert("RGB")).astype(int) for each in (Image.open(path), image))
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        assert theirs.std() > 1, "the reference painted an empty picture"
        worst = max(worst, abs(ours - theirs).max())
    return worst


def numbered(path: pathlib.Path, n: int) -> list:
    return [path] if n == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(n)]
