from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deeplab.data.cityscapes import CITYSCAPES
from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError

# Some classes with their ids and train ids, from the data set's own list.
KNOWN = {
    "road": (7, 0),
    "wall": (12, 3),
    "traffic light": (19, 6),
    "sky": (23, 10),
    "bus": (28, 15),
    "bicycle": (33, 18),
}


def write_city(write: Any, root: Path, kind: str, labels: Any, split: str = "train") -> None:
    name = "aachen_000000_000019"
    write.pair(
        root / "leftImg8bit" / split / "aachen" / f"{name}_leftImg8bit.png",
        root / "gtFine" / split / "aachen" / f"{name}_gtFine_{kind}.png",
        labels,
    )


@pytest.mark.parametrize(("kind", "column"), [("labelIds", 0), ("labelTrainIds", 1)])
def test_both_kinds_of_masks_give_train_ids(write: Any, tmp_path: Path, kind: str, column: int) -> None:
    stored = [ids[column] for ids in KNOWN.values()]
    write_city(write, tmp_path, kind, [*stored, 255, 255])
    (sample,) = read_samples("cityscapes", tmp_path, "train")
    assert sample.name == "aachen_000000_000019"
    names = [CITYSCAPES.names[label] for label in load_mask(sample)[0, :6]]
    assert names == list(KNOWN)
    assert load_mask(sample)[0, 7] == CITYSCAPES.void


def test_ids_that_are_not_evaluated_are_void_and_others_errors(write: Any, tmp_path: Path) -> None:
    write_city(write, tmp_path, "labelIds", [0, 1, 4, 9, 14, 18, 29, 30])
    (sample,) = read_samples("cityscapes", tmp_path, "train")
    assert set(load_mask(sample)[0].tolist()) == {255}
    write_city(write, tmp_path, "labelIds", 34)
    with pytest.raises(DataError, match="holds label 34"):
        load_mask(sample)


def test_train_ids_are_preferred_and_a_names_file_may_use_every_id(write: Any, tmp_path: Path) -> None:
    write_city(write, tmp_path, "labelIds", [7, 9, 15, 26, 27, 0, 0, 0])
    write.text(
        tmp_path / "classes.txt", "ground: road, parking\nbridge: bridge\nvehicle: car, truck\nvoid: unlabeled\n"
    )
    (sample,) = read_samples("cityscapes", tmp_path, "train")
    assert load_mask(sample)[0].tolist() == [0, 0, 1, 2, 2, 255, 255, 255]
    (tmp_path / "classes.txt").unlink()
    write_city(write, tmp_path, "labelTrainIds", 18)
    (sample,) = read_samples("cityscapes", tmp_path, "train")
    assert sample.mask.name.endswith("labelTrainIds.png")


def test_splits_and_missing_masks(write: Any, tmp_path: Path) -> None:
    write_city(write, tmp_path, "labelIds", 7)
    write_city(write, tmp_path, "labelIds", 7, "val")
    assert READERS["cityscapes"].splits(tmp_path) == ["train", "val"]
    with pytest.raises(DataError, match="splits found: train, val"):
        read_samples("cityscapes", tmp_path, "test")
    (tmp_path / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"gtFine_labelIds\.png is missing"):
        read_samples("cityscapes", tmp_path, "train")
