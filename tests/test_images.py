"""Every kind of photo becomes upright RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from deeplab.images import overlay_image, read_image, write_jpeg
from deeplab.labels import CAMVID, VOC, LabelSet

RED, GREY, WHITE = (255, 0, 0), (120, 120, 120), (255, 255, 255)


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [("png", {}, 0), ("tif", {}, 0), ("bmp", {}, 0), ("ppm", {}, 0), ("webp", {"lossless": True}, 0),
     ("jpg", {"quality": 95, "subsampling": 0}, 40), ("webp", {"quality": 95}, 120)],
)  # fmt: skip
def test_formats(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str, options: dict[str, Any], tolerance: int
) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(photo).save(path, **options)
    with Image.open(path) as opened:
        for source in (path, str(path), opened):
            read = read_image(source)
            assert read.dtype == np.uint8
            assert read.shape == photo.shape
            assert np.abs(read.astype(int) - photo).max() <= tolerance


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 120, GREY),
        ("LA", (0, 0), WHITE),
        ("LA", (120, 255), GREY),
        ("P", 0, (0, 0, 0)),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("CMYK", (0, 255, 255, 0), RED),
        ("YCbCr", (120, 128, 128), GREY),
        ("HSV", (0, 255, 255), RED),
        ("I;16", 65535, WHITE),
        ("I;16", 120 * 257, GREY),
        ("I", 120 * 257, GREY),
        ("F", 1.0, WHITE),
    ],
)
def test_modes(mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    read = read_image(Image.new(mode, (5, 4), colour))
    assert read.shape == (4, 5, 3)
    np.testing.assert_allclose(read, np.broadcast_to(expected, read.shape), atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_png_modes_on_disk(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "photo.png")
    assert read_image(tmp_path / "photo.png").shape == (4, 5, 3)


def test_16_bit_colour_png(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + np.array([[65535, 0, 120 * 257]] * 2, dtype=">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    )
    assert read_image(tmp_path / "deep.png").tolist() == [[[255, 0, 120]] * 2]


def test_palette_with_transparent_entry(tmp_path: Path) -> None:
    image = Image.new("P", (5, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert tuple(read_image(tmp_path / "opaque.png")[0, 0]) == RED
    assert tuple(read_image(tmp_path / "clear.png")[0, 0]) == WHITE


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)  # inverted in the file
    np.testing.assert_allclose(read_image(tmp_path / "cmyk.jpg")[8, 8], RED, atol=12)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), dtype=np.uint8)
    upright[:8, :16] = 255  # white in the upper left quarter
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: upright.transpose(1, 0, 2)[::-1, ::-1], 8: np.rot90(upright, 3),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    np.testing.assert_allclose(read_image(path).astype(int), upright, atol=60)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE)]
    frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(read_image(tmp_path / f"moving.{suffix}")[4, 4], RED, atol=4)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_every_dtype_means_the_same_photo(image: NDArray[np.uint8]) -> None:
    read = read_image(image)
    np.testing.assert_array_equal(read, image)
    np.testing.assert_array_equal(read_image(image.astype(np.uint16) * 257), image)
    np.testing.assert_array_equal(read_image((image.astype(np.uint16) * 257).astype(">u2")), image)
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(read_image((image / 255).astype(dtype)), image)


def test_array_layouts(photo: NDArray[np.uint8]) -> None:
    grey = photo[:, :, 0]
    np.testing.assert_array_equal(read_image(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(grey[:, :, None]), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(grey > 100)[:, :, 0], np.where(grey > 100, 255, 0))
    np.testing.assert_array_equal(read_image(np.dstack([photo, np.full_like(grey, 255)])), photo)
    assert (read_image(np.dstack([photo, np.zeros_like(grey)])) == 255).all()
    flipped = read_image(photo[::-1, ::2])
    assert flipped.flags.c_contiguous
    np.testing.assert_array_equal(flipped, photo[::-1, ::2])
    frozen = photo.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(read_image(frozen), photo)


labels_21 = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.one_of(st.integers(0, 20), st.just(255))
)


def test_overlay_tints_objects_only(photo: NDArray[np.uint8]) -> None:
    labels = np.zeros(photo.shape[:2], dtype=np.uint8)
    labels[10:50, 10:50], labels[55:] = 8, 255
    before = photo.copy()
    overlay = overlay_image(photo, labels, VOC, opacity=0.5)
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(overlay[:10], photo[:10])
    np.testing.assert_array_equal(overlay[55:], photo[55:])
    assert (overlay[10, 10:50] == 255).all()  # the contour, inside the object
    assert (overlay[10:50, 49] == 255).all()
    np.testing.assert_allclose(overlay[30, 30], (photo[30, 30] + np.array(VOC.palette[8])) / 2, atol=1)
    np.testing.assert_array_equal(overlay_image(photo, labels, VOC, opacity=0)[12:48, 12:48], photo[12:48, 12:48])


def test_overlay_without_background_tints_everything(photo: NDArray[np.uint8]) -> None:
    labels = np.zeros(photo.shape[:2], dtype=np.uint8)
    overlay = overlay_image(photo, labels, CAMVID, opacity=1)
    assert (overlay == CAMVID.palette[0]).all()


def test_overlay_tints_label_0_unless_it_is_the_background(photo: NDArray[np.uint8]) -> None:
    labels = np.zeros(photo.shape[:2], dtype=np.uint8)
    for names in (("soil", "leaf"), ("background", "leaf")):
        overlay = overlay_image(photo, labels, LabelSet("own", names), opacity=1)
        expected = np.broadcast_to((0, 128, 0), photo.shape) if names[0] == "soil" else photo
        np.testing.assert_array_equal(overlay, expected)


@given(labels_21)
def test_overlay_of_any_labels(labels: NDArray[np.uint8]) -> None:
    image = np.full((*labels.shape, 3), 100, dtype=np.uint8)
    assert overlay_image(image, labels, VOC).shape == image.shape


def test_jpeg_is_close_to_the_image(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_jpeg(tmp_path / "overlay.jpg", photo)
    with Image.open(tmp_path / "overlay.jpg") as image:
        assert image.format == "JPEG"
    assert np.abs(read_image(tmp_path / "overlay.jpg").astype(int) - photo).mean() < 10
