"""Records what transformers' tokenizer answers, for the golden tests.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_tokenizer.py
Writes beside itself tokenizer.jsonl.gz.
"""
import csv
import gzip
import json
import pathlib
import random
import sys
import tempfile

from transformers import CLIPTokenizer

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"
sys.path.insert(0, str(HERE.parent.parent / "runs/pocket"))

from vocabulary import clip_merges, write_tokenizer


def reference_tokenizer() -> CLIPTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(pathlib.Path(folder), clip_merges())
        return CLIPTokenizer.from_pretrained(folder)


def prompts() -> list:
    found = [row["Prompts"] for row in csv.DictReader(open(DATA / "prompts" / "drawbench.csv"))]
    with open(DATA / "prompts" / "parti_prompts.tsv") as file:
        found += [row["Prompt"] for row in csv.DictReader(file, delimiter="\t")]
    return found + [json.loads(line)["prompt"] for line in open(DATA / "prompts" / "geneval.jsonl")]


def fuzzed(count: int) -> list:
    rng = random.Random(0)
    ranges = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF),
              (0x1E00, 0x20CF), (0x2100, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
              (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x10000, 0x10FFF), (0x0, 0x2FFF)]
    pieces = ["don't", "I'LL", "'s", "we're", "İstanbul", "ß", "ΣΑΣ", "ﬁ", "  ", "\t", "\n", "3.14", "x2", "…", "<|endoftext|>",
              "<|startoftext|>", "A", "the", "cat", "!!!", "’s", "é", "e\u0301", "Å", "\u00a0", "１２", "Ⅷ", "½", "👩‍🚀", "🇫🇷"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 8)):
            if rng.random() < 0.5:
                low, high = rng.choice(ranges)
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))))
            else:
                parts.append(rng.choice(pieces))
            parts.append(rng.choice(["", " "]))
        texts.append("".join(parts))
    return texts


def record_tokenizer() -> None:
    tokenizer = reference_tokenizer()
    with gzip.GzipFile(HERE / "tokenizer.jsonl.gz", "wb", mtime=0) as file:
        for text in prompts() + fuzzed(6000):
            ids = tokenizer(text)["input_ids"][1:-1]
            file.write((json.dumps({"text": text, "ids": ids}) + "\n").encode())


if __name__ == "__main__":
    record_tokenizer()
