"""longhand with little memory: what does not fit is refused before anything is painted, with what would fit."""
import re
import unittest

from PIL import Image

from support import Case


class Memory(Case):
    def test_refusal(self):
        """Exit code 5, numbers, ways out that work, and no file."""
        def draw(out, n, size, code=0):
            return self.longhand("draw", "a red car", "--no-upsample", "--dtype", "float32", "--steps", 1, "--seed", 3, "--memory", "600MB",
                                 "--n", n, "--size", size, "-o", self.folder / out, code=code)

        done = draw("many.png", 64, "256x256", code=5)
        self.assertRegex(done.stderr, r"64 pictures of 256x256 at once takes about [\d.]+ [MG]B of memory \(\d+ MB of it weights\)")
        self.assertIn("600 MB may be used", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(list(self.folder.iterdir()), [])
        fewer, size = re.search(r"--n (\d+)", done.stderr)[1], re.search(r"--size (\S+?),?(\s|$)", done.stderr)[1]
        draw("fewer.png", fewer, "256x256")
        draw("smaller.png", 64, size)
        self.assertEqual(len(list(self.folder.iterdir())), int(fewer) + 64)

    def test_weights(self):
        out = self.folder / "car.png"
        done = self.longhand("draw", "a red car", "-o", out, "--memory", "1MB", code=5)
        self.assertIn("the weights of", done.stderr)
        self.assertIn("smaller model", done.stderr)
        self.assertFalse(out.exists())

    def test_amount(self):
        for amount in ("much", "0", "-1GB"):
            self.refused(2, "no amount of memory", "draw", "a red car", "--memory", amount)

    def test_every_verb_that_paints_takes_it(self):
        for verb in ("draw", "edit", "vary", "blend", "morph", "compare"):
            self.assertIn("--memory", self.longhand(verb, "--help").stdout)

    def test_edit_is_refused_too(self):
        photo = self.folder / "photo.png"
        Image.new("RGB", (1024, 1024), (200, 30, 40)).save(photo)
        self.refused(5, "of 1024x1024", "edit", photo, "a red car", "--n", 32, "--memory", "600MB", "-o", self.folder / "out.png")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["photo.png"])


if __name__ == "__main__":
    unittest.main()
