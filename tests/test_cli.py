from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import __version__, models
from deeplab.label_maps import read_label_map
from deeplab.segment import Segmentation, Segmenter

Run = Callable[..., Any]


@pytest.fixture
def album(tmp_path: Path, tiny_model: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three photos in a folder; the tiny network is the only shipped model."""
    (tmp_path / "photos").mkdir()
    for name in ("one.jpg", "two.png", "three.webp"):
        Image.fromarray(photo).save(tmp_path / "photos" / name)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "voc-largefov.onnx").symlink_to(tiny_model)
    monkeypatch.setattr(models, "_FOLDER", shelf)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


@pytest.mark.usefixtures("album")
def test_one_photo(run: Run) -> None:
    status, out, err = run("segment", "../photos/one.jpg")
    assert (status, err) == (0, "")
    assert files() == ["one.png", "one_overlay.jpg"]
    assert out.startswith("../photos/one.jpg → one.png, one_overlay.jpg: ")
    assert out.rstrip().endswith(" %")
    assert read_label_map("one.png").shape == (60, 90)
    with Image.open("one_overlay.jpg") as overlay:
        assert overlay.size == (90, 60)


@pytest.mark.usefixtures("album")
def test_an_output_that_is_called_as_a_picture_is_a_file(run: Run) -> None:
    assert run("segment", "../photos/one.jpg", "-o", "labels.png").status == 0
    assert files() == ["labels.png", "labels_overlay.jpg"]
    for arguments, message in (
        (("../photos", "-o", "all.png"), "all.png is one file, but there are 3 photos; name a folder"),
        (("../photos/one.jpg", "-o", "all.jpg"), "all.jpg: label maps are written as PNG"),
        (("clip.mp4", "-o", "all.mp4"), "all.mp4 is no folder, but a video's results need one"),
    ):
        refused = run("segment", *arguments)
        assert refused.status == 1
        assert refused.err.startswith(f"error: {message}")
    assert files() == ["labels.png", "labels_overlay.jpg"]
    Path("folder.png").mkdir()
    assert run("segment", "../photos", "-o", "folder.png").status == 0


@pytest.mark.usefixtures("album")
def test_where_nothing_is_found_the_classes_are_listed_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segmentation, "shares", lambda self: {"background": 1.0})
    one = run("segment", "../photos/one.jpg").err
    assert "nothing found in ../photos/one.jpg; tiny knows aeroplane, bicycle, bird, " in one
    err = run("segment", "../photos", "-o", "out").err
    assert err.count("nothing found") == err.count("tiny knows") == 1
    assert "nothing found in 3 of 3 (" in err
    monkeypatch.setattr(Segmentation, "shares", lambda self: {"background": 0.9, "cat": 0.1})
    assert "nothing found" not in run("segment", "../photos", "-o", "other").err


@pytest.mark.usefixtures("album")
def test_folder_glob_output_folder_and_options(run: Run, tiny_model: Path) -> None:
    options = ["-o", "a/b", "--no-overlay", "--no-crf", "--threads", "1", "--model", str(tiny_model)]
    status, out, err = run("segment", "../photos", "../photos/*.jpg", *options)
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 3
    assert files() == ["a/b/manifest.jsonl", "a/b/one.png", "a/b/three.png", "a/b/two.png"]


def test_bad_photos_do_not_stop_the_others(run: Run, album: Path) -> None:
    (album / "photos" / "half.jpg").write_bytes((album / "photos" / "one.jpg").read_bytes()[:700])
    (album / "photos" / "empty.png").touch()
    (album / "photos" / "text.jpg").write_text("not a photo")
    status, out, err = run("segment", "../photos", "missing.jpg", "*.gif")
    assert status == 1
    assert len(out.splitlines()) == 3
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 5
    for name in ("half.jpg", "empty.png", "text.jpg", "missing.jpg", "*.gif"):
        assert sum(name in line for line in errors) == 1
    assert len(files()) == 7


@pytest.mark.usefixtures("album")
def test_existing_results_are_kept_without_force(run: Run) -> None:
    Path("one.png").write_bytes(b"mine")
    status, out, err = run("segment", "../photos/one.jpg", "../photos/two.png")
    assert status == 1
    assert "one.png exists; give --force" in err
    assert "two.png" in out
    assert Path("one.png").read_bytes() == b"mine"
    assert run("segment", "../photos/one.jpg", "--force").status == 0
    assert read_label_map("one.png").shape == (60, 90)


def test_photos_are_never_replaced(run: Run, album: Path) -> None:
    before = (album / "photos" / "two.png").read_bytes()
    status, _, err = run("segment", "../photos/two.png", "-o", "../photos", "--force")
    assert status == 1
    assert "would replace the photo ../photos/two.png; choose a folder with -o" in err
    assert (album / "photos" / "two.png").read_bytes() == before


def test_same_stem(run: Run, album: Path) -> None:
    (album / "more").mkdir()
    (album / "photos" / "one.jpg").rename(album / "more" / "two.jpg")
    status, out, err = run("segment", "../photos/two.png", "../more/two.jpg")
    assert status == 1
    assert len(out.splitlines()) == 1
    assert "is already that of ../photos/two.png" in err


def test_bad_model_is_one_line(run: Run, album: Path) -> None:
    (album / "bad.onnx").write_bytes(b"junk")
    for model, message in (("resnet", "unknown model 'resnet'"), ("../bad.onnx", "not an ONNX"), ("x.onnx", "no such")):
        status, out, err = run("segment", "../photos", "--model", model)
        assert (status, out) == (1, "")
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1
    assert files() == []


def test_unusable_output_folder(run: Run, album: Path) -> None:
    (album / "file").touch()
    status, _, err = run("segment", "../photos", "-o", "../file")
    assert status == 1
    assert err.startswith("error: cannot make folder ../file")
    assert "-o" in err


@pytest.mark.parametrize(
    "arguments", [["segment"], ["segment", "x.jpg", "--threads", "0"], ["segment", "x.jpg", "--what"], ["paint"]]
)
def test_usage_errors(run: Run, arguments: list[str]) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert "Usage" in err


@pytest.mark.usefixtures("album")
def test_photo_beyond_memory_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Segmenter, "segment", exhausted)
    status, _, err = run("segment", "../photos/one.jpg", "../photos/two.png")
    assert status == 1
    assert err.count("does not fit in memory; shrink it") == 2


@pytest.mark.usefixtures("album")
def test_ctrl_c_is_clean(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "segment", interrupted)
    assert run("segment", "../photos").status == 130
    assert files() == []


def test_version_variants_and_models(run: Run, album: Path) -> None:
    assert run("--version") == (0, f"deeplab {__version__}\n", "")
    table = run("variants").out.splitlines()
    assert len(table) == 9
    largefov = next(line for line in table if line.startswith("largefov "))
    for figure in ("3x3", "12", "1024", "20,505,429", "224 px", "435 px", "65x65"):
        assert figure in largefov
    listing = run("models").out
    assert listing.startswith("voc-largefov: largefov, 21 classes, 0.0 MB")
    assert "aeroplane" in listing
    assert "  data: none" in listing


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_progress_bar_on_a_terminal(album: Path, tiny_model: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "deeplab", "segment", "../photos", "missing.jpg", "--model", str(tiny_model)],
        stdout=subprocess.PIPE, stderr=follower, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while chunk := _read(leader):
        shown += chunk
    os.close(leader)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert len(out.decode().splitlines()) == 3  # results go to stdout, whatever stderr shows
    assert b"segmenting" in shown
    assert b"error: missing.jpg: no such file" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_by_ctrl_c_leaves_whole_files_only(album: Path, tiny_model: Path) -> None:
    for index in range(40):
        Image.new("RGB", (500, 400)).save(album / "photos" / f"more{index}.jpg")
    process = subprocess.Popen(
        [sys.executable, "-m", "deeplab", "segment", "../photos", "--model", str(tiny_model)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not files() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    for name in files():
        if name != "manifest.jsonl":
            with Image.open(name) as image:
                image.load()


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no UTF-8")
@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "\\udcff.png → "), ("ascii", "\\udcff.png \\u2192 ")])
def test_what_the_output_cannot_hold_is_written_in_other_signs(
    encoding: str, shown: str, album: Path, tiny_model: Path
) -> None:
    name = os.fsencode(album) + b"/photos/\xff.png"
    (album / "photos" / "two.png").rename(os.fsdecode(name))
    arguments = [sys.executable, "-m", "deeplab", "segment", name, "-o", "out", "--model", str(tiny_model), "--no-crf"]
    done = subprocess.run(
        arguments, capture_output=True, env=os.environ | {"PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode(errors="replace")
    assert shown in done.stdout.decode(encoding)
