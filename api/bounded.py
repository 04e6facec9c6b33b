"""uvicorn's protocol with a bound on the head of a request, which uvicorn itself waits for as long as it takes."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""From the first byte of a request, or the opening of its connection, to the end of its headers."""
MAX_HEAD = 64 * 1024
"""Bytes of the head of a request; an identity token has up to 8,000."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes the connection of a client whose head is too slow or too large, such as one that holds many open at no cost."""

    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the waiting."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came, and closes where the head goes on and on."""
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        self._head += len(data)
        super().data_received(data)
        if self._timer is not None and self._head > MAX_HEAD:
            self._close()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._stop()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._head = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self, *_: Any) -> None:
        self._stop()
        if not self.transport.is_closing():
            self.transport.close()
