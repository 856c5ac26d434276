"""The server on a socket: uvicorn, with limits on connections and on how slowly a request may come."""

from __future__ import annotations

import asyncio
import logging.config
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deeplab.errors import InputError
from deeplab.server.app import application
from deeplab.server.logs import LOG_CONFIG, log
from deeplab.server.settings import LOOPBACK_NAMES, Settings

__all__ = ["serve"]

_KEEP_ALIVE_S = 75  # longer than proxies keep theirs: who closes first may cut off a request
_MOST_HEADER_BYTES = 32 << 10
_BACKLOG = 128  # connections that are taken at a time, before any is counted


async def serve(settings: Settings, opened: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, finish what runs, and return.

    Args:
        settings: how.
        opened: called with the server's address, ``http://…/``, once it answers.

    Raises:
        InputError: the address or port cannot be had.
        ModelError: the model does not exist or does not load.
    """
    logging.config.dictConfig(LOG_CONFIG)
    with _listen(settings.host, settings.port) as listener:
        async with application(settings) as app:
            config = uvicorn.Config(
                app,
                http=_protocol(settings),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                limit_concurrency=settings.connections,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(settings.timeout_s) + 1,
                h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
            )
            address = _address(settings.host, listener.getsockname()[1])
            log("started", address=address)
            if settings.host not in LOOPBACK_NAMES and settings.token is None:
                log("whoever reaches this machine may use this server; --token keeps strangers out")
            opened(address)
            with _signals_end_here():
                await uvicorn.Server(config).serve(sockets=[listener])
        log("stopped")


@contextmanager
def _signals_end_here() -> Iterator[None]:
    """Let the signals that uvicorn raises anew, once it has heeded them, do nothing: there is more to end."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port") from None


def _address(host: str, port: int) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    shown = everywhere.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def _protocol(settings: Settings) -> type[H11Protocol]:
    """Return uvicorn's protocol, with a limit on connections, a deadline for headers, and none who read no answer."""

    class Protocol(H11Protocol):
        _due: asyncio.TimerHandle | None = None  # the headers
        _stuck: asyncio.TimerHandle | None = None  # what the client does not read

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > 2 * settings.connections:
                transport.abort()
            self._expect_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._expect_headers()
            elif self._due is not None:
                self._due.cancel()
                self._due = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self._expect_reading(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stuck is not None:
                self._stuck.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._due, self._stuck):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def _expect_headers(self) -> None:
            if self._due is None:
                self._due = self.loop.call_later(settings.upload_timeout_s, self.transport.abort)

        def _expect_reading(self, left: int) -> None:
            """Close the connection unless the client soon takes some of the bytes that are left."""

            def look() -> None:
                now = self.transport.get_write_buffer_size()
                if now < left:
                    self._expect_reading(now)
                else:
                    self.transport.abort()

            self._stuck = self.loop.call_later(settings.upload_timeout_s, look)

    return Protocol
