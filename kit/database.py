"""The database: one declarative base, one engine a process, one session a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from sqlalchemy import DateTime, MetaData, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

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


AWAY = (OperationalError, InterfaceError, InternalError, NoneFree)
"""What a unit of work raises while the database is away, restarting, read-only, full, or has no connection to spare. It may work again
in a moment. A wrong statement is none of these."""
_WAIT_SECONDS = 5.0
"""For a free connection of the pool, and for the server to open one: beyond it the caller is told, rather than kept."""
CONNECTING: Mapping[str, Any] = {
    "connect_timeout": int(_WAIT_SECONDS),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Of libpq: a server or a network that falls silent is noticed within half a minute."""
_USED = "kotae_used"
_IDLE_SECONDS = 1.0


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def async_url(url: str) -> str:
    """The URL with the driver this project uses, whatever way the server's address was written."""
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}"


NOT_WAITING_FOR_DISK = MappingProxyType({"synchronous_commit": "off"})
"""For work that a later durable commit makes durable with it, and that is done again where that commit never came."""
_DURABLE = text("SET LOCAL synchronous_commit = on")


async def wait_for_disk(session: AsyncSession) -> None:
    """Makes the commit of this transaction wait for the disk, in a database that otherwise does not."""
    await session.execute(_DURABLE)


_HINTS = "kotae_hints"
_HINTS_WAIT_SECONDS = 0.02
"""So long a hint waits for others that go with it."""
_HINT = text(
    "SELECT pg_notify(channel, said) FROM unnest(CAST(:channels AS text[]), CAST(:said AS text[])) AS t (channel, said)"
)


def hint(session: AsyncSession, channel: str, said: str) -> None:
    """Notifies a channel once this unit of work is committed, together with what others commit at that moment.

    PostgreSQL lets transactions that notify commit one after another, each waiting for the disk: a few hundred a second, whatever they do.
    Notified afterwards, many commit at once. What dies in between takes the hint with it, so this is for what can be read again.
    """
    session.info.setdefault(_HINTS, []).append((channel, said))


class Database:
    """An engine and its sessions.

    Args:
        url: of PostgreSQL, `postgresql://…`.
        pool_size: connections kept open.
        options: settings of PostgreSQL that its sessions begin with.
    """

    def __init__(self, url: str, *, pool_size: int = 10, options: Mapping[str, str] = MappingProxyType({})) -> None:
        self.url = url
        arguments: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
            "hide_parameters": True,  # customers' words are among them, and errors are logged
            "pool_timeout": _WAIT_SECONDS,
            "connect_args": {
                **CONNECTING,
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            },
            "json_serializer": lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
            "json_deserializer": orjson.loads,
        }
        self.engine: AsyncEngine = create_async_engine(async_url(url), **arguments)
        # Its connections stay as they are between units of work; none is opened before it is needed.
        self._single: AsyncEngine = create_async_engine(async_url(url), isolation_level="AUTOCOMMIT", **arguments)
        self._hints: list[tuple[str, str]] = []
        self._hinting: asyncio.Task[None] | None = None
        for engine in (self.engine, self._single):
            event.listen(engine.sync_engine, "checkin", _note_use)
            event.listen(engine.sync_engine, "checkout", self._test_if_idle)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)
        self._at_once = async_sessionmaker(self._single, expire_on_commit=False)
        self._reading = async_sessionmaker(
            self.engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end, rolled back when anything raises."""
        async with self.session() as session, session.begin():
            yield session
        self._give_hints(session.info.get(_HINTS))

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncSession]:
        """For a unit of work that is one statement: it is committed as it is done, without two round trips around it."""
        async with self._at_once() as session:
            yield session
        self._give_hints(session.info.get(_HINTS))

    def _give_hints(self, given: list[tuple[str, str]] | None) -> None:
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
                async with self.read() as session:
                    await session.execute(_HINT, {"channels": list(channels), "said": list(said)})
            except SQLAlchemyError as error:  # what was done is done
                logger.warning("hints_lost", number=len(hints), reason=type(error).__name__)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """For reading what a single statement finds: no transaction, which would cost two round trips more."""
        async with self._reading() as session:
            yield session

    async def answers(self) -> bool:
        """Whether the server takes a query right now."""
        try:
            async with self.read() as session:
                await session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def _test_if_idle(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        """A connection that has lain idle may be dead: it is tested, and replaced by the pool where it does not answer.

        SQLAlchemy's own `pool_pre_ping` tests on every use, a round trip each time.
        """
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
        await self._single.dispose()
        await self.engine.dispose()
