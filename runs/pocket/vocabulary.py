"""Writes the embedded model's tokenizer, models/pocket/tokenizer_2: the beginning of CLIP's vocabulary, and what the words of its world
need beyond, so that those are read as CLIP reads them and other rare words in more pieces.

Usage: build/longhand world --out SHARDS --count 40000 --size 32 && .venv/bin/python runs/pocket/vocabulary.py SHARDS [--cut FOLDER …]
SHARDS have captions of the world. --cut: text encoders that were trained with the whole vocabulary keep the rows of what is left.
"""
import argparse
import gzip
import itertools
import json
import pathlib
import re
import tarfile

ROOT = pathlib.Path(__file__).parent.parent.parent
POCKET = ROOT / "models/pocket"
BEGINNING = 16384  # merges
MARKS = ["<|startoftext|>", "<|endoftext|>"]


def bytes_to_unicode() -> dict:
    """OpenAI's simple_tokenizer.bytes_to_unicode."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [b for b in range(256) if b not in printable]
    return dict(zip(printable + rest, [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]))


def clip_merges() -> list:
    lines = gzip.open(ROOT / "data/tokenizers/bpe_simple_vocab_16e6.txt.gz").read().decode().split("\n")
    return lines[1 : 49152 - 256 - 2 + 1]


def symbols_of(merges: list) -> list:
    """Tokens in the order of their ids."""
    letters = list(bytes_to_unicode().values())
    return letters + [s + "</w>" for s in letters] + ["".join(m.split()) for m in merges] + MARKS


def write_tokenizer(folder: pathlib.Path, merges: list) -> None:
    """vocab.json and merges.txt, as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols_of(merges))}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def words_in(shards: pathlib.Path) -> set:
    """Words of the scenes' three captions, which are English, and of the project's own prompts for this world."""
    texts = [path.read_text() for path in [POCKET / "upsampling.json", *(ROOT / "data/prompts").glob("pocket*.csv")]]
    for shard in sorted(shards.glob("*.tar")):
        with tarfile.open(shard) as tar:
            texts += [tar.extractfile(member).read().decode() for member in tar if member.name.endswith(".json")]
    return {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}


def merges_of(word: str, ranks: dict) -> set:
    """The merges that byte-pair encoding makes of a word (Sennrich et al. 2016)."""
    parts, made = [*word[:-1], word[-1] + "</w>"], set()
    while True:
        pairs = [f"{a} {b}" for a, b in itertools.pairwise(parts)]
        best = min((pair for pair in pairs if pair in ranks), key=ranks.get, default=None)
        if best is None:
            return made
        made.add(best)
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def cut(folder: pathlib.Path, kept: list) -> None:
    """Keeps the embeddings of the tokens that are left."""
    from safetensors.torch import load_file, save_file
    whole = {symbol: row for row, symbol in enumerate(symbols_of(clip_merges()))}
    config, tensors = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    if len(tensors[name]) != len(whole):
        raise SystemExit(f"{folder}: {len(tensors[name])} tokens; expected CLIP's {len(whole)}")
    tensors[name] = tensors[name][[whole[symbol] for symbol in kept]].contiguous()
    end = len(kept) - 1
    config |= {"vocab_size": len(kept), "bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    written = folder / "model.safetensors.new"
    save_file(tensors, written, metadata={"format": "pt"})
    written.replace(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=pathlib.Path)
    parser.add_argument("--cut", type=pathlib.Path, nargs="+", default=[], metavar="FOLDER")
    arguments = parser.parse_args()
    merges, words = clip_merges(), words_in(arguments.shards)
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    needed = set(merges[:BEGINNING]).union(*(merges_of(word, ranks) for word in words))
    kept = [merge for merge in merges if merge in needed]
    write_tokenizer(POCKET / "tokenizer_2", kept)
    for folder in arguments.cut:
        cut(folder, symbols_of(kept))
    print(f"{len(words)} words; {len(symbols_of(kept))} tokens, {len(kept) - BEGINNING} of them beyond the beginning")


if __name__ == "__main__":
    main()
