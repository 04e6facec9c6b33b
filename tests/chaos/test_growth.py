"""However much is stored: what happens for each turn, and every few seconds, reads no large table from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.surveys import load_rules
from api import aftercare
from benchmarks import load
from conversations import erasing, log, repository, turns
from escalations import outbox, queue
from kit.clock import now
from kit.company import Company, load_company
from kit.database import Database
from kit.ids import new_id
from migrations.upgrade import upgrade
from tests.support import ROOT

STORED = 5_000
TABLES = ("conversations", "messages", "turns", "conversation_tokens", "rasa_trackers")
Work = Callable[[AsyncSession, Company], Awaitable[Any]]


@pytest.fixture(scope="module")
async def large(database_url: str) -> AsyncIterator[Database]:
    """A database of its own with conversations of the past."""
    name = new_id("large")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        head, _, query = database_url.partition("?")
        url = f"{head.rsplit('/', 1)[0]}/{name}?{query}"
        upgrade(url)
        load.fill(url, 1, STORED)
        made = Database(url)
        yield made
        await made.close()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _turn(session: AsyncSession, _: Company) -> None:
    made = await log.start(session, lang="en", now=now())
    token = await log.mint_token(session, made.id, None)
    await log.open_by_token(session, made.id, token, now())
    await log.accept(session, made.id, "c", "hello", now())
    leased = await turns.lease(session, now(), timedelta(seconds=15))
    assert leased is not None
    await turns.owed(session, turns.TurnClaims(made.id, leased.id, None, None, "en"))
    await log.settle(session, leased.id, [], "answered", now())
    await log.history(session, made.id)


EVERY: dict[str, Work] = {
    "a turn": _turn,
    "the backlog": lambda session, _: repository.owed_turns(session, 500),
    "the queue's sweep": lambda session, company: queue.sweep(session, company, now()),
    "replies not seen": lambda session, company: aftercare.write_to_who_left(session, company, now()),
    "what Rasa kept": lambda session, _: erasing.sweep(session, timedelta(minutes=10)),
    "conversations at rest": lambda session, company: aftercare.ask_nps(session, now(), load_rules(company)),
    "what has had its time": lambda session, _: erasing.older(session, now() - timedelta(days=730), 500),
    "notifications": lambda session, _: outbox.listing(session, "waiting"),
    "the last conversation of a person": lambda session, _: log.latest(session, "acme", "pat"),
}


@pytest.mark.parametrize("what", EVERY)
async def test_nothing_large_is_read_from_end_to_end(large: Database, what: str) -> None:
    """By PostgreSQL's own count of rows that were read without an index."""
    company = load_company(ROOT / "demo")
    before = await _read_without_index(large)
    async with large.begin() as session:
        await EVERY[what](session, company)
    assert await _read_without_index(large) - before < STORED / 10


async def _read_without_index(database: Database) -> int:
    """After every server process has reported what it did."""
    await database.engine.dispose()
    query = "SELECT coalesce(sum(seq_tup_read), 0), count(*) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    url = database.url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        async with asyncio.timeout(20):
            while True:
                alone = await (await connection.execute(others)).fetchone()
                if alone is not None and alone[0] == 0:
                    break
                await asyncio.sleep(0.05)
        row = await (await connection.execute(query, [list(TABLES)])).fetchone()
    assert row is not None
    assert row[1] == len(TABLES)
    return int(row[0])
