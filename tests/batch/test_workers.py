"""Several at a time: all of them, in order, without waiting for more than memory holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.batch.workers import WAITING_PER_WORKER, in_order
from deeplab.errors import ImageError


@settings(max_examples=20)
@given(count=st.integers(0, 30), workers=st.integers(1, 4))
def test_every_item_once_and_in_order(count: int, workers: int) -> None:
    assert list(in_order(lambda item: item**2, range(count), workers)) == [(item, item**2) for item in range(count)]


def test_errors_take_their_place() -> None:
    def work(item: int) -> int:
        if item % 2:
            raise ImageError(f"{item} is odd")
        return item

    outcomes = [outcome for _, outcome in in_order(work, range(4), 2)]
    assert [str(outcome) for outcome in outcomes] == ["0", "1 is odd", "2", "3 is odd"]


def test_a_bug_is_no_outcome() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [1, 0, 1], 2))


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)
    list(in_order(lambda _: meeting.wait(), range(4), 2))  # each waits for another


def test_what_waits_for_a_slow_first_is_bounded() -> None:
    taken, slow = [], threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    outcomes = in_order(lambda item: slow.wait(10) if item == 0 else True, items(), 2)
    consumer = threading.Thread(target=lambda: next(outcomes))
    consumer.start()
    consumer.join(0.2)
    assert len(taken) <= 2 * WAITING_PER_WORKER
    slow.set()
    consumer.join()
    assert next(outcomes) == (1, True)
    outcomes.close()  # type: ignore[attr-defined]
