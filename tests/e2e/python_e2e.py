"""The Python module beside the command line: the same captions and pictures, Python's errors, threads that go on meanwhile."""
import pathlib
import subprocess
import sys
import threading
import unittest

from support import BINARY, Case

sys.path.insert(0, str(BINARY.parent / "python"))

import longhand  # noqa: E402
import numpy  # noqa: E402
from PIL import Image  # noqa: E402

PROMPTS = ["a red car", "two dogs on the beach", "a sign that says 'STOP'"]


class Module(Case):
    def test_captions_are_the_command_lines(self):
        listed = self.folder / "prompts.txt"
        listed.write_text("\n".join(PROMPTS))
        out = self.folder / "captions.jsonl"
        self.longhand("upsample", "--prompts", listed, "--candidates", 2, "--deterministic", "-o", out)
        captions = longhand.Upsampler(candidates=2, deterministic=True).upsample(PROMPTS)
        self.assertEqual([row["Upsampled Prompt"] for row in self.rows(out)], [each.caption for each in captions])
        self.assertEqual([row["Tokens"] for row in self.rows(out)], [each.tokens for each in captions])

    def test_numbers_make_batches_of_a_table(self):
        # One sequence at a time: llama.cpp's last bits, where it is the engine, depend on a sequence's company.
        upsampler = longhand.Upsampler(candidates=1, deterministic=True, batch=1)
        whole = [each.caption for each in upsampler.upsample(PROMPTS)]
        self.assertEqual(whole[1:], [each.caption for each in upsampler.upsample(PROMPTS[1:], numbers=[1, 2])])
        with self.assertRaisesRegex(ValueError, "growing"):
            upsampler.upsample(PROMPTS[:2], numbers=[3, 3])

    def test_pictures_are_the_command_lines(self):
        painter = longhand.Painter(dtype="float32")
        pictures = painter.paint(PROMPTS[:2], seeds=[7, 8], steps=3, guidance=2.0)
        self.assertEqual((pictures.shape, pictures.dtype), ((2, 128, 128, 3), numpy.uint8))
        out = self.folder / "picture.png"
        self.longhand("draw", PROMPTS[1], "--no-upsample", "--seed", 8, "--steps", 3, "--guidance", 2, "--dtype", "float32", "-o", out)
        difference = numpy.asarray(Image.open(out)).astype(int) - pictures[1]  # alone, and in a batch of two
        self.assertLessEqual(abs(difference).max(), 1)
        self.assertEqual(longhand.images(pictures)[0].size, (128, 128))
        self.assertEqual(painter.paint([PROMPTS[0]], [1], steps=1, size=(160, 96)).shape, (1, 96, 160, 3))

    def test_the_interpreter_goes_on(self):
        ticks, done = 0, threading.Event()

        def lengthen():
            longhand.Upsampler(candidates=1).upsample(PROMPTS)
            done.set()

        worker = threading.Thread(target=lengthen)
        worker.start()
        while not done.wait(0.01):
            ticks += 1
        worker.join()
        self.assertGreater(ticks, 5)

    def test_errors(self):
        with self.assertRaisesRegex(FileNotFoundError, "longhand pull nothing/here"):
            longhand.Painter("nothing/here")
        with self.assertRaisesRegex(FileNotFoundError, "none.gguf"):
            longhand.Upsampler(str(self.folder / "none.gguf"))
        with self.assertRaisesRegex(ValueError, r"prompts\[1\].*empty"):
            longhand.Upsampler().upsample(["a cat", ""])
        with self.assertRaisesRegex(ValueError, "candidates"):
            longhand.Upsampler(candidates=0)
        with self.assertRaisesRegex(ValueError, "steps"):
            longhand.Painter().paint(["a cat"], [1], steps=0)
        with self.assertRaisesRegex(ValueError, "one seed for each"):
            longhand.Painter().paint(["a cat"], [])
        with self.assertRaisesRegex(ValueError, "scheduler"):
            longhand.Painter().paint(["a cat"], [1], scheduler="magic")

    def test_stubs(self):
        stubs = (pathlib.Path(longhand.__file__).parent / "_longhand.pyi").read_text()
        self.assertIn("def paint(self, captions: Sequence[str], seeds: Sequence[int]", stubs)

    def test_a_wheel(self):
        """pip builds one from what is built, and it is imported from elsewhere."""
        root = pathlib.Path(__file__).parent.parent.parent
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", self.folder / "site",
                        root / "python"], check=True, capture_output=True)
        done = subprocess.run([sys.executable, "-c", "import longhand; print(longhand.__file__, longhand.Painter('pocket').paint(['a'], [1], steps=1).shape)"],
                              env={"PYTHONPATH": str(self.folder / "site"), "PATH": "/usr/bin:/bin"}, cwd=self.folder, capture_output=True, text=True)
        self.assertIn(str(self.folder / "site"), done.stdout, done.stderr)
        self.assertIn("(1, 128, 128, 3)", done.stdout)


if __name__ == "__main__":
    unittest.main()
