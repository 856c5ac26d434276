from __future__ import annotations

import re

import pytest

from deeplab.report import numbers


def words(html: str) -> str:
    return re.sub(r"<.*?>", "", html)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5474, "54.74"), (0, "0.00"), (1, "100.00"), (-0.0123, "−1.23"), (-1e-6, "0.00"), (None, "–")],
)
def test_percent(share: float | None, expected: str) -> None:
    assert numbers.percent(share) == expected


def test_differences_have_a_sign_and_say_whether_they_are_better() -> None:
    assert numbers.points(0.0086) == '<span class="up">+0.86</span>'
    assert numbers.points(-0.0086) == '<span class="down">−0.86</span>'
    assert numbers.points(-1e-6) == "<span>+0.00</span>"
    assert numbers.points(None) == "–"


def test_estimates_and_gains_carry_their_intervals() -> None:
    assert words(numbers.estimate(0.54, 0.512, 0.561)) == "54.00 [51.2, 56.1]"
    assert words(numbers.gain(0.01, -0.002, 0.021)) == "+1.00 [−0.2, +2.1]"
    assert words(numbers.estimate(0.54, None, None)) == "54.00"
    assert words(numbers.gain(None, None, None)) == "–"


@pytest.mark.parametrize(("seconds", "expected"), [(1.25, "1.2 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")])
def test_times(seconds: float, expected: str) -> None:
    assert numbers.clock(seconds) == expected


def test_quantities() -> None:
    assert numbers.quantity(1234.5, "ms") == "1,234 ms"
    assert numbers.quantity(None, "ms") == "–"
