"""Photos of more than 8 bits or more than three bands: what their numbers are taken for, and what is said of it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import ImageError, InputError
from deeplab.images import AssumptionWarning, Reading, read_image, read_photo

COLOURS = np.random.default_rng(3).integers(0, 256, (40, 30, 4), dtype=np.uint8)
GREY = COLOURS[:, :, 0]


def scaled(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """What 0 … white becomes, by the definition."""
    return np.round(values.astype(np.float64) * 255 / white).clip(0, 255).astype(np.uint8)


def png_16(path: Path, pixels: NDArray[np.uint16]) -> Path:
    """Write a 16-bit PNG of 1 to 4 bands, which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, bands = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[bands - 1], 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


def tiff(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    pytest.importorskip("tifffile", reason="needs the extra tiff").imwrite(path, pixels, **options)
    return path


def grey_of(reading: Reading) -> NDArray[np.uint8]:
    assert (reading.pixels == reading.pixels[:, :, :1]).all()
    return reading.pixels[:, :, 0]


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_fewer_bits_than_the_files_are_seen_and_said(tmp_path: Path, bits: int, suffix: str) -> None:
    values = GREY.astype(np.uint16) << (bits - 8)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    reading = read_photo(tmp_path / f"deep.{suffix}")
    np.testing.assert_array_equal(grey_of(reading), scaled(values, 2**bits - 1))
    assert reading.value_range == (0, 2**bits - 1)
    assert [note.partition(";")[0] for note in reading.notes] == [
        f"its values are taken for {bits} bits, 0–{2**bits - 1}"
    ]
    with pytest.warns(AssumptionWarning, match=f"taken for {bits} bits"):
        np.testing.assert_array_equal(read_image(values)[:, :, 0], scaled(values, 2**bits - 1))


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">i2", np.int32, np.int64, np.uint64])
def test_the_number_type_makes_no_difference(dtype: Any) -> None:
    values = (GREY.astype(np.uint16) << 4).astype(dtype)
    np.testing.assert_array_equal(grey_of(read_photo(values)), scaled(values, 4095))


def test_files_of_both_byte_orders(tmp_path: Path) -> None:
    values = GREY.astype(np.uint16) << 4
    for order in "<>":
        path = tiff(tmp_path / f"deep{order}.tif", values, byteorder=order)
        np.testing.assert_array_equal(grey_of(read_photo(path)), scaled(values, 4095))
    np.testing.assert_array_equal(grey_of(read_photo(Image.fromarray(values).convert("I"))), scaled(values, 4095))


@pytest.mark.parametrize("factor", [256, 257])
def test_a_dark_8_bit_photo_stretched_to_16_bits_stays_dark(factor: int) -> None:
    values = (GREY // 16).astype(np.uint16) * factor
    reading = read_photo(values)
    np.testing.assert_array_equal(grey_of(reading), scaled(values, 65535))
    assert reading.notes == ()


def test_hot_pixels_make_no_photo_dark() -> None:
    values = np.random.default_rng(0).integers(0, 4096, (100, 100), dtype=np.uint16)
    truth = scaled(values, 4095)
    for count, white in ((10, 4095), (11, 65535)):  # up to one pixel in a thousand is spared
        values[0, :count], truth[0, :count] = 65535, 255
        assert read_photo(values).value_range == (0, white)
    values[0, 10] = 0
    np.testing.assert_array_equal(grey_of(read_photo(values))[1:], truth[1:])
    assert grey_of(read_photo(values))[0, :10].min() == 255


def test_the_full_16_bits_are_nothing_to_speak_of() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    reading = read_photo(values)
    np.testing.assert_array_equal(grey_of(reading), scaled(values, 65535))
    assert reading.notes == ()


def test_a_range_decides() -> None:
    for values in (np.array([[-1000, 0, 3000, 9000]]), np.array([[-1000.0, 0.0, 3000.0, np.inf]])):
        reading = read_photo(values, value_range=(-1000, 3000))
        assert grey_of(reading).tolist() == [[0, 64, 255, 255]]
        assert (reading.notes, reading.value_range) == ((), None)
    assert read_image(np.array([[50, 100, 150]], np.uint8), value_range=(50, 150))[0, :, 0].tolist() == [0, 128, 255]
    with pytest.raises(InputError, match="its values have 8 bits, 0–255; range 0,4095 is for others"):
        read_image(GREY, value_range=(0, 4095))


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), (5, 5), (9, 1), (0, np.inf), "ab", ("x", "y"), 7])
def test_unusable_ranges(wrong: Any) -> None:
    with pytest.raises(InputError, match="expected a range"):
        read_image(GREY, value_range=wrong)


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_16_bit_png_of_colours_keeps_all_its_bits(tmp_path: Path, bands: int) -> None:
    values = COLOURS[:, :, :bands].astype(np.uint16) << 4
    if bands != 3:
        values[:, :, -1] = 65535
    path = png_16(tmp_path / "deep.png", values)
    colours = values if bands == 3 else values[:, :, :-1]
    for source in (path, Image.open(path)):
        reading = read_photo(source)
        np.testing.assert_array_equal(reading.pixels, np.broadcast_to(scaled(colours, 4095), (40, 30, 3)))
        assert reading.value_range == (0, 4095)


def test_16_bit_transparency_of_a_photo_is_laid_on_white(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 4), np.uint16)
    values[:, :2, 3] = 65535
    pixels = read_image(png_16(tmp_path / "clear.png", values))
    assert (pixels[:, :2] == 0).all()
    assert (pixels[:, 2:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_photos_are_turned_as_others(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / "eight.png", exif=exif)
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png", exif=exif)
    tiff(tmp_path / "deep.tif", COLOURS[:, :, :3].astype(np.uint16) * 257, extratags=[(274, "H", 1, orientation, True)])
    tiff(tmp_path / "float.tif", COLOURS[:, :, :3] / np.float32(255), photometric="rgb",
         extratags=[(274, "H", 1, orientation, True)])  # fmt: skip
    truth = read_image(tmp_path / "eight.png")
    for name in ("deep.png", "deep.tif", "float.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name)[:, :, 0], truth[:, :, 0])


@pytest.mark.parametrize("shift", [4, 8])
@pytest.mark.parametrize("options", [
    {}, {"byteorder": ">"}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True},
    {"planarconfig": "separate"}, {"planarconfig": "separate", "compression": "zlib"}, {"tile": (16, 16)},
])  # fmt: skip
def test_16_bit_tiff_of_colours_keeps_all_its_bits(tmp_path: Path, options: dict[str, Any], shift: int) -> None:
    values = COLOURS[:, :, :3].astype(np.uint16) << shift
    stored = values.transpose(2, 0, 1) if "planarconfig" in options else values
    reading = read_photo(tiff(tmp_path / "deep.tif", stored, photometric="rgb", **options))
    np.testing.assert_array_equal(reading.pixels, scaled(values, 4095 if shift == 4 else 65535))


@pytest.mark.parametrize("tag", [0, 1, 2])  # unspecified, multiplied, straight
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_four_bands_of_a_tiff_are_chosen_and_never_blended(tmp_path: Path, tag: int, dtype: Any) -> None:
    values = COLOURS.astype(dtype) * dtype(257 if dtype == np.uint16 else 1)
    path = tiff(tmp_path / "four.tif", values, photometric="rgb", extrasamples=[tag])
    reading = read_photo(path)
    np.testing.assert_array_equal(reading.pixels, COLOURS[:, :, :3])
    assert any(note.startswith("its first three bands are read; --bands") for note in reading.notes)
    np.testing.assert_array_equal(read_image(path, bands=(4, 1, 2)), COLOURS[:, :, [3, 0, 1]])
    np.testing.assert_array_equal(read_image(path, bands=[4]), COLOURS[:, :, [3, 3, 3]])
    with pytest.raises(ImageError, match=r"four\.tif: there is no band 5: it has 4; give --bands \(bands=…\) of 1–4"):
        read_image(path, bands=(1, 2, 5))


def test_grey_with_alpha_in_a_tiff_is_not_blended(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[:, :, :2]).save(tmp_path / "two.tif")
    reading = read_photo(tmp_path / "two.tif")
    np.testing.assert_array_equal(grey_of(reading), GREY)
    assert reading.notes[0].startswith("the first of its bands is read; --bands")


def test_8_bit_photos_with_transparency_are_still_laid_on_white(tmp_path: Path) -> None:
    for suffix in ("png", "webp"):
        Image.new("RGBA", (5, 4), (255, 0, 0, 0)).save(tmp_path / f"clear.{suffix}", lossless=True)
        assert (read_image(tmp_path / f"clear.{suffix}") == 255).all()
        assert read_image(tmp_path / f"clear.{suffix}", bands=(4,)).max() == 0


def test_many_bands_are_asked_for(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 4096, (20, 30, 7), dtype=np.uint16)
    values[0, 0] = 4095
    path = tiff(tmp_path / "seven.tif", values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match=r"seven\.tif: it has 7 bands, and does not say which are red.*--bands 3,2,1"):
        read_image(path)
    for source in (path, values):
        np.testing.assert_array_equal(read_photo(source, bands=(7, 3, 2)).pixels, scaled(values[:, :, [6, 2, 1]], 4095))
    with pytest.raises(InputError, match=r"got shape \(20, 30, 7\); say which bands .* bands=\(3, 2, 1\)"):
        read_image(values)


@pytest.mark.parametrize("wrong", [(), (1, 2), (0, 1, 2), (1.5,), (1, 2, 3, 4)])
def test_unusable_bands(wrong: Any) -> None:
    with pytest.raises(InputError, match="expected one band, or three"):
        read_image(COLOURS, bands=wrong)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bands", [1, 3])
def test_floats_of_0_to_1_are_read(tmp_path: Path, dtype: Any, bands: int) -> None:
    values = (COLOURS[:, :, :bands] / 255).astype(dtype)
    path = tiff(tmp_path / "float.tif", values.squeeze(), photometric="rgb" if bands == 3 else "minisblack")
    np.testing.assert_array_equal(read_image(path), np.broadcast_to(COLOURS[:, :, :bands], (40, 30, 3)))


@pytest.mark.parametrize("values", [
    np.array([[-1000, 3000]], np.int16), np.array([[0.0, 250.5]], np.float32), np.array([[-3.5, 2.0]]),
    np.array([[0, 70_000]], np.int32),
])  # fmt: skip
def test_what_can_mean_anything_is_asked_for(tmp_path: Path, values: NDArray[Any]) -> None:
    path = tiff(tmp_path / "odd.tif", values)
    with pytest.raises(ImageError, match=r"odd\.tif: .*expected .* --range .* \(value_range=\(LO, HI\)\)"):
        read_image(path)
    assert read_image(path, value_range=(values.min(), values.max()))[0, :, 0].tolist() == [0, 255]


def test_pixels_without_data_are_black_and_said(tmp_path: Path) -> None:
    floats = np.array([[0, 0.5, 1, np.nan]], np.float32)
    path = tiff(tmp_path / "nan.tif", floats)
    reading = read_photo(path)
    assert grey_of(reading).tolist() == [[0, 128, 255, 0]]
    assert "pixels without data" in reading.notes[0]
    marked = np.array([[0, 2048, 4095, 65535]], np.uint16)
    path = tiff(tmp_path / "marked.tif", marked, extratags=[(42113, "s", 0, "65535", True)])
    reading = read_photo(path)
    assert grey_of(reading).tolist() == [[0, 128, 255, 0]]
    assert (reading.value_range, len(reading.notes)) == ((0, 4095), 2)
    with pytest.raises(ImageError, match=r"all\.tif: every pixel is NaN"):
        read_image(tiff(tmp_path / "all.tif", np.full((2, 2), np.nan, np.float32)))


def test_of_several_pages_the_first_is_read_and_it_is_said(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "white")]
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    floats = tiff(tmp_path / "stack.tif", np.stack([np.eye(8), 1 - np.eye(8)]).astype(np.float16))
    for path, corner in ((tmp_path / "pages.tif", [255, 0, 0]), (floats, [255] * 3)):
        reading = read_photo(path)
        assert reading.pixels[0, 0].tolist() == corner
        assert reading.notes == ("only the first of its pages is read",)


def test_palette_and_one_bit_photos_have_no_bands_of_their_own(tmp_path: Path) -> None:
    image = Image.fromarray(GREY).convert("P")
    image.putpalette([level for index in range(256) for level in (index, 255 - index, 0)])
    image.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png", bands=(2, 1, 3))[:, :, 0], 255 - GREY)
