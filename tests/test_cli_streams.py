"""The command's streams: full, closed, and ``-`` for standard input and output."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell and /dev/full")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of Bash in a folder, where ``deeplab`` is the command; its status is that of the first to fail."""
    line = f"set -o pipefail; deeplab() {{ '{sys.executable}' -m deeplab \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["variants", "--help", "--version"])
def test_an_output_that_is_full_is_one_line(command: str, tmp_path: Path) -> None:
    ended = shell(f"deeplab {command} > /dev/full", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.decode() == (
        "error: cannot write to standard output: No space left on device; make room, or send it elsewhere\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_where_errors_cannot_be_said_the_status_says_it(tmp_path: Path) -> None:
    for closed in ("2> /dev/full", "2>&-"):
        ended = shell(f"deeplab verify nosuch.onnx {closed}", tmp_path)
        assert (ended.returncode, ended.stdout) == (1, b"")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    ended = shell("deeplab variants | head -c 1", tmp_path)
    assert (ended.stdout, ended.stderr) == (b"n", b"")


def test_closed_outputs_are_no_error(tmp_path: Path) -> None:
    assert shell("deeplab variants >&-", tmp_path).returncode == 0
    assert shell("deeplab variants 2>&-", tmp_path).stdout.startswith(b"name")


@pytest.fixture
def here(tmp_path: Path, photo: NDArray[np.uint8], tiny_model: Path) -> Path:
    """A folder with a photo, scores of two labels for it, and a model."""
    Image.fromarray(photo).save(tmp_path / "cat.png")
    scores = np.full((2, *photo.shape[:2]), 0.1, np.float32)
    scores[0, :30] = scores[1, 30:] = 0.9
    np.save(tmp_path / "scores.npy", scores)
    (tmp_path / "tiny.onnx").symlink_to(tiny_model)
    return tmp_path


def test_a_photo_comes_through_standard_input_and_its_label_map_through_standard_output(here: Path) -> None:
    common = "--no-crf --model tiny.onnx"
    assert shell(f"deeplab segment cat.png -o sub/labels.png {common}", here).returncode == 0
    assert sorted(path.name for path in (here / "sub").iterdir()) == ["labels.png", "labels_overlay.jpg"]
    piped = shell(f"deeplab segment - -o - {common} < cat.png", here)
    assert piped.returncode == 0
    assert piped.stdout == (here / "sub" / "labels.png").read_bytes()
    assert piped.stderr.startswith("standard input → standard output: ".encode())
    named = shell(f"deeplab segment - -o out {common} < cat.png", here)
    assert named.stdout.startswith(b"standard input \xe2\x86\x92 out/stdin.png, out/stdin_overlay.jpg: ")
    assert (here / "out" / "stdin.png").read_bytes() == piped.stdout
    nothing = shell(f"deeplab segment - -o - {common} < /dev/null", here)
    assert (nothing.returncode, nothing.stdout) == (1, b"")
    assert b"error: standard input is empty" in nothing.stderr


def test_refine_takes_and_gives_streams_too(here: Path) -> None:
    assert shell("deeplab refine cat.png --scores scores.npy -o labels.png", here).returncode == 0
    for command in ("- --scores scores.npy -o - < cat.png", "cat.png --scores - -o - < scores.npy"):
        piped = shell(f"deeplab refine {command}", here)
        assert (piped.returncode, piped.stdout) == (0, (here / "labels.png").read_bytes())
    both = shell("deeplab refine - --scores - -o x.png < cat.png", here)
    assert both.stderr == b"error: standard input (-) is one file; give the other by its name\n"
    assert b"takes one file" in shell("deeplab refine cat.png --scores scores.npy -o - --overlay", here).stderr


def test_refine_takes_a_photo_from_the_web(here: Path) -> None:
    class Answers(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, directory=str(here))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        taken = shell(f"deeplab refine '{address}/cat.png?size=1' --scores scores.npy -o web.png", here)
        missing = shell(f"deeplab refine {address}/none.png --scores scores.npy -o none.png", here)
        server.shutdown()
    assert shell("deeplab refine cat.png --scores scores.npy -o file.png", here).returncode == 0
    assert (here / "web.png").read_bytes() == (here / "file.png").read_bytes()
    assert f"{address}/cat.png?size=1 → web.png: ".encode() in taken.stdout
    assert f"{address}/none.png cannot be read (the server says 404".encode() in missing.stderr
    assert not (here / "none.png").exists()
