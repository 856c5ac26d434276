from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplab.data.check import check_data
from deeplab.data.inspection import inspect_sample
from deeplab.data.readers import READERS, find_splits, guess_layout, list_samples, read_samples
from deeplab.data.samples import load_mask, load_sample
from deeplab.errors import DataError, ImageError
from deeplab.images import read_image
from deeplab.labels import VOC

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 1, "name": "person"}]


# The categories that COCO shares with VOC, with some of their ids, and one that VOC does not know.
COCO_AS_VOC = [
    {"id": number, "name": name}
    for number, name in enumerate(
        ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "bird", "cat", "dog",
         "horse", "sheep", "cow", "bottle", "chair", "couch", "potted plant", "dining table", "tv"), start=1,
    )
]  # fmt: skip


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def write_coco(write: Any, root: Path, annotations: list[dict[str, Any]], categories: Any = CATEGORIES) -> None:
    write.photo(root / "val" / "x.jpg")
    content = {
        "images": [{"id": 7, "file_name": "x.jpg", "height": 6, "width": 8}],
        "categories": categories,
        "annotations": [{"id": number, "image_id": 7, "iscrowd": 0, **a} for number, a in enumerate(annotations)],
    }
    write.text(root / "annotations" / "instances_val.json", json.dumps(content))


def drawn(root: Path, names: Path | None = None, crowds: str = "auto") -> list[list[int]]:
    (sample,) = read_samples("coco", root, "val", names=names, crowds=crowds)
    labels: list[list[int]] = load_mask(sample).tolist()
    return labels


def test_categories_come_in_the_order_of_their_ids(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [{"category_id": 18, "segmentation": box(0, 0, 8, 2)}])
    (sample,) = read_samples("coco", tmp_path, "val")
    assert sample.label_set.names == ("background", "person", "car", "dog")
    image, labels = load_sample(sample)
    assert image.shape == (6, 8, 3)
    assert labels.tolist() == [[3] * 8] * 2 + [[0] * 8] * 4


def test_smaller_objects_lie_in_front_and_crowds_are_void_behind(write: Any, tmp_path: Path) -> None:
    crowd = {"size": [6, 8], "counts": [0, 24, 24]}  # the left half
    annotations = [
        {"category_id": 1, "segmentation": box(1, 1, 3, 3)},
        {"category_id": 3, "segmentation": box(0, 0, 8, 4)},
        {"category_id": 1, "segmentation": crowd, "iscrowd": 1},
    ]
    expected = np.zeros((6, 8), int)
    expected[:, :4] = 255
    expected[:4] = 2
    expected[1:3, 1:3] = 1
    for order in (annotations, annotations[::-1]):
        write_coco(write, tmp_path, order)
        assert drawn(tmp_path, crowds="void") == expected.tolist()


BRUSH = {"size": [6, 8], "counts": [0, 12, 36]}  # the left two columns


@pytest.mark.parametrize(
    ("crowds", "others", "column"),
    [("class", 1, 3), ("void", 1, 255), ("skip", 1, 0), ("auto", 1, 3), ("auto", 18, 3), ("auto", 19, 255)],
)
def test_crowds_are_their_class_void_or_nothing(
    write: Any, tmp_path: Path, crowds: str, others: int, column: int
) -> None:
    """Tools write brush masks as crowds; rare ones are taken for COCO's own, at most 1 object in 20."""
    annotations = [{"category_id": 18, "segmentation": BRUSH, "iscrowd": 1}]
    annotations += [{"category_id": 1, "segmentation": box(4, 0, 5, 6)}] * others
    write_coco(write, tmp_path, annotations)
    assert drawn(tmp_path, crowds=crowds) == [[column, column, 0, 0, 1, 0, 0, 0]] * 6
    report = check_data(tmp_path, crowds=crowds)
    (finding,) = (finding for finding in report.findings if finding.kind == "crowds")
    fate = {3: "are taken for their classes", 255: "become void", 0: "are left out"}[column]
    assert finding.detail == f"1 of {others + 1} objects are marked as crowds and {fate}: dog 1"
    assert not report.problems


def test_only_coco_has_crowds(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [{"category_id": 1, "segmentation": BRUSH, "iscrowd": "0"}])
    assert drawn(tmp_path)[0][0] == 1
    assert all(finding.kind != "crowds" for finding in check_data(tmp_path).findings)
    with pytest.raises(DataError, match="crowds is 'viod'; expected one of auto, class, void, skip"):
        drawn(tmp_path, crowds="viod")
    write.pair(tmp_path / "images" / "x.png", tmp_path / "masks" / "x.png")
    with pytest.raises(
        DataError, match=r"crowds \(void\) are COCO's; the layout here .photos and masks in two folders. has none"
    ):
        read_samples("folder", tmp_path, "all", crowds="void")


def test_ids_may_be_text(write: Any, tmp_path: Path) -> None:
    """Numbers as text are those numbers, in their order; other text comes after them."""
    write_coco(write, tmp_path, [
        {"image_id": "7", "category_id": "10", "segmentation": box(0, 0, 8, 2)},
        {"image_id": 7.0, "category_id": "ab", "segmentation": box(0, 2, 8, 4)},
        {"image_id": " 7", "category_id": 2, "segmentation": box(0, 4, 8, 6)},
    ], [{"id": "ab", "name": "leaf"}, {"id": "10", "name": "cat"}, {"id": "2", "name": "dog"}])  # fmt: skip
    (sample,) = read_samples("coco", tmp_path, "val")
    assert sample.label_set.names == ("background", "dog", "cat", "leaf")
    assert [row[0] for row in drawn(tmp_path)] == [2, 2, 3, 3, 1, 1]
    write_coco(write, tmp_path, [{"image_id": None, "category_id": 1, "segmentation": box(0, 0, 1, 1)}])
    with pytest.raises(DataError, match=r"instances_val\.json: an id is None; expected a number or text"):
        drawn(tmp_path)


def test_the_parts_of_an_object_and_compressed_runs(write: Any, tmp_path: Path) -> None:
    write_coco(
        write, tmp_path,
        [{"category_id": 1, "segmentation": box(0, 0, 1, 1) + box(7, 5, 8, 6)},
         {"category_id": 3, "segmentation": {"size": [6, 8], "counts": "`01o0"}}],
    )  # fmt: skip
    expected = np.zeros((6, 8), int)
    expected[0, 0] = expected[5, 7] = 1
    expected.T.flat[16] = 2  # runs 16, 1, 31
    assert drawn(tmp_path) == expected.tolist()


def test_a_names_file_chooses_and_merges_categories(write: Any, tmp_path: Path) -> None:
    write_coco(
        write, tmp_path,
        [{"category_id": 1, "segmentation": box(0, 0, 8, 1)}, {"category_id": 3, "segmentation": box(0, 1, 8, 2)},
         {"category_id": 18, "segmentation": box(0, 2, 8, 3)}],
    )  # fmt: skip
    names = write.text(tmp_path / "names.txt", "background: *\nliving: person, dog\n")
    assert [row[0] for row in drawn(tmp_path, names)] == [1, 0, 1, 0, 0, 0]
    write.text(names, "background\ndog\nvoid: car\n")
    with pytest.raises(DataError, match="holds label 1, but"):
        drawn(tmp_path, names)


def test_the_guides_names_file_makes_voc_of_coco(write: Any, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (block,) = (block for block in guide.split("```")[1::2] if "airplane" in block)
    names = write.text(tmp_path / "voc.txt", block.strip())
    objects = [(1, box(0, 0, 8, 1)), (5, box(0, 1, 8, 2)), (8, box(0, 2, 8, 3))]
    annotations = [{"category_id": category, "segmentation": outline} for category, outline in objects]
    write_coco(write, tmp_path, annotations, COCO_AS_VOC)
    (sample,) = read_samples("coco", tmp_path, "val", names=names)
    assert sample.label_set is VOC
    assert load_mask(sample)[:, 0].tolist() == [15, 1, 0, 0, 0, 0]  # person, aeroplane, and a truck


def test_samples_travel_to_other_processes(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [{"category_id": 3, "segmentation": box(0, 0, 8, 6)}])
    (sample,) = read_samples("coco", tmp_path, "val")
    assert load_mask(pickle.loads(pickle.dumps(sample)))[0, 0] == 2


def test_splits_and_places_of_photos(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [])
    write.text(tmp_path / "annotations" / "captions_val.json", "{}")
    write.text(tmp_path / "annotations" / "own.json", '{"images": []}')
    write.text(tmp_path / "train" / "_annotations.coco.json", "{}")
    assert READERS["coco"].splits(tmp_path) == ["own", "train", "val"]
    (tmp_path / "val").rename(tmp_path / "images")
    assert read_samples("coco", tmp_path, "val")[0].photo == tmp_path / "images" / "x.jpg"
    with pytest.raises(DataError, match=r"instances_test\.json; splits found: own, train, val"):
        read_samples("coco", tmp_path, "test")
    (tmp_path / "images" / "x.jpg").unlink()
    with pytest.raises(DataError, match=r"x\.jpg is missing"):
        read_samples("coco", tmp_path, "val")


@pytest.mark.parametrize(
    ("file", "photo", "split"),
    [
        ("annotations.json", "JPEGImages/x.jpg", "all"),
        ("result.json", "images/x.jpg", "all"),
        ("labels.json", "data/x.jpg", "all"),
        ("train.json", "train/x.jpg", "train"),
        ("annotations/val2017_annotations.json", "images/val2017/x.jpg", "val2017"),
        ("annotations/instances_default.json", "images/x.jpg", "default"),
        ("annotations/annotations.json", "images/x.jpg", "all"),
        ("valid/_annotations.coco.json", "valid/x.jpg", "valid"),
        ("test/annotations.json", "test/images/x.jpg", "test"),
        ("labels/train.json", "images/train/x.jpg", "train"),
    ],
)
def test_where_tools_put_the_file_and_the_photos(write: Any, tmp_path: Path, file: str, photo: str, split: str) -> None:
    image = {"id": 1, "file_name": "x.jpg", "height": 6, "width": 8}
    write.text(tmp_path / file, json.dumps({"images": [image], "categories": CATEGORIES, "annotations": []}))
    write.photo(tmp_path / photo)
    write.text(tmp_path / "notes.json", '{"categories": []}')
    write.text(tmp_path / "package.json", '{"name": "images"}')
    assert (guess_layout(tmp_path), find_splits("coco", tmp_path)) == ("coco", [split])
    assert read_samples("auto", tmp_path, split)[0].photo == tmp_path / photo
    image["file_name"] = photo.replace("/", "\\")
    write.text(tmp_path / file, json.dumps({"images": [image], "categories": CATEGORIES, "annotations": []}))
    assert read_samples("auto", tmp_path, split)[0].photo.samefile(tmp_path / photo)


def test_photos_are_found_by_their_names_where_the_annotators_folders_are_gone(write: Any, tmp_path: Path) -> None:
    for name in "xy":
        write.photo(tmp_path / "images" / f"{name}.jpg")
    files = ["/data/upload/1/x.jpg", "/data/upload/1/y.jpg"]
    images = [{"id": number, "file_name": file, "height": 6, "width": 8} for number, file in enumerate(files)]
    write.text(tmp_path / "result.json", json.dumps({"images": images, "categories": CATEGORIES, "annotations": []}))
    samples = read_samples("auto", tmp_path, "all")
    assert [(sample.name, sample.photo) for sample in samples] == [(n, tmp_path / "images" / f"{n}.jpg") for n in "xy"]


def test_two_files_of_one_split_keep_their_names(write: Any, tmp_path: Path) -> None:
    for file in ("result.json", "old/result.json", "annotations/all.json"):
        write.text(tmp_path / file, '{"images": [], "categories": [], "annotations": []}')
    assert find_splits("coco", tmp_path) == ["all", "annotations_all", "old"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"images": [], "categories": 3, "annotations": []}', "\xff"])
def test_files_without_annotations_are_errors(write: Any, tmp_path: Path, content: str) -> None:
    write.text(tmp_path / "annotations" / "instances_val.json", content.encode("latin-1"))
    with pytest.raises(DataError, match=r"instances_val\.json is no "):
        read_samples("coco", tmp_path, "val")


GOOD = {"category_id": 3, "segmentation": box(0, 0, 2, 6)}
SIDE = [5.5, 1, 1, 1]  # x, y, width, height: pixels 5 and 6 of row 1


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 1}, "it has no outline"),
        ({"category_id": 1, "segmentation": []}, "it has no outline"),
        ({"category_id": 1, "segmentation": [[]]}, "fewer than three points"),
        ({"category_id": 1, "segmentation": [[5, 1, 6, 2]]}, "fewer than three points"),
        ({"category_id": 1, "segmentation": [[5, 1, 6, 2, 7]]}, "a polygon of it is no list of numbers"),
        ({"category_id": 1, "segmentation": [[5, 1, 6, float("nan"), 7, 3]]}, "a polygon of it is no list of numbers"),
        ({"category_id": 1, "segmentation": {"size": [6, 8], "counts": [3, 4]}}, "run lengths do not fill"),
        ({"category_id": 1, "segmentation": {"size": [6, 8], "counts": ["a"]}}, "its outline is damaged"),
        ({"category_id": 1, "segmentation": {"size": 6, "counts": [48]}}, "its outline is damaged"),
    ],
)
def test_an_object_without_an_outline_is_void_in_its_box_and_named(
    write: Any, tmp_path: Path, annotation: dict[str, Any], message: str
) -> None:
    expected = np.zeros((6, 8), int)
    expected[:, :2] = 2
    write_coco(write, tmp_path, [GOOD, annotation])
    assert drawn(tmp_path) == expected.tolist()
    (problem,) = check_data(tmp_path).problems
    assert problem.kind == "objects"
    assert (problem.name, problem.detail[:14]) == ("x", "annotation 1: ")
    assert message in problem.detail
    assert problem.detail.endswith("; left out")
    write_coco(write, tmp_path, [GOOD, annotation | {"bbox": SIDE}])
    expected[1, 5:7] = 255
    assert drawn(tmp_path) == expected.tolist()
    (problem,) = check_data(tmp_path).problems
    assert problem.detail.endswith("; void there")


def test_an_object_of_an_unlisted_category_is_void(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [GOOD, {"category_id": 2, "segmentation": box(4, 0, 5, 6)}])
    assert drawn(tmp_path) == [[2, 2, 0, 0, 255, 0, 0, 0]] * 6
    (problem,) = check_data(tmp_path).problems
    assert problem.detail == "annotation 1: its category 2 is not listed; void there"


def test_slivers_beside_good_parts_do_not_matter(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [{"category_id": 3, "segmentation": [[4, 4, 5, 5], *box(0, 0, 2, 6)]},
                                 {"category_id": 1, "segmentation": box(7, 0, 8, 6)[0]}])  # fmt: skip
    assert drawn(tmp_path) == [[2, 2, 0, 0, 0, 0, 0, 1]] * 6
    assert not check_data(tmp_path).problems


def test_boxes_alone_are_no_labels(write: Any, tmp_path: Path) -> None:
    write_coco(write, tmp_path, [{"category_id": 1, "bbox": SIDE, "segmentation": []}] * 3)
    with pytest.raises(DataError, match=r"none of its 3 objects can be drawn .* export outlines, .* not boxes"):
        drawn(tmp_path)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (60_000, 60_000, "is too large: .*3600000000 pixels"),
        (-6, 8, "8x-6 pixels; export it again"),
        (0, 8, "8x0 pixels"),
    ],
)
def test_a_size_that_no_photo_has_is_refused_before_anything_is_drawn(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int, width: int, message: str
) -> None:
    write_coco(write, tmp_path, [{"category_id": 1, "segmentation": box(1, 1, 3, 3)}])
    path = tmp_path / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": height, "width": width}
    path.write_text(json.dumps(content))
    monkeypatch.setattr("deeplab.data.coco_masks.draw_polygons", None)  # drawing would take gigabytes
    (sample,) = read_samples("coco", tmp_path, "val")
    with pytest.raises(DataError, match=message):
        load_mask(sample)


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a\0b.jpg", "", "/"])
def test_a_photo_under_a_name_that_no_file_has_is_a_missing_one(write: Any, tmp_path: Path, name: str) -> None:
    write_coco(write, tmp_path, [{"category_id": 1, "segmentation": box(1, 1, 3, 3)}])
    path = tmp_path / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = name
    path.write_text(json.dumps(content))
    (sample,) = list_samples("coco", tmp_path, "val").samples
    assert [fact.kind for fact in inspect_sample(sample).facts] == ["missing"]
    with pytest.raises(ImageError):
        read_image(sample.photo)


def test_outlines_beyond_drawing_are_an_error_of_their_photo(write: Any, tmp_path: Path) -> None:
    outline = [coordinate for column in range(60) for coordinate in (column, 0, column, 900_000)]
    write_coco(write, tmp_path, [{"category_id": 1, "segmentation": [outline]}])
    path = tmp_path / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": 900_000, "width": 60}
    path.write_text(json.dumps(content))
    (sample,) = read_samples("coco", tmp_path, "val")
    with pytest.raises(DataError, match="wind through more than 50,000,000 rows"):
        load_mask(sample)


@pytest.mark.parametrize("bbox", [[1, 1, 3, 3e300], [-1e8, 1, 3, 3], [1, 1, 1e38, 1e38]])
def test_a_box_far_from_any_photo_is_none(write: Any, tmp_path: Path, bbox: list[float]) -> None:
    write_coco(write, tmp_path, [{"category_id": 1, "segmentation": box(1, 1, 3, 3)}, {"category_id": 1, "bbox": bbox}])
    assert drawn(tmp_path)[1] == [0, 1, 1, 0, 0, 0, 0, 0]
    assert ["left out" in finding.detail for finding in check_data(tmp_path).problems] == [True]
