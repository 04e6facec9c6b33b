"""JSON over HTTP to Kotae's own processes, over connections that are kept (`kit.calls`). The world outside is spoken to with httpx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kit.calls import Lines, Place

KEPT_SECONDS = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn and sanic close theirs."""


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
    """

    def __init__(self, base_url: str) -> None:
        self._lines = Lines(Place(base_url.rstrip("/")), KEPT_SECONDS)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        self._lines.close()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
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
            OSError: nobody is there, or the connection broke (`ConnectionError`), or it took too long (`TimeoutError`).
        """
        asked = self._lines.place.request(body, method, path, headers)
        return Answer(*await self._lines.ask(asked, seconds, connect_seconds))
