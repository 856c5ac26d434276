"""Bad photos, label maps and output files: one-line errors, and no half-written file."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import DeepLabError, ImageError, InputError, OutputError
from deeplab.files import atomic_file, check_output
from deeplab.images import overlay_image, read_image, write_jpeg
from deeplab.label_maps import read_label_map, write_label_map
from deeplab.labels import VOC

LABELS = np.zeros((4, 5), dtype=np.uint8)


NOISE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encode(image: NDArray[np.uint8], image_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=image_format)
    return buffer.getvalue()


ENCODED = {name: encode(NOISE, name) for name in (
    "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")}  # fmt: skip


@pytest.mark.parametrize("read", [read_image, read_label_map])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "no such file"),
        ("empty.png", b"", r"is empty \(0 bytes\)"),
        ("notes.png", b"not an image at all", "is not an image"),
        ("half.png", ENCODED["PNG"][:600], "cannot be decoded"),
    ],
)
def test_bad_files(tmp_path: Path, read: Any, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_photo(tmp_path: Path, name: str) -> None:
    (tmp_path / "half").write_bytes(ENCODED[name][: len(ENCODED[name]) // 2])
    with pytest.raises(ImageError, match="half"):
        read_image(tmp_path / "half")


def test_folder_file_in_place_of_folder_and_odd_names(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "photo.jpg", tmp_path / ("x" * 300), "nul\0.jpg"):
        with pytest.raises(ImageError):
            read_image(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(ENCODED["PNG"])
    (tmp_path / "secret.png").chmod(0)
    with pytest.raises(ImageError, match="may not be read"):
        read_image(tmp_path / "secret.png")


@pytest.mark.parametrize("limit", [1000, 1535])  # Pillow warns above its limit and refuses above twice that
@pytest.mark.parametrize("action", ["error", "default"])
def test_too_many_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Literal["error", "default"], limit: int
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "huge.png").write_bytes(ENCODED["PNG"])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter(action)
        with pytest.raises(ImageError, match=r"too large: .*3072 pixels.*raise PIL\.Image\.MAX_IMAGE_PIXELS"):
            read_image(tmp_path / "huge.png")
    assert not warned


@pytest.mark.parametrize("limit", [1536, None])
def test_pixels_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "photo.png").write_bytes(ENCODED["PNG"])
    np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), NOISE)


@given(
    st.sampled_from(sorted(ENCODED)), st.integers(0, 20_000), st.binary(max_size=12), st.booleans(), st.integers(0, 9)
)
@settings(max_examples=150)
@pytest.mark.filterwarnings("ignore")  # Pillow warns about damaged metadata
def test_damaged_bytes_give_a_photo_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: int, junk: bytes, cut: bool, skip: int
) -> None:
    data = bytearray(ENCODED[name])
    place = (place if skip else place % 64) % len(data)
    data[place : place + len(junk)] = junk
    path = tmp_path_factory.mktemp("damaged") / "photo"
    path.write_bytes(data[:place] if cut else data)
    with contextlib.suppress(ImageError):
        assert read_image(path).ndim == 3


def test_closed_pil_image() -> None:
    image = Image.open(io.BytesIO(ENCODED["PNG"]))
    image.close()
    with pytest.raises(ImageError, match="the PIL image cannot be decoded"):
        read_image(image)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "F"])
def test_pil_image_without_pixels(mode: str) -> None:
    with pytest.raises(ImageError, match=r"the PIL image: it has no pixels \(0 × 5\); expected at least 1 × 1"):
        read_image(Image.new(mode, (0, 5)))


@pytest.mark.parametrize(("mode", "value"), [("F", 3.5), ("F", float("nan")), ("I", 70_000), ("I", -1)])
def test_grey_values_of_unknown_range(tmp_path: Path, mode: str, value: float) -> None:
    Image.new(mode, (4, 4), value).save(tmp_path / "deep.tif")
    with pytest.raises(ImageError, match=r"deep\.tif: .*expected"):
        read_image(tmp_path / "deep.tif")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 20, 30), np.uint8), r"\(3, 20, 30\).*transpose"),
        (np.zeros((20, 30, 2), np.uint8), r"got shape \(20, 30, 2\)$"),
        (np.zeros(7, np.uint8), r"got shape \(7,\)"),
        (np.zeros((1, 3, 20, 30), np.uint8), "got shape"),
        (np.zeros((0, 30, 3), np.uint8), "no pixels"),
        (np.zeros((30, 0), np.uint8), "no pixels"),
        (np.full((4, 4, 3), -1), "values span -1–-1; expected at most 16 bits"),
        (np.full((4, 4, 3), 70_000), "span 70000–70000"),
        (np.zeros((4, 4, 3), np.complex64), "got complex64"),
        (np.zeros((4, 4, 3), object), "got object"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.full((4, 4, 3), np.inf), r"span inf–inf; expected 0 to 1, or .* --range LO,HI"),
        (np.full((4, 4, 3), -0.1), "expected 0 to 1"),
        (np.full((4, 4, 3), 200.0), r"such as --range 0,255 \(value_range"),
    ],
)
def test_bad_arrays(array: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_image(array)


@pytest.mark.parametrize("source", [None, 3, b"photo", [[0, 0]]])
def test_other_sources(source: Any) -> None:
    with pytest.raises(InputError, match="expected a path, a PIL image or a NumPy array"):
        read_image(source)


def test_colours_are_no_label_map(tmp_path: Path) -> None:
    for image in (Image.new("RGB", (4, 4)), Image.new("I;16", (4, 4)), Image.new("1", (4, 4))):
        image.save(tmp_path / "colours.png")
        with pytest.raises(ImageError, match="one 8-bit label per pixel"):
            read_label_map(tmp_path / "colours.png")
    Image.new("L", (4, 4)).save(tmp_path / "lossy.jpg")
    with pytest.raises(ImageError, match="expected PNG, TIFF, BMP"):
        read_label_map(tmp_path / "lossy.jpg")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 5)), "integer dtype"),
        (np.zeros((4, 5, 1), np.uint8), r"got \(4, 5, 1\)"),
        (np.zeros((0, 5), np.uint8), r"got \(0, 5\)"),
        (np.full((4, 5), 21), "label 21 is not in label set 'voc': expected 0–20 or void 255"),
        (np.full((4, 5), -1), "label -1"),
        (np.full((4, 5), 256), "label 256"),
    ],
)
def test_bad_labels_are_not_written(tmp_path: Path, labels: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_label_map(tmp_path / "labels.png", labels, VOC)
    assert not list(tmp_path.iterdir())


def test_overlay_refuses_other_sizes_and_opacities() -> None:
    with pytest.raises(InputError, match="of one size"):
        overlay_image(np.zeros((4, 4, 3), np.uint8), LABELS, VOC)
    with pytest.raises(InputError, match=r"got 1\.5"):
        overlay_image(np.zeros((4, 5, 3), np.uint8), LABELS, VOC, opacity=1.5)


def writers(path: Path, **options: bool) -> Iterator[Any]:
    yield lambda: write_label_map(path, LABELS, VOC, **options)
    yield lambda: write_jpeg(path, np.zeros((4, 5, 3), np.uint8), **options)


def test_existing_files_are_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    for write in writers(path):
        path.write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists; give --force"):
            write()
        assert path.read_bytes() == b"precious"
    for write in writers(path, overwrite=True):
        path.write_bytes(b"precious")
        write()
        assert path.read_bytes() != b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_unusable_output_places(tmp_path: Path) -> None:
    for write in writers(tmp_path / "none" / "out.png"):
        with pytest.raises(OutputError, match="create it first"):
            write()
    (tmp_path / "folder.png").mkdir()
    for write in writers(tmp_path / "folder.png", overwrite=True):
        with pytest.raises(OutputError, match="is a folder"):
            write()
    for write in writers(tmp_path / ("x" * 300 + ".png")):
        with pytest.raises(OutputError, match="cannot write"):
            write()
    with pytest.raises(OutputError, match=r"end in \.png"):
        write_label_map(tmp_path / "labels.jpg", LABELS, VOC)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere, so the answer is staged
    with pytest.raises(OutputError, match="not writable; choose another"):
        check_output(tmp_path / "out.png")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_nothing_is_left_when_writing_fails(tmp_path: Path, failure: BaseException) -> None:
    expected = OutputError if isinstance(failure, OSError) else type(failure)

    def write_half() -> None:
        with atomic_file(tmp_path / "out.bin") as file:
            file.write(b"half")
            raise failure

    with pytest.raises(expected):
        write_half()
    assert not list(tmp_path.iterdir())


def test_new_files_have_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_label_map(tmp_path / "labels.png", LABELS, VOC)
    assert (tmp_path / "labels.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_errors_are_of_one_tree() -> None:
    assert issubclass(InputError, ValueError)
    assert all(issubclass(kind, DeepLabError) for kind in (ImageError, InputError, OutputError))
