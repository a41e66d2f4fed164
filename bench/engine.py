"""Full-size models with random weights: a guided step and the VAE's decode beside four peers, and the peak of memory.

Usage: make bench-engine, or bench/run engine [--rounds 5] [--models sd15 sdxl] [--sizes 512 1024] [--dtype float32] [--peers diffusers compiled …]
All compute in bfloat16, or as --dtype says (stable-diffusion.cpp in float16), on two threads, each in a process that has loaded and warmed up,
in turn. A guided step is one call of the UNet with both branches of guidance in its batch. Where memory does not hold all
peers at once, longhand runs beside one after the other, and is compared with each in their own rounds. Memory is that of a
process that loads the UNet and the VAE from safetensors, takes two steps and decodes. Weights are kept in build/bench/weights.
"""
import argparse
import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import statistics
import subprocess
import sys

from side_by_side import Timer, interleaved, times_as_fast

ROOT = pathlib.Path(__file__).parent.parent
WEIGHTS = ROOT / "build/bench/weights"
SD_CLI = ROOT / ".deps/stable-diffusion/bin/sd-cli"
COMPONENTS = {"unet": "guided step", "vae": "decode"}
THREADS = 2


@dataclasses.dataclass
class Model:
    name: str
    folder: str  # under data/models
    text_encoders: list
    together: bool  # the machine's memory holds all engines at once


MODELS = {"sd15": Model("Stable Diffusion 1.5", "stable-diffusion-v1-5", ["text_encoder"], True),
          "sdxl": Model("SDXL", "stable-diffusion-xl-base-1.0", ["text_encoder", "text_encoder_2"], False)}


class StableDiffusionCpp:
    """Its command line paints one picture in one guided step, and says how long that step and the decoding took."""

    def __init__(self, folder: pathlib.Path, side: int, _dtype: str):
        self.command = [SD_CLI, "--model", folder, "--type", "f16", "--width", side, "--height", side, "--steps", 1,
                        "--cfg-scale", 7, "--prompt", "a cat", "--seed", 0, "--threads", THREADS, "--output", WEIGHTS / "painted.png"]
        self.unread, self.started_in = {}, None

    def seconds(self, component: str) -> float:
        if component not in self.unread:
            self.unread = self.painted()
        return self.unread.pop(component)

    def painted(self) -> dict:
        done = subprocess.run([str(word) for word in self.command], capture_output=True, text=True)
        said = done.stdout + done.stderr
        found = {"unet": re.search(r"sampling completed, taking ([\d.]+)s", said),
                 "vae": re.search(r"decode_first_stage completed, taking ([\d.]+)s", said)}
        if not all(found.values()):
            sys.exit(f"{self.command[0]} ended with {done.returncode}: {said[-2000:]}")
        return {component: float(match[1]) for component, match in found.items()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def child(command: list):
    return lambda folder, side, dtype: Timer([*command, str(side), dtype, *(folder / component for component in COMPONENTS)])


def peer(engine: str):
    return child([sys.executable, ROOT / "bench/peers.py", engine])


# name → what starts it; the key is what --peers takes.
ENGINES = {"longhand": ("longhand", child([ROOT / "build/bench/engine"])),
           "diffusers": ("diffusers, eager", peer("diffusers")),
           "compiled": ("torch.compile with freezing", peer("compiled")),
           "openvino": ("OpenVINO", peer("openvino")),
           "stable-diffusion.cpp": ("stable-diffusion.cpp, float16", StableDiffusionCpp)}
PEERS = [name for name in ENGINES if name != "longhand"]


@dataclasses.dataclass
class Row:
    """An engine's seconds of each component, and longhand's in the same rounds."""
    own: dict = dataclasses.field(default_factory=lambda: {component: [] for component in COMPONENTS})
    longhand: dict = dataclasses.field(default_factory=lambda: {component: [] for component in COMPONENTS})
    started_in: float | None = None


def run_group(engines: list, folder: pathlib.Path, side: int, dtype: str, rounds: int, rows: dict) -> None:
    """Adds the seconds of engines that run at the same time."""
    with contextlib.ExitStack() as stack:
        running = {engine: stack.enter_context(ENGINES[engine][1](folder, side, dtype)) for engine in engines}
        seconds = interleaved({f"{engine}, {component}": functools.partial(running[engine].seconds, component)
                               for engine in engines for component in COMPONENTS}, rounds, warmup=0)
    for engine in engines:
        row = rows.setdefault(engine, Row(started_in=running[engine].started_in))
        for component in COMPONENTS:
            row.own[component] += seconds[f"{engine}, {component}"]
            row.longhand[component] += seconds[f"longhand, {component}"]


def table(rows: dict) -> str:
    head = "".join(f" {what}, s | longhand is × times as fast |" for what in COMPONENTS.values())
    lines = [f"| |{head} ready after, s |", "|---|" + "---|---|" * len(COMPONENTS) + "---|"]
    for engine, row in rows.items():
        line = f"| {ENGINES[engine][0]} |"
        for component in COMPONENTS:
            own = row.own[component]
            ratio = "" if engine == "longhand" else f"{times_as_fast(own, row.longhand[component]):.2f}"
            line += f" {statistics.median(own):.2f} ({min(own):.2f}–{max(own):.2f}) | {ratio} |"
        lines.append(line + ("" if row.started_in is None else f" {row.started_in:.0f}") + " |")
    return "\n".join(lines)


def peak(engine: str, folder: pathlib.Path, side: int, dtype: str) -> int:
    """Bytes of a process that takes two steps, the first of them while warming up, and decodes."""
    process = ENGINES[engine][1](folder, side, dtype)
    process.seconds("unet")
    return process.close()


def measure(model: Model, side: int, dtype: str, peers: list, rounds: int) -> None:
    folder = WEIGHTS / model.folder
    rows = {}
    for group in [peers] if model.together else [[name] for name in peers]:
        run_group(["longhand", *group], folder, side, dtype, rounds, rows)
    print(f"\n{model.name}, {side} × {side}, {dtype}, median (least–most), rounds: {rounds}:\n\n{table(rows)}", flush=True)


def compare_memory(model: Model, side: int, dtype: str) -> None:
    ours, theirs = (peak(engine, WEIGHTS / model.folder, side, dtype) for engine in ("longhand", "diffusers"))
    print(f"| {model.name}, {side} × {side}, {dtype} | {ours / 1e9:.2f} | {theirs / 1e9:.2f} | {ours / theirs:.2f} |", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 1024], help="sides in pixels, multiples of 64")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16",
                        help="float32 for processors that do not multiply bfloat16")
    parser.add_argument("--peers", nargs="*", choices=PEERS,
                        help="default: all, stable-diffusion.cpp (over ten times as slow) at 512 only")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out the peak of memory")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: expected at least 1")
    if any(side < 64 or side % 64 != 0 for side in arguments.sizes):
        parser.error("--sizes: expected multiples of 64")
    return arguments


def main() -> None:
    from random_weights import written
    arguments = parsed()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    models = [MODELS[name] for name in arguments.models]
    for model in models:
        for component in [*COMPONENTS, *model.text_encoders]:
            written(model.folder, component, WEIGHTS)
    for model in models:
        for side in arguments.sizes:
            peers = arguments.peers
            if peers is None:
                peers = [name for name in PEERS if side <= 512 or name != "stable-diffusion.cpp"]
            if peers:
                measure(model, side, arguments.dtype, peers, arguments.rounds)
    if arguments.memory:
        print("\nLargest resident set, loading, two steps and the decode:\n\n"
              "| | longhand, GB | diffusers, eager, GB | ratio |\n|---|---|---|---|", flush=True)
        for model in models:
            for side in arguments.sizes:
                compare_memory(model, side, arguments.dtype)


if __name__ == "__main__":
    main()
