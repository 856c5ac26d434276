"""PyAV, the optional package that reads and writes videos (FFmpeg's libraries)."""

from __future__ import annotations

from types import ModuleType

from deeplab.errors import InputError


def pyav() -> ModuleType:
    """Import and return PyAV's module `av`, here because it takes a tenth of a second.

    Raises:
        InputError: it is not installed.
    """
    try:
        import av
    except ModuleNotFoundError:
        raise InputError("videos need PyAV: run pip install '.[video]' in deeplab's folder") from None
    return av
