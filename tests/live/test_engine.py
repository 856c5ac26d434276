"""The live page's computing, in Node: as in Python, step by step."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab import Segmenter
from deeplab.images import read_image, shrunk
from deeplab.planes import Planes

ROOT = Path(__file__).parents[2]


def computed(engine: Path, folder: Path, photo: NDArray[np.uint8] | None = None, **asked: Any) -> None:
    """Have Node do a task of compute.mjs in a folder."""
    if shutil.which("node") is None:
        pytest.skip("needs node (apt install nodejs)")
    if photo is not None:
        height, width = photo.shape[:2]
        alpha = np.full((height, width), 255, np.uint8)
        (folder / "photo.bin").write_bytes(np.dstack([photo, alpha]).tobytes())
        asked["size"] = [width, height]
    (folder / "asked.json").write_text(json.dumps(asked))
    script = Path(__file__).with_name("compute.mjs")
    done = subprocess.run(["node", script, engine, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SOURCES = ROOT / "live" / "engine"


@pytest.mark.parametrize(
    ("size", "factor"), [((37, 53), 0.5), ((64, 48), 0.99), ((200, 3), 0.13), ((5, 9), 0.01), ((41, 41), 1.5)]
)
def test_photos_shrink_as_in_python(size: tuple[int, int], factor: float, tmp_path: Path) -> None:
    photo = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    photo[: size[0] // 2] = photo[: size[0] // 2] // 128 * 255  # overshoots at edges, where values are clipped
    computed(SOURCES, tmp_path, photo, task="shrunk", factor=factor)
    expected = shrunk(photo, factor)
    found = np.fromfile(tmp_path / "small.bin", np.uint8).reshape(*expected.shape[:2], 4)
    rounding = 2  # twice, along each side; Pillow 13 begins with the one or the other
    assert np.abs(found[..., :3].astype(int) - expected).max() <= rounding
    assert (found[..., :3] == expected).mean() > 0.5
    assert (found[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("size", "seen", "cells", "stride"),
    [((33, 41), (33, 41), (5, 6), 8), ((70, 50), (33, 24), (5, 4), 8), ((20, 20), (17, 17), (17, 17), 1)],
)
def test_scores_become_probabilities_as_in_python(
    size: tuple[int, int], seen: tuple[int, int], cells: tuple[int, int], stride: int, tmp_path: Path
) -> None:
    scores = np.random.default_rng(4).normal(0, 5, (4, *cells)).astype(np.float32)
    (tmp_path / "scores.bin").write_bytes(scores.tobytes())
    computed(
        SOURCES, tmp_path, task="planes", size=size[::-1], seen=seen[::-1], labels=4, rows=cells[0], columns=cells[1],
        stride=stride,
    )  # fmt: skip
    planes = Planes(scores, size, seen, stride, are_scores=True)
    found = np.fromfile(tmp_path / "probabilities.bin", np.float32).reshape(4, *size)
    np.testing.assert_allclose(found, planes.probabilities(), rtol=0, atol=1e-6)
    labels = np.fromfile(tmp_path / "labels.bin", np.uint8).reshape(size)
    assert (labels == planes.likeliest()[0]).mean() > 0.999


def test_a_photo_is_seen_and_refined_as_in_python(live: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    photo = read_image(ROOT / "examples" / "coffee.jpg")  # larger than what the network sees
    computed(live / "static" / "engine", tmp_path, photo, task="look")
    look = segmenter.look(photo)
    scores = np.fromfile(tmp_path / "scores.bin", np.float32).reshape(look.scores.shape)
    assert (scores.argmax(0) == look.scores.argmax(0)).mean() >= 0.999
    labels = np.fromfile(tmp_path / "labels.bin", np.uint8).reshape(photo.shape[:2])
    assert (labels == look.refined().labels).mean() >= 0.999
