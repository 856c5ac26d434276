"""-q, -v, and what the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def segment(
    run: Run, tmp_path: Path, photo: NDArray[np.uint8], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Segment a photo and one that is missing."""
    Image.fromarray(photo).save(tmp_path / "one.jpg")
    monkeypatch.chdir(tmp_path)
    return lambda *options: run(
        "segment", "one.jpg", "missing.jpg", "-o", "out", "--force", "--model", str(tiny_model), *options
    )


def test_quiet_leaves_results_and_errors(segment: Run) -> None:
    plain, quiet = segment(), segment("-q")
    assert quiet.out == plain.out
    assert quiet.err == "error: missing.jpg: no such file; check the spelling\n"
    assert quiet.status == 1


def test_verbose_says_what_runs_and_where_an_error_arose(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    command = [sys.executable, "-m", "deeplab", "segment", "missing.jpg", "--model", str(tiny_model), "-v"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1
    first, *middle, last = said.stderr.splitlines()
    assert first.startswith("deeplab 0.")
    assert "onnxruntime" in first
    assert "Traceback (most recent call last):" in middle
    assert last.startswith("took ")
    said = subprocess.run([*command, "--min-confidence", "7"], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" in said.stderr
    assert said.stderr.splitlines()[-1].startswith("error: the least confidence must lie in 0–1")
    refused = run("segment", "missing.jpg", "-q", "-v")
    assert refused.err == "error: --quiet says less and --verbose more; give one of the two\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deeplab seg", ["segment"]),
        ("deeplab segment --bilateral-r", ["--bilateral-rgb-std"]),
        ("deeplab segment --model voc-l", ["voc-largefov"]),
        ("deeplab segment --quality ", ["fast", "best"]),
        ("deeplab cutout --class aero", ["aeroplane"]),
        ("deeplab cutout --model camvid-largefov --class sk", ["sky"]),
        ("deeplab evaluate --data . --classes cat,aero", ["cat,aeroplane"]),
        ("deeplab cutout --model nothing.onnx --class aero", [""]),
        ("deeplab check-data . --reader cityscape", ["cityscapes"]),
        ("deeplab download camv", ["camvid"]),
        ("deeplab reproduce cam", ["camvid"]),
    ],
)
def test_the_shell_completes(line: str, words: list[str]) -> None:
    assert completed(line) == words


def test_the_shell_completes_recipes() -> None:
    assert "shipped/camvid-largefov" in completed("deeplab train shipped/camvid")
    assert completed("deeplab recipes show largefov-c") == ["largefov-camvid"]


def completed(line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    asked = {"_DEEPLAB_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    program = "from deeplab.cli import app; app(prog_name='deeplab')"
    return (
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | asked, capture_output=True, text=True, check=True
        )
        .stdout.rstrip("\n")
        .split("\n")
    )
