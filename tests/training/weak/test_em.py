"""E-steps on small scenes where the right answer is known, or found by trying all."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deeplab.training.weak.em import em_adapt, em_fixed
from deeplab.training.weak.settings import WeakLabels

SETTINGS = WeakLabels()
FLAT = torch.zeros(3, 6)


def test_em_fixed_adds_its_biases_and_leaves_absent_classes_out() -> None:
    """Three labels over four cells; label 2 is not in the photo, though the network likes it best."""
    scores = torch.tensor([[[0.0, 5.0, 2.1, 0.0]], [[0.0, 2.0, 0.0, 0.0]], [[9.0, 9.0, 9.0, 9.0]]])
    allowed = torch.tensor([True, True, False])[:, None, None].expand(3, 1, 4)
    # Background has 3 more, label 1 has 5 more: cells where the background leads by more than 2 keep it.
    assert em_fixed(scores, allowed, 0, SETTINGS).tolist() == [[1, 0, 0, 1]]
    even = WeakLabels(foreground_bias=0, background_bias=0)
    assert em_fixed(scores, allowed, 0, even).tolist() == [[0, 0, 0, 0]]


def test_boxes_say_where_a_class_may_be() -> None:
    scores = torch.zeros(3, 2, 4)
    allowed = torch.zeros(3, 2, 4, dtype=torch.bool)
    allowed[0] = True
    allowed[1, :, 1:3] = True
    allowed[2, 1, 2:] = True
    scores[2] += 1
    assert em_fixed(scores, allowed, 0, SETTINGS).tolist() == [[0, 1, 1, 0], [0, 1, 2, 2]]


def test_em_adapt_changes_nothing_where_every_class_has_its_share() -> None:
    scores = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (3, 600)))
    present = torch.tensor([True, True, False])
    settings = WeakLabels(foreground_share=0.2, background_share=0.2)
    assert torch.equal(em_adapt(scores, present, 0, settings), scores[:2].argmax(0))


@given(st.integers(0, 10_000), st.integers(2, 9), st.floats(0, 0.5), st.floats(0, 0.5))
def test_of_two_classes_the_shares_are_given_at_the_least_cost(seed: int, cells: int, fg: float, bg: float) -> None:
    scores = np.random.default_rng(seed).normal(0, 2, (2, cells))
    settings = WeakLabels(foreground_share=fg, background_share=bg)
    found = em_adapt(torch.from_numpy(scores), torch.tensor([True, True]), 0, settings).numpy()
    least = [np.floor(share * cells + 1e-9) for share in (bg, fg)]
    best = max(
        sum(scores[label, cell] for cell, label in enumerate(labels))
        for labels in product((0, 1), repeat=cells)
        if all(labels.count(label) >= least[label] for label in (0, 1))
    )
    assert all((found == label).sum() >= least[label] for label in (0, 1))
    assert scores[found, range(cells)].sum() == pytest.approx(best)


@given(
    st.integers(0, 10_000), st.integers(1, 200), st.sets(st.integers(1, 6)), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from([0.0, 1e-3, 1.0, 50.0]),
)  # fmt: skip
def test_shares_hold_whatever_the_scores(
    seed: int, cells: int, classes: set[int], fg: float, bg: float, spread: float
) -> None:
    """Flat ones too, where no bias tells cells apart, and shares that add up to more than there is."""
    scores = torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (7, cells)).round(1) * spread)
    present = torch.zeros(7, dtype=torch.bool)
    present[[0, *classes]] = True
    found = em_adapt(scores, present, 0, WeakLabels(foreground_share=fg, background_share=bg))
    assert set(found.tolist()) <= {0, *classes}
    total = max(1.0, bg + fg * len(classes))
    for label in (0, *classes):
        share = (bg if label == 0 else fg) / total
        assert int((found == label).sum()) >= int(share * cells - 1e-6), label


def test_a_class_takes_the_cells_where_it_lacks_least() -> None:
    """Ten cells, all background's at first; label 1 has a tenth of its own liking most: cells 9 and 8."""
    scores = torch.stack([torch.full((10,), 3.0), torch.arange(10.0) / 10])
    found = em_adapt(scores, torch.tensor([True, True]), 0, SETTINGS)
    assert found.tolist() == [0] * 8 + [1, 1]
