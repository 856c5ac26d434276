"""Addresses of the web, ``http://`` and ``https://``, opened and read by the standard library alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import PurePosixPath
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit

PATIENCE_S = 30.0
"""So long the server may be silent."""

_SCHEMES = ("http", "https")
_PIECE_BYTES = 1 << 16


class WebError(OSError):
    """An address gave no answer, an error, or an answer that was cut off; the message says which.

    Attributes:
        status: the HTTP status of an error; 0 where there was none.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(" ".join(reason.split()))
        self.status = status


def is_web(address: str) -> bool:
    """Tell whether an address is a page's or file's on the web."""
    return address.partition("://")[0].lower() in _SCHEMES


def file_name(address: str) -> str:
    """Return what a file from an address is called: the last part of its path, or else the host."""
    parts = urlsplit(address)
    name = PurePosixPath(unquote(parts.path)).name or parts.netloc
    return "".join(letter if letter.isprintable() and letter not in '\\/:*?"<>|' else "_" for letter in name)


def open_web(address: str, headers: Mapping[str, str] | None = None, *, redirections: bool = True) -> HTTPResponse:
    """Return the answer of an address, to be closed. Redirections stay on the web, or are errors.

    Raises:
        WebError: there is none, none in time, or an error.
    """
    try:
        asked = request.Request(
            quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "deeplab", **(headers or {})}
        )
        answer: HTTPResponse = _opener(redirections).open(asked, timeout=PATIENCE_S)
    except HTTPError as error:
        error.close()
        raise WebError(f"the server says {error.code} {error.reason}", error.code) from None
    except URLError as error:
        raise WebError(str(getattr(error.reason, "strerror", None) or error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise WebError(str(error)) from None
    return answer


def read_pieces(answer: HTTPResponse) -> Iterator[bytes]:
    """Yield an answer's bytes as they come.

    Raises:
        WebError: it ends before all that was announced, or the server falls silent.
    """
    announced, got = answer.length, 0
    while True:
        try:
            piece = answer.read1(_PIECE_BYTES)
        except (OSError, HTTPException, ValueError) as error:
            raise WebError(str(error) or type(error).__name__) from None
        if not piece:
            break
        got += len(piece)
        yield piece
    if announced is not None and got < announced:
        raise WebError(f"cut off after {got} of {announced} bytes")


def _opener(redirections: bool) -> request.OpenerDirector:
    """Return what opens addresses of the web, and follows redirections to no other, if to any."""
    opener = request.OpenerDirector()
    proxies = {scheme: proxy for scheme, proxy in request.getproxies().items() if scheme in _SCHEMES}
    followed = (request.HTTPRedirectHandler(),) if redirections else ()
    for handler in (
        request.ProxyHandler(proxies), request.HTTPHandler(), request.HTTPSHandler(), *followed,
        request.HTTPErrorProcessor(), request.HTTPDefaultErrorHandler(), request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener
