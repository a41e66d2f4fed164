"""A dataset folder that the project wrote loads in pandas, polars and Hugging Face's datasets, pictures decoded.

    datasets_test.py IO_TEST    the binary of tests/io, one case of which writes the folder
"""
import os
import pathlib
import subprocess
import sys
import tempfile

scratch = tempfile.TemporaryDirectory(prefix="longhand-datasets-")
os.environ |= {"HF_HOME": scratch.name + "/cache", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import datasets  # noqa: E402: the cache's place is read when it is imported
import pandas  # noqa: E402
import PIL.Image  # noqa: E402
import polars  # noqa: E402

ROWS = 8
COLUMNS = ["Prompt", "Seed", "Score", "Image"]
LAST = "émoji 🐈two\nlines"


def main() -> None:
    folder = pathlib.Path(scratch.name) / "set"
    subprocess.run([sys.argv[1], "--test-case=a folder for datasets_test.py"], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"LONGHAND_DATASET_OUT": str(folder)})
    shards = sorted((folder / "data").glob("train-*"))
    assert [shard.name for shard in shards] == [f"train-0000{i}-of-00003.parquet" for i in range(3)], shards

    frame = pandas.concat(map(pandas.read_parquet, shards), ignore_index=True)
    assert list(frame.columns) == COLUMNS and len(frame) == ROWS
    assert frame["Seed"][6] == 6 and frame["Score"][6] == 3.0 and frame["Prompt"][7] == LAST
    assert frame["Image"][6]["bytes"] == (folder / "images" / "00006.png").read_bytes()

    frame = polars.read_parquet(folder / "data" / "*.parquet")
    assert frame.columns == COLUMNS and len(frame) == ROWS
    assert frame["Image"].struct.field("path")[6] == "images/00006.png" and frame["Seed"].to_list()[5:] == [5, 6, None]

    for loaded in (datasets.load_dataset(str(folder), split="train"),
                   datasets.load_dataset("parquet", data_files=str(shards[0]), split="train")):
        assert isinstance(loaded.features["Image"], datasets.Image), loaded.features
        assert [loaded.features[name].dtype for name in COLUMNS[:3]] == ["string", "int64", "float64"]
        for row in loaded:
            if row["Image"] is not None:
                side = 8 + row["Seed"] % 5
                assert isinstance(row["Image"], PIL.Image.Image) and row["Image"].size == (side, side)
    loaded = datasets.load_dataset(str(folder), split="train")
    assert len(loaded) == ROWS and loaded[7]["Prompt"] == LAST and loaded[7]["Image"] is None
    assert loaded.info.splits["train"].num_examples == ROWS

    streamed = list(datasets.load_dataset(str(folder), split="train", streaming=True))
    assert [row["Prompt"] for row in streamed] == loaded["Prompt"][:]


if __name__ == "__main__":
    main()
