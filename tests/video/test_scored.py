from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab.video.scored import with_scores


def squares(item: int) -> NDArray[np.float32]:
    return np.full((2, 3), item**2, np.float32)


@given(st.integers(0, 30), st.integers(1, 9))
def test_scores_between_are_interpolated(count: int, every: int) -> None:
    asked = sorted({*range(0, count, every), max(0, count - 1)})
    found = list(with_scores(range(count), squares, every))
    assert [item for item, _ in found] == list(range(count))
    expected = np.interp(range(count), asked, [item**2 for item in asked])
    for (_, scores), value in zip(found, expected, strict=True):
        np.testing.assert_allclose(scores, value, rtol=1e-5)


@pytest.mark.parametrize("every", [1, 4])
def test_the_network_runs_on_every_nth_and_few_items_wait(every: int) -> None:
    taken: list[int] = []
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1, 22):
            taken.append(item)
            yield item

    def score(item: int) -> NDArray[np.float32]:
        asked.append(item)
        return squares(item)

    for done, _ in enumerate(with_scores(items(), score, every), start=1):
        assert len(taken) < done + every
    assert asked == list(range(1, 22, every))
