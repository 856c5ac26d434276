from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import Sample, load_mask, load_sample
from deeplab.errors import DataError, ImageError
from deeplab.label_maps import write_label_map
from deeplab.labels import CAMVID, VOC, LabelSet

DATA = os.environ.get("DEEPLAB_DATA") or None


@pytest.fixture
def voc(write: Any, tmp_path: Path) -> Path:
    for name in ("2007_1", "2007_2", "2007_3"):
        write.pair(tmp_path / f"JPEGImages/{name}.jpg", tmp_path / f"SegmentationClass/{name}.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_3\n2007_1\n")
    (lists / "val.txt").write_text("2007_2\n")
    (lists / "empty.txt").write_text("\n")
    return tmp_path


def test_voc_reads_the_photos_of_a_split_in_the_lists_order(voc: Path) -> None:
    samples = read_samples("voc", voc, "train")
    assert [sample.name for sample in samples] == ["2007_3", "2007_1"]
    image, labels = load_sample(samples[0])
    assert (image.shape, image.dtype, labels.shape, labels.dtype) == ((6, 8, 3), np.uint8, (6, 8), np.uint8)
    assert samples[0].label_set is VOC


def test_an_unknown_split_lists_those_found(voc: Path) -> None:
    with pytest.raises(DataError, match=r"trainval\.txt is missing; splits found there: empty, train, val"):
        read_samples("voc", voc, "trainval")


def test_deeplabs_lists_of_photos_and_masks_are_read(write: Any, voc: Path) -> None:
    write.mask(voc / "SegmentationClassAug" / "2007_2.png", 7)
    (voc / "ImageSets" / "Segmentation" / "aug.txt").write_text(
        "/JPEGImages/2007_2.jpg /SegmentationClassAug/2007_2.png\n2007_1\n"
    )
    samples = read_samples("voc", voc, "aug")
    assert [(sample.name, load_mask(sample)[0, 0]) for sample in samples] == [("2007_2", 7), ("2007_1", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"2007_1\nZ\xfcrich\n", r"bad\.txt is no UTF-8 text; save it as UTF-8"),
        (b"2007_1\n2007_2\n2007_1\n", r"bad\.txt lists 2007_1 more than once; list every photo once"),
        (
            b"/JPEGImages/2007_1.jpg /SegmentationClass/2007_1.png\n2007_1\n",
            r"bad\.txt lists 2007_1 more than once; list every photo once",
        ),
        (b"2007_1 -1\n", r"bad\.txt has the line '2007_1 -1'; expected a photo's name, .* or two paths"),
        (b"/JPEGImages/2007_1.jpg\n", "expected a photo's name, .* or two paths"),
    ],
)
def test_bad_lists_are_errors(voc: Path, content: bytes, message: str) -> None:
    (voc / "ImageSets" / "Segmentation" / "bad.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_samples("voc", voc, "bad")


def test_an_empty_split_is_an_error(voc: Path) -> None:
    with pytest.raises(DataError, match="list of photos is empty"):
        read_samples("voc", voc, "empty")


def test_missing_files_are_named_and_counted(voc: Path) -> None:
    (voc / "SegmentationClass" / "2007_3.png").unlink()
    (voc / "JPEGImages" / "2007_1.jpg").unlink()
    with pytest.raises(DataError, match=r"2007_3\.png is missing \(and 1 more\)"):
        read_samples("voc", voc, "train")


def test_camvid_has_a_folder_a_split_and_void_11(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "train" / "b.png", tmp_path / "trainannot" / "b.png", 11)
    write.pair(tmp_path / "train" / "a.jpg", tmp_path / "trainannot" / "a.png", 10)
    samples = read_samples("camvid", tmp_path, "train")
    assert [sample.name for sample in samples] == ["a", "b"]
    assert samples[0].label_set is CAMVID
    assert load_mask(samples[1])[0, 0] == 11
    with pytest.raises(DataError, match="splits found: train"):
        read_samples("camvid", tmp_path, "training")


def test_a_folder_of_ones_own_classes(write: Any, tmp_path: Path) -> None:
    root = tmp_path / "leaves"
    write.pair(root / "images" / "x.JPG", root / "masks" / "x.png", 2)
    assert read_samples("folder", root, "all")[0].label_set is VOC
    (root / "classes.txt").write_text("soil\nleaf\nrust\n")
    (sample,) = read_samples("folder", root, "all")
    assert sample.label_set == LabelSet("own", ("soil", "leaf", "rust"))
    assert load_mask(sample)[0, 0] == 2


@pytest.mark.parametrize("content", ["soil\nsoil\n", "", "soil\n\nleaf\n"])
def test_bad_names_files_are_errors(write: Any, tmp_path: Path, content: str) -> None:
    write.pair(tmp_path / "images" / "x.jpg", tmp_path / "masks" / "x.png")
    (tmp_path / "classes.txt").write_text(content)
    with pytest.raises(DataError, match=r"classes\.txt: .*give one class name a line"):
        read_samples("folder", tmp_path, "all")


def test_a_folder_may_have_splits_that_share_its_classes(write: Any, tmp_path: Path) -> None:
    for split, name in (("train", "x"), ("val", "y")):
        write.pair(tmp_path / split / "images" / f"{name}.jpg", tmp_path / split / "masks" / f"{name}.png")
    (tmp_path / "classes.txt").write_text("soil\nleaf\n")
    (train,), (val,) = (read_samples("folder", tmp_path, split) for split in ("train", "val"))
    assert (train.name, val.name, train.label_set.names) == ("x", "y", ("soil", "leaf"))
    assert train.label_set == val.label_set
    with pytest.raises(DataError, match=r"there is no folder .*test/images; make it, or ask for split 'all'"):
        read_samples("folder", tmp_path, "test")
    with pytest.raises(DataError, match="there is no folder"):
        read_samples("folder", tmp_path, "all")


def test_no_two_photos_have_one_name(write: Any, tmp_path: Path) -> None:
    write.pair(tmp_path / "images" / "x.jpg", tmp_path / "masks" / "x.png")
    write.photo(tmp_path / "images" / "x.png")
    with pytest.raises(DataError, match=r"x\.png and x\.jpg share one name"):
        read_samples("folder", tmp_path, "all")


def test_msrc_becomes_voc(write: Any, tmp_path: Path) -> None:
    for name, label in (("cow", 3), ("face", 10), ("grass", 1), ("cat", 19), ("void", 255)):
        write.pair(tmp_path / "images" / f"{name}.jpg", tmp_path / "labels" / f"{name}.png", label)
    found = {sample.name: VOC.names[load_mask(sample)[0, 0]] for sample in read_samples("msrc", tmp_path, "all")}
    assert found == {"cow": "cow", "face": "person", "cat": "cat"}
    with pytest.raises(DataError, match="has no splits: ask for split 'all', not 'val'"):
        read_samples("msrc", tmp_path, "val")


def test_unknown_layouts_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="layout 'cityscape': did you mean 'cityscapes'\\? choose one of voc"):
        read_samples("cityscape", tmp_path, "all")
    with pytest.raises(DataError, match="there is no folder"):
        read_samples("voc", tmp_path / "nothing", "all")


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_folder_is_an_error_for_every_reader(tmp_path: Path, reader: str) -> None:
    with pytest.raises(DataError):
        read_samples(reader, tmp_path, "all")


def sample_in(write: Any, folder: Path, label_set: LabelSet = VOC) -> Sample:
    write.pair(folder / "x.jpg", folder / "x.png")
    return Sample("x", folder / "x.jpg", folder / "x.png", label_set)


def test_colour_coded_masks_are_named(write: Any, tmp_path: Path) -> None:
    sample = sample_in(write, tmp_path)
    write.photo(sample.mask)
    with pytest.raises(DataError, match=r"x\.png has mode RGB; .* masks of 'voc' hold labels 0–20, and 255 for void"):
        load_sample(sample)


@pytest.mark.parametrize(
    ("label_set", "label", "hint"),
    [(VOC, 21, "map its values to these"), (VOC, 254, "if 254 means void, map it to 255"),
     (CAMVID, 255, "if 255 means void, map it to 11")],
)  # fmt: skip
def test_labels_beyond_the_classes_are_named(
    write: Any, tmp_path: Path, label_set: LabelSet, label: int, hint: str
) -> None:
    sample = sample_in(write, tmp_path, label_set)
    write.mask(sample.mask, label)
    with pytest.raises(DataError, match=f"holds label {label}, but .*{hint}"):
        load_sample(sample)


def test_a_mask_of_another_size_is_named(write: Any, tmp_path: Path) -> None:
    sample = sample_in(write, tmp_path)
    write.mask(sample.mask, size=(8, 6))
    with pytest.raises(DataError, match=r"the mask is 6x8 px but photo .* is 8x6"):
        load_sample(sample)


def test_a_damaged_photo_is_named(write: Any, tmp_path: Path) -> None:
    sample = sample_in(write, tmp_path)
    sample.photo.write_bytes(sample.photo.read_bytes()[:100])
    with pytest.raises(ImageError, match=r"x\.jpg"):
        load_sample(sample)


def test_a_palette_mask_is_read_by_index(write: Any, tmp_path: Path) -> None:
    sample = sample_in(write, tmp_path)
    labels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 21
    labels[0, 0] = 255
    write_label_map(sample.mask, labels, VOC, overwrite=True)
    np.testing.assert_array_equal(load_mask(sample), labels)


@pytest.mark.skipif(DATA is None, reason="DEEPLAB_DATA does not name the folder of real data")
@pytest.mark.parametrize(
    ("reader", "folder", "split", "masks"),
    [("voc", "voc2012", "train", ""), ("voc", "voc2012", "val", ""), ("camvid", "camvid", "train", "trainannot"),
     ("camvid", "camvid", "test", "testannot"), ("folder", "coco_voc", "all", "masks")],
)  # fmt: skip
def test_real_data_sets_are_read_whole(reader: str, folder: str, split: str, masks: str) -> None:
    assert DATA is not None
    root = Path(DATA) / folder
    listed = (root / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().splitlines() if not masks else []
    photos = len(listed or list((root / masks).glob("*.png")))
    samples = read_samples(reader, root, split)
    assert len(samples) == photos
    for sample in samples[:: photos // 3]:
        image, labels = load_sample(sample)
        assert image.shape[:2] == labels.shape
