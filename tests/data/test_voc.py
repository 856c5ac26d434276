"""VOC merged with SBD, and SBD alone. What a plain development kit gives is in test_readers.py."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.matlab import read_field
from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import load_mask
from deeplab.data.voc import read_sbd_mask
from deeplab.errors import DataError, ImageError

LISTS = Path("ImageSets", "Segmentation")


def write_sbd_mask(path: Path, labels: Any) -> None:
    savemat = pytest.importorskip("scipy.io", reason="SBD's masks need SciPy").savemat
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"Boundaries": np.zeros((20, 1), object), "Segmentation": labels, "CategoriesPresent": np.array([[2]])}
    savemat(path, {"GTcls": fields})


@pytest.fixture
def merged(write: Any, tmp_path: Path) -> Path:
    """VOC labels a (train) and v (val); SBD labels a and v again, and b and c."""
    for name in "abcv":
        write.photo(tmp_path / "JPEGImages" / f"{name}.jpg")
        write_sbd_mask(tmp_path / "SBD" / "cls" / f"{name}.mat", np.full((6, 8), 12, np.uint8))
    (tmp_path / "JPEGImages" / "c.jpg").unlink()
    write.photo(tmp_path / "SBD" / "img" / "c.jpg")
    for name in "av":
        write.mask(tmp_path / "SegmentationClass" / f"{name}.png", 3)
    for split, name in (("train", "a"), ("val", "v"), ("trainval", "a\nv")):
        write.text(tmp_path / LISTS / f"{split}.txt", f"{name}\n")
    return tmp_path


def test_sbd_adds_photos_and_vocs_own_masks_win(merged: Path) -> None:
    samples = read_samples("voc", merged, "train_aug")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("a", 3), ("b", 12), ("c", 12)]
    assert load_mask(samples[1]).dtype == np.uint8
    assert samples[2].photo == merged / "SBD" / "img" / "c.jpg"


def test_sbd_adds_to_trainval_what_is_not_in_val(merged: Path) -> None:
    assert [sample.name for sample in read_samples("voc", merged, "trainval_aug")] == ["a", "v", "b", "c"]
    assert READERS["voc"].splits(merged) == ["train", "trainval", "val", "train_aug", "trainval_aug"]


def test_a_list_of_ones_own_wins_over_the_computed_one(write: Any, merged: Path) -> None:
    write.text(merged / LISTS / "train_aug.txt", "b\n")
    assert [sample.name for sample in read_samples("voc", merged, "train_aug")] == ["b"]


def test_without_sbd_there_is_no_train_aug(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "JPEGImages" / "a.jpg", tmp_path / "SegmentationClass" / "a.png")
    write.text(tmp_path / LISTS / "train.txt", "a\n")
    with pytest.raises(DataError, match=r"train_aug\.txt is missing; splits found there: train"):
        read_samples("voc", tmp_path, "train_aug")


def test_sbd_alone(write: Any, tmp_path: Path) -> None:
    labels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 21
    write.photo(tmp_path / "img" / "x.jpg")
    write_sbd_mask(tmp_path / "cls" / "x.mat", labels)
    write.text(tmp_path / "train.txt", "x\n")
    (sample,) = read_samples("sbd", tmp_path, "train")
    np.testing.assert_array_equal(load_mask(sample), labels)


def test_damaged_and_strange_matlab_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    write_sbd_mask(path, np.zeros((6, 8)))
    with pytest.raises(ImageError, match=r"x\.mat: GTcls\.Segmentation is \(6, 8\) float64; expected"):
        read_sbd_mask(path)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ImageError, match=r"x\.mat is no mask of SBD: .* copy it again"):
        read_sbd_mask(path)
    with pytest.raises(ImageError, match=r"y\.mat: no such file"):
        read_sbd_mask(tmp_path / "y.mat")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", "f4", "f8"])
def test_a_field_is_what_scipy_reads(tmp_path: Path, compressed: bool, dtype: str) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    path, values = tmp_path / "x.mat", (np.arange(70).reshape(7, 10) % 21).astype(dtype)
    others = {"Boundaries": np.zeros((20, 1), object), "a": "text", "b": np.array([[1.5]]), "c": {"d": 1}}
    scipy_io.savemat(path, {"x": 3, "GTcls": {**others, "Segmentation": values}}, do_compression=compressed)
    expected = scipy_io.loadmat(path, squeeze_me=True, struct_as_record=False)["GTcls"].Segmentation
    found = read_field(path, "GTcls", "Segmentation")
    assert found.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_a_file_of_a_machine_of_the_other_byte_order(tmp_path: Path) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(kind: int, name: bytes, rows: int, columns: int, *parts: bytes) -> bytes:
        flags, shape = struct.pack(">II", kind, 0), struct.pack(">ii", rows, columns)
        return element(14, element(6, flags) + element(5, shape) + element(1, name) + b"".join(parts))

    inner = matrix(9, b"", 2, 3, element(2, bytes([1, 2, 3, 4, 5, 6])))
    small = struct.pack(">HHi", 4, 5, 13)  # the length of names, in an element of eight bytes
    outer = matrix(2, b"GTcls", 1, 1, small, element(1, b"Segmentation\0"), inner)
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI" + outer)
    assert read_sbd_mask(path).tolist() == [[1, 3, 5], [2, 4, 6]]


def test_no_damage_ends_the_process_or_in_another_error(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    write_sbd_mask(path, np.zeros((6, 8), np.uint8))
    content, random = path.read_bytes(), np.random.default_rng(0)
    changes = [(place, value) for place in range(124, len(content)) for value in (0xFF, int(random.integers(256)))]
    for place, value in changes:
        path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        with suppress(ImageError):
            read_sbd_mask(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with suppress(ImageError):
            read_sbd_mask(path)


def test_a_variable_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(200 << 20), 9)
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(ImageError, match="unpacks to too much"):
        read_sbd_mask(path)
