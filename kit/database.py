"""The database: one declarative base, one engine a process, one session a request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
import psycopg
import structlog
from sqlalchemy import CursorResult, DateTime, MetaData, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from kit.statements import WAIT_SECONDS, Connections, Row, Statement

logger = structlog.get_logger()
Json = dict[str, Any]


class Base(DeclarativeBase):
    """Base of every table. Times are aware; a `Json` column is JSONB; constraints get predictable names."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True), Json: JSONB}  # noqa: RUF012  # SQLAlchemy reads it as is


AWAY = (
    *(OperationalError, InterfaceError, InternalError, NoneFree),
    *(psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError),
)
"""What a unit of work raises while the database is away, restarting, read-only, full, or has no connection to spare. It may work again
in a moment. A wrong statement is none of these."""
CONNECTING: Mapping[str, Any] = {
    "connect_timeout": int(WAIT_SECONDS),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Of libpq: a server or a network that falls silent is noticed within half a minute."""
HANGS_SECONDS = 5.0
"""A server that leaves the simplest question unanswered for so long hangs: its machine is frozen, its disk does not answer."""
_WATCH_SECONDS = 1.0
_USED = "kotae_used"
_IDLE_SECONDS = 1.0


async def _ask(url: str, connection: psycopg.AsyncConnection | None) -> psycopg.AsyncConnection | None:
    """The connection, once the server has answered over it, or a new one; None where it refuses."""
    try:
        if connection is None:
            connection = await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=int(2 * HANGS_SECONDS)
            )
        await connection.execute("SELECT 1")
    except psycopg.Error:
        if connection is not None:
            await connection.close()
        return None
    return connection


def _cut(connection: Any) -> None:
    """Ends the line under a connection of psycopg, so that whoever waits for the server hears that it is gone."""
    with contextlib.suppress(OSError, psycopg.Error):
        line = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.close()


def async_url(url: str) -> str:
    """The URL with the driver this project uses, whatever way the server's address was written."""
    return f"postgresql+psycopg://{_address(url)}"


def driver_url(url: str) -> str:
    """The same for the driver itself."""
    return f"postgresql://{_address(url)}"


def _address(url: str) -> str:
    return url.partition("://")[2]


NOT_WAITING_FOR_DISK = MappingProxyType({"synchronous_commit": "off"})
"""For work that a later durable commit makes durable with it, and that is done again where that commit never came."""
_DURABLE = text("SET LOCAL synchronous_commit = on")


async def wait_for_disk(session: AsyncSession) -> None:
    """Makes the commit of this transaction wait for the disk, in a database that otherwise does not."""
    await session.execute(_DURABLE)


_HINTS = "kotae_hints"
_HINTS_WAIT_SECONDS = 0.02
"""So long a hint waits for others that go with it."""
_HINT = Statement(
    "SELECT pg_notify(channel, said) FROM unnest(CAST(:channels AS text[]), CAST(:said AS text[])) AS t (channel, said)"
)


def hint(at: Database | AsyncSession, channel: str, said: str) -> None:
    """Notifies a channel once this unit of work is committed, together with what others commit at that moment.

    Args:
        at: the session of the unit of work; the database, where it was a single statement, which is committed already.

    PostgreSQL lets transactions that notify commit one after another, each waiting for the disk: a few hundred a second, whatever they do.
    Notified afterwards, many commit at once. What dies in between takes the hint with it, so this is for what can be read again.
    """
    if isinstance(at, Database):
        at.give_hints([(channel, said)])
    else:
        at.info.setdefault(_HINTS, []).append((channel, said))


class Database:
    """An engine and its sessions.

    Args:
        url: of PostgreSQL, `postgresql://…`.
        pool_size: connections kept open.
        options: settings of PostgreSQL that its sessions begin with.
    """

    def __init__(self, url: str, *, pool_size: int = 10, options: Mapping[str, str] = MappingProxyType({})) -> None:
        self.url = url
        settings = {**CONNECTING, "options": " ".join(f"-c {name}={value}" for name, value in options.items())}
        arguments: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
            "hide_parameters": True,  # customers' words are among them, and errors are logged
            "pool_timeout": WAIT_SECONDS,
            "connect_args": settings,
            "json_serializer": lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
            "json_deserializer": orjson.loads,
        }
        self.engine: AsyncEngine = create_async_engine(async_url(url), **arguments)
        self._connections = Connections(driver_url(url), settings, 2 * pool_size)
        self._hints: list[tuple[str, str]] = []
        self._hinting: asyncio.Task[None] | None = None
        self._hangs = False
        self._out: set[ConnectionPoolEntry] = set()
        self._held: set[psycopg.AsyncConnection] = set()
        event.listen(self.engine.sync_engine, "checkin", self._back)
        event.listen(self.engine.sync_engine, "checkout", self._test_if_idle)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)
        self._reading = async_sessionmaker(
            self.engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end, rolled back when anything raises."""
        self._refuse_where_it_hangs()
        async with self.session() as session, session.begin():
            yield session
        self.give_hints(session.info.get(_HINTS))

    def give_hints(self, given: list[tuple[str, str]] | None) -> None:
        """Notifies channels in a moment, each of what was said there; see `hint`."""
        if not given:
            return
        self._hints += given
        if self._hinting is None or self._hinting.done():
            self._hinting = asyncio.create_task(self._hint_soon())

    async def _hint_soon(self) -> None:
        while self._hints:
            await asyncio.sleep(_HINTS_WAIT_SECONDS)
            hints, self._hints = self._hints, []
            channels, said = zip(*hints, strict=True)
            try:
                await self.rows(_HINT, {"channels": list(channels), "said": list(said)})
            except psycopg.Error as error:  # what was done is done
                logger.warning("hints_lost", number=len(hints), reason=type(error).__name__)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """For reading what a single statement finds: no transaction, which would cost two round trips more."""
        self._refuse_where_it_hangs()
        async with self._reading() as session:
            yield session

    async def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """What a single statement finds, or changes and gives back; committed with it.

        Raises:
            psycopg.Error: it is wrong, took too long, or the server is away.
        """
        if self._hangs:
            raise psycopg.OperationalError("the server hangs")
        return await self._connections.rows(statement, values)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """A connection of its own for who waits on it for what comes; cut like all others where the server hangs.

        Raises:
            psycopg.Error: the server is away.
        """
        connection = await psycopg.AsyncConnection.connect(driver_url(self.url), autocommit=True, **CONNECTING)
        async with connection:
            self._held.add(connection)
            try:
                yield connection
            finally:
                self._held.discard(connection)

    async def answers(self) -> bool:
        """Whether the server takes a query right now."""
        try:
            async with self.read() as session:
                await session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    async def watch(self) -> None:
        """Sees to it, until cancelled, that nobody waits for a server that hangs.

        A server that is frozen closes no connection, and what was asked of it is neither done nor refused: without this a caller would wait as
        long as it lasts. So a question is put to it over a connection of its own; where no answer comes within `HANGS_SECONDS`, all that wait are told
        that it is away, and so is everybody who comes, until it answers. What was under way may have been done or not: whoever asks
        again must be recognised. A statement that is merely slow is left alone.
        """
        probe: psycopg.AsyncConnection | None = None
        try:
            while True:
                asked = asyncio.create_task(_ask(self.url, probe))
                done, _ = await asyncio.wait({asked}, timeout=HANGS_SECONDS)
                if asked in done:
                    probe, hangs = asked.result(), False  # a server that refuses does not hang
                else:
                    hangs = True
                    if probe is not None:
                        _cut(probe)  # cancelling would wait for the server to confirm
                    asked.cancel()
                    probe = None
                if hangs != self._hangs:
                    logger.warning("database_hangs" if hangs else "database_answers", waiting=len(self._out))
                self._hangs = hangs
                if hangs:
                    out = (record.driver_connection for record in self._out)
                    for connection in (*out, *self._connections.busy, *self._held):
                        if connection is not None:
                            _cut(connection)
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            self._hangs = False
            if probe is not None:
                _cut(probe)

    def _refuse_where_it_hangs(self) -> None:
        if self._hangs:
            raise NoneFree("the server hangs")

    def _back(self, _: object, record: ConnectionPoolEntry) -> None:
        self._out.discard(record)
        record.info[_USED] = time.monotonic()

    def _test_if_idle(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        """A connection that has lain idle may be dead: it is tested, and replaced by the pool where it does not answer.

        SQLAlchemy's own `pool_pre_ping` tests on every use, a round trip each time.
        """
        self._out.add(record)
        if time.monotonic() - record.info.get(_USED, -_IDLE_SECONDS) < _IDLE_SECONDS:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except self.engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server has gone away") from error

    async def close(self) -> None:
        """Gives the last hints and closes all connections."""
        if self._hinting is not None:
            await self._hinting
        await self._connections.close()
        await self.engine.dispose()


async def rows(at: Database | AsyncSession, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
    """What a single statement finds, or changes and gives back: by itself, or as part of a session's transaction."""
    if isinstance(at, Database):
        return await at.rows(statement, values)
    result = await at.execute(statement.text, values)
    return list(map(dict, result.mappings())) if isinstance(result, CursorResult) and result.returns_rows else []


async def driven(session: AsyncSession, statement: Statement, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """What a single statement finds as part of a session's transaction, by the driver alone: a third of what the session itself costs.

    What the session has not flushed yet is not seen.

    Raises:
        SQLAlchemyError: as the session would.
    """
    connection = (await (await session.connection()).get_raw_connection()).driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    try:
        return await (await connection.execute(statement.plain, values)).fetchall()
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error) from error


async def sample_anew(session: AsyncSession) -> None:
    """Lets PostgreSQL look at every table anew. What it remembers for its plans (`pg_stats`) are values out of rows, such as addresses and
    whole messages, and it remembers them until it looks again, which may be never where little changes. At an empty table it does not look.
    """
    query = text(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tableowner = current_user ORDER BY 1"
    )
    tables = (await session.execute(query)).scalars().all()
    await session.execute(text(f"ANALYZE {', '.join(tables)}"))
