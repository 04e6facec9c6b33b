"""Events on their way into the database: requests that come while others are being written are written together.

Each request is answered when the transaction that holds all of it is committed, as if it had been alone; the statements, the locks and
the wait for the disk are shared.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts import ingestion
from accounts.schemas import IngestResult
from kit.clock import now
from kit.database import Database

WRITERS = 2
"""Transactions at once: one is made ready while another waits for the disk."""
MOST = 1_000
"""Messages of one transaction, beyond what a single request brings."""


@dataclass(frozen=True)
class _Request:
    """Messages that wait, and where it is told what became of them."""

    settled: ingestion.Settled
    outcome: asyncio.Future[IngestResult]


class Intake:
    """Takes batches of messages, from any number of requests at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writers = asyncio.Semaphore(WRITERS)
        self._waiting: deque[_Request] = deque()

    async def take(self, batch: Sequence[Mapping[str, Any]], sent_at: datetime | None) -> IngestResult:
        """Writes a batch, all of it or nothing, with those of others that wait.

        Raises:
            SQLAlchemyError: it could not be written.
        """
        outcome: asyncio.Future[IngestResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(ingestion.settle(batch, now(), sent_at), outcome))
        async with self._writers:
            while not outcome.done() and self._waiting:  # requests that were given up may lie before this one
                # Goes on where this request is given up: others wait for it.
                await asyncio.shield(self._write(self._next()))
        return await outcome

    def _next(self) -> list[_Request]:
        """The requests of one transaction, those that wait longest."""
        some = [self._waiting.popleft()]
        count = len(some[0].settled.messages)
        while self._waiting and (count := count + len(self._waiting[0].settled.messages)) <= MOST:
            some.append(self._waiting.popleft())
        return some

    async def _write(self, requests: Sequence[_Request]) -> None:
        settled = [each.settled for each in requests]
        try:
            results = await ingestion.ingest_use(self._database, settled, now())
            if results is None:
                async with self._database.begin() as session:
                    results = await ingestion.ingest_together(session, settled, now())
        except Exception as error:  # noqa: BLE001  # whatever it was: each request hears of its own
            if len(requests) > 1:
                for each in requests:
                    await self._write([each])
            elif not requests[0].outcome.cancelled():
                requests[0].outcome.set_exception(error)
            return
        for each, result in zip(requests, results, strict=True):
            if not each.outcome.cancelled():
                each.outcome.set_result(result)
