from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deeplab.label_maps import read_label_map, read_label_set
from deeplab.seals import is_sealed, sealed

Run = Callable[..., Any]


def encoded(kind: str) -> bytes:
    file = BytesIO()
    Image.effect_noise((40, 30), 60).save(file, kind)
    return file.getvalue()


PICTURES = {kind: encoded(kind) for kind in ("PNG", "JPEG")}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_sealed_picture_shows_the_same_and_is_known(kind: str, tmp_path: Path) -> None:
    photo, other, file = tmp_path / "photo.jpg", tmp_path / "other.jpg", tmp_path / "picture"
    photo.write_bytes(b"photo")
    other.write_bytes(b"another")
    content = sealed(PICTURES[kind], "segment", photo)
    file.write_bytes(content)
    with Image.open(file) as image, Image.open(BytesIO(PICTURES[kind])) as before:
        image.load()
        assert np.array_equal(np.asarray(image), np.asarray(before))
    assert sealed(PICTURES[kind], "segment", photo) == content
    assert is_sealed(file, "segment", photo)
    assert not is_sealed(file, "refine", photo)
    assert not is_sealed(file, "segment", other)
    assert not is_sealed(file, "segment", tmp_path / "missing.jpg")
    photo.rename(tmp_path / "renamed.jpg")
    assert is_sealed(file, "segment", tmp_path / "renamed.jpg")  # the photo is known by its content


@given(kind=st.sampled_from(sorted(PICTURES)), data=st.data())
def test_any_other_byte_breaks_the_seal(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(sealed(PICTURES[kind], "segment", "s3://bucket/photo.jpg"))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file = tmp_path_factory.mktemp("seal") / "picture"
    file.write_bytes(content)
    assert not is_sealed(file, "segment", "s3://bucket/photo.jpg")


@given(
    content=st.binary(max_size=200), start=st.sampled_from([b"", b"GIF89a", PICTURES["PNG"][:8], PICTURES["JPEG"][:4]])
)
def test_what_was_not_sealed_is_not_taken_for_it(
    content: bytes, start: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("seal") / "picture"
    file.write_bytes(start + content)
    assert not is_sealed(file, "segment", "photo")
    assert not is_sealed(file.parent / "missing", "segment", "photo")
    assert sealed(b"GIF89a" + content, "segment", "photo") == b"GIF89a" + content


@pytest.fixture
def here(tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two photos of one name beside it."""
    for folder, pixels in (("first", photo), ("second", 255 - photo)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "one.jpg")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_segment_makes_its_own_results_anew_and_nothing_else(run: Run, here: Path, tiny_model: Path) -> None:
    def segment(photo: str, *options: str) -> Any:
        return run("segment", photo, "--model", str(tiny_model), *options)

    first = segment("../first/one.jpg")
    before = Path("one.png").read_bytes()
    again = segment("../first/one.jpg")
    assert again == first
    assert Path("one.png").read_bytes() == before
    assert segment("../first/one.jpg", "--no-crf").status == 0  # other settings
    assert read_label_set("one.png") is not None
    refused = segment("../second/one.jpg")
    assert refused.status == 1
    assert "one.png exists; give --force" in refused.err
    with Image.open("one_overlay.jpg") as overlay:
        overlay.rotate(180).save("one_overlay.jpg")
    before = Path("one_overlay.jpg").read_bytes()
    assert "one_overlay.jpg exists; give --force" in segment("../first/one.jpg").err
    assert Path("one_overlay.jpg").read_bytes() == before
    assert segment("../first/one.jpg", "--force").status == 0
    assert segment("../first/one.jpg", "-o", "mask.png").status == 0
    assert segment("../first/one.jpg", "-o", "mask.png").status == 0


def test_refine_does_so_too(run: Run, here: Path) -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[20:40, 30:60] = 1
    np.save("labels.npy", labels)
    command = ("refine", "../first/one.jpg", "--scores", "labels.npy", "--kind", "labels", "--overlay")
    first = run(*command)
    assert first.status == 0, first.err
    assert run(*command, "--iterations", "3").status == 0
    assert read_label_map("one.png").shape == (60, 90)
    other = run("refine", "../second/one.jpg", *command[2:])
    assert (other.status, "one.png exists; give --force" in other.err) == (1, True)
    assert "one.png exists" in run("segment", "../first/one.jpg", "--no-crf").err  # what refine made is not segment's
    assert run(*command, "--save-probabilities", "one.npy").status == 0
    assert "one.npy exists; give --force" in run(*command, "--save-probabilities", "one.npy").err


def test_cutout_does_so_too(run: Run, here: Path) -> None:
    command = ("cutout", "../first/one.jpg", "--box", "20,10,70,50")
    assert run(*command).status == 0
    assert run(*command).status == 0
    assert "one_cutout.png exists; give --force" in run("cutout", "../second/one.jpg", *command[2:]).err
