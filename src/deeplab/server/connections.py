"""Limits of connections: how long one may keep the server waiting, and which are closed where there are too many."""

from __future__ import annotations

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from deeplab.server.errors import ApiError, error_response
from deeplab.server.guard import SECURITY_HEADERS
from deeplab.server.settings import Settings

_STALLED_S = 2.0  # without a further byte of a body: longer than a phone's network pauses now and then
_UNSENT_BYTES = 1 << 17  # that the system takes: a slow reader's progress shows in such steps, not in megabytes
_UNREADABLE = "this is not a request of HTTP/1.1; check its first line, its headers and how its body is divided"


def protocol(settings: Settings) -> type[H11Protocol]:
    """Return uvicorn's protocol, with deadlines, and a limit on connections that those who say nothing cannot exhaust.

    A connection beyond `settings.connections` takes the place of the one that has been silent longest, of those with no
    request under way or a body that stalls. Where all others are being served, it is let in, or, from twice as many on,
    closed.
    """
    silent: dict[Protocol, float] = {}  # those that the server waits for, and since when; the longest comes first

    class Protocol(H11Protocol):
        _due: asyncio.TimerHandle | None = None  # the headers
        _stuck: asyncio.TimerHandle | None = None  # what the client does not read

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux, macOS
                stream = transport.get_extra_info("socket")
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
            self._note_silence()
            self._expect_headers()
            if len(self.connections) > settings.connections:
                longest = next(filter(Protocol._may_be_closed, silent))  # at last itself
                if longest is not self or len(self.connections) > 2 * settings.connections:
                    longest.leave()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._note_silence()
            if self._between_requests():
                self._expect_headers()
            elif self._due is not None:
                self._due.cancel()
                self._due = None

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._note_silence()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._expect_reading(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stuck is not None:
                self._stuck.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            silent.pop(self, None)
            for timer in (self._due, self._stuck):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else an answer has begun
                answer = error_response(ApiError(400, "bad_request", _UNREADABLE))
                answer.headers.update({**SECURITY_HEADERS, "Connection": "close"})
                response = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
                for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def leave(self) -> None:
            """Close the connection in favour of another, and do not count it any more."""
            self.connections.discard(self)
            del silent[self]
            self.transport.close()

        def _between_requests(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _may_be_closed(self) -> bool:
            return self._between_requests() or self.loop.time() - silent[self] > _STALLED_S

        def _note_silence(self) -> None:
            """Note that it is the client's turn as of now, or the server's."""
            silent.pop(self, None)
            if not self.transport.is_closing() and (self._between_requests() or self.cycle.more_body):
                silent[self] = self.loop.time()

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
