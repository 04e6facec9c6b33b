"""The company's other systems: a real HTTP server on loopback that keeps what it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """Counts what arrived: signed webhooks by their id, chat messages by their text."""

    url: str = ""
    webhooks: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def __aenter__(self) -> Receiver:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError):  # the sender died in the middle
            writer.close()
            return
        if "webhook-id" in headers:
            self.webhooks[headers["webhook-id"]] += 1
        else:
            self.texts.append(body.decode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
