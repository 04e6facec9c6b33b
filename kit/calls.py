"""JSON calls between Kotae's processes over connections that are kept: for a few bytes over loopback a fifth of what aiohttp takes, and a
third of `http.client`.

HTTP/1.1 by httptools; nothing of redirects, proxies, cookies or TLS. Rasa's Python runs this, too: Python 3.10 and httptools are all it needs.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools

_READ = 1 << 16


class Broken(ConnectionError):
    """The connection ended before the answer did, or what came is no answer."""


class _Answer:
    """What httptools calls while it reads."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.parts: list[bytes] = []
        self.complete = self.kept = False

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.complete = True
        self.kept = self.parser.should_keep_alive()  # it forgets with the message

    def feed(self, data: bytes) -> None:
        """Reads on.

        Raises:
            Broken: it is no HTTP.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise Broken(f"no HTTP: {error}") from error

    @property
    def said(self) -> tuple[int, bytes]:
        """Status and body."""
        return self.parser.get_status_code(), b"".join(self.parts)


class Place:
    """Where calls go.

    Args:
        url: `http://host:port/path`.
        headers: sent each time.
    Raises:
        ValueError: it is of another form.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url} is no address of the form http://host:port/path")
        self.host, self.port = parts.hostname, parts.port or 80
        self._path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._headers = _lines({"Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json"})
        self._headers += _lines(headers or {})

    def request(
        self, body: bytes, method: str = "POST", path: str = "", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a call.

        Args:
            body: JSON; empty: none.
            path: behind that of the place, quoted where it must be.
            headers: of this call alone.
        """
        head = f"{method} {self._path + path or '/'} HTTP/1.1\r\n{self._headers}{_lines(headers) if headers else ''}"
        return b"%bContent-Length: %d\r\n\r\n%b" % (head.encode("latin-1"), len(body), body)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


class Line(asyncio.Protocol):
    """A connection of an event loop, for one call at a time."""

    def __init__(self) -> None:
        self.open = False
        self.used = 0.0
        self._transport: Any = None
        self._answer: _Answer | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        """Reads an answer."""
        if self._answer is None or self._waiting is None or self._waiting.done():
            self.close()  # nobody has asked
            return
        try:
            self._answer.feed(data)
        except Broken as error:
            self._waiting.set_exception(error)
            self.close()
            return
        if self._answer.complete:
            if not self._answer.kept:
                self.close()
            self._waiting.set_result(self._answer.said)

    def connection_lost(self, _: Exception | None) -> None:
        """It is over, for who waits as well."""
        self.open = False
        _fail(self._waiting, Broken("the connection was closed"))

    async def ask(self, request: bytes, seconds: float) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            Broken: the connection ended.
            asyncio.TimeoutError: it took too long.
        """
        if not self.open:
            raise Broken("the connection was closed")
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        self._answer, self._waiting = _Answer(), waiting
        late = loop.call_later(seconds, _fail, waiting, asyncio.TimeoutError())  # noqa: UP041  # in Python 3.10 not the built-in one
        self._transport.write(request)
        try:
            return await waiting
        except BaseException:  # given up, too: an answer that comes later is nobody's
            self.close()
            raise
        finally:
            late.cancel()

    def close(self) -> None:
        """Ends it."""
        self.open = False
        self._transport.close()


def _fail(waiting: asyncio.Future[tuple[int, bytes]] | None, error: Exception) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_exception(error)


def _let_go(opening: asyncio.Task[tuple[asyncio.BaseTransport, Line]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()


class Lines:
    """The connections of an event loop to one place; as many as calls are under way.

    Args:
        kept_seconds: how long an idle connection is used again: less than the other end keeps it.
    """

    def __init__(self, place: Place, kept_seconds: float) -> None:
        self.place, self._kept_seconds = place, kept_seconds
        self._idle: list[Line] = []

    async def ask(self, request: bytes, seconds: float, connect_seconds: float | None = None) -> tuple[int, bytes]:
        """Status and body of the answer.

        Args:
            request: of the place.
            seconds: for everything.
            connect_seconds: of these, for a connection.
        Raises:
            OSError: nobody is there, or the connection ended.
            asyncio.TimeoutError: it took too long.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        line = self._kept(loop.time()) or await self._opened(min(seconds, connect_seconds or seconds))
        said = await line.ask(request, until - loop.time())
        if line.open:
            line.used = loop.time()
            self._idle.append(line)
        return said

    def _kept(self, now: float) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.open and now - line.used < self._kept_seconds:
                return line
            line.close()
        return None

    async def _opened(self, seconds: float) -> Line:
        loop = asyncio.get_running_loop()
        opening = loop.create_task(loop.create_connection(Line, self.place.host, self.place.port))
        try:
            # Not `wait_for`, which forgets that it was cancelled where the connection is there in the same moment.
            await asyncio.wait({opening}, timeout=seconds)
            if not opening.done():
                raise asyncio.TimeoutError  # noqa: UP041  # as in `Line.ask`
            return opening.result()[1]
        except BaseException:  # cancelled, too: a connection that comes later is closed
            opening.add_done_callback(_let_go)
            opening.cancel()
            raise

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().close()


class BlockingLine:
    """One connection for code that waits. A call is made once more where the kept connection was closed meanwhile."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._socket: socket.socket | None = None

    def post(self, body: bytes, seconds: float, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of the answer.

        Args:
            seconds: to wait for the connection, and again for the whole answer.
            headers: of this call alone.
        Raises:
            OSError: nobody is there, the connection ended, or it took too long.
        """
        request = self._place.request(body, headers=headers)
        try:
            if self._socket is not None:
                try:
                    return self._ask(self._socket, request, seconds)
                except ConnectionError:
                    self.close()
            self._socket = socket.create_connection((self._place.host, self._place.port), seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._ask(self._socket, request, seconds)
        except BaseException:  # interrupted, too: half an answer may be on the line
            self.close()
            raise

    def _ask(self, connection: socket.socket, request: bytes, seconds: float) -> tuple[int, bytes]:
        until = time.monotonic() + seconds
        connection.settimeout(seconds)
        connection.sendall(request)
        answer = _Answer()
        while not answer.complete:
            connection.settimeout(max(0.001, until - time.monotonic()))  # 0 would not wait at all
            data = connection.recv(_READ)
            if not data:
                raise Broken("the connection was closed")
            answer.feed(data)
        if not answer.kept:
            self.close()
        return answer.said

    def close(self) -> None:
        """Closes it; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
