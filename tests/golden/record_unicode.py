"""Writes src/text/unicode_additions.inc: letters, numbers and lower cases that the reference tokenizer knows
and Unicode 14 (Python 3.11's, older than any ICU in use) does not.

Usage: .venv/bin/python tests/golden/record_unicode.py
"""
import pathlib
import unicodedata

from record_tokenizer import reference_tokenizer

OUT = pathlib.Path(__file__).parent.parent.parent / "src" / "text" / "unicode_additions.inc"


def ranges(points: list) -> list:
    found = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def main() -> None:
    assert unicodedata.unidata_version == "14.0.0", "run it with Python 3.11, so that the result is the same"
    tokenizer = reference_tokenizer().backend_tokenizer
    normalize = tokenizer.normalizer.normalize_str
    pieces = lambda text: len(tokenizer.pre_tokenizer.pre_tokenize_str(text))
    letters, numbers, lower = [], [], []
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000:
            continue
        char = chr(point)
        new = unicodedata.category(char) == "Cn"
        small = normalize(char)
        if small != char and len(small) == 1 and unicodedata.normalize("NFC", char).lower() != small and not char.isspace():
            lower.append((point, ord(small)))
        if not new or small == " " or len(small) != 1:
            continue
        if pieces("a" + small) == 1:
            letters.append(point)
        elif pieces(small + small) == 2:
            numbers.append(point)
    lines = [f"// Written by {pathlib.Path(__file__).name}: what the reference knows beyond Unicode 14."]
    for name, points in (("added_letters", letters), ("added_numbers", numbers)):
        lines.append(f"constexpr CodeRange {name}[] = {{")
        lines += [f"    {{0x{a:X}, 0x{b:X}}}," for a, b in ranges(points)] + ["};"]
    lines.append("constexpr CodePair added_lower_cases[] = {")
    lines += [f"    {{0x{a:X}, 0x{b:X}}}," for a, b in lower] + ["};"]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
