"""Label Studio's tasks: JSON with brush masks in its own run lengths (thi.ng's rle-pack, over RGBA)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.regions import regions_of

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


def brush_mask(runs: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (H, W) of Label Studio's run lengths, as `brush_runs` writes them: where its picture is opaque.

    Raises:
        InputError: they are no such code, or do not fill a picture of that size.
    """
    wrong = f"its run lengths are no brush mask of {size[1]}x{size[0]} pixels; export it again as JSON"
    try:
        text = "".join(f"{byte:08b}" for byte in bytes(runs))
        count, word = int(text[:32], 2), int(text[32:37], 2) + 1
        sizes = [int(text[37 + 4 * i : 41 + 4 * i], 2) + 1 for i in range(4)]
        if count != size[0] * size[1] * _CHANNELS or word != _WORD_BITS:
            raise InputError(wrong)
        values, place, filled = np.zeros(count, np.uint8), 53, 0
        while filled < count:
            repeats, bits = text[place] == "1", sizes[int(text[place + 1 : place + 3], 2)]
            place += 3
            length = int(text[place : place + bits], 2) + 1
            place += bits
            words = 1 if repeats else length
            said = [int(text[place + word * i : place + word * (i + 1)], 2) for i in range(words)]
            values[filled : filled + length] = said if not repeats else said[0]
            place, filled = place + word * words, filled + length
    except (IndexError, TypeError, ValueError):
        raise InputError(wrong) from None
    opaque: NDArray[np.bool_] = values.reshape(*size, _CHANNELS)[..., 3] > 0
    return opaque


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
