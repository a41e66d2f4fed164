"""Records what transformers' tokenizer answers, for the golden tests.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_tokenizer.py
Writes beside itself tokenizer.jsonl.gz, and models/pocket/tokenizer_2, the vocabulary in the files that
transformers reads.
"""
import csv
import gzip
import json
import pathlib
import random
import tempfile

from transformers import CLIPTokenizer

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"


def bytes_to_unicode() -> dict:
    """OpenAI's simple_tokenizer.bytes_to_unicode."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [b for b in range(256) if b not in printable]
    return dict(zip(printable + rest, [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]))


def write_tokenizer(folder: pathlib.Path) -> None:
    """vocab.json and merges.txt, as transformers reads them, from OpenAI's one file."""
    lines = gzip.open(DATA / "tokenizers" / "bpe_simple_vocab_16e6.txt.gz").read().decode().split("\n")
    merges = [line for line in lines[1 : 49152 - 256 - 2 + 1]]
    symbols = list(bytes_to_unicode().values())
    symbols += [s + "</w>" for s in symbols] + ["".join(m.split()) for m in merges]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def reference_tokenizer() -> CLIPTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(pathlib.Path(folder))
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
    write_tokenizer(DATA.parent / "models" / "pocket" / "tokenizer_2")
    record_tokenizer()
