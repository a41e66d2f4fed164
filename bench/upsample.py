"""Lengthening DrawBench with the default model: `longhand upsample` against llama.cpp's own server.

Usage: setup/llama.sh bench && .venv/bin/python bench/upsample.py [--rounds 3] [--every 10] [--parallel 4]
The loop sends each prompt with the whole template, one after the other, with the server's prompt cache off, as
caption-upsampling's pipeline works; the other side sends --parallel at once with the cache on. All read the same GGUF, sample
alike and use all processors. Seconds are those of a prompt: the server, which takes as long for each, is given every tenth of
the 200 (--every), longhand all of them, from process start to the last caption.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from side_by_side import interleaved, run, table

ROOT = pathlib.Path(__file__).parent.parent
GGUF = ROOT / ".deps/models/SmolLM2-135M-Instruct.Q4_1.gguf"
PORT = 18080  # and the next


def prompts(every: int) -> list:
    with open(ROOT / "data/prompts/drawbench.csv") as file:
        return [row["Prompts"] for row in csv.DictReader(file)][::every]


class Server:
    """Answers so many requests at once; with one, it forgets a prompt before the next."""

    def __init__(self, parallel: int, port: int):
        self.parallel, self.port = parallel, port

    def __enter__(self):
        self.process = subprocess.Popen(
            [ROOT / ".deps/llama/bin/llama-server", "-m", GGUF, "--port", str(self.port), "-t", str(os.cpu_count()),
             "-np", str(self.parallel), "-c", str(2048 * self.parallel)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health").read()
                return self
            except OSError:
                time.sleep(0.1)
        raise SystemExit("llama-server does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def lengthen(self, prompt: str) -> str:
        template = json.loads((ROOT / "data/templates/dalle3.json").read_text())
        messages = [{"role": "system", "content": template["system"]}]
        for turn in template["turns"] + [{"user": prompt}]:
            messages += [{"role": "user", "content": template["user"].replace("{prompt}", turn["user"])}]
            messages += [{"role": "assistant", "content": turn["assistant"]}] if "assistant" in turn else []
        body = {"messages": messages, "temperature": 0.7, "top_k": 50, "top_p": 0.95, "max_tokens": 256, "seed": 0,
                "cache_prompt": self.parallel > 1}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]

    def seconds(self, chosen: list) -> float:
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.parallel) as pool:
            list(pool.map(self.lengthen, chosen))
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--parallel", type=int, default=4, help="requests at once of the second side")
    arguments = parser.parse_args()
    some, all_of_them = prompts(arguments.every), prompts(1)
    parallel = arguments.parallel
    with tempfile.TemporaryDirectory() as folder, Server(1, PORT) as loop, Server(parallel, PORT + 1) as several:
        listed = pathlib.Path(folder) / "prompts.txt"
        listed.write_text("\n".join(all_of_them) + "\n")

        def ours(engine: str, candidates: int) -> float:
            return run([ROOT / "build/longhand", "upsample", "--prompts", listed, "--engine", engine, "--candidates", str(candidates),
                        "--out", f"{folder}/captions.jsonl", "--overwrite"]) / len(all_of_them)

        seconds = interleaved({
            "loop over llama-server, prompt cache off": lambda: loop.seconds(some) / len(some),
            f"llama-server, {parallel} requests at once, cache on": lambda: several.seconds(some) / len(some),
            "longhand upsample, llama.cpp, 1 candidate": lambda: ours("llama.cpp", 1),
            "longhand upsample, torch, 1 candidate": lambda: ours("torch", 1),
            "longhand upsample, torch, 4 candidates": lambda: ours("torch", 4)}, arguments.rounds, warmup=0)
        for reference in list(seconds)[:2]:
            print(table(seconds, reference) + "\n")


if __name__ == "__main__":
    main()
