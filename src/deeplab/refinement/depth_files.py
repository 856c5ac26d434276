"""Depth on disk: what cameras and stereo programs write, brought to the unit of its standard deviation."""

from __future__ import annotations

import os

import numpy as np

from deeplab.checks import check_number
from deeplab.crf import Depth
from deeplab.errors import InputError
from deeplab.refinement.score_files import load_scores


def load_depth(path: str | os.PathLike[str], *, std: float, scale: float = 1.0, unknown: float | None = 0.0) -> Depth:
    """Read a photo's depth or disparity.

    Args:
        path: a grey image of 8 or 16 bits (PNG, TIFF), ``.npy``, or ``.npz`` of one array.
        std: how far apart two pixels may lie and still speak to each other, in the unit that the scale makes.
        scale: what one step of the file's values is, above 0: 0.001 where millimetres become metres, 1 / 256 where
            the file holds 256 times the disparity. A constant that the file adds makes no difference.
        unknown: the file's value where the depth is unknown; None: none, and NaN in any case.

    Raises:
        InputError: the file is none of these or damaged, it is not (H, W), no depth is known, or a number is out of
            range.
        ImageError: an image cannot be read.
    """
    check_number(scale, "depth_scale", above_zero=True)
    check_number(std, "depth_std", above_zero=True)
    try:
        stored = Depth(load_scores(path), std, unknown)
    except InputError as error:
        raise InputError(error if str(path) in str(error) else f"{path}: {error}") from None
    return Depth(np.where(stored.known, stored.values * np.float32(scale), np.nan), std)
