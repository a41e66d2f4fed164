"""Lengthens a Parquet table of prompts and paints the captions, on a Ray cluster or on this machine.

Usage: python python/examples/lengthen_and_paint.py prompts.parquet pictures/ [--column Prompt] [--workers 2] [--cpus 1]
Needs `pip install ./python[ray]`. On a cluster, submit it with `ray job submit -- python …`, or name the cluster with --address.
"""
import argparse
import time

import longhand.ray
import ray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", help="a Parquet file, or a folder of them")
    parser.add_argument("out", help="a folder for Parquet files with captions and pictures")
    parser.add_argument("--column", default="Prompt")
    parser.add_argument("--workers", type=int, default=2, help="actors of each kind at most")
    parser.add_argument("--cpus", type=float, default=1, help="processors of an actor")
    parser.add_argument("--candidates", type=int, default=1)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--address", help="of a cluster that runs (default: one on this machine)")
    arguments = parser.parse_args()

    ray.init(arguments.address)
    prompts = longhand.ray.read_parquet(arguments.prompts)
    actors = {"compute": ray.data.ActorPoolStrategy(min_size=1, max_size=arguments.workers), "num_cpus": arguments.cpus}
    captions = prompts.map_batches(longhand.ray.Lengthen, batch_size=256,
                                   fn_constructor_kwargs={"column": arguments.column, "candidates": arguments.candidates,
                                                          "deterministic": True}, **actors)
    pictures = captions.map_batches(longhand.ray.Paint, batch_size=16, fn_constructor_kwargs={"model": arguments.model}, **actors)
    began = time.monotonic()
    pictures.write_parquet(arguments.out)
    rows = ray.data.read_parquet(arguments.out).count()
    print(f"{rows} rows in {arguments.out}, {rows / (time.monotonic() - began):.1f} a second")


if __name__ == "__main__":
    main()
