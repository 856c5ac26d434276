from __future__ import annotations

import re
from pathlib import Path

import pytest

import deeplab
from deeplab.images import read_image


def test_public_names_exist_and_are_all() -> None:
    assert all(hasattr(deeplab, name) for name in deeplab.__all__)
    assert {
        "Segmenter",
        "Look",
        "Segmentation",
        "CRFParams",
        "CRFSettings",
        "refine",
        "LabelSet",
        "VOC",
        "CAMVID",
    } <= set(deeplab.__all__)


def test_version_is_that_of_the_project() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert re.search(r'^version = "(.+)"$', project.read_text(), re.MULTILINE)[1] == deeplab.__version__  # type: ignore[index]


def test_the_extra_all_names_every_other() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    extras = project.partition("[project.optional-dependencies]\n")[2].partition("\n\n")[0]
    names = set(re.findall(r"^([a-z]+) = ", extras, re.MULTILINE)) - {"all", "test"}
    assert set(re.search(r"^all = \[\"deeplab-crf\[(.*)\]\"\]", extras, re.MULTILINE)[1].split(",")) == names  # type: ignore[index]


@pytest.mark.parametrize("name", ["cat.jpg", "astronaut.jpg", "coffee.jpg"])
def test_example_photos_are_there(name: str) -> None:
    photo = read_image(Path(__file__).parents[1] / "examples" / name)
    assert min(photo.shape[:2]) >= 300
