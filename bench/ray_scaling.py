"""Rows a second of longhand.ray with one actor and with two, in turn: lengthening DrawBench's prompts, painting them.

Usage: PYTHONPATH=build/python .venv/bin/python bench/ray_scaling.py [--rounds 1] [--lengthen 800] [--paint 320]
After `make test`, which installs Ray and builds the Python module. An actor has one processor, hence one thread; what a pool takes to start
(loading the model) is included.
"""
import argparse
import csv
import itertools
import os
import pathlib
import statistics
import tempfile
import time

os.environ |= {"RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

import longhand.ray  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402
import ray  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
ACTORS = (1, 2)
WORK = {
    "lengthening": {"fn": longhand.ray.Lengthen, "batch_size": 100, "fn_constructor_kwargs": {"candidates": 1}},
    "painting": {"fn": longhand.ray.Paint, "batch_size": 16, "fn_constructor_kwargs": {"column": "Prompt"}},
}


def rows_a_second(work: str, rows: int, actors: int) -> float:
    with open(ROOT / "data/prompts/drawbench.csv") as file:
        prompts = [row["Prompts"] for row in csv.DictReader(file)]
    with tempfile.TemporaryDirectory() as folder:
        table = f"{folder}/prompts.parquet"
        parquet.write_table(pyarrow.table({"Prompt": list(itertools.islice(itertools.cycle(prompts), rows))}), table)
        began = time.monotonic()
        dataset = longhand.ray.read_parquet(table, block_rows=WORK[work]["batch_size"])
        done = dataset.map_batches(**WORK[work], compute=ray.data.ActorPoolStrategy(size=actors), num_cpus=1).materialize()
        assert done.count() == rows
        return rows / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--lengthen", type=int, default=800, metavar="ROWS")
    parser.add_argument("--paint", type=int, default=320, metavar="ROWS")
    arguments = parser.parse_args()
    ray.init(num_cpus=max(ACTORS) + 1, include_dashboard=False, logging_level="warning")  # one for what reads
    names = " | ".join(f"{actors} actor" + "s" * (actors > 1) for actors in ACTORS)
    print(f"| rows a second | {names} | times |\n|---|---|---|---|")
    for work, rows in (("lengthening", arguments.lengthen), ("painting", arguments.paint)):
        measured = {actors: [] for actors in ACTORS}
        for _ in range(arguments.rounds):
            for actors in ACTORS:
                measured[actors].append(rows_a_second(work, rows, actors))
        one, two = (statistics.median(measured[actors]) for actors in ACTORS)
        print(f"| {work}, {rows} rows | {one:.1f} | {two:.1f} | {two / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
