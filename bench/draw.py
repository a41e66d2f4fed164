"""`longhand draw` on the embedded model against diffusers on the same weights.

Usage: .venv/bin/python bench/draw.py [--rounds 5]
First the same picture is painted by both in float32 and compared pixel by pixel. Whole process: from its start to the PNG, 25 guided steps. Per step: the slope between 10 and 60 steps, for longhand of whole
processes, for diffusers of calls in one process that has warmed up. diffusers runs in bfloat16 and in float32, whichever
suits it; the weights are models/pocket in both.
"""
import argparse
import pathlib
import sys
import tempfile
import textwrap

from side_by_side import Timer, interleaved, run, table

ROOT = pathlib.Path(__file__).parent.parent
PROMPT = "A red car on a green meadow, softly shaded."
WHOLE = """
    import sys, torch
    from diffusers import StableDiffusionXLPipeline
    pipe = StableDiffusionXLPipeline.from_pretrained(sys.argv[1], torch_dtype=getattr(torch, sys.argv[2]))
    pipe.set_progress_bar_config(disable=True)
    pipe(sys.argv[3], num_inference_steps=int(sys.argv[4]), guidance_scale=5.0,
         generator=torch.Generator().manual_seed(7)).images[0].save(sys.argv[5])
"""
STEPS = """
    import sys, time, torch
    from diffusers import StableDiffusionXLPipeline
    pipe = StableDiffusionXLPipeline.from_pretrained(sys.argv[1], torch_dtype=getattr(torch, sys.argv[2]))
    pipe.set_progress_bar_config(disable=True)
    def seconds(steps):
        began = time.monotonic()
        pipe(sys.argv[3], num_inference_steps=steps, guidance_scale=5.0, output_type="latent")
        return time.monotonic() - began
    seconds(5)
    print("ready", flush=True)
    for line in sys.stdin:
        print(seconds(int(line)), flush=True)
"""


def diffusers_steps(dtype: str) -> Timer:
    """A process that has loaded the pipeline and times calls of so many steps."""
    return Timer([sys.executable, "-c", textwrap.dedent(STEPS), str(ROOT / "models/pocket"), dtype, PROMPT])


def longhand(steps: int, folder: str) -> float:
    return run([ROOT / "build/longhand", "draw", PROMPT, "--no-upsample", "--steps", str(steps), "--guidance", "5",
                "--seed", "7", "-o", f"{folder}/longhand.png"])


def whole(dtype: str, folder: str) -> float:
    return run([sys.executable, "-c", textwrap.dedent(WHOLE), ROOT / "models/pocket", dtype, PROMPT, "25",
                f"{folder}/{dtype}.png"])


def same_picture(folder: str) -> str:
    """How far the two programs' pictures of one seed are apart, in float32."""
    import numpy
    import PIL.Image
    run([ROOT / "build/longhand", "draw", PROMPT, "--no-upsample", "--dtype", "float32", "--guidance", "5", "--seed", "7", "-o",
         f"{folder}/longhand.png"])
    whole("float32", folder)
    a, b = (numpy.asarray(PIL.Image.open(f"{folder}/{name}.png").convert("RGB"), dtype=int) for name in ("longhand", "float32"))
    return f"largest difference of a channel {abs(a - b).max()} of 255, mean {abs(a - b).mean():.4f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        print(f"One picture by both, float32: {same_picture(folder)}\n")
        print("Process start to PNG, 25 guided steps:\n")
        print(table(interleaved({
            "diffusers, float32": lambda: whole("float32", folder),
            "diffusers, bfloat16": lambda: whole("bfloat16", folder),
            "longhand draw": lambda: longhand(25, folder)}, rounds), "diffusers, float32"))
        servers = {dtype: diffusers_steps(dtype) for dtype in ("float32", "bfloat16")}
        print("\nOne guided step:\n")
        slope = lambda way: (way(60) - way(10)) / 50
        print(table(interleaved({
            "diffusers, float32": lambda: slope(servers["float32"].seconds),
            "diffusers, bfloat16": lambda: slope(servers["bfloat16"].seconds),
            "longhand draw": lambda: slope(lambda steps: longhand(steps, folder))}, rounds), "diffusers, float32"))


if __name__ == "__main__":
    main()
