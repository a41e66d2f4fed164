"""longhand upsample with the real language model: captions that fit, resuming, and bad input."""
import csv
import io
import json
import os
import signal
import subprocess
import tarfile
import time
import unittest

from support import BINARY, ROOT, Case

GGUF = ROOT / ".deps" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


class Captions(Case):
    def test_drawbench_fits_and_keeps(self):
        out = self.folder / "captions.jsonl"
        self.longhand("upsample", "--prompts", "drawbench", "--limit", 24, "--candidates", 2, "-o", out)
        rows = self.rows(out)
        self.assertEqual(len(rows), 24)
        self.assertEqual(list(rows[0]), ["Prompt", "Upsampled Prompt", "Category", "Seed", "Model", "Template", "Tokens",
                                         "Score", "Lost", "Settings"])
        for row in rows:
            self.assertLessEqual(row["Tokens"], 77)
            self.assertRegex(row["Upsampled Prompt"], r"[.!?][\"'’”)]*$")
        self.assertGreater(sum(row["Score"] for row in rows) / len(rows), 0.85)

    def test_the_same_command_gives_the_same_captions(self):
        prompts = ["a red car", "two dogs on the street", "a sign that says 'Deep Learning'"]
        text = "\n".join(prompts).encode()
        first = self.longhand("upsample", "--candidates", 2, "--seed", 3, input=text).stdout
        self.assertEqual(first, self.longhand("upsample", "--candidates", 2, "--seed", 3, input=text).stdout)
        other = self.longhand("upsample", "--candidates", 2, "--seed", 4, input=text).stdout
        self.assertNotEqual(first, other)
        self.assertEqual(len(first.splitlines()), 3)
        self.assertIn("Deep Learning", first.splitlines()[2])

    def test_shards_and_engines(self):
        """Either engine; what shards write is joined in the order of the whole."""
        arguments = ("upsample", "--prompts", "drawbench", "--limit", 5, "--candidates", 1)
        whole = self.folder / "whole.jsonl"
        self.longhand(*arguments, "--engine", "llama.cpp", "-o", whole)
        shards = [self.folder / f"part{i}.jsonl" for i in range(2)]
        for i, shard in enumerate(shards):
            self.longhand(*arguments, "--shard", f"{i}/2", "-o", shard)
        merged = self.folder / "merged.jsonl"
        self.assertEqual(self.longhand("merge", *shards, "-o", merged).stdout, f"5 rows in {merged}\n")
        self.assertEqual([row["Prompt"] for row in self.rows(merged)], [row["Prompt"] for row in self.rows(whole)])
        self.refused(2, "is there already", "merge", *shards, "-o", merged)
        self.refused(4, "more rows", "merge", *reversed(shards), "-o", self.folder / "other.jsonl")
        colder = self.folder / "colder.jsonl"
        self.longhand(*arguments, "--shard", "1/2", "--temperature", 0.1, "-o", colder)
        self.refused(2, "Settings", "merge", shards[0], colder, "-o", self.folder / "other.jsonl")
        self.refused(2, "--shard", *arguments, "--shard", "2/2", "-o", self.folder / "x.jsonl")
        self.refused(2, "--engine", *arguments, "--engine", "abacus", "-o", self.folder / "x.jsonl")

    def test_webdataset(self):
        """Shards in a folder are read as one; what is written, Python's tarfile reads, and a second run goes on with it."""
        shards = self.folder / "shards"
        shards.mkdir()
        for shard, prompts in enumerate((["a red car", "a cat"], ["two dogs"])):
            with tarfile.open(shards / f"{shard}.tar", "w") as archive:
                for i, prompt in enumerate(prompts):
                    member = tarfile.TarInfo(f"{shard}{i}.txt")
                    member.size = len(prompt)
                    archive.addfile(member, io.BytesIO(prompt.encode()))
        out = self.folder / "captions.tar"
        for limit in (1, 3):
            self.longhand("upsample", "--prompts", shards, "--limit", limit, "--candidates", 1, "-o", out)
        with tarfile.open(out) as archive:
            members = {member.name: archive.extractfile(member).read().decode() for member in archive}
        self.assertEqual(sorted(members), [f"{i:09}.{ending}" for i in range(3) for ending in ("json", "txt")])
        rows = [json.loads(members[f"{i:09}.json"]) for i in range(3)]
        self.assertEqual([row["Prompt"] for row in rows], ["a red car", "a cat", "two dogs"])
        self.assertEqual([row["Upsampled Prompt"] for row in rows], [members[f"{i:09}.txt"] for i in range(3)])

    def test_a_small_budget(self):
        out = self.folder / "captions.csv"
        self.longhand("upsample", "--prompts", "drawbench", "--limit", 4, "--max-tokens", 30, "--candidates", 1, "-o", out)
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 4)
        for row in rows:
            self.assertLessEqual(int(row["Tokens"]), 30)
            self.assertRegex(row["Upsampled Prompt"], r"[.!?][\"']*$")

    def test_modification(self):
        caption = "a figure stands in a dark forest, its blade glowing with a blue light."
        changed = self.longhand("upsample", "--modify", "make the light red", "--of", caption).stdout
        self.assertIn("red", changed)

    def test_parquet_and_a_folder(self):
        import pyarrow.parquet as parquet
        for out, path in ((self.folder / "c.parquet", self.folder / "c.parquet"),
                          (self.folder / "set", self.folder / "set" / "data" / "train-00000-of-00001.parquet")):
            self.longhand("upsample", "--prompts", "drawbench", "--limit", 3, "--candidates", 1, "-o", out)
            table = parquet.read_table(path)
            self.assertEqual(table.num_rows, 3)
            self.assertEqual(table.column_names[0], "Prompt")
            self.longhand("upsample", "--prompts", path, "--limit", 1, "--candidates", 1)
            self.longhand("upsample", "--prompts", out, "--limit", 1, "--candidates", 1)
            self.refused(2, "read from", "upsample", "--prompts", out, "-o", out)


class Resuming(Case):
    def whole(self, rows: list, count: int) -> None:
        prompts = [row["Prompt"] for row in rows]
        self.assertEqual(len(prompts), count)
        self.assertEqual(len(set(prompts)), count)

    def killed(self, out, sign: int, after_rows: int) -> int:
        process = self.start("upsample", "--prompts", "drawbench", "--limit", 40, "--candidates", 1, "--batch", 4, "-o", out)
        for _ in range(3000):
            if out.exists() and out.read_bytes().count(b"\n") >= after_rows:
                break
            time.sleep(0.02)
        process.send_signal(sign)
        process.communicate()
        return process.returncode

    def test_killed_twice_and_interrupted_once(self):
        out = self.folder / "captions.jsonl"
        self.assertEqual(self.killed(out, signal.SIGKILL, 3), -signal.SIGKILL)
        self.assertEqual(self.killed(out, signal.SIGKILL, 9), -signal.SIGKILL)
        self.assertEqual(self.killed(out, signal.SIGINT, 15), 130)
        self.rows(out)  # readable as it is
        self.longhand("upsample", "--prompts", "drawbench", "--limit", 40, "--candidates", 1, "--batch", 4, "-o", out)
        self.whole(self.rows(out), 40)
        self.refused(2, "another run", "upsample", "--prompts", "drawbench", "--limit", 40, "--seed", 9, "-o", out)
        self.refused(2, "candidates", "upsample", "--prompts", "drawbench", "--limit", 40, "--candidates", 2, "-o", out)


class BadInput(Case):
    def test_prompts(self):
        self.refused(2, "empty", "upsample", "")
        self.refused(2, "UTF-8", "upsample", b"a \xff cat".decode("utf-8", "surrogateescape"))
        self.refused(2, "control", "upsample", "a \x07 cat")
        long = self.folder / "long.txt"
        long.write_text("cat " * 262144)
        self.refused(2, "long", "upsample", "--prompts", long)

    def test_tables(self):
        table = self.folder / "prompts.csv"
        table.write_text("Prompt,Category\na red car,x\nbroken\na blue dog,y\n")
        out = self.folder / "captions.jsonl"
        self.refused(4, "row 2", "upsample", "--prompts", table, "-o", out, "--candidates", 1)
        self.longhand("upsample", "--prompts", table, "-o", out, "--candidates", 1, "--keep-going", "--overwrite")
        self.assertEqual([row["Prompt"] for row in self.rows(out)], ["a red car", "a blue dog"])
        self.refused(3, "cannot be read", "upsample", "--prompts", self.folder / "none.csv")
        (self.folder / "odd.csv").write_text("a,b\n1,2\n")
        self.refused(3, "--column", "upsample", "--prompts", self.folder / "odd.csv")

    def test_models(self):
        self.refused(3, "none.gguf", "upsample", "--llm", self.folder / "none.gguf", "a cat")
        (self.folder / "text.gguf").write_text("not a model")
        self.refused(4, "not a GGUF", "upsample", "--llm", self.folder / "text.gguf", "a cat")
        (self.folder / "cut.gguf").write_bytes(GGUF.read_bytes()[:5_000_000])
        self.refused(4, "cut.gguf", "upsample", "--llm", self.folder / "cut.gguf", "a cat")

    def test_outputs(self):
        self.refused(6, "cannot be written", "upsample", "--prompts", "drawbench", "--limit", 1, "-o", "/proc/none/captions.jsonl")
        full = self.folder / "full.jsonl"
        os.symlink("/dev/full", full)
        self.refused(6, "No space left", "upsample", "--prompts", "drawbench", "--limit", 1, "--candidates", 1, "-o", full)
        self.refused(2, "ending", "upsample", "--prompts", "drawbench", "-o", self.folder / "captions.xyz")

    def test_an_endpoint_that_refuses(self):
        self.refused(6, "127.0.0.1:9", "upsample", "--llm", "http://127.0.0.1:9/v1", "--llm-model", "x", "a cat")

    def test_arguments_that_do_not_go_together(self):
        self.refused(2, "--prompts", "upsample", "a cat", "-o", self.folder / "x.jsonl")
        self.refused(2, "--of", "upsample", "--modify", "make it red")
        own = self.folder / "own.txt"
        own.write_text("a cat\n")
        self.refused(2, "read from", "upsample", "--prompts", own, "-o", own)
        self.assertEqual(own.read_text(), "a cat\n")
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, "world", "--list"], stdout=full, stderr=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 6)

    def test_templates(self):
        (self.folder / "t.json").write_text('{"name": "x", "system": "y", "user": "no place"}')
        self.refused(4, "{prompt}", "upsample", "--template", self.folder / "t.json", "a cat")


if __name__ == "__main__":
    unittest.main()
