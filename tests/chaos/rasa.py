"""A server on loopback in Rasa's place that answers as it is told: late, never, empty, or nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

GOOD = json.dumps({"messages": [{"type": "text", "text": "Good."}], "intent": {"name": "thanks", "confidence": 1.0}})
"""A turn as bot/channel.py answers it."""


@dataclass
class Rasa:
    """Answers turns with the first of `says`, which stays when it is the last; None: with nothing, for ever.

    Attributes:
        says: status and body, one after the other.
        seconds: before each answer.
        drips: a byte now and then.
        asked: how many turns came.
    """

    says: list[tuple[int, str] | None] = field(default_factory=lambda: [(200, GOOD)])
    seconds: float = 0.0
    drips: bool = False
    asked: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        await reader.readexactly(int(length.partition(b":")[2]))
        self.asked += 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        await asyncio.sleep(self.seconds)
        if said is None:
            await reader.read()  # until the asker has had enough
        else:
            status, body = said
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body.encode())}\r\n".encode())
            writer.write(b"content-type: application/json\r\nconnection: close\r\n\r\n")
            for byte in body.encode() if self.drips else [body.encode()]:
                writer.write(bytes([byte]) if isinstance(byte, int) else byte)
                await asyncio.sleep(0.3 if self.drips else 0)
        writer.close()


@asynccontextmanager
async def rasa(port: int = 0) -> AsyncIterator[Rasa]:
    """The server, listening while the block lasts."""
    made = Rasa()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
