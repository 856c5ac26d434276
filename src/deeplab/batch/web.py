"""Photos on the web, at ``http://`` and ``https://`` addresses, read by the standard library alone."""

from __future__ import annotations

import time
from http.client import HTTPException, HTTPResponse
from pathlib import PurePosixPath
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit

from deeplab.errors import ImageError

__all__ = ["file_name", "is_web", "read_web"]

MOST_BYTES = 200_000_000
PATIENCE_S = 30.0
"""So long the server may be silent."""
LONGEST_S = 600.0
"""So long it may take in all."""

_SCHEMES = ("http", "https")
_PIECE_BYTES = 1 << 16


def is_web(address: str) -> bool:
    """Tell whether an address is a page's or file's on the web."""
    return address.partition("://")[0].lower() in _SCHEMES


def file_name(address: str) -> str:
    """Return what a file from an address is called: the last part of its path, or else the host."""
    parts = urlsplit(address)
    name = PurePosixPath(unquote(parts.path)).name or parts.netloc
    return "".join(letter if letter.isprintable() and letter not in '\\/:*?"<>|' else "_" for letter in name)


def read_web(address: str) -> bytes:
    """Return the bytes at an address; what they are is for an image reader to say. Redirections stay on the web.

    Raises:
        ImageError: there is no answer, none in time, an error, or more than `MOST_BYTES`.
    """
    asked = request.Request(quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "deeplab"})
    try:
        with _opener().open(asked, timeout=PATIENCE_S) as answer:
            return _all_of(answer)
    except HTTPError as error:
        reason = f"the server says {error.code} {error.reason}"
    except URLError as error:
        reason = str(getattr(error.reason, "strerror", None) or error.reason)
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error)
    raise ImageError(
        f"{address} cannot be read ({' '.join(reason.split())}); check the address, or download it"
    ) from None


def _opener() -> request.OpenerDirector:
    """Return what opens addresses of the web, and follows redirections to no other."""
    opener = request.OpenerDirector()
    proxies = {scheme: proxy for scheme, proxy in request.getproxies().items() if scheme in _SCHEMES}
    for handler in (
        request.ProxyHandler(proxies), request.HTTPHandler(), request.HTTPSHandler(), request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(), request.HTTPDefaultErrorHandler(), request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _all_of(answer: HTTPResponse) -> bytes:
    announced, content, begun = answer.length, bytearray(), time.monotonic()
    while (announced or 0) <= MOST_BYTES >= len(content):
        piece = answer.read1(_PIECE_BYTES)
        if not piece:
            if announced is not None and len(content) < announced:
                raise OSError(f"cut off after {len(content)} of {announced} bytes")
            return bytes(content)
        content += piece
        if time.monotonic() - begun > LONGEST_S:
            raise OSError(f"not there after {LONGEST_S:.0f} s")
    raise OSError(f"larger than {MOST_BYTES // 10**6} MB")
