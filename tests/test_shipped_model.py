"""The shipped model on the shipped photos, and its card."""

import hashlib
from pathlib import Path

import pytest

from deeplab import Segmenter
from deeplab.models import DEFAULT_MODEL, find_model

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained()


@pytest.mark.parametrize(("photo", "expected"), [("cat.jpg", "cat"), ("astronaut.jpg", "person")])
def test_the_largest_class_is_what_the_photo_shows(segmenter: Segmenter, photo: str, expected: str) -> None:
    shares = segmenter(ROOT / "examples" / photo).shares()
    shares.pop("background")
    assert next(iter(shares)) == expected
    assert shares[expected] > 0.1


def test_the_card_belongs_to_the_file(segmenter: Segmenter) -> None:
    path = find_model(DEFAULT_MODEL)
    text = path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    for figures in segmenter.info.card["scores"].values():
        for figure in figures.values():
            assert f"{figure:.2f}" in text
