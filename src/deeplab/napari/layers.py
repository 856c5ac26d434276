"""napari's layers as arrays, and results as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.images import read_photo
from deeplab.labels import LabelSet


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """Return an image layer's pixels as RGB, (…, H, W, 3) uint8; a stack or volume has its slices first.

    Values of more than 8 bits are those between the layer's contrast limits, as they are shown.

    Raises:
        InputError: there is no layer, it has fewer than two or more than three axes, or values that are no image.
    """
    if image is None:
        raise InputError("no image layer is chosen; open an image first")
    data = np.asarray(image.data[0] if image.multiscale else image.data)
    axes = data.shape[:-1] if image.rgb else data.shape
    if len(axes) not in (2, 3):
        raise InputError(f"image layer {image.name!r} has {len(axes)} axes; expected 2, or 3 with the slices first")
    # All slices as one tall photo: what is black and white is the same in all of them.
    tall = data.reshape(-1, axes[-1], *data.shape[len(axes) :])
    limits = None if image.rgb or data.dtype in (np.uint8, np.bool_) else image.contrast_limits
    return read_photo(tall, value_range=limits).pixels.reshape(*axes, 3)


def labels_of(layer: Any, axes: tuple[int, ...], what: str) -> NDArray[np.int64]:
    """Return a labels layer's numbers, of an image's axes.

    Raises:
        InputError: there is no layer, or it has other axes.
    """
    if layer is None:
        raise InputError(f"no layer of {what} is chosen; add a labels layer first")
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if data.shape != axes:
        raise InputError(
            f"layer {layer.name!r} of {what} has shape {data.shape}, the image {axes}; choose layers of one size"
        )
    return data.astype(np.int64)


def labels_layer(labels: NDArray[Any], image: Any, name: str, label_set: LabelSet | None = None) -> Any:
    """Return labels as a layer to add, over an image, in a label set's colours and with its names, if there is one."""
    axes = labels.ndim
    about: dict[str, Any] = {"name": name, "scale": image.scale[-axes:], "translate": image.translate[-axes:]}
    if label_set is not None:
        from napari.utils.colormaps import DirectLabelColormap

        clear = (0.0, 0.0, 0.0, 0.0)
        palette = (np.array(label_set.palette[: len(label_set)]) / 255).tolist()
        colours: dict[int | None, tuple[float, ...]] = {label: (*colour, 1.0) for label, colour in enumerate(palette)}
        for unseen in {None, label_set.void, label_set.background}:
            colours[unseen] = clear
        about["colormap"] = DirectLabelColormap(color_dict=colours)
        about["features"] = {"index": list(range(len(label_set))), "class": list(label_set.names)}
    return labels, about, "labels"
