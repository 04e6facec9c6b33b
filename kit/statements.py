"""Single statements of SQL by the driver alone: what every turn asks costs a quarter of what it costs through a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

Row = Mapping[str, Any]
Connection = psycopg.AsyncConnection[dict[str, Any]]
Cursor = psycopg.AsyncCursor[dict[str, Any]]
WAIT_SECONDS = 5.0
"""For a connection that is free, and for the server to open one: beyond it the caller is told, rather than kept."""
_IDLE_SECONDS = 1.0
"""A connection that has lain idle for longer may be dead: it is tested before it is used."""


class Statement:
    """One statement that sessions and the driver take alike.

    Args:
        sql: with `:name` where a value comes.
        types: of the values that need one said, by name.
    """

    def __init__(self, sql: str, **types: TypeEngine[Any]) -> None:
        self.text = text(sql).bindparams(*(bindparam(name, type_=kind) for name, kind in types.items()))
        self.plain = str(self.text.compile(dialect=PGDialect_psycopg())).encode()  # type: ignore[no-untyped-call]


class Connections:
    """Connections on which each statement is a transaction of its own; opened when they are needed.

    Args:
        url: of PostgreSQL, `postgresql://…`.
        settings: of libpq.
        most: statements under way at once.
    """

    def __init__(self, url: str, settings: Mapping[str, Any], most: int) -> None:
        self._url, self._settings = url, settings
        self._idle: list[
            tuple[Cursor, float]
        ] = []  # one of each connection: making another takes as long as a third of a statement
        self._free = asyncio.Semaphore(most)
        self.busy: set[Connection] = set()
        """Those on which a statement is under way."""

    async def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """What a statement finds.

        Raises:
            psycopg.Error: it is wrong, took too long, or the server is away.
        """
        await self._wait()
        try:
            cursor = await self._take()
            try:
                await cursor.execute(statement.plain, values)
                found = await cursor.fetchall() if cursor.description else []
            except BaseException:  # a cancelled one, too: nobody knows in which state it is
                await cursor.connection.close()
                raise
            finally:
                self.busy.discard(cursor.connection)
            self._idle.append((cursor, time.monotonic()))
            return found
        finally:
            self._free.release()

    async def _wait(self) -> None:
        """For one of as many as there may be."""
        if not self._free.locked():
            await self._free.acquire()  # at once
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise psycopg.OperationalError("no connection to spare") from None

    async def _take(self) -> Cursor:
        while self._idle:
            cursor, used = self._idle.pop()
            self.busy.add(cursor.connection)
            if time.monotonic() - used < _IDLE_SECONDS:
                return cursor
            try:
                await cursor.execute(b"SELECT 1")
            except BaseException as error:
                self.busy.discard(cursor.connection)
                await cursor.connection.close()
                if not isinstance(error, psycopg.Error):
                    raise
            else:
                return cursor
        made = await psycopg.AsyncConnection.connect(self._url, autocommit=True, row_factory=dict_row, **self._settings)
        set_json_loads(orjson.loads, made)
        self.busy.add(made)
        return made.cursor()

    async def close(self) -> None:
        """Closes those that are idle."""
        while self._idle:
            await self._idle.pop()[0].connection.close()
