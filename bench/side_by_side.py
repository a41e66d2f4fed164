"""Times two or more ways of doing one thing in turn, so that a machine whose speed drifts treats them alike."""
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time


def run(command: list, **options) -> float:
    """Wall seconds of a command from start to end; its failure ends the bench with what it said."""
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - began


class Timer:
    """A process that loads once, prints "ready", and answers each line with the seconds that it took to do what it says."""

    def __init__(self, command: list):
        self.command, self.errors = command, tempfile.TemporaryFile("w+")
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.expect("ready")
        self.started_in = time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def expect(self, wanted: str | None = None) -> str:
        """The next line, which is `wanted`; a process that ended ends the bench with what it said."""
        line = self.process.stdout.readline().strip()
        if not line or wanted not in (None, line):
            self.errors.seek(0)
            sys.exit(f"{' '.join(map(str, self.command))}\nanswered {line!r}: {self.errors.read()[-2000:]}")
        return line

    def seconds(self, task: str) -> float:
        with contextlib.suppress(BrokenPipeError):  # expect() tells why it ended
            self.process.stdin.write(f"{task}\n")
            self.process.stdin.flush()
        return float(self.expect())

    def close(self) -> int:
        """Ends it; its largest resident set, in bytes."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.errors.close()
        return usage.ru_maxrss * 1024


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


def times_as_fast(base: list, values: list) -> float:
    """How many times as fast as `base` the other was, round by round."""
    return statistics.median(b / v for b, v in zip(base, values, strict=True))


def table(seconds: dict, base: str) -> str:
    """Markdown: median, least and most of each, and how many times as fast as `base`, round by round."""
    lines = ["| | median s | least | most | times as fast |", "|---|---|---|---|---|"]
    for name, values in seconds.items():
        ratio = times_as_fast(seconds[base], values)
        lines.append(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} | {ratio:.2f} |")
    return "\n".join(lines)
