"""The server on a socket: uvicorn, started and ended."""

from __future__ import annotations

import logging.config
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from deeplab.errors import InputError
from deeplab.server.app import application
from deeplab.server.connections import protocol
from deeplab.server.logs import LOG_CONFIG, log
from deeplab.server.settings import LOOPBACK_NAMES, Settings

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
                http=protocol(settings),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(settings.timeout_s) + 1,
                h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
            )
            address = _address(settings.host, listener.getsockname()[1])
            log("started", address=address)
            if settings.host not in LOOPBACK_NAMES and settings.token is None:
                log("whoever reaches this machine may use this server; --token-file keeps strangers out")
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
