"""Several masks for a photo, each of one object or class."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.data.check import check_data
from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError

LEFT, RIGHT = [255] * 5 + [0] * 3, [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("masks", "names"),
    [
        (("masks/x/cat_1.png", "masks/x/dog_1.png"), ("background", "cat", "dog")),
        (("masks/cat/x.PNG", "masks/dog/x.PNG"), ("background", "cat", "dog")),
        (("masks/x_cat.png", "masks/x_dog_12.png"), ("background", "cat", "dog")),
        (("annotations/x/1_cat.tif", "annotations/x/2_dog.tif"), ("background", "cat", "dog")),
        (("masks/x/0.png", "masks/x/1.png"), ("background", "object")),
        (("masks/x_0.png", "masks/x_1.png"), ("background", "object")),
        (("masks/x/mask_0.png", "masks/x/mask_1.png"), ("background", "object")),
    ],
)
def test_names_of_masks_tell_their_photo_and_class(
    write: Any, tmp_path: Path, masks: tuple[str, str], names: tuple[str, ...]
) -> None:
    write.photo(tmp_path / "images" / "x.JPG")
    write.mask(tmp_path / masks[0], LEFT)
    write.mask(tmp_path / masks[1], RIGHT)
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("objects", ["all"])
    (sample,) = read_samples("auto", tmp_path, "all")
    assert sample.label_set.names == names
    last = len(names) - 1  # lies in front
    assert load_mask(pickle.loads(pickle.dumps(sample)))[0].tolist() == [1] * 4 + [last] * 4
    assert check_data(tmp_path).problems == ()


def test_splits_share_classes(write: Any, tmp_path: Path) -> None:
    for split, kind in (("train", "dog"), ("valid", "cat")):
        write.photo(tmp_path / "images" / split / "x.jpg")
        write.mask(tmp_path / "masks" / split / "x" / f"{kind}_0.png", LEFT)
    (train,), (valid,) = (read_samples("auto", tmp_path, split) for split in ("train", "valid"))
    assert train.label_set == valid.label_set
    assert (load_mask(train).max(), load_mask(valid).max()) == (2, 1)
    with pytest.raises(DataError, match="for split 'val'; splits found: train, valid"):
        read_samples("objects", tmp_path, "val")


def test_a_folder_for_every_photo(write: Any, tmp_path: Path) -> None:
    for name in ("0fa3", "77b1"):
        write.photo(tmp_path / name / "images" / f"{name}.png")
        for mask in ("5c" * 16, "d4" * 16):
            write.mask(tmp_path / name / "masks" / f"{mask}.png", RIGHT)
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("objects", ["all"])
    samples = read_samples("auto", tmp_path, "all")
    assert [(sample.name, sample.label_set.names) for sample in samples] == [
        (name, ("background", "object")) for name in ("0fa3", "77b1")
    ]


def test_the_longest_name_owns_a_mask_and_photos_without_one_are_missing_it(write: Any, tmp_path: Path) -> None:
    for name in ("x", "x_1"):
        write.photo(tmp_path / "images" / f"{name}.jpg")
    write.mask(tmp_path / "masks" / "x_1_dog.png", LEFT)
    write.mask(tmp_path / "masks" / "x_cat.png", LEFT)
    assert [load_mask(sample).max() for sample in read_samples("auto", tmp_path, "all")] == [1, 2]
    (tmp_path / "masks" / "x_cat.png").unlink()
    with pytest.raises(DataError, match=r"masks/x\.png is missing"):
        read_samples("auto", tmp_path, "all")


def test_one_label_map_of_a_whole_photo_makes_it_plain_folders(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "images" / "x.jpg", tmp_path / "masks" / "x.png")
    write.mask(tmp_path / "masks" / "x_2.png")
    assert guess_layout(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (
            np.array([[0, 1, 2, 3]] * 6, np.uint8),
            "holds the values 0, 1, 2, 3; a mask of one object holds 0 and one more",
        ),
        (np.array([[0, 1, 2, 3, 4]] * 6, np.uint8), "holds the values 0, 1, 2, 3, …"),
        (np.array([[7, 9]] * 6, np.uint8), "holds the values 7, 9"),
        (np.zeros((3, 3), np.uint8), "has another size than dog.png"),
    ],
)
def test_masks_that_hold_something_else_are_errors(write: Any, tmp_path: Path, pixels: Any, said: str) -> None:
    write.photo(tmp_path / "images" / "x.jpg")
    write.mask(tmp_path / "masks" / "x" / "dog.png", LEFT)
    Image.fromarray(pixels).save(tmp_path / "masks" / "x" / "emu.png")
    (sample,) = read_samples("auto", tmp_path, "all")
    with pytest.raises(DataError, match=rf"emu\.png {said}"):
        load_mask(sample)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_modes_of_masks(write: Any, tmp_path: Path, mode: str) -> None:
    write.photo(tmp_path / "images" / "x.jpg")
    image = Image.fromarray(np.array([LEFT] * 6, np.uint8))
    (tmp_path / "masks" / "x").mkdir(parents=True)
    (Image.fromarray(np.array([LEFT] * 6, np.uint16)) if mode == "I;16" else image.convert(mode)).save(
        tmp_path / "masks" / "x" / "cat.png"
    )
    (sample,) = read_samples("auto", tmp_path, "all")
    assert load_mask(sample)[0].tolist() == [1] * 5 + [0] * 3


@pytest.mark.parametrize(
    ("masks", "names"),
    [
        (("x_mask_1.png", "x_mask_2.png"), ("background", "object")),
        (("x_1_mask.png", "x_2_mask.png"), ("background", "object")),
        (("x_mask_cat.png", "x_mask_dog_3.png"), ("background", "cat", "dog")),
        (("x_cat_mask.png", "x_dog-label.png"), ("background", "cat", "dog")),
    ],
)
@pytest.mark.parametrize("split", ["all", "train"])
def test_masks_beside_their_photo(
    write: Any, tmp_path: Path, masks: tuple[str, str], names: tuple[str, ...], split: str
) -> None:
    folder = tmp_path / split if split != "all" else tmp_path
    write.photo(folder / "x.jpg")
    write.mask(folder / masks[0], LEFT)
    write.mask(folder / masks[1], RIGHT)
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("objects", [split])
    (sample,) = read_samples("auto", tmp_path, split)
    assert sample.label_set.names == names
    last = len(names) - 1
    assert load_mask(sample)[0].tolist() == [1] * 4 + [last] * 4
    assert check_data(tmp_path).problems == ()
