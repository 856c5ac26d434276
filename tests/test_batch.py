from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.batch import Job, find_photos, plan_jobs
from deeplab.errors import ImageError, OutputError
from deeplab.images import write_label_map
from deeplab.labels import VOC


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(*arguments: str) -> list[str]:
    return [item.as_posix() if isinstance(item, Path) else f"error: {item}" for item in find_photos(arguments)]


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos and other things in it."""
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "sub/c.webp", "sub/d.tif", "none/notes.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("album")
def test_files_folders_and_globs() -> None:
    assert found("b.JPG", "missing.jpg") == ["b.JPG", "missing.jpg"]
    assert found(".") == ["a.png", "b.JPG"]
    assert found("sub", "a.png") == ["sub/c.webp", "sub/d.tif", "a.png"]
    assert found("*.[pJ]*") == ["a.png", "b.JPG"]
    assert found("**/*.webp") == ["sub/c.webp"]
    assert found("notes.txt") == ["notes.txt"]  # named outright: the reader says what is wrong


def test_absolute_globs_and_names_with_brackets(album: Path) -> None:
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
    assert isinstance(next(iter(find_photos(["x" * 300]))), ImageError)
    assert found("loop.jpg") == ["loop.jpg"]


def test_results_of_an_earlier_run_are_no_photos(album: Path) -> None:
    touch(album, "b_overlay.jpg", "a_overlay.jpg", "other_overlay.jpg")
    write_label_map(album / "b.png", np.zeros((4, 5), np.uint8), VOC)
    assert found(".") == ["a.png", "b.JPG", "other_overlay.jpg"]
    assert found("b.png") == ["b.png"]


@pytest.mark.parametrize("mode", ["RGB", "L", "1", None])
def test_another_photo_of_the_same_stem_is_not_lost(album: Path, mode: str | None) -> None:
    touch(album, "b.png")
    if mode is not None:
        Image.new(mode, (5, 4)).save(album / "b.png")
    assert found(".") == ["a.png", "b.JPG", "b.png"]
    assert "b.png: its result out/b.png is already that of b.JPG" in plan(album, *found("."))[2]


def test_unreadable_photo_of_the_same_stem_is_not_lost(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    touch(album, "b.png")
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the answer is staged
    assert found(".") == ["a.png", "b.JPG", "b.png"]


def test_an_empty_argument_is_not_this_folder() -> None:
    (error,) = find_photos([""])
    assert isinstance(error, ImageError)
    assert str(error).startswith("an empty argument ('') names no photo; give")


def plan(album: Path, *photos: str, folder: str = "out", overlay: bool = True, overwrite: bool = False) -> list[str]:
    (album / folder).mkdir(exist_ok=True)
    jobs = plan_jobs([Path(photo) for photo in photos], Path(folder), overlay=overlay, overwrite=overwrite)
    return [" ".join(path.as_posix() for path in job.outputs) if isinstance(job, Job) else str(job) for job in jobs]


def test_where_results_go(album: Path) -> None:
    assert plan(album, "b.JPG", "sub/c.webp") == ["out/b.png out/b_overlay.jpg", "out/c.png out/c_overlay.jpg"]
    assert plan(album, "b.JPG", overlay=False) == ["out/b.png"]
    assert plan(album, "b.JPG", folder=".") == ["b.png b_overlay.jpg"]


def test_same_stem_is_refused_for_the_second(album: Path) -> None:
    first, second = plan(album, "b.JPG", "sub/b.jpg")
    assert first == "out/b.png out/b_overlay.jpg"
    assert (
        second
        == "sub/b.jpg: its result out/b.png is already that of b.JPG; segment the two into separate folders with -o"
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_photo_is_never_replaced(album: Path, overwrite: bool) -> None:
    touch(album, "cat.jpg", "cat.png", "dog.jpg", "dog_overlay.jpg")
    for photos in (["cat.png"], ["cat.jpg", "cat.png"], ["dog.jpg", "dog_overlay.jpg"]):
        outcome = plan(album, *photos, folder=".", overwrite=overwrite)
        assert "would replace the photo" in outcome[0]
    (album / "link").symlink_to(album)
    assert "would replace the photo" in plan(album, "cat.png", folder="link", overwrite=overwrite)[0]


def test_existing_results_need_force(album: Path) -> None:
    touch(album, "out/b_overlay.jpg")
    assert "out/b_overlay.jpg exists; give --force" in plan(album, "b.JPG")[0]
    assert plan(album, "b.JPG", overlay=False) == ["out/b.png"]
    assert plan(album, "b.JPG", overwrite=True) == ["out/b.png out/b_overlay.jpg"]


def test_missing_folder_is_an_error_per_photo(album: Path) -> None:
    (outcome,) = plan_jobs([album / "b.JPG"], album / "nowhere")
    assert isinstance(outcome, OutputError)
