"""Runs the binary as a person does, and looks at what it leaves."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parent.parent.parent
BINARY = pathlib.Path(os.environ.get("LONGHAND_BINARY", ROOT / "build" / "longhand"))
OTHER_DEVICE = pathlib.Path(os.environ.get("LONGHAND_OTHER_DEVICE", ROOT / "build" / "tests" / "libother_device.so"))


class Case(unittest.TestCase):
    def setUp(self):
        self._scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self._scratch.cleanup)
        self.folder = pathlib.Path(self._scratch.name)

    def start(self, *arguments, **options) -> subprocess.Popen:
        return subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def longhand(self, *arguments, code: int = 0, **options) -> subprocess.CompletedProcess:
        """Runs to the end, checks the exit code, and returns what was printed, as text."""
        done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, timeout=600, **options)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stderr}")
        return done

    def refused(self, code: int, words: str, *arguments, **options) -> None:
        """Ends with the code and a message with these words."""
        done = self.longhand(*arguments, code=code, **options)
        self.assertIn(words, done.stderr)

    def rows(self, path) -> list:
        return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
