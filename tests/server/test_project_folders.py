"""`deeplab serve --project FOLDER` as a process of its own: killed, started again, and kept from others."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.labels import VOC
from deeplab.teach import Project

DOT = {"kind": "stroke", "label": 8, "points": [[20, 20]], "width_px": 9}


def test_a_server_that_is_killed_loses_nothing_that_it_answered(
    start_server: Callable[..., Any], photo_png: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "cats"
    Project.open(folder, use="correct", model="tiny", classes=VOC)
    server = start_server("--project", str(folder), "--timeout-s", "300")
    url = f"{server.url}/api/v1/projects/project"
    with httpx.Client(timeout=300) as client:
        photo = client.post(f"{url}/photos", files={"photo": ("a.png", photo_png)}).json()
        marks: list[Any] = []
        for x in range(10, 80, 10):
            version = client.get(url).json()["version"]
            marks = [*marks, {**DOT, "points": [[x, 20]]}]
            assert client.put(f"{url}/photos/1/marks", json={"version": version, "marks": marks}).status_code == 200

    def ask() -> None:
        with suppress(httpx.HTTPError):
            while True:
                httpx.post(f"{url}/photos/1/segment", json={}, timeout=300).raise_for_status()

    asking = Thread(target=ask)
    asking.start()
    server.kill()
    asking.join()
    again = start_server("--project", str(folder), "--timeout-s", "300")
    url = f"{again.url}/api/v1/projects/project"
    said = httpx.get(url, timeout=300).json()
    assert said["version"] == version + 1
    assert said["photos"] == [{**photo, "marks": 7, "classes": [8]}]
    assert httpx.get(f"{url}/photos/1/marks", timeout=300).json()["marks"] == marks
    planes = httpx.post(f"{url}/photos/1/segment", json={}, timeout=300).content
    labels = np.frombuffer(planes, np.uint8)[: 60 * 90].reshape(60, 90)
    assert (labels[20, 10:80:10] == 8).all()


def test_a_folder_is_one_servers_at_a_time(
    start_server: Callable[..., Any], run: Any, tmp_path: Path, tiny_model: Path
) -> None:
    folder = tmp_path / "cats"
    start_server("--project", str(folder))
    arguments = ("serve", "--no-open", "--port", "0", "--model", str(tiny_model), "--project", str(folder))
    outcome = run(*arguments)
    assert outcome.status == 1
    assert "another run is at work in" in outcome.err
    assert "choose another folder (--project)" in outcome.err
    assert run("teach", str(folder), "-o", str(tmp_path / "mine.onnx")).status == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"deeplab project": 9}, "is of format 9; this deeplab reads format 1"),
        ([1, 2], "is no project of deeplab's; choose another folder"),
        (None, "works with the model 'voc-largefov-of-mine'; serve that one: --model"),
    ],
)
def test_folders_that_cannot_be_opened(run: Any, tmp_path: Path, tiny_model: Path, content: Any, says: str) -> None:
    Project.open(tmp_path / "mine", model="voc-largefov-of-mine")
    if content is not None:
        (tmp_path / "mine" / "project.json").write_text(json.dumps(content))
    outcome = run("serve", "--no-open", "--port", "0", "--model", str(tiny_model), "--project", str(tmp_path / "mine"))
    assert outcome.status == 1
    assert says in outcome.err.strip().splitlines()[-1]


def test_a_folder_that_is_a_file(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("no folder")
    outcome = run("serve", "--no-open", "--port", "0", "--project", str(tmp_path / "mine"))
    assert outcome.status == 1
    assert "cannot make folder" in outcome.err
    assert "choose another with --project" in outcome.err


def test_a_projects_model_file_is_written_by_deeplab_teach(run: Any, tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    folder, model = tmp_path / "mine", tmp_path / "mine.onnx"
    assert (
        "it is no project either: say where its photos' marks are (--marks)"
        in run("teach", str(tmp_path), "-o", str(model)).err
    )
    project = Project.open(folder, classes=["sky", "sand"])
    Image.fromarray(photo).save(tmp_path / "a.png")
    key = project.add(tmp_path / "a.png").id
    assert "nothing is marked yet" in run("teach", str(folder), "-o", str(model)).err
    project.put_marks(key, [{**DOT, "label": 0}, {**DOT, "label": 1, "points": [[20, 50]]}])
    assert "leave --model out" in run("teach", str(folder), "-o", str(model), "--model", "voc-largefov").err
    outcome = run("teach", str(folder), "-o", str(model))
    assert (outcome.status, outcome.out) == (0, f"{model}: sky, sand, from 1 photo\n")
    assert "exists; give --force" in run("teach", str(folder), "-o", str(model)).err
