"""The checks before every endpoint: who may ask, how much they may send; and a line in the log for each request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deeplab.server.errors import ApiError, error_response, failed
from deeplab.server.logs import log
from deeplab.server.service import Service
from deeplab.server.settings import Settings

_MOST_BYTES_OF_OTHER_BODIES = 64 << 10  # files come in forms; all else but Label Studio's is JSON of a few numbers
_MOST_BYTES_OF_MARKS = 1 << 20
_MOST_LOGGED_CHARACTERS = 200
_MOST_DIGITS = 20  # of a length; HTTP leaves their number open, Python does not

LABEL_STUDIO = "/label-studio/"
"""What the paths begin with that Label Studio asks for."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""


class Guard:
    """Wraps the app: refuses strangers, bounds bodies in size and time, sets headers, logs and counts."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = time.monotonic()
        request_id, status = secrets.token_hex(8), 0
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]  # all here is small
        body = _Body(receive, scope["path"], headers, self._service.settings)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                of_answer = MutableHeaders(scope=message)
                of_answer.update({**SECURITY_HEADERS, "X-Request-ID": request_id})
                if not body.complete:
                    of_answer["Connection"] = "close"  # nobody will read what is still to come
            await send(message)

        try:
            if (refusal := _refusal(scope, headers, self._service.settings) or body.refusal()) is not None:
                await error_response(refusal)(scope, receive, answer)
            else:
                await self._app(scope, body.receive, answer)
        except Exception:
            log("failed", failed=True, id=request_id)
            if not status:  # else the app has answered before it let this out
                await error_response(failed())(scope, receive, answer)
        finally:
            seconds = time.monotonic() - started
            route, method = getattr(scope.get("route"), "path", None), scope["method"]
            facts = {"ms": round(1000 * seconds, 1), **({"pixels": state["pixels"]} if "pixels" in state else {})}
            path = route or scope["path"][:_MOST_LOGGED_CHARACTERS]
            log("request", id=request_id, method=method, path=path, status=status, **facts)
            self._service.metrics.answered(route or "other", method, status, seconds)


class _Body:
    """A request's body, received within limits."""

    def __init__(self, receive: Receive, path: str, headers: Headers, settings: Settings) -> None:
        large = path.startswith(LABEL_STUDIO) or headers.get("content-type", "").startswith("multipart/form-data")
        other = _MOST_BYTES_OF_MARKS if path.endswith("/marks") else _MOST_BYTES_OF_OTHER_BODIES
        self._most = settings.max_upload_bytes if large else other
        self._seconds = settings.upload_timeout_s
        self._due = time.monotonic() + self._seconds
        self._receive, self._received = receive, 0
        self._announced = headers.get("content-length", "")
        self.complete = self._announced in ("", "0") and "transfer-encoding" not in headers

    def refusal(self) -> ApiError | None:
        """Return why the body is refused before it comes."""
        if self._announced.strip("0123456789"):
            given = self._announced[:_MOST_LOGGED_CHARACTERS]
            return ApiError(400, "bad_request", f"Content-Length is {given!r}; expected a number of bytes")
        announced = int(self._announced[:_MOST_DIGITS] or 0)
        return ApiError(413, "too_large", self._too_large()) if announced > self._most else None

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            HTTPException: the body is too large or comes too slowly. The framework takes others for a damaged body.
        """
        if self.complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0, self._due - time.monotonic()))
        except asyncio.TimeoutError:
            raise HTTPException(
                408, f"the body took longer than {self._seconds:g} s to arrive; send it faster"
            ) from None
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            raise HTTPException(413, self._too_large())
        self.complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> str:
        return f"the body is larger than {self._most / (1 << 20):g} MiB; send a smaller file"


def _refusal(scope: Scope, headers: Headers, settings: Settings) -> ApiError | None:
    """Return why a request is refused whatever it asks for."""
    host = headers.get("host", "")
    if not settings.answers_to(_name_in(host)):
        return ApiError(
            421, "unknown_host", f"this server does not answer to {host[:_MOST_LOGGED_CHARACTERS]!r}; see --allow-host"
        )
    if scope["method"] not in ("GET", "HEAD", "OPTIONS") and _from_another_site(headers, host):
        return ApiError(403, "cross_site", "this request comes from another site's page; open the server's own page")
    protected = scope["path"].startswith(("/api/", LABEL_STUDIO)) or scope["path"] == "/metrics"
    if settings.token is not None and protected and not _knows(headers, settings.token):
        return ApiError(401, "no_token", "this server wants its token; send it as Authorization: Bearer TOKEN")
    return None


def _name_in(host: str) -> str:
    """Return the name or address in a ``Host`` header, without the port and an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _from_another_site(headers: Headers, host: str) -> bool:
    """Tell whether a browser sent a request for another site's page; programs send neither header."""
    origin = headers.get("origin", f"http://{host}")
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none") or origin.partition("://")[2] != host


def _knows(headers: Headers, token: str) -> bool:
    """Tell whether a request has the token: as it is, or as the password of any user, as Label Studio sends it."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    sent = given.strip().encode()
    if scheme.lower() == "basic":
        try:
            sent = base64.b64decode(sent, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(sent, token.encode())
