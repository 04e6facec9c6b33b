"""JSON calls over connections that are kept: for a few bytes over loopback a fifth of what aiohttp takes, and a third of `http.client`.

HTTP/1.1 by httptools, which sanic brings; nothing of redirects, proxies, cookies or TLS.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

import httptools

KEPT_SECONDS = 15.0
"""How long an idle connection is used again: less than the other end keeps it."""
_READ = 1 << 16


class Broken(ConnectionError):
    """The connection ended before the answer did."""


class _Answer:
    """What httptools calls while it reads."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.parts: List[bytes] = []
        self.complete = self.kept = False

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.complete = True
        self.kept = self.parser.should_keep_alive()  # it forgets with the message

    @property
    def said(self) -> Tuple[int, bytes]:
        """Status and body."""
        return self.parser.get_status_code(), b"".join(self.parts)


class Place:
    """Where a call goes.

    Args:
        url: `http://host:port/path`.
        headers: sent each time.
    """

    def __init__(self, url: str, headers: Optional[Dict[str, str]] = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url} is no address of the form http://host:port/path")
        self.host, self.port = parts.hostname, parts.port or 80
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        named = {"Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json", **(headers or {})}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
        self._head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def request(self, body: bytes) -> bytes:
        """The bytes of a call."""
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)


class Line(asyncio.Protocol):
    """A connection of an event loop, for one call at a time."""

    def __init__(self) -> None:
        self.open = False
        self.used = 0.0
        self._transport: Any = None
        self._answer: Optional[_Answer] = None
        self._waiting: Optional[asyncio.Future[Tuple[int, bytes]]] = None

    def connection_made(self, transport: Any) -> None:
        self._transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._waiting is None or self._waiting.done():
            self.close()  # nobody has asked
            return
        try:
            self._answer.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._waiting.set_exception(Broken(f"no HTTP: {error}"))
            self.close()
            return
        if self._answer.complete:
            if not self._answer.kept:
                self.close()
            self._waiting.set_result(self._answer.said)

    def connection_lost(self, error: Optional[Exception]) -> None:
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Broken("the connection was closed"))

    async def ask(self, request: bytes) -> Tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            Broken: the connection ended.
        """
        if not self.open:
            raise Broken("the connection was closed")
        waiting: asyncio.Future[Tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._answer, self._waiting = _Answer(), waiting
        self._transport.write(request)
        return await waiting

    def close(self) -> None:
        self.open = False
        self._transport.close()


class Lines:
    """The connections of an event loop to one place; as many as calls are under way."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._idle: List[Line] = []

    async def post(self, body: bytes, seconds: float) -> Tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            OSError: nobody is there, or the connection ended.
            asyncio.TimeoutError: it took too long.
        """
        return await asyncio.wait_for(self._post(body), seconds)

    async def _post(self, body: bytes) -> Tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        line = await self._line(loop)
        try:
            said = await line.ask(self._place.request(body))
        except BaseException:  # given up, too: an answer that comes later is nobody's
            line.close()
            raise
        line.used = loop.time()
        if line.open:
            self._idle.append(line)
        return said

    async def _line(self, loop: asyncio.AbstractEventLoop) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.open and loop.time() - line.used < KEPT_SECONDS:
                return line
            line.close()
        _, made = await loop.create_connection(Line, self._place.host, self._place.port)
        return made

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().close()


class BlockingLine:
    """One connection for code that waits. A call is made once more where the kept connection was closed meanwhile."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._socket: Optional[socket.socket] = None

    def post(self, body: bytes, seconds: float) -> Tuple[int, bytes]:
        """Status and body of the answer.

        Args:
            seconds: to wait for the connection, and again for each piece of the answer.
        Raises:
            OSError: nobody is there, the connection ended, or it took too long.
        """
        try:
            if self._socket is not None:
                try:
                    return self._ask(self._socket, body, seconds)
                except ConnectionError:
                    self.close()
            self._socket = socket.create_connection((self._place.host, self._place.port), seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._ask(self._socket, body, seconds)
        except BaseException:
            self.close()
            raise

    def _ask(self, connection: socket.socket, body: bytes, seconds: float) -> Tuple[int, bytes]:
        connection.settimeout(seconds)
        connection.sendall(self._place.request(body))
        answer = _Answer()
        while not answer.complete:
            data = connection.recv(_READ)
            if not data:
                raise Broken("the connection was closed")
            try:
                answer.parser.feed_data(data)
            except httptools.HttpParserError as error:
                raise Broken(f"no HTTP: {error}") from error
        if not answer.kept:
            self.close()
        return answer.said

    def close(self) -> None:
        """Closes it; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
