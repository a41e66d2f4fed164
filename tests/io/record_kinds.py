"""Writes kinds.parquet and list.parquet as other programs would: run with .venv/bin/python when the kinds change."""
import pathlib

import pyarrow as pa
from pyarrow import parquet

HERE = pathlib.Path(__file__).parent
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

parquet.write_table(pa.table({
    "dictionary": pa.array(["a", None]).dictionary_encode(),
    "large": pa.array(["b", None], pa.large_string()),
    "view": pa.array(["c", None], pa.string_view()),
    "float": pa.array([0.1, None], pa.float32()),
    "byte": pa.array([-3, None], pa.int8()),
    "unsigned": pa.array([2**64 - 1, None], pa.uint64()),
    "bool": pa.array([True, None]),
    "null": pa.nulls(2),
    "image": pa.array([{"bytes": b"x", "path": "cat.png"}, None], IMAGE),
    "point": pa.array([{"x": 1}, None], pa.struct([("x", pa.int32())])),
}), HERE / "kinds.parquet")
parquet.write_table(pa.table({"Prompt": ["a"], "tags": [["b", "c"]]}), HERE / "list.parquet")
