"""Checks of options and plain arguments: one of some names, a count, a number, how many threads."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from deeplab.errors import DeepLabError, InputError, quoted

LARGEST = 1e9
"""Weights and energies beyond this drown all others in float32."""

MOST = 1_000_000
"""No count makes sense beyond this, and the CRF's native core takes 32 bits."""

_T = TypeVar("_T")


def did_you_mean(given: Any, known: Iterable[str]) -> str:
    """Return ``did you mean 'name'?`` with the known name most like what was given; "" where none is like it."""
    names = {name.lower(): name for name in known}
    text = given[:100] if isinstance(given, str) else quoted(given)
    near = get_close_matches(text.lower(), names, n=1)
    return f"did you mean {names[near[0]]!r}?" if near else ""


def choose(name: str, table: Mapping[str, _T], what: str, error: type[DeepLabError] = InputError) -> _T:
    """Return what a table has under a name; an `error` says what the name is one of, and which is the nearest."""
    if name in table:
        return table[name]
    hint = did_you_mean(name, table)
    raise error(f"unknown {what} {quoted(name)}: {hint}{' ' if hint else ''}choose one of {', '.join(table)}")


def check_choice(value: Any, choices: tuple[str, ...], name: str) -> str:
    """Return `value` if it is one of `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    hint = did_you_mean(value, choices)
    raise InputError(
        f"{name} is {quoted(value)}; expected one of {', '.join(map(repr, choices))}{'; ' if hint else ''}{hint}"
    )


def check_count(value: Any, least: int, name: str, *, most: int = MOST) -> int:
    """Return `value` as an int from `least` to `most`. Floats and booleans are refused."""
    expected = f"expected an integer, at least {least} and at most {most:,}"
    try:
        count = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {quoted(value)}; {expected}") from None
    if isinstance(value, (bool, np.bool_)) or not least <= count <= most:
        raise InputError(f"{name} is {quoted(value)}; {expected}")
    return count


def check_number(value: Any, name: str, *, above_zero: bool = False, most: float = LARGEST) -> float:
    """Return `value` as a float from 0 (or above it) to `most`."""
    number = float(value) if isinstance(value, np.floating) else value  # float16 would compare as float16
    real = isinstance(number, Real) and not isinstance(number, bool)
    if not real or not 0 <= number <= most or (above_zero and number == 0):
        least = "above 0" if above_zero else "at least 0"
        raise InputError(f"{name} is {quoted(value)}; expected a number {least} and at most {most:g}")
    return float(number)


def threads_asked_for(threads: int | None) -> int | None:
    """Return `threads`, or what the environment variable DEEPLAB_THREADS says, up to the number of cores; else None."""
    cores = os.cpu_count() or 1
    if threads is not None:
        return min(check_count(threads, 1, "threads"), cores)
    if said := os.environ.get("DEEPLAB_THREADS"):
        number = int(said) if said.isascii() and said.isdigit() and len(said) <= 20 else said
        return min(check_count(number, 1, "the environment variable DEEPLAB_THREADS"), cores)
    return None


def thread_count(threads: int | None = None) -> int:
    """Return how many threads to use: as `threads_asked_for` has it, or all cores that this process may run on."""
    if (asked_for := threads_asked_for(threads)) is not None:
        return asked_for
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
