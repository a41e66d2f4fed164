"""Longhand: write a few words; get the picture you meant.

    import longhand
    captions = longhand.Upsampler().upsample(["a red car", "two dogs on the beach"])
    pictures = longhand.Painter().paint([caption.caption for caption in captions], seeds=[0, 1])  # [2, 128, 128, 3]
    longhand.images(pictures)[0].save("car.png")

Models are loaded once, when an Upsampler or a Painter is made; the interpreter's lock is released while they work. Errors are
ValueError (bad arguments, broken files), FileNotFoundError, MemoryError, or longhand.Error.
"""
import os
import pathlib


def _home() -> pathlib.Path:
    """The project's tree, with data/ and models/: above this file, or where the wheel was built."""
    here = pathlib.Path(__file__).resolve().parent
    built = here / "home.txt"
    candidates = [*here.parents, *([pathlib.Path(built.read_text())] if built.exists() else [])]
    return next((each for each in candidates if (each / "data/templates").is_dir() and (each / "models").is_dir()), here)


os.environ.setdefault("LONGHAND_HOME", str(_home()))

from ._longhand import Caption, Error, Painter, Upsampler  # noqa: E402

__all__ = ["Caption", "Error", "Painter", "Upsampler", "images"]


def images(pictures) -> list:
    """[n, height, width, 3], uint8, as PIL's images."""
    from PIL import Image
    return [Image.fromarray(picture) for picture in pictures]
