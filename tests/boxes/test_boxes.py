"""Boxes from VOC's XML, COCO and masks, the masks made of them, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deeplab.boxes import BoxedPhoto, bbox_rect, bbox_seg, mask_of, read_boxes
from deeplab.crf import CRFParams, CRFSettings
from deeplab.errors import DataError
from deeplab.label_maps import read_label_map, read_label_set
from deeplab.labels import VOC, LabelSet
from deeplab.teach.marks import Box

PETS = LabelSet("pets", ("background", "cat", "dog"))
SIZE = (40, 60)
CAT, DOG = np.s_[8:30, 10:30], np.s_[12:36, 38:54]
Run = Callable[..., Any]


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo of two blocks of colour on grey, and its mask with a void outline around the first."""
    labels = np.zeros(SIZE, np.uint8)
    labels[7:31, 9:31] = 255
    labels[CAT], labels[DOG] = 8, 12
    photo = np.full((*SIZE, 3), 120, np.uint8)
    photo[labels == 8], photo[labels == 12] = (220, 60, 30), (30, 60, 220)
    photo += np.random.default_rng(0).integers(0, 6, photo.shape, dtype=np.uint8)
    return photo, labels


def thing(name: str, *edges: float) -> str:
    tags = "".join(f"<{tag}>{edge}</{tag}>" for tag, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True))
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object><name>{name}</name>{part}<bndbox>{tags}</bndbox></object>"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A development kit of two photos, with masks, XML and COCO's JSON that say the same."""
    photo, labels = scene()
    root = tmp_path / "kit"
    for folder in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in "ab":
        Image.fromarray(photo).save(root / "JPEGImages" / f"{name}.png")
        Image.fromarray(labels).save(root / "SegmentationClass" / f"{name}.png")
        things = thing("cat", 11, 9, 30, 30) + thing("dog", 39, 13, 54, 36)  # from 1 on, both ends included
        (root / "Annotations" / f"{name}.xml").write_text(f"<?xml version='1.0'?><annotation>{things}</annotation>")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\n")
    (root / "ImageSets" / "Segmentation" / "all.txt").write_text("a\nb\n")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [
            {"image_id": 1, "category_id": 3, "bbox": [10, 8, 20, 22]},
            {"image_id": 1, "category_id": 7, "bbox": [38, 12, 16, 24]},
            {"image_id": 1, "category_id": 7, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        ],
    }
    (root / "boxes.json").write_text(json.dumps(content))
    return root


def named(boxed: BoxedPhoto) -> list[tuple[Any, ...]]:
    return sorted((boxed.label_set.names[int(b.label)], b.x0, b.y0, b.x1, b.y1) for b in boxed.boxes)


def test_all_three_kinds_say_the_same(kit: Path) -> None:
    ways = (("auto", "train"), ("masks", "train"), ("boxes.json", "all"))
    found = {boxes: read_boxes(kit, split, boxes, reader="voc") for boxes, split in ways}
    for photos in found.values():
        assert [photo.name for photo in photos] == ["a"]
        assert named(photos[0]) == [("cat", 10, 8, 30, 30), ("dog", 38, 12, 54, 36)]
        assert photos[0].photo.is_file()
    assert found["auto"][0].label_set == found["masks"][0].label_set == VOC
    assert found["boxes.json"][0].label_set.names == ("background", "cat", "dog")
    assert [photo.name for photo in read_boxes(kit)] == ["a", "b"]


def test_classes_of_ones_own_come_from_the_files_or_a_names_file(kit: Path) -> None:
    path = kit / "Annotations" / "a.xml"
    path.write_text(path.read_text().replace("dog", "wolf"))
    assert read_boxes(kit)[0].label_set.names == ("background", "cat", "dog", "wolf")
    (kit / "classes.txt").write_text("ground\nwolf\ndog\ncat\nbackground = ground\n")
    boxed = read_boxes(kit)[0]
    assert boxed.label_set.names == ("ground", "wolf", "dog", "cat")
    assert [int(box.label) for box in boxed.boxes] == [3, 1]
    (kit / "classes.txt").write_text("ground\nwolf\nbackground = ground\n")
    with pytest.raises(DataError, match=r"a\.xml: a box is of class 'cat', which is none of ground, wolf; correct it"):
        read_boxes(kit)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"<annotation>{thing('cat', 20, 9, 10, 30)}</annotation>", r"x 19 to 10 .* is empty; draw it anew"),
        (f"<annotation>{thing('cat', 'nan', 9, 10, 30)}</annotation>", "is empty"),  # type: ignore[arg-type]
        (f"<annotation>{thing('cat', 'x', 9, 10, 30)}</annotation>", "is no file of boxes"),  # type: ignore[arg-type]
        (f"<annotation>{thing('background', 1, 9, 10, 30)}</annotation>", "lies outside all boxes; leave it out"),
        ("<annotation><object>", "is no XML"),
        ("", "is no XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declarations"),
        ("<a>" * 100 + "</a>" * 100, "nested too deeply"),
    ],
)
def test_bad_xml(content: str, message: str, kit: Path) -> None:
    (kit / "Annotations" / "b.xml").write_text(content)
    with pytest.raises(DataError, match=rf"b\.xml.*{message}") as caught:
        read_boxes(kit)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 0, 4]}]}, "is empty"),
        ({"annotations": [{"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}]}, "of category 9"),
        ({"annotations": [{"image_id": 1, "category_id": 3}]}, "is no file of boxes"),
        ({"images": 5}, "is no file of boxes"),
    ],
)
def test_bad_json(changes: dict[str, Any], message: str, kit: Path) -> None:
    content = json.loads((kit / "boxes.json").read_text())
    (kit / "boxes.json").write_text(json.dumps(content | changes))
    with pytest.raises(DataError, match=rf"boxes\.json.*{message}"):
        read_boxes(kit, boxes="boxes.json")


def test_places_that_hold_no_boxes(kit: Path) -> None:
    with pytest.raises(DataError, match="neither a folder with XML files nor a COCO file"):
        read_boxes(kit, boxes="nowhere")
    (kit / "JPEGImages" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.xml: there is no photo a in"):
        read_boxes(kit)


def test_in_rectangles_the_smallest_box_counts() -> None:
    boxes = (Box(1, 0, 0, 6, 4), Box(2, 2, 1, 4, 3), Box(1, 4.2, 3.9, 5.1, 4))
    expected = np.ones((4, 8), np.uint8)
    expected[:, 6:], expected[1:3, 2:4] = 0, 2
    np.testing.assert_array_equal(bbox_rect(boxes, (4, 8), PETS), expected)


def test_the_crf_cuts_things_out_of_boxes() -> None:
    """Boxes wider than their things: within, colour decides; outside there is background."""
    photo, labels = scene()
    truth = np.select([labels == 8, labels == 12], [1, 2]).astype(np.uint8)
    boxes = (Box(1, 5, 3, 35, 35), Box(2, 36, 10, 58, 39))
    rect = bbox_rect(boxes, SIZE, PETS)
    found = bbox_seg(photo, boxes, PETS, CRFSettings(CRFParams(5, 50, 20)))
    known = labels != 255
    assert (found == truth)[known].mean() > 0.97 > (rect == truth)[known].mean()
    assert set(np.unique(found)) == {0, 1, 2}
    outside = np.ones(SIZE, bool)
    outside[3:35, 5:35] = outside[10:39, 36:58] = False
    assert not found[outside].any()


EDGE = st.floats(-5, 70)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), EDGE, EDGE, EDGE, EDGE), max_size=4))
def test_whatever_the_boxes_the_mask_holds_their_classes_alone_or_they_are_refused(raw: list[Any]) -> None:
    photo, _ = scene()
    boxes = tuple(Box(*each) for each in raw)
    boxed = BoxedPhoto("a", Path("a.jpg"), Path("a.xml"), PETS, boxes)
    for method in ("bbox-rect", "bbox-seg"):
        with suppress(DataError):
            found = mask_of(boxed, photo, method, CRFSettings(iterations=1), threads=1)
            assert found.shape == SIZE
            assert set(np.unique(found).tolist()) <= {0, *(int(box.label) for box in boxes)}


@pytest.mark.parametrize(
    ("boxes", "label_set", "message"),
    [
        ((), PETS, "says nothing of a: no box and no class; take the photo out of the list"),
        ((Box(1, 80, 0, 90, 10),), PETS, r"photo a: a box has the edges .*, none of it in the photo of 60x40"),
        ((Box(1, 0, 0, 9, 9),), LabelSet("street", ("road", "car")), "have no background"),
    ],
)
def test_boxes_that_make_no_mask(boxes: tuple[Box, ...], label_set: LabelSet, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mask_of(BoxedPhoto("a", Path("a.jpg"), Path("a.xml"), label_set, boxes), scene()[0], "bbox-rect")


def test_the_command(run: Run, kit: Path, tmp_path: Path) -> None:
    made = run("masks-from-boxes", str(kit), "-o", str(tmp_path / "masks"), "--bilateral-rgb-std", "20")
    assert made.status == 0, made.err
    for name in "ab":
        labels = read_label_map(tmp_path / "masks" / f"{name}.png")
        assert set(np.unique(labels)) == {0, 8, 12}
        assert (labels[CAT] == 8).mean() > 0.95
    assert read_label_set(tmp_path / "masks" / "a.png") == VOC
    again = run("masks-from-boxes", str(kit), "-o", str(tmp_path / "masks"))
    assert again.status == 1
    assert "exists" in again.err


def test_a_photo_that_fails_is_named_and_the_others_go_on(run: Run, kit: Path, tmp_path: Path) -> None:
    (kit / "Annotations" / "a.xml").write_text(f"<annotation>{thing('cat', 100, 9, 130, 30)}</annotation>")
    options = ("--method", "bbox-rect", "-o", str(tmp_path / "masks"))
    made = run("masks-from-boxes", str(kit), *options)
    assert made.status == 1
    assert "none of it in the photo of 60x40" in made.err
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b.png"]
    wrong = run("masks-from-boxes", str(kit), "-o", str(tmp_path / "masks"), "--method", "bbox-sge")
    assert wrong.status == 1
    assert "did you mean 'bbox-seg'" in wrong.err
