"""longhand.ray on a real Ray cluster of two workers, one of them killed in the middle; the Slurm and Kubernetes examples."""
import io
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

from support import BINARY, ROOT, Case

sys.path.insert(0, str(BINARY.parent / "python"))
os.environ["PYTHONPATH"] = str(BINARY.parent / "python")  # the cluster's workers'
os.environ |= {"RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

import kubernetes_validate  # noqa: E402
import longhand.ray  # noqa: E402
import numpy  # noqa: E402
import pandas  # noqa: E402
import ray  # noqa: E402
import yaml  # noqa: E402
from PIL import Image  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

ROWS = 24


class Traced(longhand.ray.Lengthen):
    """Leaves its process's number behind for each batch that it begins."""

    def __init__(self, folder: str, **settings):
        self.folder = pathlib.Path(folder)
        super().__init__("Prompts", **settings)

    def __call__(self, batch: dict) -> dict:
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return super().__call__(batch)


class OnRay(Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.cluster.add_node(num_cpus=0, include_dashboard=False, object_store_memory=200 << 20)
        for _ in range(2):
            cls.cluster.add_node(num_cpus=2, object_store_memory=200 << 20)
        ray.init(cls.cluster.address, logging_level="warning")

    @classmethod
    def tearDownClass(cls):
        ray.shutdown()
        cls.cluster.shutdown()

    def prompts(self) -> tuple:
        table = pandas.read_csv(ROOT / "data/prompts/drawbench.csv").head(ROWS)
        table.to_parquet(self.folder / "prompts.parquet", row_group_size=4)
        return table["Prompts"].tolist(), longhand.ray.read_parquet(str(self.folder / "prompts.parquet"))

    def test_a_worker_killed_in_the_middle(self):
        prompts, dataset = self.prompts()
        traces = self.folder / "traces"
        traces.mkdir()
        killed, over = [], threading.Event()

        def kill():
            while not killed and not over.wait(0.02):
                begun = sorted(traces.iterdir(), key=lambda file: file.stat().st_mtime_ns)
                if len(begun) >= 3:
                    killed.append(int(begun[-1].name.split("-")[0]))  # what it is at is lost with it
                    os.kill(killed[0], 9)

        killer = threading.Thread(target=kill)
        killer.start()
        # One sequence at a time: llama.cpp's last bits, where it is the engine, depend on a sequence's company.
        settings = {"candidates": 1, "deterministic": True, "batch": 1}
        rows = dataset.map_batches(
            Traced, batch_size=4, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1,
            fn_constructor_kwargs={"folder": str(traces), **settings}).to_pandas()
        over.set()
        killer.join()
        self.assertEqual(len(killed), 1)
        begun = len(list(traces.iterdir()))
        self.assertGreater(begun, ROWS // 4)  # what it was at was begun anew
        rows = rows.sort_values("Number")
        self.assertEqual(rows["Number"].tolist(), list(range(ROWS)))  # none lost, none twice
        self.assertEqual(rows["Prompts"].tolist(), prompts)
        alone = longhand.Upsampler(**settings).upsample(prompts)
        self.assertEqual(rows["Upsampled Prompt"].tolist(), [each.caption for each in alone])
        self.assertEqual(rows["Tokens"].tolist(), [each.tokens for each in alone])

    def test_the_example(self):
        pandas.DataFrame({"Prompt": ["a red car", "two dogs on the beach", "a cat"]}).to_parquet(self.folder / "prompts.parquet")
        out = self.folder / "pictures"
        done = subprocess.run([sys.executable, ROOT / "python/examples/lengthen_and_paint.py", self.folder / "prompts.parquet", out,
                               "--address", self.cluster.address], capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 rows in", done.stdout)
        rows = pandas.read_parquet(out).sort_values("Number").to_dict("records")
        pictures = longhand.Painter().paint([row["Upsampled Prompt"] for row in rows], [0, 1, 2])
        for picture, row in zip(pictures, rows):
            painted = numpy.asarray(Image.open(io.BytesIO(row["Image"]["bytes"]))).astype(int)
            self.assertLess(abs(painted - picture).mean(), 1)  # the same but for bfloat16's rounding on other threads

    def test_rows_without_numbers(self):
        with self.assertRaisesRegex(Exception, r"longhand.ray.read_parquet\(\) adds"):
            ray.data.from_items([{"Prompt": "a cat"}]).map_batches(
                longhand.ray.Lengthen, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=1).take_all()


class Manifests(Case):
    def test_kubernetes(self):
        manifest = yaml.safe_load((ROOT / "python/examples/kubernetes_job.yaml").read_text())
        kubernetes_validate.validate(manifest, "1.31", strict=True)
        manifest["spec"]["completion"] = 8
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest, "1.31", strict=True)

    def test_slurm(self):
        """The script's tasks, as Slurm's array would start them."""
        (self.folder / "prompts.txt").write_text("a red car\na cat\na dog\n")
        for task in range(2):
            subprocess.run([ROOT / "python/examples/slurm_array.sh", self.folder / "prompts.txt", self.folder / "out"], check=True,
                           capture_output=True, env=os.environ | {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2",
                                                                  "SLURM_CPUS_PER_TASK": "2", "LONGHAND": str(BINARY)})
        whole = self.folder / "out/whole"
        subprocess.run([BINARY, "merge", *(self.folder / f"out/part-{task}" for task in range(2)), "-o", whole], check=True, capture_output=True)
        self.assertEqual(pandas.read_parquet(whole / "data")["Prompt"].tolist(), ["a red car", "a cat", "a dog"])


if __name__ == "__main__":
    unittest.main()
