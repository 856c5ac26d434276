"""Label Studio's tasks: JSON with brush masks in its own run lengths (thi.ng's rle-pack, over RGBA)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.polygons import polygons_of
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


class Control(NamedTuple):
    """What draws regions in a labelling set-up: a tag ``<BrushLabels>`` or ``<PolygonLabels>``.

    Attributes:
        name: the tag's name.
        to_name: the name of the ``<Image>`` that it draws on.
        kind: ``"brushlabels"`` or ``"polygonlabels"``.
    """

    name: str
    to_name: str
    kind: str


def label_studio_tasks(items: Iterable[Labelled], options: Options = DEFAULTS) -> list[dict[str, Any]]:
    """Return label maps as tasks to import, each with its masks as a prediction; plain JSON values.

    They fit a labelling set-up with ``<Image name="image" value="$image"/>`` and
    ``<BrushLabels name="tag" toName="image">``.
    """
    control = Control("tag", "image", "brushlabels")
    return [
        {
            "data": {"image": options.photo_prefix + item.photo},
            "predictions": [
                {"model_version": "deeplab", "result": label_studio_results(item, control, options)},
            ],
        }
        for item in items
    ]


def label_studio_results(
    item: Labelled, control: Control, options: Options = DEFAULTS, confidence: NDArray[np.float32] | None = None
) -> list[dict[str, Any]]:
    """Return a label map's regions as a control of Label Studio would have drawn them; plain JSON values.

    Args:
        item: the label map; its photo's name without the ending begins the regions' ids.
        control: of the labelling set-up. A polygon is one connected part of a class, whatever the options.
        options: `instances` and `tolerance_px` count.
        confidence: (H, W) float32, 0–1; its mean over a region is the region's score. None: regions have none.
    """
    height, width = item.labels.shape
    common = {
        "type": control.kind, "from_name": control.name, "to_name": control.to_name,
        "original_width": width, "original_height": height, "image_rotation": 0,
    }  # fmt: skip
    polygons = control.kind == "polygonlabels"
    results: list[dict[str, Any]] = []
    for region in regions_of(item.labels, item.label_set, instances=options.instances or polygons):
        if polygons:
            (outline,) = polygons_of(region.mask, tolerance_px=options.tolerance_px)
            shape = {"points": (outline * (100 / width, 100 / height)).tolist(), "closed": True}
        else:
            shape = {"format": "rle", "rle": brush_runs(region.mask)}
        name = item.label_set.names[region.label]
        score = {} if confidence is None else {"score": round(float(confidence[region.mask].mean()), 4)}
        number = f"{PurePath(item.photo).stem}-{len(results) + 1}"
        results.append({"id": number, **common, "value": {**shape, control.kind: [name]}, **score})
    return results
