"""A drop-in for the package pydensecrf: its names, arguments, conventions and numbers on deeplab's core.

A program changes where it imports from, and nothing else::

    import deeplab.crf.pydensecrf.densecrf as dcrf  # or: import deeplab.crf.pydensecrf as dcrf
    from deeplab.crf.pydensecrf.utils import unary_from_softmax

Arrays that pydensecrf refuses are welcome, and what crashes it is an `InputError` (a ValueError). Needs NumPy only.
"""

from deeplab.crf.pydensecrf import densecrf, utils
from deeplab.crf.pydensecrf.densecrf import *  # noqa: F403

__all__ = ["utils"]
__all__ += densecrf.__all__
