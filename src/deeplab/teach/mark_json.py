"""Marks as JSON: what a project's files hold, and what the page sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import MALFORMED, InputError, quoted
from deeplab.labels import LabelSet
from deeplab.teach.marks import Box, Mark, Mask, Stroke, checked

MOST_MARKS = 10_000
"""Of a photo."""
_MOST_PIXELS = 1 << 20  # of a region's raster
_MOST_REGIONS = 500  # of a photo: each is unpacked whenever its photo's marks are drawn
_MOST_POINTS = 200_000  # of all a photo's strokes
_FIELDS = {"stroke": ("points", "width_px"), "box": ("box",), "region": ("size", "runs")}
_DIGITS = 2  # after the point, of a pixel


def marks_from_json(
    given: Any, size: tuple[int, int], label_set: LabelSet, known: Sequence[Mark] = (), as_json: Sequence[Any] = ()
) -> tuple[Mark, ...]:
    """Return the marks that a JSON list holds, checked.

    Args:
        given: the list; docs/http-api.md has the form of a mark.
        size: (H, W) of the photo.
        label_set: the classes.
        known: marks that were read and checked before; what is as one of them is not read again.
        as_json: what `known` was read from, one for one.

    Raises:
        InputError: it is no such list, or too long, or a mark is of another form, names no class, or lies outside the
            photo; the message counts marks from 1.
    """
    if not isinstance(given, list) or len(given) > MOST_MARKS:
        count = f"{len(given)} of them" if isinstance(given, list) else quoted(given)
        raise InputError(f"marks are {count}; expected a list of at most {MOST_MARKS:,}")
    _check_amount(given)
    before = {str(form): mark for form, mark in zip(as_json, known, strict=True)}
    marks = []
    for number, form in enumerate(given, start=1):
        if (mark := before.get(str(form))) is None:
            try:
                (mark,) = checked(_mark(form, label_set.void), size, label_set)
            except InputError as error:
                raise InputError(f"mark {number}: {error}") from None
            except MALFORMED:
                raise InputError(f"mark {number} is {quoted(form)}; expected a stroke, a box or a region") from None
        marks.append(mark)
    return tuple(marks)


def marks_to_json(marks: Sequence[Mark], void: int) -> list[dict[str, Any]]:
    """Return marks as JSON values; a mask of several classes becomes as many regions."""
    return [form for mark in marks for form in _forms(mark, void)]


def _check_amount(given: list[Any]) -> None:
    """Check that marks are not so many that drawing them would keep everyone waiting."""
    forms = [form for form in given if isinstance(form, dict)]
    points = sum(len(form["points"]) for form in forms if isinstance(form.get("points"), list))
    regions = sum(form.get("kind") == "region" for form in forms)
    for count, most, what in ((points, _MOST_POINTS, "points"), (regions, _MOST_REGIONS, "regions")):
        if count > most:
            raise InputError(f"a photo's marks have {count:,} {what}; expected at most {most:,}: draw fewer")


def _mark(form: Any, void: int) -> Mark:
    kind, label = form["kind"], form["label"]
    if kind not in _FIELDS:
        raise InputError(f"its kind is {quoted(kind)}; expected 'stroke', 'box' or 'region'")
    if set(form) != {"kind", "label", *_FIELDS[kind]}:
        raise InputError(f"it has {quoted(sorted(form))}; docs/http-api.md has the form of a mark")
    if kind == "stroke":
        return Stroke(None if label is None else _number(label), [(x, y) for x, y in form["points"]], form["width_px"])
    label = _number(label)
    if kind == "box":
        return Box(label, *_four(form["box"]))
    return _region(label, form["size"], form["runs"], void)


def _number(label: Any) -> int:
    if isinstance(label, bool) or not isinstance(label, int):
        raise InputError(f"its label is {quoted(label)}; expected a class's number")
    return label


def _four(edges: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = edges
    return x0, y0, x1, y1


def _region(label: int, size: Any, runs: Any, void: int) -> Mask:
    width, height = size
    sides = [side for side in (width, height) if isinstance(side, int) and not isinstance(side, bool) and side > 0]
    if len(sides) != 2 or width * height > _MOST_PIXELS:
        raise InputError(f"its size is {quoted(size)}; expected width and height of at most {_MOST_PIXELS:,} pixels")
    given = np.asarray(runs if runs else [0, 0])
    if given.dtype.kind != "i" or given.ndim != 1 or len(given) % 2:
        raise InputError(f"its runs are {quoted(runs)}; expected pairs of start and length")
    starts, lengths = given[::2].astype(np.int64), given[1::2].astype(np.int64)
    ends = np.minimum(starts, 1 << 40) + np.minimum(lengths, 1 << 40)
    if (starts < 0).any() or (lengths < 1).any() or (starts[1:] < ends[:-1]).any() or ends[-1] > width * height:
        raise InputError(
            f"its runs are {quoted(runs)}; expected starts that grow and lengths from 1, within {width}x{height} pixels"
        )
    if not 0 <= label < void:
        raise InputError(f"its label is {label}; expected a class's number")
    inside = np.zeros(width * height + 1, np.int8)
    inside[starts] += 1
    inside[ends] -= 1
    labels = np.where(np.cumsum(inside[:-1], dtype=np.int8) > 0, np.uint8(label), np.uint8(void))
    return Mask.of(labels.reshape(height, width))


def _forms(mark: Mark, void: int) -> list[dict[str, Any]]:
    if isinstance(mark, Stroke):
        points = [[_rounded(x), _rounded(y)] for x, y in mark.points]
        return [{"kind": "stroke", "label": mark.label, "points": points, "width_px": _rounded(mark.width_px)}]
    if isinstance(mark, Box):
        edges = [_rounded(edge) for edge in (mark.x0, mark.y0, mark.x1, mark.y1)]
        return [{"kind": "box", "label": mark.label, "box": edges}]
    labels = _thinned(mark.labels())
    size = [labels.shape[1], labels.shape[0]]
    found = [label for label in np.unique(labels).tolist() if label != void]
    return [{"kind": "region", "label": label, "size": size, "runs": _runs(labels == label)} for label in found]


def _thinned(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return labels (H, W) at as many pixels as a region may have."""
    step = max(1.0, (labels.size / _MOST_PIXELS) ** 0.5)
    rows, columns = (((np.arange(int(side / step) or 1) + 0.5) * step).astype(np.intp) for side in labels.shape)
    return labels if step == 1 else labels[np.minimum(rows, len(labels) - 1)[:, None], columns]


def _runs(inside: NDArray[np.bool_]) -> list[int]:
    """Return the starts and lengths of what is True, row by row."""
    edges = np.flatnonzero(np.diff(inside.ravel().astype(np.int8), prepend=0, append=0))
    edges[1::2] -= edges[::2]
    found: list[int] = edges.tolist()
    return found


def _rounded(number: float) -> float:
    return round(float(number), _DIGITS)
