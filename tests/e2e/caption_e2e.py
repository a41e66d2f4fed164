"""longhand caption: what transformers' GIT writes with the same weights; tables that go on, shards, bad pictures."""
import json
import os
import pathlib
import re
import shutil
import tarfile
import unittest

import diffusers
import numpy
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPTokenizer, GitConfig, GitForCausalLM

from support import ROOT, Case

VOCABULARY, LENGTH = 2048, 24
CHANNELS = [8, 8, 8, 8]


def beginning(folder: pathlib.Path) -> CLIPTokenizer:
    """CLIP's tokenizer cut to its first merges, as the captioner's vocabulary is."""
    whole = ROOT / "models/pocket/tokenizer_2"
    ids = json.loads((whole / "vocab.json").read_text())
    kept = {token: i for token, i in ids.items() if i < VOCABULARY - 2}
    kept |= {"<|startoftext|>": VOCABULARY - 2, "<|endoftext|>": VOCABULARY - 1}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(kept))
    (folder / "merges.txt").write_text("\n".join((whole / "merges.txt").read_text().split("\n")[: VOCABULARY - 2 - 512 + 1]) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


class Captions(Case):
    def setUp(self):
        super().setUp()
        torch.manual_seed(4)
        self.model = self.folder / "model"
        self.vae = diffusers.AutoencoderTiny(
            encoder_block_out_channels=CHANNELS, decoder_block_out_channels=CHANNELS, num_encoder_blocks=[1] * 4,
            num_decoder_blocks=[1] * 4, latent_channels=4)
        self.vae.save_pretrained(self.model / "vae")
        self.processor = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, image_mean=[0.5] * 3,
                                            image_std=[0.5] * 3)
        self.processor.save_pretrained(self.model / "feature_extractor")
        vision = dict(num_channels=4, image_size=8, patch_size=4, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                      num_attention_heads=2)
        self.git = GitForCausalLM(GitConfig(
            vision_config=vision, vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=LENGTH, bos_token_id=VOCABULARY - 2, eos_token_id=VOCABULARY - 1,
            pad_token_id=VOCABULARY - 1, tie_word_embeddings=True)).eval()
        for parameter in self.git.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)  # so that pictures and places make a difference
        self.git.save_pretrained(self.model / "captioner")
        self.tokenizer = beginning(self.folder / "tokenizer")
        self.pictures = self.folder / "pictures"
        self.pictures.mkdir()
        for i in range(5):
            noise = numpy.random.default_rng(i).integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
            Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC).save(self.pictures / f"{i}.png")

    def expected(self, name: str, kind: str) -> str:
        """Letters and digits alone: how words stand beside one another is tests/pipeline's."""
        pixels = self.processor(images=Image.open(self.pictures / name), return_tensors="pt").pixel_values
        ids = torch.tensor([[VOCABULARY - 2, *self.tokenizer(kind + ":", add_special_tokens=False).input_ids]])
        with torch.no_grad():
            latents = self.vae.encode(pixels).latents
            written = self.git.generate(pixel_values=latents, input_ids=ids, max_length=LENGTH + 1, do_sample=False)
        return self.letters(self.tokenizer.decode(written[0, ids.shape[1]:], skip_special_tokens=True))

    @staticmethod
    def letters(text: str) -> str:
        return "".join(re.findall(r"\w", text.lower()))

    def caption(self, *arguments, **options):
        return self.longhand("caption", *arguments, "--model", self.model, "--dtype", "float32", **options)

    def test_as_transformers_writes(self):
        different = set()
        for kind in ("descriptive", "short"):
            out = self.folder / f"{kind}.jsonl"
            self.caption(self.pictures, "--out", out, "--kind", kind, "--batch", 2)
            rows = self.rows(out)
            self.assertEqual([row["Image"] for row in rows], [f"pictures/{i}.png" for i in range(5)])
            captions = [self.letters(row["Caption"]) for row in rows]
            self.assertEqual(captions, [self.expected(f"{i}.png", kind) for i in range(5)])
            different |= set(captions)
        self.assertGreater(len(different), 1)
        self.assertIn(rows[0]["Caption"], self.caption(self.pictures / "0.png", "--kind", "short").stdout)

    def test_goes_on_and_in_shards(self):
        whole = self.folder / "whole.jsonl"
        drawn = ("--temperature", 1, "--seed", 3, "--batch", 2)
        self.caption(self.pictures, "--out", whole, *drawn)
        text = whole.read_text()
        lines = text.splitlines(keepends=True)
        whole.write_text("".join(lines[:2]) + lines[2][:9])  # as a killed machine may leave it
        self.caption(self.pictures, "--out", whole, *drawn)
        self.assertEqual(whole.read_text(), text)
        part = self.folder / "part.jsonl"
        self.caption(self.pictures, "--out", part, "--shard", "1/2", *drawn)
        self.assertEqual(self.rows(part), self.rows(whole)[1::2])
        self.refused(2, "another run", "caption", self.pictures, "--out", part, "--model", self.model, "--seed", 9)
        self.refused(2, "temperature", "caption", self.pictures, "--out", part, "--shard", "1/2", "--model", self.model, "--dtype",
                     "float32", "--temperature", 0.5, "--seed", 3)

    def test_a_dataset_with_the_pictures(self):
        from datasets import load_dataset
        self.caption(self.pictures, "--out", self.folder / "set")
        rows = load_dataset(str(self.folder / "set"), cache_dir=str(self.folder / "cache"))["train"]
        self.assertEqual((len(rows), rows[0]["Image"].size), (5, (90, 70)))

    def test_refused(self):
        (self.pictures / "2.png").write_bytes(b"no picture")
        model = ("--model", self.model)
        self.refused(4, "2.png", "caption", self.pictures, *model)
        out = self.folder / "some.jsonl"
        done = self.caption(self.pictures, "--out", out, "--keep-going")
        self.assertIn("2.png", done.stderr)
        self.assertEqual([bool(row["Caption"]) for row in self.rows(out)], [True, True, False, True, True])
        self.refused(3, "none.png", "caption", self.folder / "none.png", *model)
        for out in self.folder / "some.parquet", self.folder / "in.a.folder":
            (self.folder / "in.a.folder").mkdir(exist_ok=True)
            self.caption(self.pictures, self.folder / "none.png", "--out", out, "--keep-going")
            self.caption(self.pictures, self.folder / "none.png", "--out", out, "--keep-going")
        rows = [json.loads(row) for row in (self.folder / "in.a.folder/rows.jsonl").open()]
        self.assertEqual([row["Image"] for row in rows][-2:], ["../pictures/4.png", ""])
        odd = os.fsencode(self.folder / "odd") + b"/caf\xe9.png"
        os.mkdir(os.path.dirname(odd))
        shutil.copy(self.pictures / "1.png", os.fsdecode(odd))
        self.refused(2, "not UTF-8", "caption", self.folder / "odd", "--out", self.folder / "odd.jsonl", *model)
        self.refused(3, "no .png", "caption", self.model, *model)
        self.refused(2, "--kind poem", "caption", self.pictures, "--kind", "poem", *model)
        self.refused(2, "--shard", "caption", self.pictures, "--shard", "2/2", *model)
        Image.new("RGB", (2000, 20)).save(self.folder / "odd/wide.png")
        os.remove(odd)
        self.refused(2, "wide.png: a picture of 2000x20", "caption", self.folder / "odd", *model)
        self.assertIn("wide.png", self.caption(self.folder / "odd", "--out", self.folder / "wide.jsonl", "--keep-going").stderr)
        self.assertEqual([row["Caption"] for row in self.rows(self.folder / "wide.jsonl")], [""])
        (self.model / "captioner/config.json").unlink()
        self.refused(3, "has no captioner", "caption", self.pictures, *model)


class Embedded(Case):
    def test_scenes_are_described(self):
        """Of sixteen scenes that were not trained on it names the place of nearly all, and the first thing of about half: by chance
        it would be one in twelve, and one in a hundred."""
        self.longhand("world", "--out", self.folder / "scenes", "--count", 16, "--seed", 77)
        with tarfile.open(self.folder / "scenes/000000.tar") as shard:
            shard.extractall(self.folder / "scenes", filter="data")
        self.longhand("caption", self.folder / "scenes", "--out", self.folder / "captions.jsonl")
        places = things = 0
        for line in (self.folder / "captions.jsonl").read_text().splitlines():
            row = json.loads(line)
            scene = json.loads((self.folder / row["Image"]).with_suffix(".json").read_text())
            places += scene["place"] in row["Caption"]
            things += scene["figures"][0]["thing"] in row["Caption"]
        self.assertGreaterEqual(places, 13)
        self.assertGreaterEqual(things, 5)


if __name__ == "__main__":
    unittest.main()
