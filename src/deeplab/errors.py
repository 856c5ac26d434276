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

__all__ = ["DataError", "DeepLabError", "ImageError", "InputError", "ModelError", "OutputError"]


class DeepLabError(Exception):
    """The root of deeplab's errors."""

    def __str__(self) -> str:
        """Return the message, on one line whatever the file names in it hold."""
        return super().__str__().replace("\n", "\\n")


class InputError(DeepLabError, ValueError):
    """An array, parameter or option is unusable."""


class ImageError(DeepLabError):
    """A photo or label map cannot be read."""


class OutputError(DeepLabError):
    """A result cannot be written."""


class DataError(DeepLabError):
    """A data set's folder, list or label is wrong."""


class ModelError(DeepLabError):
    """A model file, checkpoint or weight file is missing, damaged or does not fit."""
