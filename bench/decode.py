"""Tokens a second of decoding: the torch engine beside llama.cpp's llama-batched-bench, sequences that share 512 tokens.

Usage: setup/llama.sh bench && .venv/bin/python bench/decode.py [--rounds 2] [--seven-billion]
Both on two threads, in turn; llama.cpp as setup/llama.sh builds it, its best settings for a shared prefix. The default is
SmolLM2 at 1, 8, 64 and 256 sequences; --seven-billion takes a random model of Mistral 7B's shape at 64 sequences, llama.cpp at
Q4_0 and Q8_0 (the files, 12 GB, are kept in build/bench/weights).
"""
import argparse
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
SMALL = ROOT / ".deps/models/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS = ROOT / "build/bench/weights"
THREADS = 2


def llama(model: pathlib.Path, sequences: int, own: int) -> float:
    context = 512 + sequences * own + 64
    done = subprocess.run([ROOT / ".deps/llama/bin/llama-batched-bench", "-m", model, "-npp", "512", "-ntg", str(own), "-npl", str(sequences),
                           "-pps", "-kvu", "-c", str(context), "-t", str(THREADS), "-tb", str(THREADS)], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 10 and cells[0] == "512":
            return float(cells[7])
    sys.exit(f"llama-batched-bench ended with {done.returncode}: {done.stderr[-1000:]}")


def ours(model: pathlib.Path, sequences: int, own: int, *options: str) -> float:
    done = subprocess.run([ROOT / "build/bench/decode", "--sequences", str(sequences), "--own", str(own), *options, model],
                          capture_output=True, text=True)
    found = re.search(rf"^\| {sequences} \| (\d+) \|", done.stdout, re.MULTILINE)
    if not found:
        sys.exit(f"build/bench/decode ended with {done.returncode}: {done.stderr[-1000:]}")
    return float(found[1])


def compare(sides: dict, counts: list, own: int, rounds: int) -> None:
    print(f"| sequences | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}")
    for count in counts:
        measured = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                measured[name].append(side(count, own))
        print(f"| {count} | " + " | ".join(f"{statistics.median(each):.0f}" for each in measured.values()) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seven-billion", action="store_true")
    arguments = parser.parse_args()
    if not arguments.seven_billion:
        compare({"llama-batched-bench": lambda n, own: llama(SMALL, n, own), "longhand, bfloat16": lambda n, own: ours(SMALL, n, own),
                 "longhand, int8": lambda n, own: ours(SMALL, n, own, "--int8")}, [1, 8, 64, 256], 48, arguments.rounds)
        return
    files = {kind: WEIGHTS / f"mistral-7b-random.{kind}.gguf" for kind in ("q4_0", "q8_0")}
    for kind, file in files.items():
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            begun = file.with_suffix(".begun")
            subprocess.run([sys.executable, ROOT / "bench/random_gguf.py", SMALL, kind, begun], check=True)
            begun.rename(file)
    compare({"llama.cpp, Q4_0": lambda n, own: llama(files["q4_0"], n, own), "llama.cpp, Q8_0": lambda n, own: llama(files["q8_0"], n, own),
             "longhand, bfloat16": lambda n, own: ours(files["q8_0"], n, own),
             "longhand, int8": lambda n, own: ours(files["q8_0"], n, own, "--int8")}, [64], 16, arguments.rounds)


if __name__ == "__main__":
    main()
