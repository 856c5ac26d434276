from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from deeplab.errors import InputError
from deeplab.evaluation import figures
from deeplab.evaluation.bootstrap import draw_photos, estimate

RANDOM = np.random.default_rng(4)
BEFORE = figures.tally(RANDOM.integers(0, 60, (40, 3, 3)) + 100 * np.eye(3, dtype=np.int64))
AFTER = figures.tally(RANDOM.integers(0, 40, (40, 3, 3)) + 110 * np.eye(3, dtype=np.int64))


def test_the_interval_is_scipys() -> None:
    """The same percentile bootstrap by another implementation; what is left is the noise of 4,000 resamples."""
    stats = pytest.importorskip("scipy.stats")

    def statistic(chosen: np.ndarray) -> float:
        return float(figures.mean_iou(AFTER[chosen].sum(0)) - figures.mean_iou(BEFORE[chosen].sum(0)))

    theirs = stats.bootstrap(
        (np.arange(40),),
        statistic,
        method="percentile",
        n_resamples=4000,
        vectorized=False,
        rng=np.random.default_rng(1),
    )
    draws = draw_photos(40, resamples=4000, seed=2)
    value, low, high = estimate(figures.mean_iou, AFTER, draws, minus=BEFORE)
    assert value == pytest.approx(statistic(np.arange(40)))
    interval = theirs.confidence_interval
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.05 * (interval.high - interval.low))


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    """Of 400 photos' own numbers: mean ± 1.96 s / √n (central limit)."""
    numbers = RANDOM.normal(5, 2, 400)
    value, low, high = estimate(lambda s: s[..., 0] / s[..., 1], np.stack([numbers, np.ones(400)], 1), draw_photos(400))
    half = 1.96 * numbers.std() / 20
    assert value == pytest.approx(numbers.mean())
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.15 * half)


def test_a_gain_is_paired() -> None:
    """A labelling against itself gains nothing on any draw, however much the figure itself moves."""
    draws = draw_photos(40)
    assert estimate(figures.mean_iou, AFTER, draws, minus=AFTER) == (0, 0, 0)
    alone = estimate(figures.mean_iou, AFTER, draws)
    assert alone.low < alone.value < alone.high


def test_draws_are_of_all_photos_and_repeatable() -> None:
    draws = draw_photos(7, resamples=50, seed=3)
    assert draws.shape == (50, 7)
    assert set(draws.sum(1)) == {7}
    np.testing.assert_array_equal(draws, draw_photos(7, resamples=50, seed=3))
    assert (draws != draw_photos(7, resamples=50, seed=4)).any()


def test_sets_without_the_class_are_left_out_and_a_class_that_never_occurs_has_no_figure() -> None:
    tallies = np.zeros((30, 3, 2), np.int64)
    tallies[:, :, 0] = 10
    tallies[0, :, 1] = (1, 4, 1)  # the second class is in one photo alone, a quarter of it found
    second = partial(figures.mean_iou, labels=[1])
    assert estimate(second, tallies, draw_photos(30)) == (0.25, 0.25, 0.25)
    assert np.isnan(estimate(second, tallies[1:], draw_photos(29))).all()


def test_without_draws_there_is_no_interval() -> None:
    value, low, high = estimate(figures.mean_iou, AFTER, None)
    assert value > 0
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize(("photos", "resamples"), [(0, 5), (5, 0)])
def test_nothing_to_draw_is_an_error(photos: int, resamples: int) -> None:
    with pytest.raises(InputError, match="at least one photo and one resample"):
        draw_photos(photos, resamples=resamples)
