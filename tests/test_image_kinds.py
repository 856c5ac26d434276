"""Files of other kinds than photos: what they are called, and what to do with them."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.errors import ImageError
from deeplab.images import PHOTO_SUFFIXES, not_taken, open_image, read_image, read_photo
from deeplab.images.files import PHOTO_FORMATS
from deeplab.label_maps import read_label_map


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return (len(box) + 4).to_bytes(4, "big") + box + b"\0\0\0\x08mdat"


def zipped() -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.txt", "a")
        return buffer.getvalue()


OTHERS = {
    "an HEIC photo; run pip install '.[heic]'": [ftyp(b"heic", b"mif1"), ftyp(b"mif1", b"heic"), ftyp(b"mif1")],
    "an AVIF photo; run pip install 'pillow": [ftyp(b"avif", b"mif1"), ftyp(b"mif1", b"avif")],
    "a camera's raw file; develop it": [
        ftyp(b"crx "), b"FUJIFILMCCD-RAW 0201", b"IIU\0\x18\0\0\0", b"IIRO\x08\0\0\0",
    ],
    "a video; name it outright": [ftyp(b"isom", b"mp42"), ftyp(b"qt  "), b"\x1aE\xdf\xa3\x01", b"RIFF\0\0\0\0AVI LIST"],
    "an SVG drawing; export it as PNG": [b"<svg xmlns='a'/>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<svg/>"],
    "a PDF document; save": [b"%PDF-1.7\n"],
    "a Photoshop file; export it": [b"8BPS\0\1"],
    "a DICOM file; export": [bytes(128) + b"DICM"],
    "a JPEG XL photo; export it": [b"\xff\x0a\xfa", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "an OpenEXR image; tone-map it": [b"\x76\x2f\x31\x01\x02\0\0\0"],
    "a web page; the download went wrong": [b"<!DOCTYPE html><html>", b"\n<html lang=en>"],
    "a pointer of Git LFS, not the file itself; run git lfs pull": [b"version https://git-lfs.github.com/spec/v1\n"],
    "a NumPy array; save it as PNG": [b"\x93NUMPY\1\0"],
    "an archive; unpack it": [zipped()],
}  # fmt: skip


@pytest.mark.parametrize(("said", "contents"), OTHERS.items())
def test_files_of_other_kinds_are_called_by_their_names(tmp_path: Path, said: str, contents: list[bytes]) -> None:
    path = tmp_path / "photo.jpg"  # whatever the name says
    without = tuple(name for name in PHOTO_FORMATS if name not in ("AVIF", "HEIF"))
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ImageError) as caught, open_image(path, without):
            pass
        assert str(caught.value).startswith(f"{path} is {said}")


def test_damaged_files_of_our_kinds_are_called_damaged(tmp_path: Path) -> None:
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"):
        (tmp_path / "photo").write_bytes(start)
        with pytest.raises(ImageError, match=r"begins as a \w+ file does, but is damaged"):
            read_image(tmp_path / "photo")
    (tmp_path / "photo").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(ImageError, match="photo"):
        read_image(tmp_path / "photo")


def test_a_canon_raw_file_is_no_tiff(tmp_path: Path) -> None:
    tags = ((256, 4), (257, 1), (258, 8), (259, 1), (262, 1), (273, 4), (278, 1), (279, 4))  # 4 × 1 px at byte 4
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    for mark in (b"\0\0\0\0", b"CR\2\0"):
        (tmp_path / "a.cr2").write_bytes(b"II*\0\x10\0\0\0" + mark + b"\0\0\0\0" + directory + b"\0\0\0\0")
        if mark[0]:
            with pytest.raises(ImageError, match="it is a camera's raw file, which begins with a thumbnail"):
                read_image(tmp_path / "a.cr2")
        else:
            assert read_image(tmp_path / "a.cr2").shape == (1, 4, 3)


@pytest.mark.parametrize("tag", [(254, "I", 1, 1, True), (50706, "B", 4, (1, 4, 0, 0), True)])
def test_the_thumbnail_of_a_raw_file_is_not_taken_for_the_photo(tmp_path: Path, tag: object) -> None:
    tifffile = pytest.importorskip("tifffile", reason="needs the extra tiff")
    options = {"subfiletype": 1} if tag[0] == 254 else {"extratags": [tag]}  # type: ignore[index]
    tifffile.imwrite(tmp_path / "a.dng", np.zeros((9, 9, 3), np.uint8), photometric="rgb", **options)
    with pytest.raises(ImageError, match=r"a\.dng: it is a camera's raw file, which begins with a thumbnail"):
        read_image(tmp_path / "a.dng")


@pytest.mark.skipif("AVIF" not in PHOTO_FORMATS, reason="this Pillow reads no AVIF")
def test_avif_is_read_and_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32), (200, 30, 30)).save(tmp_path / "photo.avif", exif=exif)
    pixels = read_image(tmp_path / "photo.avif")
    assert pixels.shape == (64, 32, 3)
    np.testing.assert_allclose(pixels[9, 9], (200, 30, 30), atol=6)


def test_heic_is_read_where_pillow_heif_is(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    pillow_heif.from_pillow(Image.new("RGB", (64, 32), (200, 30, 30))).save(tmp_path / "photo.heic")
    np.testing.assert_allclose(read_image(tmp_path / "photo.heic")[9, 9], (200, 30, 30), atol=6)
    assert ".heic" in PHOTO_SUFFIXES


def test_what_a_folder_holds_beside_photos_is_counted_and_named() -> None:
    names = ["b.HEIC", "a.heic", "c.heic", "d.heif", "x.cr2", "y.txt", "p.JPG", ".hidden", "Thumbs.db"]
    assert not_taken(names, frozenset({".jpg"})) == [
        "not taken: 4 × HEIC photo (a.heic, b.HEIC, c.heic, …); run pip install '.[heic]' in deeplab's folder to read "
        "it, or export it as JPEG",
        "not taken: 1 × camera's raw file (x.cr2); develop it in the camera's program, and export JPEG or TIFF",
        "not taken: 1 × other file (y.txt)",
    ]
    assert not_taken(["p.jpg", "q.JPG"], frozenset({".jpg"})) == []


def test_usual_endings_are_taken(tmp_path: Path) -> None:
    for suffix in (".jfif", ".jpe", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".jp2", ".ppm", ".gif", ".png"):
        assert suffix in PHOTO_SUFFIXES
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jfif", format="JPEG")
    assert read_photo(tmp_path / "a.jfif").notes == ()


def test_a_gif_is_a_label_map_unless_it_moves(tmp_path: Path) -> None:
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    image = Image.fromarray(labels)
    image.putpalette([level for index in range(256) for level in (index, 3 * index % 256, 255 - index)])
    image.save(tmp_path / "labels.gif", optimize=False)
    np.testing.assert_array_equal(read_label_map(tmp_path / "labels.gif"), labels)
    image.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("P", (5, 4), 3)])
    with pytest.raises(ImageError, match=r"moving\.gif is an animation of 2 frames; a label map is one picture"):
        read_label_map(tmp_path / "moving.gif")


def test_a_label_map_of_another_kind_is_called_by_its_name(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "labels.jpg")
    with pytest.raises(ImageError, match="is a JPEG file; save it in another format; expected PNG, TIFF, BMP, GIF"):
        read_label_map(tmp_path / "labels.jpg")
