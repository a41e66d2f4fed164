#!/usr/bin/env python3
"""A table of Open Clip Art's drawings with what people wrote of them, from Debian's package openclipart-svg (public domain).

    apt-get install openclipart-svg
    runs/openclipart/table.py --out runs/out/openclipart/drawings.jsonl

A row has Image (the drawing's path), Title, Description and Keywords. Of a series with one title in one folder (stars, arrows)
three are taken, of equal files one; drawings without a title, and files that are no whole SVG, are passed over."""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
CC = "{http://web.resource.org/cc/}"
OF_A_SERIES = 3


def words(text):
    return " ".join((text or "").replace("_", " ").split())


def about(path):
    """What a drawing's own metadata says of it; None without a title."""
    work = ElementTree.parse(path).getroot().find(f".//{CC}Work")
    if work is None:
        return None
    title = words(work.findtext(f"{DC}title"))
    keywords = [words(each.text) for each in work.findall(f"{DC}subject/{RDF}Bag/{RDF}li")]
    row = {
        "Image": str(path),
        "Title": title,
        "Description": words(work.findtext(f"{DC}description")),
        "Keywords": ", ".join(each for each in keywords if each),
    }
    return row if title else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawings", type=pathlib.Path, default=pathlib.Path("/usr/share/openclipart/svg"), help="folder of .svg files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a .jsonl file")
    arguments = parser.parse_args()
    paths = sorted(arguments.drawings.rglob("*.svg"))
    if not paths:
        sys.exit(f"{arguments.drawings} has no .svg files; apt-get install openclipart-svg, or name another folder with --drawings")

    rows, broken, series, seen = [], 0, collections.Counter(), set()
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            row = about(path)
        except ElementTree.ParseError:
            broken += 1
            continue
        if row is None:
            continue
        series[path.parent, row["Title"].lower()] += 1
        if series[path.parent, row["Title"].lower()] <= OF_A_SERIES:
            rows.append(row)

    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    begun = arguments.out.with_suffix(".begun")
    begun.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(begun, arguments.out)
    print(f"{len(rows)} of {len(paths)} drawings ({broken} are no whole SVG): {arguments.out}")


if __name__ == "__main__":
    main()
