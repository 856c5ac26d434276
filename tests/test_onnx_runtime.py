"""Nothing phones home: no device id, no queue of events, no look-up of names, in whatever process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
IMPORTS = re.compile(r"^\s*(import|from) onnxruntime\b|import_module\(.onnxruntime|importorskip\(.onnxruntime", re.M)
LATEST_S = 12
"""ONNX Runtime 1.32 first looks its makers' host up nine seconds after its start."""

SEGMENT_AND_STAY = """
import sys, time
from deeplab import Segmenter
Segmenter.from_pretrained(sys.argv[1], threads=1)(sys.argv[2])
time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def at_home(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home, and nothing that would tell ONNX Runtime to be silent, such as CI."""
    (tmp_path / "home").mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def photo_file(tmp_path: Path, photo: Any) -> Path:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_one_module_alone_imports_onnx_runtime() -> None:
    folders = ("src", "tests", "benchmarks", "docs", "examples")
    files = [file for name in folders for kind in ("*.py", "*.md") for file in (ROOT / name).rglob(kind)]
    importers = [file.name for file in [*files, ROOT / "README.md"] if IMPORTS.search(file.read_text("utf-8"))]
    assert importers == ["onnx_runtime.py"]


@pytest.mark.parametrize("command", ["segment {photo} -o {out} --model {model}", "verify {model}"])
def test_a_command_leaves_nothing_in_a_fresh_home(
    command: str, at_home: dict[str, str], photo_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    places = {"photo": photo_file, "out": tmp_path / "out", "model": tiny_model}
    arguments = [argument.format(**places) for argument in command.split()]
    subprocess.run([sys.executable, "-m", "deeplab", *arguments], env=at_home, capture_output=True, cwd=tmp_path)
    assert list((tmp_path / "home").rglob("*")) == []


def test_a_program_that_stays_opens_no_connection(
    at_home: dict[str, str], photo_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("needs strace, and leave to trace")
    log = tmp_path / "calls"
    program = [sys.executable, "-c", SEGMENT_AND_STAY, str(tiny_model), str(photo_file), str(LATEST_S)]
    subprocess.run([strace, "-f", "-qq", "-e", "trace=network", "-o", str(log), *program], env=at_home, check=True)
    assert re.findall(r".*(?:AF_INET|nscd).*", log.read_text()) == []  # a look-up of a name asks one of them
    assert list((tmp_path / "home").rglob("*")) == []
