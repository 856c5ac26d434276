from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.evaluation.evaluate import evaluate_predictions
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC, LabelSet

STORED = np.array([[0, 1, 1, 2, 2, 3]], np.uint8)  # of which 0 is void
LABELS = np.array([[9, 0, 0, 1, 1, 2]])  # 9 is anything: void is not scored
NAMES = ("wall", "floor", "door")


@pytest.fixture
def samples(tmp_path: Path) -> Sequence[Sample]:
    for folder, pixels in (("images", np.zeros((1, 6, 3), np.uint8)), ("masks", STORED)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "set" / folder / "x.png")
    (tmp_path / "set" / "classes.txt").write_text("void: 0\nwall: 1\nfloor: 2\ndoor: 3\n")
    return read_samples("folder", tmp_path / "set", "all")


def accuracy(samples: Sequence[Sample], folder: Path, predicted: Sequence[int], numbers: str | None = None) -> float:
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.array([predicted], np.uint8)).save(folder / "x.png")
    evaluation = evaluate_predictions(samples, folder, numbers=numbers)
    return evaluation.outcomes["predictions"].confusion.pixel_accuracy


@pytest.mark.parametrize(
    ("predicted", "numbers", "right"),
    [
        ((1, 1, 1, 2, 2, 3), None, 5),  # 3 is no label
        ((1, 1, 1, 2, 2, 2), "masks", 4),
        ((1, 1, 1, 2, 2, 2), "labels", 1),  # floor for wall, door for floor
        ((1, 0, 0, 1, 1, 2), "labels", 5),
    ],
)
def test_predictions_in_the_masks_numbers_are_understood(
    samples: Sequence[Sample], tmp_path: Path, predicted: Sequence[int], numbers: str | None, right: int
) -> None:
    assert accuracy(samples, tmp_path / "found", predicted, numbers) == right / 5


@pytest.mark.parametrize("predicted", [(1,) * 6, (1, 1, 1, 2, 2, 2), (0, 1, 1, 1, 1, 1)])
def test_numbers_that_may_be_either_are_refused(
    samples: Sequence[Sample], tmp_path: Path, predicted: Sequence[int]
) -> None:
    with pytest.raises(
        DataError, match=r"found: \d is the label of .*, but in the masks .*: --numbers labels or masks"
    ):
        accuracy(samples, tmp_path / "found", predicted)
    with pytest.raises(InputError, match="numbers is 'raw'; expected one of labels, masks"):
        accuracy(samples, tmp_path / "found", predicted, "raw")


def test_label_maps_that_say_their_names_hold_labels(samples: Sequence[Sample], tmp_path: Path) -> None:
    (tmp_path / "found").mkdir()
    predicted = np.where(LABELS == 9, 0, LABELS)
    write_label_map(tmp_path / "found" / "x.png", predicted, LabelSet("mine", NAMES))
    outcome = evaluate_predictions(samples, tmp_path / "found", numbers="masks").outcomes["predictions"]
    assert outcome.confusion.pixel_accuracy == 1
    write_label_map(tmp_path / "found" / "x.png", predicted, VOC, overwrite=True)
    with pytest.raises(
        DataError, match=r"x\.png says that its labels are background, .*, not those of the data, wall, floor"
    ):
        evaluate_predictions(samples, tmp_path / "found")


def test_the_numbers_of_the_whole_set_decide(samples: Sequence[Sample], tmp_path: Path) -> None:
    """One photo may show numbers that are both, another one does not."""
    root = tmp_path / "set"
    for folder in ("images", "masks"):
        (root / folder / "y.png").write_bytes((root / folder / "x.png").read_bytes())
    both = read_samples("folder", root, "all")
    (tmp_path / "found").mkdir()
    Image.fromarray(np.array([[3] * 6], np.uint8)).save(tmp_path / "found" / "y.png")
    assert accuracy(both, tmp_path / "found", (1, 1, 1, 2, 2, 2)) == (4 + 1) / 10
