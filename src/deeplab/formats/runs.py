"""COCO's run lengths (Lin et al. 2014), encoded; `deeplab.data.coco_masks` decodes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a mask (H, W) as run lengths (R,), column by column, the first run outside the mask and maybe empty."""
    flat = np.asarray(mask, dtype=np.bool_).ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], ends, [flat.size])))
    return np.concatenate(([0], runs)) if flat.size and flat[0] else runs


def compress_runs(runs: NDArray[np.int64]) -> str:
    """Return run lengths (R,) as COCO's compressed text; `deeplab.data.coco_masks.decompress_runs` has its rules."""
    values = np.asarray(runs, dtype=np.int64).copy()
    values[3:] -= np.asarray(runs, dtype=np.int64)[1:-2]
    text = []
    for value in values.tolist():
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr(48 + (group | 32 if more else group)))
    return "".join(text)
