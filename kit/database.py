"""The database: one declarative base, one engine a process, one session a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import DateTime, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

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


def async_url(url: str) -> str:
    """The URL with the driver this project uses, whatever way the server's address was written."""
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}"


class Database:
    """An engine and its sessions.

    Args:
        url: of PostgreSQL, `postgresql://…`.
        pool_size: connections kept open.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            json_serializer=lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
            json_deserializer=orjson.loads,
        )
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end, rolled back when anything raises."""
        async with self.session() as session, session.begin():
            yield session

    async def close(self) -> None:
        """Closes all connections."""
        await self.engine.dispose()
