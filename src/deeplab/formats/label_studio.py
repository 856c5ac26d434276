"""Label Studio's tasks: JSON with brush masks in its own run lengths (thi.ng's rle-pack, over RGBA)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.regions import regions_of

__all__ = ["brush_runs", "label_studio_tasks"]

_WORD_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)  # the sizes that a run's length may be written in
_LONGEST = 1 << _LENGTH_BITS[-1]
_CHANNELS = 4


def brush_runs(mask: NDArray[np.bool_]) -> list[int]:
    """Return a mask (H, W) as the bytes of Label Studio's run lengths.

    The code, in bits, the highest first: the number of values (32), the bits of a value less one (5), the four sizes of
    a length less one (4 each). Then the runs: a 1, the size's number (2), the length less one, the value. The values
    are those of an RGBA picture row by row, 255 in all four channels inside the mask, 0 outside.
    """
    flat = np.asarray(mask, dtype=np.bool_).ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(np.append(starts, flat.size)) * _CHANNELS
    bits = [f"{flat.size * _CHANNELS:032b}", f"{_WORD_BITS - 1:05b}", *(f"{size - 1:04b}" for size in _LENGTH_BITS)]
    for length, inside in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        value = "1" * _WORD_BITS if inside else "0" * _WORD_BITS
        while length > 0:
            written = min(length, _LONGEST)
            number, size = next((i, size) for i, size in enumerate(_LENGTH_BITS) if written <= 1 << size)
            bits.append(f"1{number:02b}{written - 1:0{size}b}{value}")
            length -= written
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def label_studio_tasks(items: Iterable[Labelled], options: Options = DEFAULTS) -> list[dict[str, Any]]:
    """Return label maps as tasks to import, each with its masks as a prediction; plain JSON values.

    They fit a labelling set-up with ``<Image name="image" value="$image"/>`` and
    ``<BrushLabels name="tag" toName="image">``.
    """
    return [_task(item, options) for item in items]


def _task(item: Labelled, options: Options) -> dict[str, Any]:
    height, width = item.labels.shape
    results = [
        {
            "id": f"{PurePath(item.photo).stem}-{number}",
            "type": "brushlabels",
            "from_name": "tag",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": brush_runs(region.mask),
                "brushlabels": [item.label_set.names[region.label]],
            },
        }
        for number, region in enumerate(regions_of(item.labels, item.label_set, instances=options.instances), start=1)
    ]
    return {
        "data": {"image": options.photo_prefix + item.photo},
        "predictions": [{"model_version": "deeplab", "result": results}],
    }
