"""VOC merged with SBD, and SBD alone. What a plain development kit gives is in test_readers.py."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import load_mask
from deeplab.data.voc import read_sbd_mask
from deeplab.errors import DataError, ImageError, InputError

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
    with pytest.raises(ImageError, match=r"x\.mat is no mask of SBD .* copy it again"):
        read_sbd_mask(path)
    with pytest.raises(ImageError, match=r"y\.mat: no such file"):
        read_sbd_mask(tmp_path / "y.mat")


def test_without_scipy_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without_scipy(name: str, *rest: Any) -> Any:
        if name.startswith("scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(InputError, match="needs SciPy: run pip install scipy"):
        read_sbd_mask(tmp_path / "x.mat")
