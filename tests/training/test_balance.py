from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplab.data.augment import Augment
from deeplab.data.readers import read_samples
from deeplab.errors import DataError, InputError
from deeplab.network.importers import Initialisation
from deeplab.training.balance import ClassBalance, class_counts, median_frequency_weights
from deeplab.training.recipe import Recipe
from deeplab.training.train import train

Logged = Callable[[Path], list[dict[str, Any]]]


def test_counts_are_those_of_the_masks(data: Path) -> None:
    samples = read_samples("folder", data / "set", "all")
    steps: list[tuple[int, int]] = []
    counts = class_counts(samples, report=lambda done, count: steps.append((done, count)))
    for sample, row in zip(samples, counts, strict=True):
        labels = np.array(Image.open(sample.mask)).ravel().tolist()
        assert row.tolist() == [labels.count(label) for label in range(3)]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    samples[1].mask.write_bytes(b"no mask")
    with pytest.raises(DataError, match=r"1\.png"):
        class_counts(samples)
    assert not class_counts(samples, skip_bad=True)[1].any()


def test_median_frequency_weights_by_hand() -> None:
    # Class 0 fills 80 of the 200 pixels of both photos, class 1 60 of the first's 100, class 2 60 of the second's.
    counts = np.array([[40, 60, 0, 0], [40, 0, 60, 0]])
    found = median_frequency_weights(counts)
    np.testing.assert_allclose(found, [0.6 / 0.4, 1, 1, 0])


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=4, max_size=4), min_size=1, max_size=6))
def test_weights_turn_frequencies_into_their_median(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    weights = median_frequency_weights(counts)
    assert np.isfinite(weights).all()
    weighted = []
    for label in range(4):  # one class at a time, in plain Python
        shown = sum(sum(row) for row in rows if row[label])
        assert (weights[label] == 0) == (shown == 0)
        if shown:
            weighted.append(weights[label] * sum(row[label] for row in rows) / shown)
    assert np.ptp(weighted or [0]) <= 1e-5 * max(weighted, default=0)


def test_classes_are_drawn_alike_however_rare() -> None:
    counts = np.array([[9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 1, 0]])  # one photo alone shows class 1, none class 2
    balance = ClassBalance(counts, seed=3)
    drawn = Counter(balance.photo_at(position) for position in range(800))
    assert drawn[3] == pytest.approx(400 + 100, abs=60)
    assert min(drawn[index] for index in range(3)) > 60
    assert [balance.photo_at(p) for p in range(9)] == [ClassBalance(counts, 3).photo_at(p) for p in range(9)]


def test_a_run_with_weights_and_balanced_sampling(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, logged: Logged
) -> None:
    (data / "set" / "classes.txt").write_text("ground\nred\ngreen\nunicorn\n")
    lines: list[str] = []
    balanced = replace(recipe, sampling="class_balanced", class_weights="median_frequency")
    train(balanced, data, fresh, tmp_path / "balanced", lines.append)
    assert "no training photo shows unicorn" in lines
    # Fresh scores are near zero: each position costs log 4, times its class's weight.
    explicit = replace(recipe, class_weights=(0.5, 0.5, 0.5, 0.5))
    train(explicit, data, fresh, tmp_path / "explicit", str)
    assert logged(tmp_path / "explicit")[0]["loss"] == pytest.approx(np.log(4) / 2, rel=0.01)
    with pytest.raises(InputError, match="class_weights has 2 numbers, but there are 4 classes"):
        train(replace(recipe, class_weights=(1.0, 2.0)), data, fresh, tmp_path / "two", str)


def test_things_are_pasted_where_there_are_things(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation, logged: Logged
) -> None:
    pasting = replace(recipe, augment=Augment(copy_paste=1.0))
    with pytest.raises(InputError, match="copy_paste needs a background to tell things from, which label set"):
        train(pasting, data, fresh, tmp_path / "none", str)
    (data / "set" / "classes.txt").write_text("background\nred\ngreen\n")
    train(pasting, data, fresh, tmp_path / "pasted", str)
    train(replace(recipe, augment=Augment()), data, fresh, tmp_path / "plain", str)
    losses = [[line["loss"] for line in logged(tmp_path / name) if "loss" in line] for name in ("pasted", "plain")]
    assert losses[0] != losses[1]
    for mask in (data / "set" / "masks").iterdir():
        Image.fromarray(np.zeros_like(np.array(Image.open(mask)))).save(mask)
    with pytest.raises(InputError, match="no photo shows anything but background"):
        train(pasting, data, fresh, tmp_path / "empty", str)


def test_data_without_a_label_cannot_be_balanced(
    recipe: Recipe, data: Path, tmp_path: Path, fresh: Initialisation
) -> None:
    for mask in (data / "set" / "masks").iterdir():
        Image.fromarray(np.full(np.array(Image.open(mask)).shape, 255, np.uint8)).save(mask)
    with pytest.raises(DataError, match="no training photo has a labelled pixel"):
        train(replace(recipe, sampling="class_balanced"), data, fresh, tmp_path / "run", str)
