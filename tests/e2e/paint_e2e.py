"""longhand draw, show and compare with the embedded model."""
import json
import shutil
import signal
import struct
import time
import unittest

from support import ROOT, Case

POCKET = ROOT / "models" / "pocket"
QUICK = ["--steps", 4, "--no-upsample"]


def png_size(path) -> tuple:
    return struct.unpack(">II", path.read_bytes()[16:24])


class Drawing(Case):
    def test_draw_show_and_the_same_again(self):
        out, again = self.folder / "car.png", self.folder / "again.png"
        self.longhand("draw", "a red car", "--n", 2, "--seed", 7, "--steps", 6, "--candidates", 2, "-o", out)
        first, second = self.folder / "car-1.png", self.folder / "car-2.png"
        self.assertEqual(png_size(first), (128, 128))
        self.assertNotEqual(first.read_bytes(), second.read_bytes())
        shown = self.longhand("show", second).stdout
        self.assertIn("a red car", shown)
        record = json.loads(self.longhand("show", second, "--json").stdout)
        self.assertEqual((record["seed"], record["index"], record["n"], record["steps"]), (7, 1, 2, 6))
        self.assertIn("car", record["caption"])
        self.longhand("draw", "--like", second, "-o", again)
        self.assertEqual(again.read_bytes(), second.read_bytes())
        self.assertIn(b"Steps: 6, Sampler: DDIM, CFG scale: ", second.read_bytes())
        self.assertIn(b"Seed: 8, Size: 128x128, Model: pocket", second.read_bytes())

    def test_formats_and_sizes(self):
        for ending, magic in (("jpg", b"\xff\xd8\xff"), ("webp", b"RIFF")):
            out = self.folder / f"dog.{ending}"
            self.longhand("draw", "a dog", *QUICK, "--seed", 1, "-o", out)
            self.assertTrue(out.read_bytes().startswith(magic))
            self.assertIn(b"Steps: 4", out.read_bytes().replace(b"\x00", b""))
        wide = self.folder / "wide.png"
        self.longhand("draw", "a dog", *QUICK, "--size", "192x128", "--scheduler", "euler", "-o", wide)
        self.assertEqual(png_size(wide), (192, 128))
        self.refused(2, "nearest is 128", "draw", "a dog", *QUICK, "--size", "128x130", "-o", self.folder / "x.png")

    def test_what_lies_in_the_working_folder_is_not_read(self):
        (self.folder / "model_index.json").write_text("of no model")
        self.longhand("draw", "a dog", *QUICK, "-o", self.folder / "dog.png", cwd=self.folder)

    def test_upsample_only_paints_nothing(self):
        done = self.longhand("draw", "a blue dog", "--upsample-only", "-o", self.folder / "x.png")
        self.assertIn("dog", done.stdout)
        self.assertFalse((self.folder / "x.png").exists())

    def test_what_the_painter_cannot_see_is_said(self):
        done = self.longhand("draw", "a cat and " * 40 + "a zebra", *QUICK, "-o", self.folder / "x.png")
        self.assertIn("will not see", done.stderr)
        self.assertIn("zebra", done.stderr)


class BadInput(Case):
    def broken_copy(self):
        copy = self.folder / "model"
        shutil.copytree(POCKET, copy)
        return copy

    def test_weights(self):
        out = self.folder / "x.png"
        copy = self.broken_copy()
        weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
        self.refused(4, "diffusion_pytorch_model.safetensors", "draw", "a cat", *QUICK, "--model", copy, "-o", out)
        # A size that cannot be painted is told before the weights are read.
        self.refused(2, "nearest is 128", "draw", "a cat", *QUICK, "--model", copy, "--size", "128x130", "-o", out)
        weights.write_bytes(whole[:5])
        self.refused(4, "too few", "draw", "a cat", *QUICK, "--model", copy, "-o", out)
        weights.write_bytes(whole.replace(b'"conv_in.weight"', b'"conv_on.weight"', 1))
        done = self.longhand("draw", "a cat", *QUICK, "--model", copy, "-o", out, code=4)
        self.assertIn("missing: conv_in.weight", done.stderr)
        self.assertIn("unexpected: conv_on.weight", done.stderr)
        weights.write_bytes(whole)
        config = copy / "unet" / "config.json"
        config.write_text(config.read_text().replace('"cross_attention_dim": 1', '"cross_attention_dim": 2'))
        self.refused(4, "of another shape", "draw", "a cat", *QUICK, "--model", copy, "-o", out)
        config.write_text("{")
        self.refused(4, "config.json", "draw", "a cat", *QUICK, "--model", copy, "-o", out)
        shutil.copy(POCKET / "unet" / "config.json", config)
        (copy / "vae" / "config.json").unlink()
        self.refused(3, "vae", "draw", "a cat", *QUICK, "--model", copy, "-o", out)
        self.assertFalse(out.exists())

    def test_models_and_files(self):
        self.refused(3, "model_index.json", "draw", "a cat", "--model", self.folder, "-o", self.folder / "x.png")
        self.refused(2, "ending", "draw", "a cat", "-o", self.folder / "x.gif")
        self.refused(6, "cannot", "draw", "a cat", *QUICK, "-o", "/proc/none/x.png")
        self.refused(2, "scheduler", "draw", "a cat", *QUICK, "--scheduler", "magic", "-o", self.folder / "x.png")
        self.refused(2, "steps", "draw", "a cat", "--no-upsample", "--steps", 0, "-o", self.folder / "x.png")
        self.refused(2, "empty", "draw", "", *QUICK)
        said = self.longhand("draw", "a red car " * 40, "--steps", 1, "-o", self.folder / "long.png").stderr
        self.assertIn("it will not see", said)  # nor is it cut and lengthened
        self.assertEqual(json.loads(self.longhand("show", "--json", self.folder / "long.png").stdout)["caption"], "a red car " * 40)
        self.refused(2, "leave the prompt out", "draw", "a cat", "--like", self.folder / "x.png")
        out = self.folder / "pairs"
        self.refused(2, "scheduler", "compare", "--prompts", "drawbench", "--scheduler", "magic", "-o", out)
        self.assertFalse(out.exists())
        (self.folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 9)
        self.refused(4, "cut", "show", self.folder / "cut.png")
        self.refused(3, "none.png", "draw", "--like", self.folder / "none.png")


class Sheet(Case):
    def test_many_prompts(self):
        out = self.folder / "sheet.png"
        arguments = ("sheet", "--prompts", ROOT / "data/prompts/pocket16.csv", "--steps", 2)
        self.longhand(*arguments, "--limit", 5, "--columns", 3, "--batch", 2, "-o", out)
        self.assertEqual(png_size(out), (3 * 132 + 4, 2 * 132 + 4))
        self.refused(2, "ending", *arguments, "-o", self.folder / "x.gif")
        self.refused(2, "--prompts", "sheet", "-o", out)


class Comparing(Case):
    arguments = ["compare", "--prompts", ROOT / "data/prompts/pocket16.csv", "--steps", 4, "--candidates", 1,
                 "--rows-a-batch", 2]

    def check(self, out, count: int) -> None:
        import pyarrow.parquet as parquet
        table = parquet.read_table(out / "data" / "train-00000-of-00001.parquet").to_pylist()
        self.assertEqual(len(table), count)
        self.assertEqual(len({row["Prompt"] for row in table}), count)
        self.assertLessEqual({"Prompt", "Image", "Upsampled_Prompt", "Image_With_Upsampled_Prompt", "model_name", "seed"},
                             set(table[0]))
        page = (out / "gallery.html").read_text()
        for row in table:
            for column in ("Image", "Image_With_Upsampled_Prompt"):
                self.assertTrue(row[column]["bytes"].startswith(b"\x89PNG"))
        for picture in sorted((out / "images").glob("*.png")):
            self.assertIn(f"images/{picture.name}", page)
        self.assertEqual(len(list((out / "images").glob("*.png"))), 2 * count)

    def test_pairs(self):
        out = self.folder / "pairs"
        self.longhand(*self.arguments, "--limit", 3, "-o", out)
        self.check(out, 3)
        self.longhand("show", out / "images" / "00001-lengthened.png")
        again = self.folder / "again.png"
        self.longhand("draw", "--like", out / "images" / "00001-typed.png", "-o", again)
        self.assertEqual(png_size(again), (128, 128))

    def test_killed_and_resumed(self):
        out = self.folder / "pairs"
        process = self.start(*self.arguments, "--limit", 8, "-o", out)
        for _ in range(3000):
            if (out / "rows.jsonl").exists() and (out / "rows.jsonl").read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.longhand(*self.arguments, "--limit", 8, "-o", out)
        self.check(out, 8)
        self.longhand(*self.arguments, "--limit", 8, "-o", out)  # nothing is left to do
        self.check(out, 8)
        self.refused(2, "another run", *self.arguments, "--limit", 8, "--seed", 5, "-o", out)
        self.refused(2, "another run", *self.arguments, "--limit", 8, "--best-of", 2, "-o", out)

    def test_shards(self):
        """Folders of shards become one that the command itself goes on with."""
        shards = [self.folder / f"part{i}" for i in range(2)]
        for i, shard in enumerate(shards):
            self.longhand(*self.arguments, "--limit", 3, "--shard", f"{i}/2", "-o", shard)
        merged = self.folder / "merged"
        self.assertEqual(self.longhand("merge", *shards, "-o", merged).stdout, f"3 rows in {merged}\n")
        for whole, shard, own in ((0, 0, 0), (1, 1, 0), (2, 0, 1)):
            for kind in ("typed", "lengthened"):
                self.assertEqual((merged / f"images/{whole:05}-{kind}.png").read_bytes(),
                                 (shards[shard] / f"images/{own:05}-{kind}.png").read_bytes())
        self.longhand(*self.arguments, "--limit", 3, "-o", merged)
        self.check(merged, 3)
        other = self.folder / "other"
        self.longhand(*self.arguments, "--limit", 3, "--shard", "1/2", "--guidance", 2, "-o", other)
        self.refused(2, "not of one job", "merge", shards[0], other, "-o", self.folder / "mixed")
        self.assertFalse((self.folder / "mixed").exists())


if __name__ == "__main__":
    unittest.main()
