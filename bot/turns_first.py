"""What every turn asks, before sanic: its parsing, routing, signals and middleware take as long as all rules together.

Sanic goes on serving everything else on the same connections, and this, too, where a request does not come in one piece.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from time import monotonic
from typing import Any, Awaitable, Callable, Dict, Mapping, Optional, Tuple

import httptools
import sanic
import sanic.app
from rasa.shared.exceptions import RasaException
from sanic.http import Stage
from sanic.server import HttpProtocol

WRITTEN_FOR = "21.12.2"

Handler = Callable[[Any, Mapping[str, str], bytes], Awaitable[Tuple[int, bytes]]]
"""Takes the application, headers and body; gives status and JSON. Must not raise."""

_handlers: Dict[bytes, Handler] = {}
"""By the first line of a request."""


def serve(path: str, handler: Handler) -> None:
    """Has POSTs to a path answered before sanic sees them; to be called before the server starts.

    Raises:
        RasaException: this is another sanic than it was written for.
    """
    if sanic.__version__ != WRITTEN_FOR:
        raise RasaException(
            f"bot/turns_first.py was written for sanic {WRITTEN_FOR}, and this is {sanic.__version__}. "
            "Install the pinned version, or read its HttpProtocol again and say so in WRITTEN_FOR."
        )
    _handlers[f"POST {path} HTTP/1.1\r\n".encode()] = handler
    setattr(sanic.app, "HttpProtocol", First)  # noqa: B010  # where sanic's server takes it from, not sanic's to export


class First(HttpProtocol):
    """Sanic's protocol, which is given what is for no handler."""

    __slots__ = ("_busy", "_held")

    def __init__(self, **given: Any) -> None:
        """As sanic."""
        super().__init__(**given)
        self._busy: Optional[asyncio.Task[None]] = None
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Takes a whole request for a handler; leaves all else to sanic. What comes before the answer waits for it."""
        if self._busy is not None and self.transport is not None:
            self._held += data
            self.transport.pause_reading()
            return
        handler = _handlers.get(data[: data.find(b"\n") + 1])
        request = _whole(data) if handler is not None and self._idle() else None
        if handler is None or request is None:
            super().data_received(data)
            return
        self._busy = self.loop.create_task(self._answer(handler, request))

    def _idle(self) -> bool:
        http = getattr(self, "_http", None)  # there is none before the connection's task has begun
        return not self.recv_buffer and http is not None and http.stage is Stage.IDLE

    async def _answer(self, handler: Handler, request: _Request) -> None:
        try:
            status, said = await handler(self.app, request.headers, request.body)
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(said)}\r\n\r\n"
            if self.transport is not None and not self.transport.is_closing():
                self.transport.write(head.encode() + said)
        finally:
            self._busy, self._time = None, monotonic()
            if not request.kept or self.signal.stopped:
                self.close()
            elif self._held and self.transport is not None:
                held, self._held = self._held, b""
                self.transport.resume_reading()
                self.data_received(held)

    def check_timeouts(self) -> None:
        """As sanic, which sees an idle connection while somebody is answered here."""
        if self._busy is not None:
            self._time = monotonic()
        super().check_timeouts()

    def close_if_idle(self) -> bool:
        """As sanic."""
        return self._busy is None and super().close_if_idle()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """As sanic: nobody waits for the answer any more."""
        if self._busy is not None:
            self._busy.cancel()
        super().connection_lost(exc)


class _Request:
    """What httptools calls while it reads."""

    def __init__(self) -> None:
        self.headers: Dict[str, str] = {}
        self.body = b""
        self.begun, self.complete, self.kept = 0, False, False
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete, self.kept = True, self.parser.should_keep_alive()


def _whole(data: bytes) -> Optional[_Request]:
    """The request, where it is one, nothing is missing and nothing comes after it."""
    request = _Request()
    try:
        request.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return request if request.complete and request.begun == 1 and "expect" not in request.headers else None
