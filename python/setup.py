"""Packs what `cmake --build build --target longhand_python_stub` makes; the project's tree stays where its data and models are."""
import pathlib
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "build/python/longhand"


class Build(build_py):
    def run(self):
        subprocess.run(["cmake", "--build", ROOT / "build", "--target", "longhand_python_stub"], check=True)
        super().run()
        target = pathlib.Path(self.build_lib) / "longhand"
        for file in [*BUILT.glob("_longhand*.so"), BUILT / "_longhand.pyi", BUILT / "py.typed"]:
            self.copy_file(str(file), str(target / file.name))
        (target / "home.txt").write_text(str(ROOT))


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(packages=["longhand"], cmdclass={"build_py": Build}, distclass=Binary)
