"""Masks beside their photos, with and without Roboflow's list of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError
from deeplab.labels import VOC

CLASSES = "Pixel Value, Class\n0, background\n1, cat\n2, dog\n"


def test_photos_masks_and_classes_of_every_split(write: Any, tmp_path: Path) -> None:
    for value, split in enumerate(("train", "valid")):
        photo = tmp_path / split / "x_jpg.rf.0a1b.JPG"
        write.pair(photo, tmp_path / split / "x_jpg.rf.0a1b_mask.png", value + 1)
        write.text(tmp_path / split / "_classes.csv", CLASSES)
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("roboflow", ["train", "valid"])
    (train,), (valid,) = (read_samples("auto", tmp_path, split) for split in ("train", "valid"))
    assert train.label_set.names == ("background", "cat", "dog")
    assert (train.name, load_mask(train).max(), load_mask(valid).max()) == ("x_jpg.rf.0a1b", 1, 2)
    with pytest.raises(DataError, match=r"no photos with masks beside them in .*test; splits found: train, valid"):
        read_samples("roboflow", tmp_path, "test")
    write.photo(tmp_path / "train" / "y.jpg")
    with pytest.raises(DataError, match=r"y_mask\.png is missing"):
        read_samples("auto", tmp_path, "train")


def test_values_with_gaps_become_labels_in_order(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "x.jpg", tmp_path / "x_mask.png", [3, 10, 200, 255] * 2)
    write.text(tmp_path / "_classes.csv", 'Pixel Value, Class\r\n200, dog\r\n3, sky\r\n10, "cat, tame"\r\n\r\n')
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.label_set.names == ("sky", "cat, tame", "dog")
    assert load_mask(sample)[0].tolist() == [0, 1, 2, 255] * 2
    write.mask(sample.mask, 4)
    with pytest.raises(DataError, match=r"x_mask\.png holds label 4, but masks of 'roboflow' hold labels 0–2"):
        load_mask(sample)


def test_without_a_list_the_classes_are_vocs_or_ones_own(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "x.jpg", tmp_path / "x_mask.png", 1)
    assert read_samples("auto", tmp_path, "all")[0].label_set is VOC
    write.text(tmp_path / "classes.txt", "soil\nleaf\n")
    assert read_samples("auto", tmp_path, "all")[0].label_set.names == ("soil", "leaf")


@pytest.mark.parametrize(
    "row", ["x, cat", "256, cat", "1,", "1", "-1, cat", "0, cat", "1, background", "9" * 5000 + ", a", "x" * 200_000]
)
def test_bad_lists_are_errors(write: Any, tmp_path: Path, row: str) -> None:
    write.pair(tmp_path / "x.jpg", tmp_path / "x_mask.png", 1)
    write.text(tmp_path / "_classes.csv", f"Pixel Value, Class\n0, background\n{row}\n")
    with pytest.raises(
        DataError, match=r"_classes\.csv (has the line .*expected a value of 0–255|gives .* twice|is no CSV)"
    ):
        read_samples("auto", tmp_path, "all")
