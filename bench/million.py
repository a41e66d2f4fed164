"""Many prompts in bounded memory: `longhand upsample` killed with SIGKILL three times and resumed, nothing lost or doubled.

Usage: .venv/bin/python bench/million.py [--rows 100000] [--max-tokens 77] [--out FILE.parquet]
PartiPrompts and DrawBench one after the other, again and again; what is random about a row belongs to its number, so that a
prompt is lengthened another way each time. Prints rows a second and the most memory that a process held (its own, and with the
pages of files that it maps). A run of this program that is itself stopped goes on where it stood.
"""
import argparse
import csv
import itertools
import pathlib
import subprocess
import time

import pyarrow
import pyarrow.parquet as parquet

ROOT = pathlib.Path(__file__).parent.parent
LIMIT = 4e9  # bytes
KILLS = 3


def prompts() -> list:
    with open(ROOT / "data/prompts/parti_prompts.tsv") as parti, open(ROOT / "data/prompts/drawbench.csv") as drawbench:
        return [row["Prompt"] for row in csv.DictReader(parti, delimiter="\t")] + [row["Prompts"] for row in csv.DictReader(drawbench)]


def held(process: subprocess.Popen, field: str) -> int:
    """Bytes that /proc says of it; 0 when it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
    except OSError:
        return 0


def rows_in(journal: pathlib.Path, counted: dict) -> int:
    """Line ends in a file that grows; `counted` remembers what was read before."""
    if journal.exists():
        with open(journal, "rb") as file:
            file.seek(counted.setdefault("at", 0))
            while block := file.read(1 << 24):
                counted["rows"] = counted.get("rows", 0) + block.count(b"\n")
                counted["at"] += len(block)
    return counted.get("rows", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--max-tokens", type=int, default=77)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs/out/million/captions.parquet")
    arguments = parser.parse_args()
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    listed = list(itertools.islice(itertools.cycle(prompts()), arguments.rows))
    source = out.with_name("prompts.parquet")
    parquet.write_table(pyarrow.table({"Prompt": listed}), source)
    command = [ROOT / "build/longhand", "upsample", "--prompts", source, "--candidates", "1", "--max-tokens", str(arguments.max_tokens), "-o", out]
    journal, counted = out.with_name(out.name + ".rows.jsonl"), {}
    kill_at = [arguments.rows * (i + 1) // (KILLS + 1) for i in range(KILLS)]
    # One that was stopped by hand left a table instead of a journal.
    stopped = out.exists() and not journal.exists()
    before = parquet.read_metadata(out).num_rows if stopped else rows_in(journal, counted)
    kill_at = [rows for rows in kill_at if rows > before]
    most, most_mapped, began = 0, 0, time.monotonic()
    while True:
        process = subprocess.Popen(command)
        while process.poll() is None:
            time.sleep(1)
            most, most_mapped = max(most, held(process, "RssAnon")), max(most_mapped, held(process, "VmHWM"))
            if kill_at and rows_in(journal, counted) >= kill_at[0]:
                process.kill()
                process.wait()
                print(f"killed at {rows_in(journal, counted)} rows", flush=True)
                kill_at.pop(0)
        if process.returncode == 0:
            break
        if process.returncode != -9:
            raise SystemExit(f"longhand upsample ended with {process.returncode}")
    seconds = time.monotonic() - began
    written = parquet.read_table(out, columns=["Prompt", "Upsampled Prompt", "Tokens"])
    assert written["Prompt"].to_pylist() == listed, "rows were lost or doubled"
    assert max(written["Tokens"].to_pylist()) <= arguments.max_tokens
    distinct = len(set(written["Upsampled Prompt"].to_pylist()))
    print(f"{len(listed)} rows, {distinct} different captions, {(len(listed) - before) / seconds:.1f} rows a second; "
          f"held {most / 1e9:.2f} GB, with mapped files {most_mapped / 1e9:.2f} GB")
    assert most_mapped < LIMIT, "over the limit"


if __name__ == "__main__":
    main()
