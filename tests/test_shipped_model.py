"""The default model on the shipped photos, and the shipped models' cards."""

import hashlib
from pathlib import Path

import pytest

from deeplab import Segmenter
from deeplab.models import shipped_models
from deeplab.runtime import ScoreNetwork

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


@pytest.mark.parametrize("name", shipped_models())
def test_the_card_belongs_to_the_file(name: str) -> None:
    path = shipped_models()[name]
    text = path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    for figures in ScoreNetwork(path, threads=1).info.card["scores"].values():
        for figure in figures.values():
            assert f"{figure:.2f}" in text
