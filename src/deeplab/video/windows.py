"""A stream cut into windows that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def windows(items: Iterable[Item], span: int) -> Iterator[tuple[list[Item], range]]:
    """Yield windows of at most `span` successive items, and where in each its own items lie.

    A window's own items are its middle half; the quarters before and after are there to be looked at. Every item is
    some window's own, once and in order. No more than a window is held in memory.
    """
    margin = span // 4
    own = span - 2 * margin
    held: list[Item] = []
    seen = 0  # items at the front of `held` that were an earlier window's own
    for item in items:
        held.append(item)
        if len(held) == seen + own + margin:
            yield held.copy(), range(seen, seen + own)
            gone = max(0, seen + own - margin)
            del held[:gone]
            seen += own - gone
    if len(held) > seen:
        yield held, range(seen, len(held))
