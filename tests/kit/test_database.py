"""Connections that die while they lie in the pool."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit import database as module
from kit.database import Database
from kit.settings import Settings

OWN = text("SELECT pg_backend_pid()")


async def _pid(database: Database) -> int:
    async with database.begin() as session:
        return int((await session.execute(OWN)).scalar_one())


def _kill(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)


async def test_a_connection_that_died_while_idle_is_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who comes after notices."""
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)
    made = Database(database_url)
    first = await _pid(made)
    _kill(database_url, first)
    assert await _pid(made) != first
    await made.close()


async def test_a_connection_that_died_a_moment_ago_costs_one_unit_of_work(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tested on each use; the failure is told, and the next gets a new one."""
    monkeypatch.setattr(module, "_IDLE_SECONDS", 3600.0)
    made = Database(database_url)
    first = await _pid(made)
    _kill(database_url, first)
    with pytest.raises(DBAPIError):
        await _pid(made)
    assert await _pid(made) != first
    await made.close()


async def test_reading_leaves_no_transaction_open(database_url: str) -> None:
    """And a unit of work after it is one again: what it wrote goes with its rollback."""
    made = Database(database_url, pool_size=1)
    async with made.read() as session:
        assert (await session.execute(text("SELECT now() = statement_timestamp()"))).scalar_one()
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
        assert isinstance(raw, psycopg.AsyncConnection)
        assert raw.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with pytest.raises(DBAPIError, match="division by zero"):  # noqa: PT012  # what was written before it is the point
        async with made.begin() as session:
            await session.execute(text("CREATE TABLE written_in_vain AS SELECT 1"))
            await session.execute(text("SELECT 1 / 0"))
    async with made.read() as session:
        assert (await session.execute(text("SELECT to_regclass('written_in_vain')"))).scalar_one() is None
    await made.close()


def test_the_embedded_servers_log_keeps_no_words(settings: Settings, database_url: str) -> None:
    """What went wrong is in it; neither the statement nor the row it went wrong with, which no erasing would reach."""
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("CREATE TEMPORARY TABLE said (words text CHECK (words <> 'zqlogged'), once text UNIQUE)")
        for words in ("zqlogged", "zqtwice", "zqtwice"):
            with contextlib.suppress(psycopg.errors.IntegrityError):
                connection.execute("INSERT INTO said VALUES (%s, 'zqonce')", [words])
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT json_array_elements(%s)", ['["zqlogged", no]'])
    log = (settings.home / "postgres" / "log").read_text()
    assert "violates check constraint" in log
    assert "violates unique constraint" in log
    assert "zq" not in log


async def _failing(database: Database) -> None:
    async with database.begin() as session:
        module.hint(session, "hints", "undone")
        raise ZeroDivisionError


async def test_hints_are_given_once_the_work_is_committed(database_url: str) -> None:
    """Several of one moment together; of what was rolled back, none."""
    own = Database(database_url)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listening:
        await listening.execute("LISTEN hints")
        with pytest.raises(ZeroDivisionError):
            await _failing(own)
        async with own.begin() as session:
            module.hint(session, "hints", "one")
        module.hint(own, "hints", "two")
        await own.close()
        given = [notice.payload async for notice in listening.notifies(timeout=5, stop_after=2)]
    assert given == ["one", "two"]
