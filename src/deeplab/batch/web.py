"""Photos on the web, each read whole, within limits of size and time."""

from __future__ import annotations

import time

from deeplab.errors import ImageError
from deeplab.web import WebError, open_web, read_pieces

MOST_BYTES = 200_000_000
LONGEST_S = 600.0
"""So long the server may take in all."""


def read_web(address: str) -> bytes:
    """Return the bytes at an address; what they are is for an image reader to say.

    Raises:
        ImageError: there is no answer, none in time, an error, or more than `MOST_BYTES`.
    """
    try:
        return _all_of(address)
    except WebError as error:
        raise ImageError(f"{address} cannot be read ({error}); check the address, or download it") from None


def _all_of(address: str) -> bytes:
    content, begun = bytearray(), time.monotonic()
    with open_web(address) as answer:
        if (answer.length or 0) <= MOST_BYTES:
            for piece in read_pieces(answer):
                content += piece
                if time.monotonic() - begun > LONGEST_S:
                    raise WebError(f"not there after {LONGEST_S:.0f} s")
                if len(content) > MOST_BYTES:
                    break
            else:
                return bytes(content)
    raise WebError(f"larger than {MOST_BYTES // 10**6} MB")
