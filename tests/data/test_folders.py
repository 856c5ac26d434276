"""Photos in one folder and masks in another, as tools and people lay them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deeplab.data.ade import ADE
from deeplab.data.check import check_data
from deeplab.data.readers import find_splits, guess_layout, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError


@pytest.mark.parametrize(
    ("photos", "masks", "splits"),
    [
        ("img_dir/{}", "ann_dir/{}", ("train", "val")),
        ("images/{}", "masks/{}", ("train2017", "val2017")),
        ("Images/{}", "Masks/{}", ("Training", "Testing")),
        ("images/{}/north", "masks/{}/north", ("test", "valid")),
        ("{}/images", "{}/labels", ("rome", "paris")),
        ("{}/imgs/a/b", "{}/mask/a/b", ("train", "val")),
    ],
)
def test_photos_and_masks_lie_in_the_same_folders(
    write: Any, tmp_path: Path, photos: str, masks: str, splits: tuple[str, str]
) -> None:
    for value, split in enumerate(splits, start=1):
        write.pair(tmp_path / photos.format(split) / "x.JPG", tmp_path / masks.format(split) / "x.PNG", value)
    assert guess_layout(tmp_path) == "folder"
    assert sorted(find_splits("auto", tmp_path)) == sorted(splits)
    for value, split in enumerate(splits, start=1):
        (sample,) = read_samples("auto", tmp_path, split)
        assert load_mask(sample).max() == load_mask(sample).min() == value


def test_folders_that_are_no_splits_are_one_set(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "images/rome/x.jpg", tmp_path / "masks/rome/x.png", 1)
    write.pair(tmp_path / "images/oslo/x.jpg", tmp_path / "masks/oslo/x.png", 2)
    write.photo(tmp_path / "images" / "rome" / ".hidden.jpg")
    write.photo(tmp_path / "images" / "__MACOSX" / "x.jpg")
    samples = read_samples("auto", tmp_path, "all")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("oslo_x", 2), ("rome_x", 1)]
    write.text(tmp_path / "train.txt", "images/rome/x.jpg\n")
    write.text(tmp_path / "val.txt", "oslo\\x\n")
    assert find_splits("auto", tmp_path) == ["train", "val"]
    assert [read_samples("auto", tmp_path, split)[0].name for split in ("train", "val")] == ["rome_x", "oslo_x"]


def test_the_splits_of_a_folder_further_down_are_not_mixed(write: Any, tmp_path: Path) -> None:
    for split in ("train", "val"):
        write.pair(tmp_path / "export/img_dir" / split / "x.jpg", tmp_path / "export/ann_dir" / split / "x.png")
    with pytest.raises(DataError, match=r"no layout known here; .*export has layout 'folder': give that folder"):
        guess_layout(tmp_path)


def test_masks_come_before_what_they_were_drawn_from(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "images" / "x.jpg", tmp_path / "masks" / "x.png")
    write.text(tmp_path / "images" / "x.json", '{"version": "5", "shapes": []}')
    write.text(tmp_path / "labels" / "x.txt", "0 0 0 1 0 1 1\n")
    assert guess_layout(tmp_path) == "folder"


@pytest.mark.parametrize("ending", ["_mask", "-mask", "_seg", "_label", "_gt"])
def test_a_masks_name_may_say_that_it_is_one(write: Any, tmp_path: Path, ending: str) -> None:
    for name in ("x", "x_1"):
        write.pair(tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}{ending}.png", len(name))
    samples = read_samples("auto", tmp_path, "all")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("x", 1), ("x_1", 3)]


def test_ade_has_150_classes_and_0_for_none_of_them(write: Any, tmp_path: Path) -> None:
    stored = [0, 1, 2, 150, 151, 255, 21, 13]
    for split in ("training", "validation"):
        write.pair(tmp_path / "images" / split / "x.jpg", tmp_path / "annotations" / split / "x.png", stored)
    assert (guess_layout(tmp_path), find_splits("ade", tmp_path)) == ("ade", ["training", "validation"])
    (sample,) = read_samples("auto", tmp_path, "validation")
    with pytest.raises(DataError, match="holds label 151, but masks of 'ade' hold labels 0–149, and 255 for void"):
        load_mask(sample)
    stored[4] = 149
    write.mask(sample.mask, stored)
    assert load_mask(sample)[0].tolist() == [255, 0, 1, 149, 148, 255, 20, 12]
    assert (len(ADE), [ADE.names[label] for label in (0, 1, 149, 148, 20, 12)]) == (
        150, ["wall", "building", "flag", "clock", "car", "person"],
    )  # fmt: skip
    with pytest.raises(DataError, match="splits found: training, validation"):
        read_samples("ade", tmp_path, "val")
    # With classes of one's own, the masks hold what their file says.
    write.mask(sample.mask, [0, 1] * 4)
    write.text(tmp_path / "classes.txt", "soil: 0\nleaf: 1\n")
    (sample,) = read_samples("auto", tmp_path, "validation")
    assert load_mask(sample)[0].tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("JPEGImages/x.jpg", "Annotations/x.xml"), r"'voc' \(VOC development kit\), .* missing: SegmentationClass/"),
        (("leftImg8bit/train/a/x.png",), r"'cityscapes' .* missing: gtFine/\*"),
        (("input/x.jpg", "target/x.png"), r"'folder' .* missing: images/, masks/; docs/data\.md"),
        (("data/images/x.jpg", "data/masks/x.png", "x/y/z.md"), r"/a has layout 'folder': give that folder"),
    ],
)
def test_a_folder_that_is_not_understood_is_compared(
    write: Any, tmp_path: Path, files: tuple[str, ...], message: str
) -> None:
    deeper = "a/" if "data/" in files[0] else ""
    for file in files:
        write.photo(tmp_path / deeper / file) if file.endswith((".jpg", ".png")) else write.text(tmp_path / file, "")
    with pytest.raises(DataError, match=rf"no layout known here; the nearest is .*{message}"):
        guess_layout(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot read .*: Permission denied; change its permissions"):
        guess_layout(tmp_path)


def test_photos_in_folders_of_splits_with_all_masks_in_one(write: Any, tmp_path: Path) -> None:
    for split, name in (("train", "x"), ("val", "y")):
        write.pair(tmp_path / "images" / split / f"{name}.jpg", tmp_path / "masks" / f"{name}_mask.png")
    assert (guess_layout(tmp_path), find_splits("auto", tmp_path)) == ("folder", ["train", "val"])
    (sample,) = read_samples("auto", tmp_path, "val")
    assert (sample.name, sample.mask.name) == ("y", "y_mask.png")
    assert check_data(tmp_path).problems == ()
    write.mask(tmp_path / "masks" / "z.png")
    assert {finding.kind for finding in check_data(tmp_path).problems} == {"missing"}
