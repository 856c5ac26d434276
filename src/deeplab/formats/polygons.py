"""The outlines of a mask as polygons along the edges between pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.formats.regions import components_of

Ring = NDArray[np.int64]


def polygons_of(mask: NDArray[np.bool_], *, tolerance_px: float = 0.0) -> list[NDArray[np.float64]]:
    """Return a mask's outlines, one polygon (N, 2) of x, y in pixels for each connected part.

    (0, 0) is the upper left corner of the upper left pixel. A hole is reached from the outline by a cut of no width,
    since the formats that take polygons have no other way to say it. Without a tolerance, filling the polygons by the
    even-odd rule at the pixels' centres gives back the mask exactly.

    Args:
        mask: (H, W) bool.
        tolerance_px: how far the outline may move, in pixels, so that it has fewer points (Douglas & Peucker 1973).

    Raises:
        InputError: the tolerance is negative or no number.
    """
    if not 0 <= tolerance_px < float("inf"):
        raise InputError(f"the tolerance must be 0 or more pixels, got {tolerance_px}")
    parts = components_of(mask)
    outlines: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = defaultdict(list)
    for part, ring in _rings(parts):
        if _area(ring) > 0:
            outlines[part] = ring
        else:
            holes[part].append(ring)
    polygons = []
    for part in sorted(outlines):
        inner = [simplified(hole, tolerance_px) for hole in holes[part]]
        polygons.append(_with_cuts(simplified(outlines[part], tolerance_px), inner))
    return polygons


def simplified(ring: NDArray[np.int64], tolerance_px: float) -> NDArray[np.float64]:
    """Return a closed ring (N, 2) with fewer points, none of the left-out ones further from it than the tolerance.

    A ring that would lose its area stays as it is.
    """
    points = ring.astype(np.float64)
    if tolerance_px == 0 or len(points) < 4:
        return points
    far = int(((points - points[0]) ** 2).sum(axis=1).argmax())
    closed = np.concatenate((points, points[:1]))
    keep = np.zeros(len(closed), dtype=np.bool_)
    keep[[0, far]] = True
    spans = [(0, far), (far, len(points))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(distances.argmax())
        if distances[worst] > tolerance_px:
            middle = first + 1 + worst
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    kept = points[keep[:-1]]
    return kept if len(kept) >= 3 and abs(_area(kept)) > 0 else points


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distances of points (N, 2) from the segment between two points."""
    along = end - start
    length = max(float(along @ along), 1e-12)
    places = np.clip((points - start) @ along / length, 0, 1)
    distances: NDArray[np.float64] = np.linalg.norm(points - start - places[:, None] * along, axis=1)
    return distances


def _area(ring: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """Return the signed area of a closed ring (N, 2): positive for outlines, negative for holes."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _with_cuts(outline: NDArray[np.float64], holes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Lead an outline into each hole, around it, and back the same way.

    A cut runs along a row and a column, so that whoever fills the polygon meets the same points both ways.
    """
    leaving: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for hole in holes:
        nearest = int(((outline - hole[0]) ** 2).sum(axis=1).argmin())
        leaving[nearest].append(hole)
    pieces, done = [], 0
    for place in sorted(leaving):
        pieces.append(outline[done : place + 1])
        for hole in leaving[place]:
            corner = np.array([[hole[0, 0], outline[place, 1]]])
            pieces += [corner, hole, hole[:1], corner, outline[place : place + 1]]
        done = place + 1
    return np.concatenate([*pieces, outline[done:]])


def _rings(parts: NDArray[np.int32]) -> Iterator[tuple[int, Ring]]:
    """Yield the closed rings between the parts and what is around them, corners (N, 2) x, y, each with its part.

    Parts are on the right hand of those who walk along a ring. Where two pixels of the mask meet in a corner only, the
    ring turns right and so stays with its own pixel.
    """
    edges, part_of = _edges(parts)
    columns = parts.shape[1] + 1
    point, direction = edges // 4, edges % 4
    end = point + np.array([1, columns, -1, -columns])[direction]
    following = np.full(len(edges), -1)
    for turn in (3, 0, 1):  # left, none, right: the last that there is counts
        wanted = end * 4 + (direction + turn) % 4
        place = np.searchsorted(edges, wanted).clip(max=len(edges) - 1)
        found = edges[place] == wanted
        following[found] = place[found]
    next_edge, seen = following.tolist(), bytearray(len(edges))
    for first in range(len(edges)):
        ring = []
        edge = first
        while not seen[edge]:
            seen[edge] = True
            ring.append(edge)
            edge = next_edge[edge]
        if ring:
            corner = direction[ring] != direction[np.roll(ring, 1)]
            points = point[ring][corner]
            yield int(part_of[first]), np.stack((points % columns, points // columns), axis=1)


def _edges(parts: NDArray[np.int32]) -> tuple[Ring, NDArray[np.int32]]:
    """Return the edges between parts and what is around them, ascending, and the part of each.

    An edge is 4 times the number of the point where it begins plus its direction: right, down, left, up.
    """
    columns = parts.shape[1] + 1
    framed = np.pad(parts, 1)
    around = (framed[:-2, 1:-1], framed[1:-1, 2:], framed[2:, 1:-1], framed[1:-1, :-2])  # above, right, below, left
    begins = ((0, 0), (0, 1), (1, 1), (1, 0))  # at which corner of its pixel, (row, column)
    edges, owners = [], []
    for direction, (neighbour, (down, right)) in enumerate(zip(around, begins, strict=True)):
        y, x = np.nonzero((parts > 0) & (neighbour == 0))
        edges.append(((y + down) * columns + x + right) * 4 + direction)
        owners.append(parts[y, x])
    joined = np.concatenate(edges)
    order = np.argsort(joined)
    return joined[order], np.concatenate(owners)[order]
