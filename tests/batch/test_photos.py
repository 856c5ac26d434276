"""Which photos are meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.batch import photos
from deeplab.batch.photos import find_photos
from deeplab.errors import ImageError
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC

Touch = Callable[..., None]


def found(*arguments: str) -> list[str]:
    return [item.as_posix() if isinstance(item, Path) else f"error: {item}" for item in find_photos(arguments)]


@pytest.mark.usefixtures("album")
def test_files_folders_and_globs() -> None:
    assert found("b.JPG", "missing.jpg") == ["b.JPG", "missing.jpg"]
    assert found(".") == ["a.png", "b.JPG"]
    assert found("sub", "a.png") == ["sub/c.webp", "sub/d.tif", "a.png"]
    assert found("*.[pJ]*") == ["a.png", "b.JPG"]
    assert found("**/*.webp") == ["sub/c.webp"]
    assert found("notes.txt") == ["notes.txt"]  # named outright: the reader says what is wrong


def test_absolute_globs_and_names_with_brackets(album: Path, touch: Touch) -> None:
    touch(album, "photo[1].jpg")
    assert found(f"{album}/*.png") == [f"{album}/a.png"]
    assert found("photo[1].jpg") == ["photo[1].jpg"]


def test_each_photo_once(album: Path) -> None:
    (album / "link.png").symlink_to("a.png")
    assert found("a.png", ".", str(album / "a.png"), "sub/../a.png", "link.png") == ["a.png", "b.JPG"]


@pytest.mark.usefixtures("album")
def test_nothing_found() -> None:
    assert found("none", "*.gif", "a.png")[2] == "a.png"
    assert found("none")[0].startswith("error: none: no photos in this folder")
    assert found("*.gif") == ["error: *.gif: no file matches; check the pattern"]


@pytest.mark.usefixtures("album")
def test_impossible_names_are_reported_and_do_not_stop_the_rest(album: Path) -> None:
    (album / "loop.jpg").symlink_to("loop.jpg")
    assert found("x" * 300, "a.png")[1] == "a.png"
    for name in ("x" * 300, "x\0.png"):
        assert isinstance(next(iter(find_photos([name]))), ImageError)
    assert found("loop.jpg") == ["loop.jpg"]


def test_results_of_an_earlier_run_are_no_photos(album: Path, touch: Touch) -> None:
    touch(album, "b_overlay.jpg", "a_overlay.jpg", "other_overlay.jpg")
    write_label_map(album / "b.png", np.zeros((4, 5), np.uint8), VOC)
    assert found(".") == ["a.png", "b.JPG", "other_overlay.jpg"]
    assert found("b.png") == ["b.png"]


@pytest.mark.parametrize("mode", ["RGB", "L", "1", None])
def test_another_photo_of_the_same_stem_is_not_lost(album: Path, mode: str | None, touch: Touch) -> None:
    touch(album, "b.png")
    if mode is not None:
        Image.new(mode, (5, 4)).save(album / "b.png")
    assert found(".") == ["a.png", "b.JPG", "b.png"]


def test_unreadable_photo_of_the_same_stem_is_not_lost(
    album: Path, monkeypatch: pytest.MonkeyPatch, touch: Touch
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    touch(album, "b.png")
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the answer is staged
    assert found(".") == ["a.png", "b.JPG", "b.png"]


def test_an_empty_argument_is_not_this_folder() -> None:
    (error,) = find_photos([""])
    assert isinstance(error, ImageError)
    assert str(error).startswith("an empty argument ('') names no photo; give")


@pytest.mark.usefixtures("album")
def test_what_is_not_taken_is_told_once_a_folder(album: Path, touch: Touch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PHOTO_SUFFIXES", photos.PHOTO_SUFFIXES - {".heif"})  # as without pillow-heif
    touch(album, "x.HEIF", "y.dng", "manifest.jsonl", "b_overlay.jpg")
    told: list[str] = []
    assert len(list(find_photos([".", "sub", "a.png"], told.append))) == 4
    assert [line.partition(";")[0] for line in told] == [
        ".: not taken: 1 × other file (notes.txt)",
        ".: not taken: 1 × HEIC photo (x.HEIF)",
        ".: not taken: 1 × camera's raw file (y.dng)",
    ]
    touch(album, "none/z.cr2")
    assert "1 × camera's raw file (z.cr2); develop it" in found("none")[0]
