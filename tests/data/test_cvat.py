from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.data.cvat import cvat_label_set, read_colours
from deeplab.data.readers import READERS, read_samples
from deeplab.data.samples import load_mask
from deeplab.errors import DataError, ImageError

LABEL_MAP = """# label:color_rgb:parts:actions
background:0,0,0::
leaf:50,183,250::
rust spot:250,50,83:a,b:
void:1,2,3::
"""
COLOURS = [(0, 0, 0), (250, 50, 83), (50, 183, 250), (1, 2, 3)]


@pytest.fixture
def export(write: Any, tmp_path: Path) -> Path:
    write.text(tmp_path / "labelmap.txt", LABEL_MAP)
    write.text(tmp_path / "ImageSets" / "Segmentation" / "default.txt", "x\nframes/y z\n")
    for name in ("x", "frames/y z"):
        write.photo(tmp_path / "JPEGImages" / f"{name}.png", (2, 2))
        mask = write.photo(tmp_path / "SegmentationClass" / f"{name}.png", (2, 2))
        Image.fromarray(np.array(COLOURS, np.uint8).reshape(2, 2, 3)).save(mask)
    return tmp_path


def test_colours_become_the_labels_of_the_label_map(export: Path) -> None:
    samples = read_samples("cvat", export, "default")
    assert [sample.name for sample in samples] == ["x", "frames_y z"]
    label_set = samples[0].label_set
    assert (label_set.names, label_set.palette[1], label_set.void) == (
        ("background", "leaf", "rust spot"), (50, 183, 250), 255,
    )  # fmt: skip
    assert [load_mask(sample).tolist() for sample in samples] == [[[0, 2], [1, 255]]] * 2


def test_palette_masks_are_read_by_their_colours(export: Path) -> None:
    image = Image.fromarray(np.array([[3, 2], [1, 0]], np.uint8))
    image.putpalette(np.array(COLOURS, np.uint8).tobytes())
    image.save(export / "SegmentationClass" / "x.png")
    assert load_mask(read_samples("cvat", export, "default")[0]).tolist() == [[255, 1], [2, 0]]


def test_the_label_map_alone(export: Path) -> None:
    label_set = cvat_label_set(export / "labelmap.txt")
    values = {tuple(label_set.colours()[label].tolist()): label for label in (0, 1, 2, 255)}
    assert [values[colour] for colour in COLOURS] == [0, 2, 1, 255]


def test_a_names_file_chooses_labels(write: Any, export: Path) -> None:
    write.text(export / "classes.txt", "plant: leaf, background\nrust spot\n")
    (sample, _) = read_samples("cvat", export, "default")
    assert load_mask(sample).tolist() == [[0, 1], [0, 255]]


def test_a_colour_without_a_name_is_an_error(write: Any, export: Path) -> None:
    write.text(export / "labelmap.txt", LABEL_MAP.replace("250,50,83", "250,50,84"))
    with pytest.raises(DataError, match=r"x\.png holds the colour \(250, 50, 83\), which labelmap\.txt does not name"):
        load_mask(read_samples("cvat", export, "default")[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("leaf:1,2::\n", "has the line 'leaf:1,2::'; expected a label and its colour"),
        ("leaf\n", "has the line 'leaf'"),
        ("a:1,2,3::\nb:1,2,3::\n", r"gives 'b' or its colour \(1, 2, 3\) twice"),
        ("a:1,2,300::\n", "expected three integers from 0 to 255"),
        ("# nothing\n", "expected 1 to 255"),
    ],
)
def test_bad_label_maps_are_errors(write: Any, export: Path, content: str, message: str) -> None:
    write.text(export / "labelmap.txt", content)
    with pytest.raises(DataError, match=rf"labelmap\.txt.*{message}"):
        read_samples("cvat", export, "default")


def test_photos_may_lie_in_images_and_must_lie_somewhere(export: Path) -> None:
    (export / "JPEGImages").rename(export / "images")
    assert read_samples("cvat", export, "default")[0].photo == export / "images" / "x.png"
    assert READERS["cvat"].splits(export) == ["default"]
    (export / "images").rename(export / "elsewhere")
    with pytest.raises(DataError, match=r"JPEGImages/x\.jpg is missing"):
        read_samples("cvat", export, "default")


def test_a_photo_in_a_masks_place_is_refused_by_its_first_colour_and_their_number(tmp_path: Path) -> None:
    pixels = np.arange(3 << 16, dtype=np.uint32).astype(np.uint8).reshape(256, 256, 3) // 2
    Image.fromarray(pixels).save(tmp_path / "x.png")
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3).tolist()}
    first, *others = sorted(colours - {(0, 0, 1)})
    with pytest.raises(ImageError, match=rf"holds the colour \({first[0]}, .*\) \(and {len(others)} more\), which"):
        read_colours(tmp_path / "x.png", {(0, 0, 1): 255})


@pytest.mark.parametrize("value", [0, 1, 255])
def test_every_value_may_have_a_colour(tmp_path: Path, value: int) -> None:
    Image.new("RGB", (3, 2), (255, 255, 255)).save(tmp_path / "x.png")
    assert read_colours(tmp_path / "x.png", {(255, 255, 255): value}).tolist() == [[value] * 3] * 2
