"""A folder with photos and other things in it, and results without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deeplab.batch import Result, Settings
from deeplab.batch.manifest import Manifest, Origin

Touch = Callable[..., None]

ORIGIN = Origin("tiny", "0" * 64, Settings())


@pytest.fixture
def touch() -> Touch:
    """Return a function that makes empty files in a folder."""

    def touch(folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    return touch


@pytest.fixture
def album(tmp_path: Path, touch: Touch, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos and other things in it."""
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "sub/c.webp", "sub/d.tif", "none/notes.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_manifest() -> Manifest:
    """A manifest that knows nothing and writes nothing."""
    return Manifest(None, Path(), ORIGIN)


@pytest.fixture
def open_manifest(tmp_path: Path) -> Callable[..., Manifest]:
    """Return a function that makes the manifest of the folder ``out``."""
    (tmp_path / "out").mkdir(exist_ok=True)

    def open_manifest(origin: Origin = ORIGIN, name: str = "out/manifest.jsonl") -> Manifest:
        return Manifest(tmp_path / name, tmp_path / "out", origin)

    return open_manifest


@pytest.fixture
def result() -> Result:
    """A result, its files no images."""
    return Result(5, 4, {"cat": 0.75, "background": 0.25}, 0.9, 0.1, b"labels", b"overlay")
