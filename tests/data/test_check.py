"""Every trap on a small folder of its own, and real data against a plain count."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from deeplab.data.check import DataReport, check_data
from deeplab.data.inspection import KINDS
from deeplab.data.readers import READERS
from deeplab.errors import DataError, InputError
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC, voc_colour_map

DATA = os.environ.get("DEEPLAB_DATA") or None


@pytest.fixture
def folder(write: Any, tmp_path: Path) -> Path:
    """Three good pairs."""
    for number, name in enumerate("abc"):
        write.pair(tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}.png", [0, 0, 0, number] * 2)
    return tmp_path


def found(report: DataReport) -> list[tuple[str, str, str]]:
    """Kind, file and details of all findings but the classes that never occur."""
    return [(kind, file.name, detail) for kind, _, _, file, detail in report.findings if kind != "absent"]


def test_good_data_has_no_findings_but_absent_classes(folder: Path) -> None:
    report = check_data(folder)
    assert found(report) == [("empty", "a.png", "48 px of background")]
    assert report.problems == ()
    assert (report.reader, list(report.splits), report.label_set) == ("folder", ["all"], VOC)
    assert [f.detail for f in report.findings if f.kind == "absent"] == [", ".join(VOC.names[3:])]


def test_classes_are_counted_in_pixels_and_photos(folder: Path) -> None:
    counts = check_data(folder).splits["all"]
    assert counts.photos == 3
    assert counts.pixels[:4].tolist() == [3 * 48 - 2 * 12, 12, 12, 0]
    assert counts.shown[:4].tolist() == [3, 1, 1, 0]


@settings(max_examples=40)
@given(data=st.data(), threads=st.sampled_from([1, 3]))
def test_counts_are_those_of_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, threads: int
) -> None:
    root = tmp_path_factory.mktemp("set")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    labels = st.sampled_from([*range(21), 255])
    masks = [data.draw(arrays.arrays(np.uint8, (3, 4), elements=labels)) for _ in range(3)]
    for number, mask in enumerate(masks):
        Image.fromarray(np.full((3, 4, 3), number, np.uint8)).save(root / "images" / f"{number}.png")
        write_label_map(root / "masks" / f"{number}.png", mask, VOC)
    counts = check_data(root, threads=threads).splits["all"]
    assert counts.pixels.tolist() == [sum(int((mask == label).sum()) for mask in masks) for label in range(256)]
    assert counts.shown.tolist() == [sum(bool((mask == label).any()) for mask in masks) for label in range(256)]


def colour_mask(folder: Path, mode: str = "RGB") -> None:
    colours = np.array(voc_colour_map(), np.uint8)[np.array([[0, 1], [2, 1]]).repeat(3, 0).repeat(4, 1)]
    Image.fromarray(colours).convert(mode).save(folder / "masks" / "b.png")


def sixteen_bits(folder: Path) -> None:
    Image.fromarray(np.ones((6, 8), np.uint16)).save(folder / "masks" / "b.png")


def grey_with_alpha(folder: Path) -> None:
    Image.fromarray(np.ones((6, 8), np.uint8)).convert("LA").save(folder / "masks" / "b.png")


def one_bit(folder: Path) -> None:
    Image.fromarray(np.ones((6, 8), bool)).save(folder / "masks" / "b.png")


def label(folder: Path, *values: int) -> None:
    Image.fromarray(np.array([[0, *values]], np.uint8).repeat(6, 0).repeat(8 // (len(values) + 1), 1)).save(
        folder / "masks" / "b.png"
    )


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def turn(folder: Path, orientation: int, mask_size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.full((6, 8, 3), 9, np.uint8)).save(folder / "images" / "b.jpg", exif=exif)
    Image.fromarray(np.ones(mask_size, np.uint8)).save(folder / "masks" / "b.png")


TRAPS = {
    "colours": (colour_mask, ("colours", "b.png", "mode RGB: colours (0, 0, 0), (0, 128, 0), (128, 0, 0)")),
    "colours with alpha": (
        lambda folder: colour_mask(folder, "RGBA"),
        ("colours", "b.png", "mode RGBA, with alpha: colours (0, 0, 0), (0, 128, 0), (128, 0, 0)"),
    ),
    "grey with alpha": (grey_with_alpha, ("colours", "b.png", "mode LA, with alpha: grey values 1; keep one channel")),
    "16 bits": (sixteen_bits, ("depth", "b.png", "mode I;16")),
    "1 bit": (one_bit, ("depth", "b.png", "mode 1")),
    "grey colours": (
        lambda folder: colour_mask(folder, "L"),
        ("beyond", "b.png", "holds 38 (24 px), 75 (12 px); labels are 0–20; they look like VOC's colours turned grey"),
    ),
    "beyond": (lambda folder: label(folder, 21), ("beyond", "b.png", "holds 21 (24 px); labels are 0–20")),
    "254": (lambda folder: label(folder, 254), ("void", "b.png", "holds 254 (24 px); void is 255 here")),
    "no photo": (lambda folder: (folder / "images/b.jpg").unlink(), ("missing", "b.png", "a mask without a photo")),
    "no mask": (lambda folder: (folder / "masks/b.png").unlink(), ("missing", "b.png", "no such mask")),
    "jpeg mask": (
        lambda folder: (folder / "masks/b.png").rename(folder / "masks/b.jpg"),
        ("missing", "b.png", "no such mask; b.jpg is there, but JPEG changes the values of pixels"),
    ),
    "size": (
        lambda folder: Image.fromarray(np.ones((6, 9), np.uint8)).save(folder / "masks/b.png"),
        ("size", "b.png", "the mask is 9x6 px, the photo 8x6"),
    ),
    "exif": (
        lambda folder: turn(folder, 6, (6, 8)),
        ("exif", "b.png", "the mask is 8x6 px, the photo 6x8 once turned (orientation 6)"),
    ),
    "turned": (lambda folder: turn(folder, 6, (8, 6)), ("turned", "b.jpg", "orientation 6")),
    "upside down": (lambda folder: turn(folder, 3, (6, 8)), ("turned", "b.jpg", "orientation 3")),
    "all void": (lambda folder: write_void(folder), ("unlabelled", "b.png", "all 48 px are void")),
    "duplicate": (
        lambda folder: shutil.copy(folder / "images/b.jpg", folder / "images/c.jpg"),
        ("duplicate", "b.jpg", "the same as c.jpg"),
    ),
}  # fmt: skip


def write_void(folder: Path) -> None:
    Image.fromarray(np.full((6, 8), 255, np.uint8)).save(folder / "masks" / "b.png")


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_found_by_name(folder: Path, trap: str) -> None:
    lay, expected = TRAPS[trap]
    lay(folder)
    report = check_data(folder)
    others = [finding for finding in found(report) if finding[0] != "empty"]
    assert others == [expected]
    assert bool(report.problems) == KINDS[expected[0]].problem


@pytest.mark.parametrize(
    ("file", "size"), [("images/b.jpg", 300), ("images/b.jpg", 0), ("masks/b.png", 45), ("masks/b.png", 4)]
)
def test_damaged_files_are_named(folder: Path, file: str, size: int) -> None:
    cut(folder / file, size)
    ((kind, name, detail),) = [finding for finding in found(check_data(folder)) if finding[0] != "empty"]
    assert (kind, name) == ("unreadable", Path(file).name)
    assert "empty" in detail or "decoded" in detail or "damaged" in detail
    assert str(folder) not in detail


def test_several_traps_in_one_mask_are_told_apart(folder: Path) -> None:
    label(folder, 22, 254, 99)
    assert found(check_data(folder))[:2] == [
        ("beyond", "b.png", "holds 22 (12 px), 99 (12 px); labels are 0–20"),
        ("void", "b.png", "holds 254 (12 px); void is 255 here"),
    ]


def test_masks_of_0_and_255_are_told(write: Any, folder: Path) -> None:
    for name in "abc":
        write.mask(folder / "masks" / f"{name}.png", [0, 0, 255, 255] * 2)
    assert ("single", folder.name, "only 'background' and void, 255") in found(check_data(folder))
    write.text(folder / "classes.txt", "background: 0\nleaf: 255\n")
    assert check_data(folder).findings == ()


def test_what_is_found_in_annotations_names_the_photo(write: Any, tmp_path: Path) -> None:
    make_layout(write, tmp_path, "coco")
    write.photo(tmp_path / "train" / "x.jpg", (7, 8))
    assert check_data(tmp_path).findings[0][2:] == (
        "x", tmp_path / "annotations" / "instances_train.json", "the mask is 8x6 px, the photo 8x7",
    )  # fmt: skip


@pytest.fixture
def splits(write: Any, folder: Path) -> Path:
    write.text(folder / "train.txt", "a\nb\n")
    write.text(folder / "val.txt", "c\n")
    write.text(folder / "trainval.txt", "a\nb\nc\n")
    return folder


def test_splits_are_counted_apart_and_files_told_once(splits: Path) -> None:
    report = check_data(splits)
    assert {split: count.photos for split, count in report.splits.items()} == {"train": 2, "trainval": 3, "val": 1}
    assert found(report) == [("empty", "a.png", "48 px of background")]
    assert list(check_data(splits, splits=["val"]).splits) == ["val"]


@pytest.mark.parametrize("copied", [False, True])
def test_a_photo_in_training_and_held_out_is_a_problem(write: Any, splits: Path, copied: bool) -> None:
    if copied:
        shutil.copy(splits / "images" / "b.jpg", splits / "images" / "c.jpg")
    else:
        write.text(splits / "val.txt", "b\n")
    name = "c.jpg" if copied else "b.jpg"
    assert found(check_data(splits))[0] == ("leak", "b.jpg", f"in train, and as {name} in val")


def test_repeated_lines_are_named(write: Any, splits: Path) -> None:
    write.text(splits / "train.txt", "a\nb\na\na\n")
    assert found(check_data(splits, splits=["train"]))[0] == ("repeated", "train.txt", "comes 3 times")


def test_void_may_have_any_number(write: Any, folder: Path) -> None:
    label(folder, 254)
    write.text(folder / "classes.txt", "soil\nleaf\nrust\nvoid: 254\n")
    report = check_data(folder)
    assert report.problems == ()
    assert report.names == folder / "classes.txt"
    assert report.splits["all"].pixels[255] == 24


def test_photos_named_by_lists_but_not_there(write: Any, splits: Path) -> None:
    write.text(splits / "val.txt", "c\nzebra\n")
    assert found(check_data(splits))[:2] == [
        ("missing", "zebra.jpg", "no such photo"),
        ("missing", "zebra.png", "no such mask"),
    ]


def test_a_folder_of_jpeg_masks_is_told_what_is_wrong_with_them(write: Any, tmp_path: Path) -> None:
    write.photo(tmp_path / "images" / "x.jpg")
    write.photo(tmp_path / "masks" / "x.jpg")
    report = check_data(tmp_path)
    said = "no such mask; x.jpg is there, but JPEG changes the values of pixels"
    assert (report.reader, found(report)) == ("folder", [("missing", "x.png", said)])


def test_no_data_at_all_is_an_error(write: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no layout known here; the nearest is 'folder' .* missing: images/, masks/"):
        check_data(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        check_data(tmp_path / "nothing")
    with pytest.raises(DataError, match="unknown data layout 'vox'"):
        check_data(tmp_path, reader="vox")
    with pytest.raises(DataError, match="has no split of layout 'voc'"):
        check_data(tmp_path, reader="voc")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="there are no photos to check"):
        check_data(tmp_path)
    with pytest.raises(InputError, match="threads is 0; expected an integer, at least 1"):
        check_data(tmp_path, threads=0)


def make_layout(write: Any, root: Path, reader: str) -> None:
    pair = {
        "camvid": ("train/x.png", "trainannot/x.png"),
        "msrc21": ("images/1_9_s.jpg", "labels/1_9_s.png"),
        "cityscapes": ("leftImg8bit/train/a/x_leftImg8bit.png", "gtFine/train/a/x_gtFine_labelIds.png"),
        "folder": ("images/x.jpg", "masks/x.png"),
        "list": ("in/x.jpg", "out/x.png"),
        "sbd": ("img/x.jpg", "cls/x.mat"),
        "coco": ("train/x.jpg", "unused.png"),
        "ade": ("images/training/x.jpg", "annotations/training/x.png"),
        "labelme": ("x.jpg", "y/unused.png"),
        "yolo": ("images/x.jpg", "unused.png"),
        "roboflow": ("train/x.jpg", "train/x_mask.png"),
        "objects": ("images/x.jpg", "masks/leaf/x.png"),
    }.get(reader, ("JPEGImages/x.jpg", "SegmentationClass/x.png"))
    write.pair(
        root / pair[0], root / "mask.png" if reader == "sbd" else root / pair[1], 7 if reader == "cityscapes" else 1
    )
    if reader in ("voc", "cvat"):
        write.text(root / "ImageSets" / "Segmentation" / "train.txt", "x\n")
    if reader == "cvat":
        write.text(root / "labelmap.txt", "leaf:1,1,1::\n")
    if reader == "list":
        write.text(root / "train.txt", " ".join(pair))
    if reader == "sbd":
        savemat = pytest.importorskip("scipy.io", reason="SBD's masks need SciPy").savemat
        (root / "cls").mkdir()
        savemat(root / "cls" / "x.mat", {"GTcls": {"Segmentation": np.ones((6, 8), np.uint8)}})
        write.text(root / "train.txt", "x\n")
    if reader == "labelme":
        write.text(root / "x.json", '{"shapes": [], "imagePath": "x.jpg"}')
    if reader == "yolo":
        write.text(root / "labels" / "x.txt", "0 0 0 1 0 1 1\n")
        write.text(root / "classes.txt", "leaf\n")
    if reader == "coco":
        image = '{"id": 1, "file_name": "x.jpg", "width": 8, "height": 6}'
        write.text(
            root / "annotations" / "instances_train.json",
            f'{{"images": [{image}], "categories": [{{"id": 1, "name": "leaf"}}], "annotations": []}}',
        )


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"msrc"}))
def test_every_layout_is_recognised(write: Any, tmp_path: Path, reader: str) -> None:
    make_layout(write, tmp_path, reader)
    report = check_data(tmp_path)
    assert (report.reader, [count.photos for count in report.splits.values()]) == (reader, [1])
    assert report.problems == ()


@pytest.mark.skipif(DATA is None, reason="DEEPLAB_DATA does not name the folder of real data")
@pytest.mark.parametrize(
    ("folder", "split", "masks", "void"),
    [("camvid", "val", "valannot", 11), ("coco_voc", "all", "masks", 255), ("voc2012", "lowres", "", 255)],
)
def test_real_data_is_sound_and_counted_right(folder: str, split: str, masks: str, void: int) -> None:
    assert DATA is not None
    root = Path(DATA) / folder
    report = check_data(root, splits=[split], threads=2)
    assert report.problems == ()
    names = (root / "ImageSets/Segmentation" / f"{split}.txt").read_text().split() if not masks else []
    paths = [root / "SegmentationClass" / f"{name}.png" for name in names] or list((root / masks).glob("*.png"))
    expected = sum(np.bincount(np.asarray(Image.open(path)).ravel(), minlength=256) for path in paths)
    np.testing.assert_array_equal(report.splits[split].pixels, expected)
    assert report.label_set.void == void


def test_photos_that_the_network_sees_smaller_are_named(folder: Path) -> None:
    Image.new("RGB", (1026, 300)).save(folder / "images" / "d.jpg")
    Image.new("L", (1026, 300), 1).save(folder / "masks" / "d.png")
    report = check_data(folder)
    assert ("large", "d.jpg", "1026x300 px: seen 2.0 times smaller") in found(report)
    assert report.problems == ()


def test_photos_of_which_something_is_assumed_and_files_left_out_are_named(folder: Path) -> None:
    (folder / "images" / "c.jpg").unlink()
    Image.fromarray(np.full((6, 8), 3000, np.uint16)).save(folder / "images" / "c.png")
    (folder / "images" / "d.heic.part").touch()
    (folder / "images" / "e.cr2").touch()
    report = check_data(folder)
    facts = {(kind, name): detail for kind, name, detail in found(report)}
    assert facts["assumed", "c.png"].startswith("its values are taken for 12 bits")
    left = [detail for kind, _, detail in found(report) if kind == "left"]
    assert [detail.partition(";")[0] for detail in left] == [
        "not taken: 1 × other file (d.heic.part)", "not taken: 1 × camera's raw file (e.cr2)"
    ]  # fmt: skip
    assert report.problems == ()
    for photo in (folder / "images").glob("[abc].*"):
        photo.unlink()
    with pytest.raises(DataError, match=r"no photos to check; .*camera's raw file \(e\.cr2\)"):
        check_data(folder)
