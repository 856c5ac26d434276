from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from deeplab.video.windows import windows

COUNTS, SPANS = st.integers(0, 60), st.integers(1, 20)


@given(COUNTS, SPANS)
def test_every_item_is_a_windows_own_once_and_in_order(count: int, span: int) -> None:
    own = [window[place] for window, places in windows(range(count), span) for place in places]
    assert own == list(range(count))


@given(COUNTS, SPANS)
def test_own_items_have_neighbours_on_both_sides(count: int, span: int) -> None:
    for window, own in windows(range(count), span):
        assert len(window) <= span
        assert window == list(range(window[0], window[-1] + 1))
        assert window[0] == max(0, window[own[0]] - span // 4)
        assert window[-1] == count - 1 or len(window) - 1 - own[-1] == span // 4


@given(COUNTS, SPANS)
def test_no_more_than_a_window_is_taken_ahead(count: int, span: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(count):
            taken.append(item)
            yield item

    done = 0
    for _, own in windows(items(), span):
        done += len(own)
        assert len(taken) <= done + span // 4
