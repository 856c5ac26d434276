"""The same job on a Ray cluster of two workers on this machine, with one killed on the way.

Run with ``pip install '.[ray]'``; half a minute on two cores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray", reason="needs the extra ray: pip install '.[ray]'")

Start = Callable[..., "subprocess.Popen[str]"]

COUNT = 40
PATIENCE_S = 600  # only so that a test that hangs ends


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos/``, one of them damaged."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "photos").mkdir()
    random = np.random.default_rng(5)
    for number in range(COUNT):
        noise = random.integers(0, 256, (20, 25, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((500, 400)).save(folder / "photos" / f"{number:02}.png")
    (folder / "photos" / "07.png").write_text("no photo")
    return folder


@pytest.fixture
def start(album: Path, tiny_model: Path) -> Iterator[Start]:
    """Return a function that starts ``deeplab segment`` in the album; what still runs at the end is killed."""
    with ExitStack() as stack:

        def start(photos: str, output: str, *options: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "deeplab", "segment", photos, "-o", output, "--model", str(tiny_model)]
            process = subprocess.Popen(
                [*command, *options], cwd=album, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]


def processes_below(ancestor: int) -> dict[int, str]:
    """The command lines of all processes that come from one, by their numbers."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    found = {ancestor: ""}
    for _ in range(4):
        found |= {int(row[0]): row[2] for row in rows if int(row[1]) in found and len(row) == 3}
    return found


def kill_a_worker(process: subprocess.Popen[str]) -> None:
    workers = [number for number, title in processes_below(process.pid).items() if title.startswith("ray::MapWorker")]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)


def wait_for_lines(process: subprocess.Popen[str], file: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(lines(file)) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_killed_on_the_way_loses_and_repeats_nothing(album: Path, start: Start) -> None:
    alone = start("photos", "alone")
    process = start("photos", "ray", "--ray", "--threads", "2")
    wait_for_lines(process, album / "ray" / "manifest.jsonl", 3)
    kill_a_worker(process)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, err
    assert "error: photos/07.png is not an image" in err
    said = [line for line in out.splitlines() if line.startswith("photos/")]  # Ray says what died here too
    assert len(said) == len(set(said)) == COUNT - 1

    alone.communicate(timeout=PATIENCE_S)
    made, expected = (
        {line["file"]: (line["outputs"], line["error"] is None) for line in lines(album / name / "manifest.jsonl")}
        for name in ("ray", "alone")
    )
    assert len(lines(album / "ray" / "manifest.jsonl")) == len(made) == COUNT
    assert made == expected  # SHA-256 of every result


def test_killed_itself_it_goes_on_where_it_was_from_an_address_too(album: Path, start: Start) -> None:
    address = f"file://{album.as_posix()}/photos"
    process = start(address, "again", "--ray", "--threads", "2")
    wait_for_lines(process, album / "again" / "manifest.jsonl", 5)
    process.kill()
    process.communicate()
    before = lines(album / "again" / "manifest.jsonl")
    process = start(address, "again", "--ray", "--threads", "2")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, err
    done = sum(line["error"] is None for line in before)
    assert f"{done} of {COUNT} photos are done already" in err
    assert len(out.splitlines()) == COUNT - 1 - done
    assert len({line["file"] for line in lines(album / "again" / "manifest.jsonl")}) == COUNT
