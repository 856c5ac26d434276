"""A convolution whose taps lie far apart, region by region, so that none of them multiplies the zeros around the map.

LargeFOV's fc6 reads three by three cells twelve apart. Of a photo of 306x306, in a map of 40x40 cells, more than a
third of its products are by zeros: the first twelve rows see nothing above, the last twelve nothing below, and columns
likewise. Three bands of rows by three of columns make nine regions, each convolved by the taps it has: with the same
result, bit for bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deeplab.network.onnx_nodes import Graph
from deeplab.network.variants import Layer

__all__ = ["convolve_in_regions", "has_far_taps"]

FAR_CELLS = 8  # between taps; from here on the regions' gain outweighs their slices


class Band(NamedTuple):
    """Rows, or columns, of a map that see the same taps: where their input begins and ends, and those taps."""

    name: str
    begin: str
    end: str
    taps: tuple[int, int]


def has_far_taps(layer: Layer) -> bool:
    """Whether a layer is what this is for: three taps a side, as far apart as the map is padded."""
    return layer.kernel == 3 and layer.dilation >= FAR_CELLS and layer.padding == (layer.dilation,) * 2


def convolve_in_regions(graph: Graph, operands: list[str], layer: Layer, output: str) -> str:
    """Append what ``QLinearConv`` would compute, and return its output's name.

    Args:
        graph: takes the nodes.
        operands: those of ``QLinearConv``; activations count from 0.
        layer: one with far taps.
        output: what the result is called.
    """
    x, scale, zero, weight, *rest = operands
    name, reach = layer.name, 2 * layer.dilation
    # a map smaller than the taps reach is sliced behind its end
    grown = graph.add("Pad", [x, _whole(graph, f"{name}.grow", *[0] * 6, reach, reach), zero], f"{name}.grown")
    height, rows = _bands(graph, x, f"{name}.y", 2, layer.dilation)
    width, columns = _bands(graph, x, f"{name}.x", 3, layer.dilation)
    strips = []
    for row in rows:
        regions = []
        strip = _slice(graph, grown, f"{row.name}.in", row.begin, row.end, 2)
        for column in columns:
            region = f"{row.name}.{column.name.rpartition('.')[2]}"
            taps = _whole(graph, f"{region}.first", *(band.taps[0] for band in (row, column)))
            ends = _whole(graph, f"{region}.last", *(band.taps[1] for band in (row, column)))
            seen = graph.add("Slice", [weight, taps, ends, _whole(graph, f"{region}.axes", 2, 3)], f"{region}.weight")
            cells = _slice(graph, strip, f"{region}.in", column.begin, column.end, 3)
            geometry: dict[str, Any] = {
                "kernel_shape": [band.taps[1] - band.taps[0] for band in (row, column)],
                "dilations": [layer.dilation] * 2,
            }
            regions.append(graph.add("QLinearConv", [cells, scale, zero, seen, *rest], region, **geometry))
        strips.append(graph.add("Concat", regions, row.name, axis=3))
    whole = graph.add("Concat", strips, f"{name}.regions", axis=2)
    corner, axes = _whole(graph, f"{name}.corner", 0, 0), _whole(graph, f"{name}.axes", 2, 3)
    size = graph.add("Concat", [height, width], f"{name}.size", axis=0)
    return graph.add("Slice", [whole, corner, size, axes], output)


def _bands(graph: Graph, x: str, name: str, axis: int, dilation: int) -> tuple[str, list[Band]]:
    """The number n of cells along an axis, and its bands: the first d cells, those between, and the last d.

    No band is empty, for no runtime convolves nothing: of small maps the second begins at cell d all the same, where it
    is right too, with its last tap in the zeros behind the map, and the third goes on beyond the map's end.
    """
    size = graph.add("Shape", [x], f"{name}.size", start=axis, end=axis + 1)
    none, reach = _whole(graph, f"{name}.none", 0), _whole(graph, f"{name}.reach", 2 * dilation)
    between = graph.add("Max", [size, _whole(graph, f"{name}.beyond", 2 * dilation + 1)], f"{name}.1.end")
    last = graph.add("Sub", [between, reach], f"{name}.2.begin")
    least = graph.add("Add", [last, _whole(graph, f"{name}.least", dilation + 1)], f"{name}.2.least")
    end = graph.add("Max", [size, least], f"{name}.2.end")
    return size, [
        Band(f"{name}.0", none, reach, (1, 3)),
        Band(f"{name}.1", none, between, (0, 3)),
        Band(f"{name}.2", last, end, (0, 2)),
    ]


def _slice(graph: Graph, x: str, name: str, begin: str, end: str, axis: int) -> str:
    return graph.add("Slice", [x, begin, end, _whole(graph, f"{name}.axis", axis)], name)


def _whole(graph: Graph, name: str, *numbers: int) -> str:
    return graph.constant(name, numbers, np.int64)
