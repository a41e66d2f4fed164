"""The rules of the house that a program can check: who includes whom, file lengths, no loose ends."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent
MIDDLE = {"text", "llm", "models", "diffusion"}
MAY_USE = {"core": set(), "io": {"core"}, "nn": {"core", "io"}}
MAY_USE |= {folder: {"core", "io", "nn"} for folder in MIDDLE}
MAY_USE["pipeline"] = {"core", "io", "nn"} | MIDDLE
MAY_USE |= {folder: MAY_USE["pipeline"] | {"pipeline", "world", "train", "eval"} for folder in ("world", "train", "eval")}
MAY_USE |= {folder: MAY_USE["world"] | {"server"} for folder in ("server", "cli")}
ONLY = {"llama.h": {"llm"}, "cpp-httplib": {"llm", "server"}, "arrow/": {"io"}, "parquet/": {"io"}, "vips": {"io"}, "curl/": {"io"},
        "mpi.h": {"train"}}


def named_twice(headers: dict) -> list:
    """Classes of one name in two headers: a linker takes one's functions for the other's, and says nothing."""
    places = {}
    for name, text in headers.items():
        for each in re.findall(r"^(?:class|struct) (\w+)(?: final)?(?: : [^;{]*)? \{", text, re.MULTILINE):
            places.setdefault(each, []).append(name)
    return [f"{each}: a class in {' and in '.join(names)}; give one another name" for each, names in places.items() if len(names) > 1]


def problems() -> list:
    found, headers = [], {}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix not in {".cpp", ".h", ".py", ".cmake", ".txt", ".sh"} or name.startswith(("data/", "models/")):
            continue
        text = path.read_text()
        if len(text.splitlines()) > 600:
            found.append(f"{name}: {len(text.splitlines())} lines; at most 600")
        if re.search(r"\b(TODO|FIXME|XXX)\b", text) and "structure.py" not in name:
            found.append(f"{name}: a loose end (TODO and the like)")
        parts = path.relative_to(ROOT).parts
        if parts[0] != "src" or path.suffix not in {".cpp", ".h"}:
            continue
        if path.suffix == ".h":
            headers[name] = text
        for included in re.findall(r'#include ["<]([^">]+)[">]', text):
            folder = included.split("/")[0]
            if folder in MAY_USE and folder != parts[1] and folder not in MAY_USE[parts[1]]:
                found.append(f"{name}: {parts[1]}/ may not include {included}")
            for start, users in ONLY.items():
                if included.startswith(start) and parts[1] not in users:
                    found.append(f"{name}: only {users} may include {included}")
    return found + named_twice(headers)


if __name__ == "__main__":
    for problem in problems():
        print(problem)
    sys.exit(1 if problems() else 0)
