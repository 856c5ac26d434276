"""Every error deeplab raises on purpose, as one tree.

::

    DeepLabError              catch this to catch everything below
    ├── InputError            an array, parameter or option is unusable (also a ValueError)
    ├── ImageError            a photo or label map cannot be read
    ├── OutputError           a result cannot be written
    ├── DataError             a data set's folder, list or label is wrong
    └── ModelError            a model file, checkpoint or weight file is missing, damaged or does not fit

Each message is one line that says what was given, what was expected, and how to mend it.
The command line prints it without a traceback.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any

__all__ = ["MALFORMED", "DataError", "DeepLabError", "ImageError", "InputError", "ModelError", "OutputError", "quoted"]

MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What taking values apart raises where they are not of the form that was expected."""

_LONGEST = 1500  # characters of a message
# Control characters, halves of characters, and what turns the direction of writing or begins a line.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class DeepLabError(Exception):
    """The root of deeplab's errors.

    >>> try:
    ...     Segmenter.from_pretrained("voc-largefow")
    ... except DeepLabError as error:
    ...     print(error)
    unknown model 'voc-largefow': did you mean 'voc-largefov'? shipped are ...
    """

    def __str__(self) -> str:
        """Return the message, on one line of bounded length whatever it quotes."""
        said = super().__str__()
        if len(said) > _LONGEST:  # the end says how to mend it
            said = f"{said[: _LONGEST // 2]} … {said[-_LONGEST // 2 :]}"
        return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), said)


class InputError(DeepLabError, ValueError):
    """An array, parameter or option is unusable.

    >>> CRFParams(bilateral_rgb_std=0)
    Traceback (most recent call last):
        ...
    deeplab.errors.InputError: bilateral_rgb_std is 0; expected a number above 0 and at most 1e+09
    """


class ImageError(DeepLabError):
    """A photo or label map cannot be read.

    >>> Segmenter.from_pretrained().segment("nowhere.jpg")
    Traceback (most recent call last):
        ...
    deeplab.errors.ImageError: nowhere.jpg: no such file; check the spelling
    """


class OutputError(DeepLabError):
    """A result cannot be written.

    >>> Segmenter.from_pretrained().segment("examples/cat.jpg").save("nowhere/cat.txt")
    Traceback (most recent call last):
        ...
    deeplab.errors.OutputError: ...
    """


class DataError(DeepLabError):
    """A data set's folder, list or label is wrong.

    >>> from deeplab.data.readers import read_samples
    >>> read_samples("voc", "nowhere", "val")
    Traceback (most recent call last):
        ...
    deeplab.errors.DataError: there is no folder nowhere; give the data set's folder
    """


class ModelError(DeepLabError):
    """A model file, checkpoint or weight file is missing, damaged or does not fit.

    >>> Segmenter.from_pretrained("nowhere.onnx")
    Traceback (most recent call last):
        ...
    deeplab.errors.ModelError: nowhere.onnx: no such model file; check the path, or give one of ...
    """


class _Short(reprlib.Repr):
    """Representations of bounded length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel = 3

    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() > 1000:  # more digits than Python may write
            return f"a number of about {value.bit_length() * 3 // 10} digits"
        return super().repr_int(value, level)


def quoted(value: Any) -> str:
    """Return a value as a message quotes it: its representation, shortened in the middle where it is long."""
    return _Short().repr(value)
