"""longhand pull and longhand models against a hub on this machine, and beside huggingface_hub on one cache."""
import json
import math
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

from hub_server import COMMIT, Hub, Repository, git_sha1
from support import ROOT, Case

MODEL_INDEX = {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None],
               "scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DConditionModel"]}


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def pictures_model() -> dict:
    return {"README.md": b"# A model", ".gitattributes": b"* lfs",
            "model_index.json": json.dumps(MODEL_INDEX).encode(),
            "all_in_one.ckpt": noise(1, 5000), "all_in_one.safetensors": noise(2, 5000),
            "scheduler/scheduler_config.json": b'{"a": 1}',
            "unet/config.json": b'{"b": 2}',
            "unet/diffusion_pytorch_model.bin": noise(3, 5000),
            "unet/diffusion_pytorch_model.fp16.safetensors": noise(4, 1_000_000),
            "unet/diffusion_pytorch_model.safetensors": noise(5, 3_000_000)}


PLAIN = {"model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
         "unet/diffusion_pytorch_model.safetensors"}
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def header_of(file: pathlib.Path) -> dict:
    """What a safetensors file says of its tensors."""
    with open(file, "rb") as opened:
        return json.loads(opened.read(int.from_bytes(opened.read(8), "little")))


class HubCase(Case):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.cache = self.folder / "hf" / "hub"
        self.storage = self.cache / "models--org--model"
        self.snapshot = self.storage / "snapshots" / COMMIT
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("HF_", "HUGGING")) and not name.lower().endswith("_proxy")}
        self.environment |= {"HF_HOME": str(self.folder / "hf"), "HF_ENDPOINT": self.hub.endpoint}
        self.hub.repositories["org/model"] = Repository(pictures_model())

    def pull(self, *arguments, code: int = 0, **more) -> subprocess.CompletedProcess:
        return self.longhand("pull", *arguments, code=code, env=self.environment | more)

    def refused_pull(self, code: int, words: str, *arguments, **more) -> None:
        self.assertIn(words, self.pull(*arguments, code=code, **more).stderr)

    def python(self, program: str, **more) -> str:
        """Runs a program that has imported huggingface_hub; what it prints."""
        done = subprocess.run([sys.executable, "-c", "from huggingface_hub import *\n" + program], capture_output=True,
                              text=True, timeout=300, env=self.environment | {"HF_HUB_DISABLE_XET": "1"} | more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def check_files(self, names: set, files: dict = None) -> None:
        """The snapshot has these files alone, each a relative link to the blob of its hash."""
        files = files or pictures_model()
        found = {str(path.relative_to(self.snapshot)) for path in self.snapshot.rglob("*") if not path.is_dir()}
        self.assertEqual(found, names)
        repository = Repository(files)
        for name in names:
            path = self.snapshot / name
            self.assertEqual(path.read_bytes(), files[name])
            up = "../" * (2 + name.count("/"))
            self.assertEqual(os.readlink(path), f"{up}blobs/{repository.etag(name)}")
        self.assertFalse(list(self.storage.rglob("*.incomplete")))


class Pulling(HubCase):
    def test_what_is_needed_and_where_it_lies(self):
        done = self.pull("org/model")
        self.assertEqual(done.stdout, f"{self.snapshot}\n")
        self.check_files(PLAIN)
        self.assertEqual((self.storage / "refs" / "main").read_text(), COMMIT)
        locks = {path.name for path in (self.cache / ".locks" / "models--org--model").iterdir()}
        repository = Repository(pictures_model())
        self.assertEqual(locks, {repository.etag(name) + ".lock" for name in PLAIN})
        # Again: the listing alone is asked for.
        self.hub.requests.clear()
        self.pull("org/model")
        self.assertFalse([path for path in self.hub.paths("GET") if "/resolve/" in path and "model_index" not in path])
        self.assertFalse(self.hub.paths("HEAD"))

    def test_variants(self):
        self.pull("org/model", "--variant", "fp16")
        fp16 = PLAIN - {WEIGHTS} | {"unet/diffusion_pytorch_model.fp16.safetensors"}
        self.check_files(fp16)
        self.refused_pull(3, "bf16", "org/model", "--variant", "bf16")
        del self.hub.repositories["org/model"].files[WEIGHTS]
        done = self.pull("org/model")
        self.assertIn("taking its weights of the variant fp16", done.stderr)
        self.check_files(fp16)

    def test_revisions(self):
        self.pull("org/model", "--revision", "refs/pr/1")
        self.assertEqual((self.storage / "refs" / "refs" / "pr" / "1").read_text(), COMMIT)
        self.assertFalse((self.storage / "refs" / "main").exists())
        self.pull(f"org/model@{COMMIT}")
        self.assertFalse((self.storage / "refs" / COMMIT).exists())

    def test_dry_run(self):
        done = self.pull("org/model", "--dry-run")
        self.assertIn("3.00 MB  " + WEIGHTS, done.stdout)
        self.assertIn("4 files, 3.00 MB; to download: 3.00 MB", done.stdout)
        self.assertNotIn("README", done.stdout)
        self.assertFalse(self.cache.exists())
        self.pull("org/model")
        self.assertIn("to download: 0 B", self.pull("org/model", "--dry-run").stdout)

    def test_gguf(self):
        files = {f"m.{name}.gguf": noise(index, 20_000) for index, name in enumerate(["Q4_K_M", "Q8_0"])}
        self.hub.repositories["org/model"] = Repository(files | {"README.md": b"x"})
        self.refused_pull(2, "m.Q8_0.gguf", "org/model")
        done = self.pull("org/model", "--include", "*Q4_K_M*")
        self.assertEqual(done.stdout, f"{self.snapshot / 'm.Q4_K_M.gguf'}\n")
        self.check_files({"m.Q4_K_M.gguf"}, files)
        self.pull("org/model", "--file", "m.Q8_0.gguf")
        self.check_files(set(files), files)
        self.refused_pull(3, "m.Q5.gguf", "org/model", "--file", "m.Q5.gguf")

    def test_lora(self):
        files = {"pytorch_lora_weights.safetensors": noise(1, 9000), "README.md": b"x", "a.png": b"y"}
        self.hub.repositories["org/model"] = Repository(files)
        self.pull("org/model")
        self.check_files({"pytorch_lora_weights.safetensors"}, files)

    def test_files_that_are_the_same_are_fetched_once(self):
        files = {"model_index.json": json.dumps({"a": ["x", "A"], "b": ["x", "B"]}).encode(),
                 "a/vocab.json": noise(7, 40_000), "b/vocab.json": noise(7, 40_000)}
        self.hub.repositories["org/model"] = Repository(files)
        self.pull("org/model")
        self.check_files(set(files), files)
        self.assertEqual(len([path for path in self.hub.paths("GET") if "vocab" in path]), 1)

    def test_a_hub_that_lists_no_hashes(self):
        self.hub.listed_etags = False
        self.pull("org/model")
        self.check_files(PLAIN)

    def test_a_repository_that_has_moved(self):
        self.hub.moved["old/model"] = "org/model"
        self.hub.repositories["org/model"].token = "hf_secret"
        folder = self.pull("old/model", HF_TOKEN="hf_secret").stdout.strip()
        self.assertEqual((pathlib.Path(folder) / WEIGHTS).read_bytes(), pictures_model()[WEIGHTS])

    def test_short_names(self):
        decoder, prior = "kandinsky-community/kandinsky-2-2-decoder", "kandinsky-community/kandinsky-2-2-prior"
        for name in (decoder, prior):
            self.hub.repositories[name] = Repository(pictures_model())
        rows = json.loads(self.longhand("models", "--json", env=self.environment).stdout)
        self.assertEqual([row["here"] for row in rows if row["name"] == "kandinsky22"], [None])
        self.assertEqual(len(self.pull("kandinsky22").stdout.splitlines()), 2)
        rows = json.loads(self.longhand("models", "--json", env=self.environment).stdout)
        here = [row["here"] for row in rows if row["name"] == "kandinsky22"]
        self.assertEqual(here, [str(self.cache / "models--kandinsky-community--kandinsky-2-2-decoder" / "snapshots" / COMMIT)])
        self.refused_pull(2, "embedded", "pocket")
        self.refused_pull(2, "short name", "nothing")
        self.refused_pull(2, "short name", "../etc/passwd")

    def test_models_are_listed(self):
        text = self.longhand("models", env=self.environment).stdout
        for words in ("sdxl ", "stabilityai/stable-diffusion-xl-base-1.0", "13.9 GB", "CreativeML Open RAIL++-M", "3.5 B"):
            self.assertIn(words, text)
        pocket = [row for row in json.loads(self.longhand("models", "--json", env=self.environment).stdout)
                  if row["name"] == "pocket"]
        self.assertEqual(pocket[0]["here"], str(ROOT / "models" / "pocket"))
        files = [file for file in (ROOT / "models" / "pocket").rglob("*") if file.is_file()]
        self.assertEqual(pocket[0]["download_bytes"], sum(file.stat().st_size for file in files))
        self.assertEqual(pocket[0]["parameters"], sum(math.prod(tensor["shape"]) for file in files if file.suffix == ".safetensors"
                                                      for name, tensor in header_of(file).items() if name != "__metadata__"))


class Tokens(HubCase):
    def test_the_token_goes_to_the_hub_alone(self):
        self.hub.repositories["org/model"] = Repository(pictures_model(), token="hf_secret", gated=True)
        self.pull("org/model", HF_TOKEN="hf_secret")
        self.check_files(PLAIN)
        storage = [request for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertTrue(storage)
        self.assertEqual({request["token"] for request in storage}, {None})
        hub = [request for request in self.hub.requests if not request["host"].startswith("localhost")]
        self.assertEqual({request["token"] for request in hub}, {"Bearer hf_secret"})

    def test_the_stored_token(self):
        self.hub.repositories["org/model"] = Repository(pictures_model(), token="hf_secret")
        (self.folder / "hf").mkdir()
        (self.folder / "hf" / "token").write_text("hf_secret\n")
        self.pull("org/model")
        self.check_files(PLAIN)

    def test_refusals_say_what_to_do(self):
        self.hub.repositories["org/model"] = Repository(pictures_model(), token="hf_secret", gated=True)
        page = f"{self.hub.endpoint}/org/model"
        for code, more in ((401, {}), (403, {"HF_TOKEN": "hf_other"})):
            done = self.pull("org/model", code=6, **more)
            self.assertIn(f"HTTP {code}", done.stderr)
            self.assertIn(f"accept the licence on {page}", done.stderr)
            self.assertIn("HF_TOKEN", done.stderr)
        self.refused_pull(3, "Check the name", "org/none")
        self.refused_pull(3, "check the name", "org/none", HF_TOKEN="hf_other")
        self.refused_pull(3, 'revision "v2"', "org/model", "--revision", "v2", HF_TOKEN="hf_secret")
        self.refused_pull(3, "there is no file x.gguf", "org/model", "--file", "x.gguf", HF_TOKEN="hf_secret")
        self.refused_pull(2, "token", "org/model", HF_TOKEN="hf\nsecret")


class Faults(HubCase):
    def test_a_connection_that_is_cut_goes_on(self):
        self.hub.cut[WEIGHTS] = 2
        done = self.pull("org/model")
        self.assertIn("trying again", done.stderr)
        self.check_files(PLAIN)
        ranges = [request["range"] for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertEqual(ranges, [None, "bytes=1500000-", "bytes=2250000-"])

    def test_cut_and_the_server_ignores_ranges(self):
        self.hub.cut[WEIGHTS], self.hub.ranges = 1, False
        self.pull("org/model")
        self.check_files(PLAIN)

    def test_cut_again_and_again_then_resumed(self):
        self.hub.repositories["org/model"] = Repository({"m.gguf": noise(1, 64)})
        self.hub.repositories["org/model"].large = 10
        self.hub.cut["m.gguf"] = 100
        self.refused_pull(6, "run the same command again to go on", "org/model")
        self.assertFalse((self.storage / "refs" / "main").exists())
        kept = list((self.storage / "blobs").glob("*.incomplete"))
        self.assertEqual(kept[0].read_bytes(), noise(1, 64)[:len(kept[0].read_bytes())])
        self.assertGreater(kept[0].stat().st_size, 32)
        self.hub.cut["m.gguf"] = 0
        self.hub.requests.clear()
        self.pull("org/model")
        self.assertEqual((self.snapshot / "m.gguf").read_bytes(), noise(1, 64))
        ranges = [request["range"] for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertRegex(ranges[0], r"bytes=\d+-")

    def test_a_server_that_is_busy_for_a_while(self):
        self.hub.busy[WEIGHTS] = 2
        self.assertIn("HTTP 503", self.pull("org/model").stderr)
        self.check_files(PLAIN)

    def test_a_wrong_hash(self):
        for name in (WEIGHTS, "unet/config.json"):
            self.hub.damaged[name] = 1
            done = self.pull("org/model", code=4)
            self.assertIn(f"{name} came with a wrong hash", done.stderr)
            self.assertIn("was removed", done.stderr)
            self.assertFalse((self.snapshot / name).exists())
            etag = Repository(pictures_model()).etag(name)
            self.assertFalse(list((self.storage / "blobs").glob(f"{etag}*")))
            shutil.rmtree(self.storage)
        self.pull("org/model")
        self.check_files(PLAIN)

    def test_a_damaged_start_of_an_earlier_run_is_fetched_anew(self):
        blobs = self.storage / "blobs"
        blobs.mkdir(parents=True)
        etag = Repository(pictures_model()).etag(WEIGHTS)
        (blobs / f"{etag}.incomplete").write_bytes(noise(99, 100_000))
        self.assertIn("damaged", self.pull("org/model").stderr)
        self.check_files(PLAIN)
        ranges = [request["range"] for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertEqual(ranges, ["bytes=100000-", None])

    def test_interrupted_then_resumed(self):
        self.hub.slow = 0.05
        process = self.start("pull", "org/model", env=self.environment)
        etag = Repository(pictures_model()).etag(WEIGHTS)
        part = self.storage / "blobs" / f"{etag}.incomplete"
        deadline = time.time() + 60
        while time.time() < deadline and not (part.exists() and part.stat().st_size > 300_000):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(b"run the same command again", err)
        self.assertFalse((self.storage / "refs" / "main").exists())
        stood = part.stat().st_size
        self.assertTrue(0 < stood < 3_000_000)
        self.hub.slow = 0
        self.hub.requests.clear()
        self.pull("org/model")
        self.check_files(PLAIN)
        ranges = [request["range"] for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertEqual(ranges, [f"bytes={stood}-"])

    def test_two_at_once_fetch_once(self):
        self.hub.slow = 0.01
        processes = [self.start("pull", "org/model", env=self.environment) for _ in range(2)]
        for process in processes:
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
        self.check_files(PLAIN)
        self.assertEqual(len([path for path in self.hub.paths("GET") if path.startswith("/org/model//")]), 1)

    def test_too_small_a_disk(self):
        self.hub.claimed_size[WEIGHTS] = 10 ** 16
        self.refused_pull(6, "HF_HUB_CACHE", "org/model")
        self.assertFalse(self.hub.paths("HEAD"))

    def test_a_disk_that_fills_up(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        done = self.longhand("pull", "org/model", code=6, env=self.environment, preexec_fn=limit)
        self.assertIn("cannot write", done.stderr)
        self.pull("org/model")
        self.check_files(PLAIN)

    def test_offline(self):
        self.refused_pull(6, "HF_HUB_OFFLINE is set", "org/model", HF_HUB_OFFLINE="1")
        self.pull("org/model")
        self.hub.requests.clear()
        self.assertEqual(self.pull("org/model", HF_HUB_OFFLINE="1").stdout, f"{self.snapshot}\n")
        self.refused_pull(6, "HF_HUB_OFFLINE is set", "org/model", "--dry-run", HF_HUB_OFFLINE="1")
        self.refused_pull(6, "not whole", "org/model", "--file", "other.gguf", HF_HUB_OFFLINE="1")
        self.assertEqual(self.hub.requests, [])

    def test_a_hub_that_is_none(self):
        self.refused_pull(6, "127.0.0.1:9", "org/model", HF_ENDPOINT="http://127.0.0.1:9")
        self.hub.repositories["org/model"].files["../../evil.json"] = b"{}"
        self.refused_pull(4, "evil.json", "org/model")

    def test_https(self):
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        secure = Hub((certificate, key))
        self.addCleanup(secure.close)
        secure.repositories["org/model"] = Repository(pictures_model())
        self.refused_pull(6, "certificate", "org/model", HF_ENDPOINT=secure.endpoint)
        self.pull("org/model", HF_ENDPOINT=secure.endpoint, SSL_CERT_FILE=str(certificate))
        self.check_files(PLAIN)


class BesideHuggingfaceHub(HubCase):
    def test_it_finds_what_longhand_pulled(self):
        self.pull("org/model")
        self.hub.requests.clear()
        out = self.python("""
print(snapshot_download("org/model"))
print(hf_hub_download("org/model", "unet/config.json"))
repo, = scan_cache_dir().repos
print(repo.repo_id, repo.size_on_disk, repo.nb_files)
revision, = repo.revisions
print(revision.commit_hash, *revision.refs)
print(scan_cache_dir().warnings)
""", HF_HUB_OFFLINE="1").splitlines()
        size = sum(len(pictures_model()[name]) for name in PLAIN)
        self.assertEqual(out, [str(self.snapshot), str(self.snapshot / "unet/config.json"), f"org/model {size} 4",
                               f"{COMMIT} main", "[]"])
        self.assertEqual(self.hub.requests, [])
        # Online, it fetches nothing of what is there.
        self.python(f'snapshot_download("org/model", allow_patterns={sorted(PLAIN)!r})')
        self.assertEqual([path for path in self.hub.paths("GET") if path.startswith("/org/model")], [])

    def test_longhand_finds_what_it_downloaded(self):
        self.python(f'snapshot_download("org/model", allow_patterns={sorted(PLAIN)!r})')
        self.hub.requests.clear()
        self.assertEqual(self.pull("org/model", HF_HUB_OFFLINE="1").stdout, f"{self.snapshot}\n")
        self.assertEqual(self.hub.requests, [])
        self.pull("org/model")
        self.assertFalse(self.hub.paths("HEAD"))
        self.assertFalse([path for path in self.hub.paths("GET") if "safetensors" in path])
        self.check_files(PLAIN)

    def test_longhand_takes_what_an_older_one_left_incomplete(self):
        etag = Repository(pictures_model()).etag(WEIGHTS)
        (self.storage / "blobs").mkdir(parents=True)
        (self.storage / "blobs" / f"{etag}.incomplete").write_bytes(pictures_model()[WEIGHTS][:1_234_567])
        self.pull("org/model")
        self.check_files(PLAIN)
        ranges = [request["range"] for request in self.hub.requests if request["host"].startswith("localhost")]
        self.assertEqual(ranges, ["bytes=1234567-"])

    def test_a_lock_that_it_holds_is_waited_for(self):
        etag = git_sha1(pictures_model()["unet/config.json"])
        lock = self.cache / ".locks" / "models--org--model" / f"{etag}.lock"
        lock.parent.mkdir(parents=True)
        holder = subprocess.Popen([sys.executable, "-c", f"""
from huggingface_hub.utils import WeakFileLock
with WeakFileLock({str(lock)!r}):
    print(flush=True)
    input()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdout.readline()
        process = self.start("pull", "org/model", env=self.environment)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(timeout=3)
        self.assertFalse((self.snapshot / "unet/config.json").exists())
        holder.communicate(b"\n")
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.check_files(PLAIN)


if __name__ == "__main__":
    unittest.main()
