"""Fan-out to sockets: one PostgreSQL `LISTEN` a process, whichever replica wrote."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
import structlog
from psycopg.pq.abc import PGconn

from conversations.log import Said
from conversations.repository import CHANNEL
from kit.database import Database

logger = structlog.get_logger()
Event = dict[str, Any]
RESYNC: Event = {"resync": True}
_BACKLOG = 1000
"""Events one slow socket may be behind before they are folded into one resync."""
_ECHOES = 1000
"""Events remembered that have been told here but not heard from PostgreSQL, and the other way round."""


class Hub:
    """Hands what PostgreSQL notifies to whoever waits for it in this process.

    Events are hints, not data: a listener reads the log after its own last `seq`, so a lost or doubled event loses
    and doubles nothing. After the connection was lost, everyone gets `RESYNC`.

    Args:
        database: that is listened to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations: defaultdict[str, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._queue: set[asyncio.Queue[Event]] = set()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._heard: OrderedDict[str, None] = OrderedDict()
        self.owed = asyncio.Event()
        """Set when somewhere a turn is owed that nobody works on."""
        self.listening = asyncio.Event()
        """Set while the database is listened to."""

    @contextmanager
    def conversation(self, conversation_id: str) -> Iterator[asyncio.Queue[Event]]:
        """Events of one conversation, while the block lasts."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._conversations[conversation_id].add(queue)
        try:
            yield queue
        finally:
            self._conversations[conversation_id].discard(queue)
            if not self._conversations[conversation_id]:
                del self._conversations[conversation_id]

    @contextmanager
    def everything(self) -> Iterator[asyncio.Queue[Event]]:
        """Every event, for consoles, while the block lasts."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._queue.add(queue)
        try:
            yield queue
        finally:
            self._queue.discard(queue)

    def tell(self, event: str, said: Sequence[Said]) -> None:
        """Hands out what this process itself has committed, before PostgreSQL does, and with the messages: its own windows need not
        read them again.

        Args:
            event: as PostgreSQL was told; its echo is left aside, or this where the echo was quicker.
            said: the messages it is about.
        """
        if self._first(event, self._told, self._heard):
            self._hand_out({**orjson.loads(event), "said": said})

    async def run(self) -> None:
        """Listens until cancelled; connects again whenever the connection is lost."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                logger.warning("listening_lost", reason=str(error).splitlines()[0] if str(error) else "")
            self.listening.clear()
            await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with self._database.held() as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self.listening.set()
            self._everyone(RESYNC)
            self.owed.set()
            await self._hear(connection.pgconn)

    async def _hear(self, server: PGconn) -> None:
        """Hands out what comes. By libpq itself: psycopg's own way sets up and takes down its waiting for each word."""
        loop, came, socket = asyncio.get_running_loop(), asyncio.Event(), server.socket
        loop.add_reader(socket, came.set)
        try:
            while True:
                while (notice := server.notifies()) is not None:
                    event = notice.extra.decode()
                    if self._first(event, self._heard, self._told):
                        self._hand_out(orjson.loads(event))
                await came.wait()
                came.clear()
                server.consume_input()
        finally:
            loop.remove_reader(socket)

    @staticmethod
    def _first(event: str, here: OrderedDict[str, None], there: OrderedDict[str, None]) -> bool:
        """Whether an event comes first by this of its two ways."""
        if event in there:
            del there[event]
            return False
        here[event] = None
        if len(here) > _ECHOES:
            here.popitem(last=False)
        return True

    def _hand_out(self, event: Event) -> None:
        if event.get("owed") and not event.get("taken"):
            self.owed.set()
        for queue in (*self._conversations.get(event.get("c", ""), ()), *self._queue):
            _put(queue, event)

    def _everyone(self, event: Event) -> None:
        for queues in (*self._conversations.values(), self._queue):
            for queue in queues:
                _put(queue, event)


def _put(queue: asyncio.Queue[Event], event: Event) -> None:
    try:
        queue.put_nowait(event)
    except asyncio.QueueFull:
        while not queue.empty():
            with contextlib.suppress(asyncio.QueueEmpty):
                queue.get_nowait()
        queue.put_nowait(RESYNC)
