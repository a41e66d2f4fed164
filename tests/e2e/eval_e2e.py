"""longhand eval on the embedded model: rows, report, resuming; the tasks themselves are tests/eval's, training is train_e2e's."""
import json
import re
import unittest

from PIL import Image

from support import ROOT, Case


class Evaluation(Case):
    def setUp(self):
        super().setUp()
        self.detector = self.folder / "detector"
        recipe = json.loads((ROOT / "runs/smoke/detector.json").read_text())
        recipe |= {"out": str(self.folder / "run"), "model": str(self.detector), "steps": 2, "batch": 4, "checkpoint_minutes": 10}
        (self.folder / "recipe.json").write_text(json.dumps(recipe))
        self.longhand("train", self.folder / "recipe.json")
        self.out = self.folder / "eval"
        self.flags = ("--detector", self.detector, "--limit", 2, "--steps", 2, "--batch", 4)

    def test_rows_report_and_going_on(self):
        arguments = ("eval", "--out", self.out, *self.flags, "--task", "counting", "--task", "word on a sign")
        self.longhand(*arguments, "--kind", "truth", "--kind", "lengthened")
        rows = self.rows(self.out / "rows.jsonl")
        self.assertEqual([(row["Kind"], row["Task"]) for row in rows],
                         [(kind, task) for kind in ("truth", "lengthened") for task in ("counting", "counting", "word on a sign",
                                                                                       "word on a sign")])
        self.assertNotEqual(rows[4]["Caption"], rows[4]["Prompt"])  # by the language model
        self.assertEqual(len(list((self.out / "images").iterdir())), 8)
        self.assertTrue(list((self.out / "data").glob("*.parquet")))
        report = (self.out / "report.html").read_text()
        self.assertIn("lengthened", report)
        text = (self.out / "rows.jsonl").read_text()
        (self.out / "rows.jsonl").write_text("".join(text.splitlines(keepends=True)[:5]))
        self.longhand(*arguments, "--kind", "truth", "--kind", "lengthened")
        # What the world draws is the same again; what is lengthened and painted depends, in bfloat16, on its batch's company.
        told = lambda lines: [{key: row[key] for key in ("Task", "Kind", "Prompt", "Image", "seed")} for row in map(json.loads, lines)]
        again = (self.out / "rows.jsonl").read_text()
        self.assertEqual(again.splitlines()[:5], text.splitlines()[:5])
        self.assertEqual(told(again.splitlines()), told(text.splitlines()))
        self.refused(2, "another run", *arguments, "--kind", "truth", "--seed", 5)

    def test_captions_are_taken_again_and_curves(self):
        """Two evaluations of one painter as if of two points of its training."""
        first, second = self.folder / "alt-1000", self.folder / "alt-2000"
        arguments = ("eval", *self.flags, "--task", "counting", "--kind", "lengthened")
        self.longhand(*arguments, "--out", first)
        self.longhand(*arguments, "--out", second, "--captions-of", first)
        captions = [[row["Caption"] for row in self.rows(folder / "rows.jsonl")] for folder in (first, second)]
        self.assertEqual(*captions)
        self.assertTrue(all(0 <= row["CLIP score"] <= 100 for row in self.rows(second / "rows.jsonl")))
        self.refused(2, "has no lengthened caption", *arguments, "--out", self.out, "--captions-of", first, "--task", "position")
        curves = self.folder / "curves"
        self.longhand("eval", "--study", "curves", first, second, "--out", curves)
        self.assertIn("| alt | 2000 |", (curves / "curves.md").read_text())
        page = (curves / "curves.html").read_text()
        self.assertIn("polyline", page)
        shown = re.findall(r'<img src="([^"]+)"', page)
        self.assertGreater(len(shown), 0)
        self.assertTrue(all((curves / path).is_file() for path in shown))
        self.refused(2, "PAINTER-PICTURES", "eval", "--study", "curves", self.detector, "--out", curves)

    def test_varied(self):
        self.longhand("eval", "--out", self.out, *self.flags, "--task", "single thing", "--kind", "varied")
        self.assertEqual([row["Caption"] for row in self.rows(self.out / "rows.jsonl")], ["", ""])

    def test_variations(self):
        """From its own noise a picture is itself again, and less and less so with more new noise."""
        said = self.longhand("eval", "--study", "variations", "--out", self.out, "--limit", 3, "--steps", 10, "--guidance", 2).stdout
        table = (self.out / "variations.md").read_text()
        self.assertIn(table.splitlines()[-1], said)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| the") or line.startswith("| noise")]
        self.assertEqual([row[0] for row in rows[-2:]], ["the picture's own noise, η 1", "noise alone"])
        likeness, difference = ([float(row[column]) for row in rows] for column in (3, 4))
        self.assertEqual(max(likeness), likeness[0])
        self.assertLess(difference[0], 0.1)
        self.assertLess(2 * difference[0], min(difference[-2:]))
        self.assertEqual(Image.open(self.out / "variations.png").height // 128, 3)
        self.refused(2, "ddim backwards", "eval", "--study", "variations", "--out", self.out, "--scheduler", "euler")

    def test_captions(self):
        said = self.longhand("eval", "--study", "captions", "--out", self.out, "--limit", 3).stdout
        table = (self.out / "captions.md").read_text()
        self.assertIn(table.splitlines()[-1], said)
        rows = dict(line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ") and "told of" not in line)
        self.assertEqual([name.strip() for name in rows][:2], ["things", "colours"])
        page = (self.out / "captions.html").read_text()
        shown = re.findall(r'<img src="([^"]+)"', page)
        self.assertEqual(len(shown), 6)  # three new scenes, three of what is held out
        self.assertTrue(all(Image.open(self.out / path).size == (128, 128) for path in shown))

    def test_refused(self):
        self.refused(2, "no task", "eval", "--out", self.out, *self.flags, "--task", "juggling")
        self.refused(2, "kind", "eval", "--out", self.out, *self.flags, "--kind", "dreamt")
        self.refused(3, "runs/pocket.sh", "eval", "--out", self.out, "--detector", self.folder)
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()
