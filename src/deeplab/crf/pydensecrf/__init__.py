"""A drop-in for the package pydensecrf: its names, arguments, conventions and numbers on deeplab's core.

A program changes where it imports from, and nothing else::

    import deeplab.crf.pydensecrf.densecrf as dcrf  # or: import deeplab.crf.pydensecrf as dcrf
    from deeplab.crf.pydensecrf.utils import unary_from_softmax

Arrays that pydensecrf refuses are welcome, and what crashes it is an `InputError` (a ValueError). Needs NumPy only.
"""

from deeplab.crf.pydensecrf import utils
from deeplab.crf.pydensecrf.densecrf import (
    CONST_KERNEL,
    DIAG_KERNEL,
    FULL_KERNEL,
    NO_NORMALIZATION,
    NORMALIZE_AFTER,
    NORMALIZE_BEFORE,
    NORMALIZE_SYMMETRIC,
    DenseCRF,
    DenseCRF2D,
    KernelType,
    NormalizationType,
)
from deeplab.crf.pydensecrf.unaries import ConstUnary, LogisticUnary, Unary

__all__ = [
    "CONST_KERNEL",
    "DIAG_KERNEL",
    "FULL_KERNEL",
    "NORMALIZE_AFTER",
    "NORMALIZE_BEFORE",
    "NORMALIZE_SYMMETRIC",
    "NO_NORMALIZATION",
    "ConstUnary",
    "DenseCRF",
    "DenseCRF2D",
    "KernelType",
    "LogisticUnary",
    "NormalizationType",
    "Unary",
    "utils",
]
