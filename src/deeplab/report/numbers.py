"""Numbers as the report prints them: percent with two decimals, a true minus sign, a dash for what there is not."""

from __future__ import annotations

from collections.abc import Sequence

from deeplab.report.markup import Html, tag

NOTHING = "–"

Ends = Sequence[float | None]


def percent(share: float | None) -> str:
    """A share of 0–1 as ``54.74``."""
    return NOTHING if share is None else _number(100 * share, 2)


def points(difference: float | None) -> Html:
    """A difference of shares as ``+0.86``, marked as better or worse."""
    if difference is None:
        return Html(NOTHING)
    shown = round(difference, 4)
    kind = "up" if shown > 0 else "down" if shown < 0 else None
    return tag("span", _number(100 * difference, 2, "+"), class_=kind)


def estimate(value: float | None, low: float | None, high: float | None) -> Html:
    """A share with its 95 % interval."""
    if value is None:
        return Html(NOTHING)
    return tag("span", tag("strong", percent(value)), _interval(low, high, ""))


def beside_ours(published: float | None, difference: float | None) -> Html:
    """A published figure, and below it how far ours is from it."""
    if difference is None:
        return Html(percent(published))
    return tag("span", percent(published), tag("br"), points(difference))


def gain(value: float | None, low: float | None, high: float | None) -> Html:
    """A difference with its 95 % interval."""
    return points(value) if value is None else tag("span", points(value), _interval(low, high, "+"))


def quantity(value: float | None, unit: str, digits: int = 0) -> str:
    """A number with its unit, thousands apart."""
    return NOTHING if value is None else f"{value:,.{digits}f} {unit}".rstrip()


def clock(seconds: float) -> str:
    """Seconds in the units that suit them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _interval(low: float | None, high: float | None, sign: str) -> Html:
    if low is None or high is None:
        return Html("")
    ends = (_number(100 * end, 1, sign) for end in (low, high))
    return tag("span", f" [{', '.join(ends)}]", class_="interval")


def _number(value: float, digits: int, sign: str = "") -> str:
    """With a true minus sign, and none before a zero."""
    return f"{round(value, digits) + 0:{sign}.{digits}f}".replace("-", "−")
