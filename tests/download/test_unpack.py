"""Archives that mean harm."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deeplab.download import ARCHIVES, unpack
from deeplab.download.unpack import unpack as run
from deeplab.errors import DataError

VOC = ARCHIVES["voc2012"]
ROOT = f"{VOC.root}/JPEGImages"
WHOLE = [f"{ROOT}/a.jpg", f"{VOC.root}/ImageSets/Segmentation/train.txt", f"{VOC.root}/SegmentationClass/a.png"]


def tar(path: Path, entries: list[tuple[str, bytes | None, bytes]]) -> None:
    """Entries are names, kinds of tarfile's, and contents, or where a link leads."""
    with tarfile.open(path, "w") as packed:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            if kind in (None, tarfile.REGTYPE):
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.linkname = kind, content.decode()  # type: ignore[assignment]
                packed.addfile(entry)


def zip_archive(path: Path, entries: list[tuple[str, bytes | None, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, kind, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK if kind == tarfile.SYMTYPE else stat.S_IFREG) << 16
            packed.writestr(entry, content)


Pack = Callable[[Path, list[tuple[str, bytes | None, bytes]]], None]
packers = pytest.mark.parametrize("pack", [tar, zip_archive])


def unpacked(path: Path, pack: Pack, *entries: tuple[str, bytes | None, bytes]) -> list[str]:
    """What lies in the folder after unpacking the whole data set and more entries; the folder's name is ``out``."""
    pack(path / "x", [*((name, None, b"1" * 50) for name in WHOLE), *entries])
    (path / "out").mkdir()
    run(path / "x", VOC, path / "out", lambda done: None)
    return sorted(file.relative_to(path / "out").as_posix() for file in (path / "out").rglob("*") if file.is_file())


@packers
def test_only_the_parts_are_unpacked(pack: Pack, tmp_path: Path) -> None:
    more = [(f"{VOC.root}/Annotations/a.xml", None, b""), ("/etc/x", None, b""), ("../x", None, b"")]
    names = [f"./{ROOT}/b.jpg", f"{ROOT}/.hidden"]
    assert unpacked(tmp_path, pack, *more, *((name, None, b"2") for name in names)) == [
        "ImageSets/Segmentation/train.txt", "JPEGImages/a.jpg", "JPEGImages/b.jpg", "SegmentationClass/a.png",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x"]


@packers
@pytest.mark.parametrize("name", ["../../../../evil", "b/../../c", "b\\..\\evil", "a:b", "a\x01b", "c?"])
def test_names_that_lead_elsewhere_are_refused(name: str, pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x holds a file that it calls .*; it is not what was published"):
        unpacked(tmp_path, pack, (f"{ROOT}/{name}", None, b"2"))
    assert not (tmp_path / "evil").exists()


@packers
def test_links_are_refused(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x holds a link or device, .*/link; it is not what was published"):
        unpacked(tmp_path, pack, (f"{ROOT}/link", tarfile.SYMTYPE, b"/etc"), (f"{ROOT}/link/passwd", None, b"2"))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_hard_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="x holds a link or device"):
        unpacked(tmp_path, tar, (f"{ROOT}/link", kind, b"/etc/passwd"))


@packers
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_file_takes_anothers_place(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x holds two files for .*a\.jpg"):
        unpacked(tmp_path, pack, (f"{ROOT}/a.jpg", None, b"2"))


def test_bombs_are_stopped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{ROOT}/a.jpg", bytes(50_000_000))
    (tmp_path / "out").mkdir()
    done: list[int] = []
    with pytest.raises(DataError, match="unpacks to over 5 times its size"):
        run(tmp_path / "x", VOC, tmp_path / "out", done.append)
    assert sum(done) < 1_000_000


def test_so_are_millions_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_ENTRIES", 2)
    with pytest.raises(DataError, match="more than 2 files"):
        unpacked(tmp_path, tar)


def test_what_lacks_a_part_is_refused(tmp_path: Path) -> None:
    tar(tmp_path / "x", [(f"{ROOT}/a.jpg", None, b"1")])
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="x holds no VOCdevkit/VOC2012/ImageSets/Segmentation; it is not what was pub"):
        run(tmp_path / "x", VOC, tmp_path / "out", lambda done: None)
