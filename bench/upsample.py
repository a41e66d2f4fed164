"""Lengthening DrawBench with the default model: `longhand upsample` against a loop over llama.cpp's own server.

Usage: setup/llama.sh bench && .venv/bin/python bench/upsample.py [--rounds 3] [--every 1]
The loop sends each prompt with the whole template, one after the other, with the server's prompt cache off, as
caption-upsampling's pipeline works; both read the same GGUF, sample alike and use all processors. --every 4 takes every
fourth prompt.
"""
import argparse
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
PORT = 18080


def prompts(every: int) -> list:
    with open(ROOT / "data/prompts/drawbench.csv") as file:
        return [row["Prompts"] for row in csv.DictReader(file)][::every]


class Server:
    def __enter__(self):
        self.process = subprocess.Popen(
            [ROOT / ".deps/llama/bin/llama-server", "-m", GGUF, "--port", str(PORT), "-t", str(os.cpu_count()), "-np", "1",
             "-c", "2048"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health").read()
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
                "cache_prompt": False}
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    chosen = prompts(arguments.every)
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        listed = pathlib.Path(folder) / "prompts.txt"
        listed.write_text("\n".join(chosen) + "\n")

        def loop() -> float:
            began = time.monotonic()
            for prompt in chosen:
                server.lengthen(prompt)
            return time.monotonic() - began

        def ours(candidates: int) -> float:
            return run([ROOT / "build/longhand", "upsample", "--prompts", listed, "--candidates", str(candidates), "--out",
                        f"{folder}/captions.jsonl", "--overwrite"])

        print(f"{len(chosen)} prompts of DrawBench, from process start to the last caption:\n")
        print(table(interleaved({
            "loop over llama-server, prompt cache off": loop,
            "longhand upsample, 1 candidate": lambda: ours(1),
            "longhand upsample, 4 candidates": lambda: ours(4)}, arguments.rounds, warmup=0),
            "loop over llama-server, prompt cache off"))


if __name__ == "__main__":
    main()
