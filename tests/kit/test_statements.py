"""Single statements without a session: what they find, and what becomes of their connections."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import ARRAY

from kit import statements
from kit.database import Database, rows
from kit.statements import Statement

FIND = Statement(
    "SELECT CAST(:name AS text) AS name, :many AS many, CAST(:said AS jsonb) AS said, '%' AS sign", many=ARRAY(Text)
)
GIVEN = {"name": "a", "many": ["b", "c"], "said": '{"d": 1}'}
PID = Statement("SELECT pg_backend_pid() AS pid")


async def test_a_statement_finds_the_same_by_itself_and_in_a_session(database: Database) -> None:
    """Values, arrays, JSON and a percent sign."""
    async with database.begin() as session:
        found = await rows(session, FIND, GIVEN)
    assert found == await rows(database, FIND, GIVEN)
    assert found == [{"name": "a", "many": ["b", "c"], "said": {"d": 1}, "sign": "%"}]


async def test_a_statement_is_committed_with_it_or_with_its_session(database: Database) -> None:
    """By itself at once; in a session that is rolled back, never."""
    await rows(database, Statement("CREATE TABLE kept (at text)"), {})
    try:
        assert await rows(database, Statement("INSERT INTO kept VALUES (:at)"), {"at": "alone"}) == []
        async with database.session() as session:
            assert await rows(session, Statement("INSERT INTO kept VALUES (:at)"), {"at": "in a session"}) == []
            await session.rollback()
        assert await rows(database, Statement("SELECT at FROM kept"), {}) == [{"at": "alone"}]
    finally:
        await rows(database, Statement("DROP TABLE kept"), {})


async def test_a_connection_that_died_while_idle_is_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tested before it is used again."""
    monkeypatch.setattr(statements, "_IDLE_SECONDS", 0.0)
    made = Database(database_url)
    (first,) = await made.rows(PID, {})
    assert await made.rows(PID, {}) == [first]
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first["pid"]])
    (second,) = await made.rows(PID, {})
    assert second != first
    await made.close()


async def test_a_connection_that_died_a_moment_ago_costs_one_statement(database_url: str) -> None:
    """The next one has a new connection."""
    made = Database(database_url)
    (first,) = await made.rows(PID, {})
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first["pid"]])
    with pytest.raises(psycopg.OperationalError):
        await made.rows(PID, {})
    assert await made.rows(PID, {}) != [first]
    await made.close()


async def test_the_settings_of_the_database_hold_for_statements(database_url: str) -> None:
    """What takes too long is given up, and the next statement is none the worse for it."""
    made = Database(database_url, options={"statement_timeout": "50"})
    with pytest.raises(psycopg.errors.QueryCanceled):
        await made.rows(Statement("SELECT pg_sleep(5)"), {})
    assert len(await made.rows(PID, {})) == 1
    await made.close()
