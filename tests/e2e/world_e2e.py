"""longhand world: shards that Python's tarfile reads, written in parts, resumed, and the same each time."""
import io
import json
import tarfile
import unittest

from PIL import Image

from support import Case

OPTIONS = ("world", "--world", "full", "--count", 50, "--per-shard", 20, "--seed", 3, "--size", 64)


class World(Case):
    def shards(self, name: str, *more) -> dict:
        self.longhand(*OPTIONS, "--out", self.folder / name, *more)
        return {path.name: path.read_bytes() for path in (self.folder / name).glob("*.tar")}

    def test_shards_hold_picture_graph_and_three_captions(self):
        shards = self.shards("out")
        self.assertEqual(sorted(shards), ["000000.tar", "000001.tar", "000002.tar"])
        keys = []
        for name in sorted(shards):
            with tarfile.open(fileobj=io.BytesIO(shards[name])) as archive:
                samples = {}
                for member in archive:
                    key, _, ending = member.name.partition(".")
                    samples.setdefault(key, {})[ending] = archive.extractfile(member).read()
                    self.assertTrue(member.isfile())
            for key, sample in samples.items():
                self.assertEqual(set(sample), {"png", "json", "txt"})
                picture = Image.open(io.BytesIO(sample["png"]))
                picture.load()
                self.assertEqual((picture.mode, picture.size), ("RGB", (64, 64)))
                about = json.loads(sample["json"])
                self.assertEqual(about["descriptive"], sample["txt"].decode())
                self.assertTrue(about["alt"] and about["short"])
                self.assertIn(about["place"], about["descriptive"])
                for figure in about["figures"]:
                    self.assertIn(figure["colour"], about["short"].lower())
                    self.assertIn(figure["text"], about["descriptive"])
            keys += samples
        self.assertEqual(keys, [f"{number:09}" for number in range(50)])

    def test_parts_and_a_resumed_run_give_the_same_bytes(self):
        whole = self.shards("whole")
        self.assertEqual(sorted(self.shards("parts", "--shard", "1/2")), ["000001.tar"])
        self.assertEqual(self.shards("parts", "--shard", "0/2"), whole)
        kept = self.folder / "whole" / "000000.tar"
        written = kept.stat().st_mtime_ns
        (self.folder / "whole" / "000001.tar").unlink()
        self.assertEqual(self.shards("whole"), whole)
        self.assertEqual(kept.stat().st_mtime_ns, written)

    def test_what_is_wrong_is_said(self):
        self.shards("out")
        self.refused(2, "made with other options", *OPTIONS[:-4], "--seed", 4, "--size", 64, "--out", self.folder / "out")
        self.refused(2, "--shard is i/n", *OPTIONS, "--shard", "2/2", "--out", self.folder / "new")
        self.refused(3, "full, small", "world", "--world", "huge", "--list")

    def test_the_list_and_the_sheet_show_the_world_asked_for(self):
        small, full = (json.loads(self.longhand("world", "--world", name, "--list").stdout) for name in ("small", "full"))
        self.assertEqual((len(small["things"]), len(small["words"])), (64, 16))
        self.assertLess(set(small["things"]), set(full["things"]))
        sheet = self.folder / "sheet.png"
        printed = self.longhand("world", "--sheet", sheet, "--count", 6, "--columns", 3, "--size", 32).stdout
        self.assertEqual(len(printed.splitlines()), 18)
        with Image.open(sheet) as picture:
            self.assertEqual(picture.size, (3 * 36 + 4, 2 * 36 + 4))


if __name__ == "__main__":
    unittest.main()
