"""Photos at addresses, on file systems at hand: this machine's, and fsspec's in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from deeplab.batch.remote import RemotePhoto, find_anywhere, is_address

pytest.importorskip("pyarrow", reason="needs the extra ray")


@pytest.fixture
def shelf(tmp_path: Path) -> str:
    """The address of a folder with two photos, other things, and a name that needs care."""
    folder = tmp_path / "my shelf"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.JPG", "a 1%.png", "notes.txt", ".hidden.jpg", "sub/c.webp"):
        (folder / name).write_bytes(name.encode())
    return f"file://{folder.as_posix()}"


def test_photos_of_a_folder(shelf: str) -> None:
    photos = list(find_anywhere([shelf, shelf + "/", f"{shelf}/b.JPG"]))
    assert [str(photo) for photo in photos] == [f"{shelf}/a 1%.png", f"{shelf}/b.JPG"]
    for photo in photos:
        assert isinstance(photo, RemotePhoto)
        file = Path(shelf.removeprefix("file://")) / photo.name
        assert photo.read() == photo.name.encode()
        assert photo.stem == file.stem
        assert photo.size_bytes == file.stat().st_size
        assert photo.modified_ns == pytest.approx(file.stat().st_mtime_ns, abs=1000)  # it went through a float


def test_what_is_not_there(shelf: str, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    wrong = [f"{shelf}/x.jpg", f"file://{tmp_path.as_posix()}/none", "nosuch://a/b"]
    messages = ("no such folder or photo", "no photos in this folder", "no file system is known")
    for address, error, message in zip(wrong, find_anywhere(wrong), messages, strict=True):
        assert str(error).startswith(f"{address}: {message}")
        assert "\n" not in str(error)
    with pytest.raises(Exception, match="cannot be read"):
        RemotePhoto(shelf, "gone.jpg").read()


def test_file_systems_of_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/photos/cat.jpg", b"cat")
    (photo,) = find_anywhere(["memory://photos"])
    assert isinstance(photo, RemotePhoto)
    assert (str(photo), photo.read()) == ("memory://photos/cat.jpg", b"cat")


def test_addresses_and_paths() -> None:
    assert [is_address(text) for text in ("s3://b", "file:///a", "abfs+x://c")] == [True] * 3
    assert not any(is_address(text) for text in ("a.jpg", "C:\\a", "/a//b", "://x", "a b://c", ""))
