"""JSON over HTTP to Kotae's own processes, over connections that are kept.

By aiohttp, which takes a third of httpx's time for a call. The world outside is spoken to with httpx.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

KEPT_SECONDS = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn and sanic close theirs."""
FAILURES = (aiohttp.ClientError, TimeoutError)
"""What a call raises where there is no answer."""
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, read.

        Raises:
            ValueError: it is not JSON.
        """
        return orjson.loads(self.body)


class Http:
    """A client of one process; use it as a context or close it.

    Args:
        base_url: of the process.
        connections: at most at once; None: without limit.
    """

    def __init__(self, base_url: str, connections: int | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._connections = connections or 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        seconds: float,
        connect_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Asks.

        Args:
            path: as it is sent, quoted where it must be.
            body: JSON.
            seconds: for everything.
            connect_seconds: of these, for the connection.
        Raises:
            aiohttp.ClientError: nobody is there, or the connection broke.
            TimeoutError: it took too long.
        """
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEPT_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=connect_seconds)
        url = URL(self._base + path, encoded=True)
        sent = _JSON if headers is None else {**_JSON, **headers}
        async with self._session.request(
            method, url, data=body, headers=sent, timeout=timeout, allow_redirects=False
        ) as answer:
            return Answer(answer.status, await answer.read())
