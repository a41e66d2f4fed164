"""A peer as a child of bench/engine.py: runs a model's components and says how long each run took.

Usage: peers.py diffusers|compiled|openvino SIDE bfloat16|float32 FOLDER…
As bench/engine.cpp: one run is, for pictures of SIDE × SIDE, a guided step of a UNet2DConditionModel (both branches in one
batch) or the decoding of one picture by an AutoencoderKL. After a first run of each it prints "ready"; then each line that it
reads, a folder's last name, is answered with the seconds of one run. All channels-last.
"""
import os
import pathlib
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers
import torch

FACTOR = 8  # pixels a latent, for all models that are measured


class GuidedStep(torch.nn.Module):
    """A UNet as a function of tensors alone."""

    def __init__(self, folder: pathlib.Path, dtype: torch.dtype):
        super().__init__()
        self.unet = diffusers.UNet2DConditionModel.from_pretrained(folder, torch_dtype=dtype)

    def forward(self, latents, timesteps, context, text_embeds=None, time_ids=None):
        added = {} if text_embeds is None else {"text_embeds": text_embeds, "time_ids": time_ids}
        return self.unet(latents, timesteps, context, added_cond_kwargs=added, return_dict=False)[0]

    def inputs(self, side: int) -> tuple:
        config, dtype = self.unet.config, self.unet.dtype
        latents = torch.randn(2, config.in_channels, side // FACTOR, side // FACTOR, dtype=dtype)
        inputs = (latents.to(memory_format=torch.channels_last), torch.full((2,), 500.0),
                  torch.randn(2, 77, config.cross_attention_dim, dtype=dtype))
        if config.addition_embed_type == "text_time":
            width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            inputs += torch.randn(2, width, dtype=dtype), torch.full((2, 6), float(side))
        return inputs


class Decoding(torch.nn.Module):
    def __init__(self, folder: pathlib.Path, dtype: torch.dtype):
        super().__init__()
        self.vae = diffusers.AutoencoderKL.from_pretrained(folder, torch_dtype=dtype)

    def forward(self, latents):
        return self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]

    def inputs(self, side: int) -> tuple:
        latents = torch.randn(1, self.vae.config.latent_channels, side // FACTOR, side // FACTOR, dtype=self.vae.dtype)
        return (latents.to(memory_format=torch.channels_last),)


def eager(module: torch.nn.Module, inputs: tuple):
    return module.to(memory_format=torch.channels_last)


def compiled(module: torch.nn.Module, inputs: tuple):
    """torch.compile with freezing: weights are constants, laid out for oneDNN while compiling."""
    import torch._inductor.config
    torch._inductor.config.freezing = True
    return torch.compile(eager(module, inputs))


def openvino(module: torch.nn.Module, inputs: tuple):
    import openvino as ov
    model = ov.convert_model(module, example_input=inputs, input=[tuple(x.shape) for x in inputs])
    request = ov.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "bf16" if inputs[0].dtype == torch.bfloat16 else "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY",
    }).create_infer_request()
    for i, x in enumerate(inputs):
        x = x.contiguous()
        bfloat16 = x.dtype == torch.bfloat16  # which numpy lacks
        array = x.view(torch.int16).numpy() if bfloat16 else x.numpy()
        request.set_input_tensor(i, ov.Tensor(array, x.shape, ov.Type.bf16 if bfloat16 else ov.Type.f32))
    return lambda *_: request.infer()


ENGINES = {"diffusers": eager, "compiled": compiled, "openvino": openvino}


def main() -> None:
    engine, side, dtype = ENGINES[sys.argv[1]], int(sys.argv[2]), getattr(torch, sys.argv[3])
    folders = [pathlib.Path(name) for name in sys.argv[4:]]
    works = {}
    with torch.no_grad():
        for folder in folders:
            module = (Decoding if folder.name == "vae" else GuidedStep)(folder, dtype).eval()
            inputs = module.inputs(side)
            works[folder.name] = (engine(module, inputs), inputs)
            del module
        for run, inputs in works.values():
            run(*inputs)
        print("ready", flush=True)
        for line in sys.stdin:
            run, inputs = works[line.strip()]
            began = time.monotonic()
            run(*inputs)
            print(time.monotonic() - began, flush=True)


if __name__ == "__main__":
    main()
