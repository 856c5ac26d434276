from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import DataError, OutputError
from deeplab.evaluation.submission import read_ids, write_submission
from deeplab.images import read_image

NAMES = ["2008_000006", "2008_000011"]
FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "JPEGImages"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (30 + number, 20)).save(folder / f"{name}.jpg")
    return folder


def label(photo: Path) -> NDArray[np.uint8]:
    height, width, _ = read_image(photo).shape
    return (np.arange(height * width).reshape(height, width) % 21).astype(np.uint8)


def members(path: Path) -> dict[str, bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive}


@pytest.mark.parametrize("name", ["results.tgz", "r.tar.gz", "r.tar", "r.zip"])
def test_the_archive_is_laid_out_as_the_server_wants_it(tmp_path: Path, photos: Path, name: str) -> None:
    steps: list[tuple[str, int, int, str]] = []
    write_submission(tmp_path / name, NAMES, photos, label, show=lambda *step: steps.append(step))
    held = members(tmp_path / name)
    assert list(held) == [f"{FOLDER}/{photo}.png" for photo in NAMES]
    for photo in NAMES:
        image = Image.open(io.BytesIO(held[f"{FOLDER}/{photo}.png"]))
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), label(photos / f"{photo}.jpg"))
        palette = image.getpalette()
        assert palette is not None
        assert palette[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # background, aeroplane, bicycle in VOC's own masks
        assert palette[60:63] == [0, 64, 128]  # tvmonitor
    assert steps == [("labelling", done, 2, "") for done in range(1, 3)]


def test_photos_may_have_another_ending(tmp_path: Path, photos: Path) -> None:
    (photos / f"{NAMES[0]}.jpg").rename(photos / f"{NAMES[0]}.JPG")
    Image.open(photos / f"{NAMES[1]}.jpg").save(photos / f"{NAMES[1]}.png")
    (photos / f"{NAMES[1]}.jpg").unlink()
    write_submission(tmp_path / "r.zip", NAMES, photos, label)
    assert list(members(tmp_path / "r.zip")) == [f"{FOLDER}/{photo}.png" for photo in NAMES]


@pytest.mark.parametrize("name", ["r.tgz", "r.zip"])
def test_the_archive_is_the_same_each_time(tmp_path: Path, photos: Path, name: str) -> None:
    write_submission(tmp_path / name, NAMES, photos, label)
    first = (tmp_path / name).read_bytes()
    write_submission(tmp_path / name, NAMES, photos, label, overwrite=True, competition="comp6")
    assert (tmp_path / name).read_bytes() == first
    write_submission(tmp_path / name, NAMES, photos, label, overwrite=True, competition="comp5")
    assert all("comp5_test_cls" in member for member in members(tmp_path / name))


def test_what_the_server_would_refuse_is_refused_here(tmp_path: Path, photos: Path) -> None:
    target = tmp_path / "r.tgz"
    with pytest.raises(DataError, match=r"000006\.jpg is 30x20 px, but its labels are 20x30"):
        write_submission(target, NAMES, photos, lambda photo: label(photo).T)
    with pytest.raises(DataError, match="got label 255; the server takes 0–20 alone, and no void"):
        write_submission(target, NAMES, photos, lambda photo: label(photo) * 0 + 255)
    with pytest.raises(DataError, match=r"2008_9\.jpg is missing \(and 1 more\)"):
        write_submission(target, [*NAMES, "2008_9", "2008_10"], photos, label)
    with pytest.raises(OutputError, match=r"let the name end in \.tgz"):
        write_submission(tmp_path / "r.rar", NAMES, photos, label)
    assert [path.name for path in tmp_path.iterdir()] == ["JPEGImages"]
    target.touch()
    with pytest.raises(OutputError, match="exists; give --force"):
        write_submission(target, NAMES, photos, label)


def test_a_list_of_photos_is_read(tmp_path: Path) -> None:
    listing = tmp_path / "test.txt"
    listing.write_bytes(b"\xef\xbb\xbf2008_000006\r\n\r\n2008_000011\r\n")
    assert read_ids(listing) == NAMES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a\nb\na\n", "lists a more than once"),
        (b"../secret\n", r"has the line '\.\./secret'"),
        (b"a 1\n", "has the line 'a 1'"),
        (b"\xff\xfe", "is no UTF-8 text"),
    ],
)
def test_odd_lists_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "test.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_ids(tmp_path / "test.txt")
    with pytest.raises(DataError, match="cannot read"):
        read_ids(tmp_path / "missing.txt")
