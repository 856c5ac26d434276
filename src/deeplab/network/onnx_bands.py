"""A convolution whose taps lie far apart, in bands of rows, so that fewer of them multiply the zeros around the map.

LargeFOV's fc6 reads three by three cells twelve apart. In the 40x40 cells of a photo of 306x306 the first twelve rows
see nothing above and the last twelve nothing below: a fifth of its products are by zeros there. Three bands, each
convolved by the rows of taps it has, leave them out, with the same result bit for bit. (Columns too would make nine
regions: another 2 % of the network's time, against 50 ms more to load it.)
"""

from __future__ import annotations

import numpy as np

from deeplab.network.onnx_nodes import Graph
from deeplab.network.variants import Layer

FAR_CELLS = 8  # between taps; nearer ones meet too few zeros
ROWS = 2  # the axis of (1, C, h, w) and (O, C, k, k)


def has_far_taps(layer: Layer) -> bool:
    """Whether a layer is what this is for: three taps a side, as far apart as the map is padded."""
    return layer.kernel == 3 and layer.dilation >= FAR_CELLS and layer.padding == (layer.dilation,) * 2


def convolve_in_bands(graph: Graph, operands: list[str], layer: Layer, output: str) -> str:
    """Append what ``QLinearConv`` would compute, and return its output's name.

    No band is empty, for no runtime convolves nothing. So in maps of h ≤ 2d rows the second band is row d all the same,
    where it is right too, with its last taps in zeros below the map; and the third goes on beyond the map's end.

    Args:
        graph: takes the nodes.
        operands: those of ``QLinearConv``; activations count from 0.
        layer: one with far taps, d cells apart.
        output: what the result is called.
    """
    x, scale, zero, weight, *rest = operands
    name, far = layer.name, layer.dilation

    def whole(key: str, *numbers: int) -> str:
        return graph.constant(f"{name}.{key}", numbers, np.int64)

    grown = graph.add("Pad", [x, whole("grow", *[0] * 6, 2 * far, 0), zero], f"{name}.grown")
    axis, none, reach = whole("axis", ROWS), whole("none", 0), whole("reach", 2 * far)
    height = graph.add("Shape", [x], f"{name}.height", start=ROWS, end=ROWS + 1)
    inner_end = graph.add("Max", [height, whole("inner.least", 2 * far + 1)], f"{name}.inner.end")
    last = graph.add("Sub", [inner_end, reach], f"{name}.last.begin")
    last_least = graph.add("Add", [last, whole("last.least", far + 1)], f"{name}.last.least_end")
    last_end = graph.add("Max", [height, last_least], f"{name}.last.end")
    bands = []
    for band, begin, end, (first, behind) in (
        ("first", none, reach, (1, 3)),  # rows 0 to d - 1
        ("inner", none, inner_end, (0, 3)),  # rows d to h - d - 1
        ("last", last, last_end, (0, 2)),  # rows h - d to h - 1
    ):
        taps = [weight, whole(f"{band}.tap", first), whole(f"{band}.behind", behind), axis]
        seen = graph.add("Slice", taps, f"{name}.{band}.weight")
        rows = graph.add("Slice", [grown, begin, end, axis], f"{name}.{band}.input")
        geometry = {
            "kernel_shape": [behind - first, layer.kernel],
            "dilations": [far, far],
            "pads": [0, far, 0, far],
        }
        bands.append(graph.add("QLinearConv", [rows, scale, zero, seen, *rest], f"{name}.{band}", **geometry))
    joined = graph.add("Concat", bands, f"{name}.bands", axis=ROWS)
    return graph.add("Slice", [joined, none, height, axis], output)
