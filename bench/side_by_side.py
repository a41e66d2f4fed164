"""Times two or more ways of doing one thing in turn, so that a machine whose speed drifts treats them alike."""
import statistics
import subprocess
import sys
import time


def run(command: list, **options) -> float:
    """Wall seconds of a command from start to end; its failure ends the bench with what it said."""
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - began


def interleaved(ways: dict, rounds: int, warmup: int = 1) -> dict:
    """ways: name → a callable that returns seconds. Each round runs all in turn; name → list of seconds."""
    seconds = {name: [] for name in ways}
    for turn in range(warmup + rounds):
        for name, way in ways.items():
            value = way()
            if turn >= warmup:
                seconds[name].append(value)
                print(f"  round {turn - warmup + 1}/{rounds}  {name}: {value:.3f} s", file=sys.stderr, flush=True)
    return seconds


def table(seconds: dict, base: str) -> str:
    """Markdown: median, least and most of each, and how many times as fast as `base`, round by round."""
    lines = ["| | median s | least | most | times as fast |", "|---|---|---|---|---|"]
    for name, values in seconds.items():
        ratio = statistics.median(b / v for b, v in zip(seconds[base], values))
        lines.append(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} | {ratio:.2f} |")
    return "\n".join(lines)
