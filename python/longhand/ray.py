"""Lengthening and painting on a Ray cluster: actors for ray.data.Dataset.map_batches, each of which loads its model once.

    import longhand.ray, ray
    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=8)
    prompts = longhand.ray.read_parquet("prompts.parquet")
    captions = prompts.map_batches(longhand.ray.Lengthen, batch_size=256, compute=actors, num_cpus=2)
    pictures = captions.map_batches(longhand.ray.Paint, batch_size=16, compute=actors, num_cpus=2)
    pictures.write_parquet("pictures")

Ray gives an actor as many threads as `num_cpus`, starts a lost actor again and repeats what it was at. What is random about a
row belongs to its number in the table, so that neither the cluster's size nor its losses change a row.
"""
import io
import pickle

import numpy
import pyarrow
import pyarrow.dataset
import ray

from . import Painter, Upsampler, images

NUMBER = "Number"


def read_parquet(path: str, block_rows: int = 256) -> ray.data.Dataset:
    """A Parquet file, or a folder of them as one table, with each row's number, from 0, in the column "Number".

    Read in row groups, and cut into blocks of `block_rows`: Ray gives an actor whole blocks, so that a row group in one block would
    be one actor's work however many there are.
    """
    pieces, first = [], 0
    for file in pyarrow.dataset.dataset(path, format="parquet").get_fragments():
        for piece in file.split_by_row_group():
            pieces.append({"piece": pickle.dumps(piece), "first": first})
            first += sum(group.num_rows for group in piece.row_groups)
    groups = ray.data.from_items(pieces, override_num_blocks=max(1, len(pieces))).map_batches(_rows, batch_size=1)
    return groups.repartition(target_num_rows_per_block=block_rows)


def _rows(batch: dict) -> pyarrow.Table:
    (piece,), (first,) = batch["piece"], batch["first"]
    rows = pickle.loads(piece).to_table()
    return rows.append_column(NUMBER, pyarrow.array(numpy.arange(first, first + len(rows))))


def _checked(batch: dict, column: str) -> list:
    for name in (column, NUMBER):
        if name not in batch:
            raise ValueError(f"the rows have the columns {', '.join(batch)}; expected {name}" +
                             (", which longhand.ray.read_parquet() adds" if name == NUMBER else ""))
    for number, text in zip(batch[NUMBER], batch[column]):
        if not isinstance(text, str):
            raise ValueError(f"row {number}: {column} is {text!r}; expected a text")
    return list(batch[column])


class Lengthen:
    """Adds "Upsampled Prompt", "Tokens" and "Score" to rows with a prompt. `settings`: those of longhand.Upsampler.

    Captions are those of `longhand upsample` with the same settings; to the letter with deterministic=True, otherwise but for
    the last bits of a likelihood, which depend on a batch's company.
    """

    def __init__(self, column: str = "Prompt", **settings):
        self.column = column
        self.upsampler = Upsampler(**settings)

    def __call__(self, batch: dict) -> dict:
        prompts = _checked(batch, self.column)
        order = numpy.argsort(batch[NUMBER])  # the upsampler reads a table from its beginning
        captions = [None] * len(prompts)
        for row, caption in zip(order, self.upsampler.upsample([prompts[i] for i in order], numbers=batch[NUMBER][order].tolist())):
            captions[row] = caption
        return batch | {"Upsampled Prompt": numpy.array([each.caption for each in captions], dtype=object),
                        "Tokens": numpy.array([each.tokens for each in captions]),
                        "Score": numpy.array([each.score for each in captions])}


class Paint:
    """Adds "Image", a PNG as Hugging Face's datasets have it ({"bytes", "path"}), and "Seed" to rows with a caption.

    `painting`: what Painter.paint takes (steps, guidance, size, …); `model`: longhand.Painter's settings. A row is painted with
    `seed` + its number.
    """

    def __init__(self, column: str = "Upsampled Prompt", *, seed: int = 0, painting: dict | None = None, **model):
        self.column = column
        self.seed = seed
        self.painting = painting or {}
        self.painter = Painter(**model)

    def __call__(self, batch: dict) -> dict:
        seeds = [self.seed + int(number) for number in batch[NUMBER]] if NUMBER in batch else []
        pictures = self.painter.paint(_checked(batch, self.column), seeds, **self.painting)
        cells = numpy.empty(len(seeds), dtype=object)
        cells[:] = [{"bytes": _png(image), "path": None} for image in images(pictures)]
        return batch | {"Image": cells, "Seed": numpy.array(seeds)}


def _png(image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
