"""Requests whose events are written together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from accounts import ingestion, repository
from api.intake import MOST, Intake
from kit.clock import now
from kit.database import Database

ACCOUNTS = ["intake-a", "intake-b", "intake-new"]


def batch(account: str, *ids: str) -> list[dict[str, Any]]:
    """Events of somebody in an account."""
    said = {"type": "track", "event": "done", "userId": f"{account}-p", "context": {"groupId": account}}
    return [said | {"messageId": f"intake-{id_}"} for id_ in ids]


@pytest.fixture
async def intake(database: Database) -> AsyncIterator[Intake]:
    """What is committed stays for the other tests, some of which count everything: it is taken away again."""
    yield Intake(database)
    async with database.begin() as session:
        await repository.delete_accounts(session, ACCOUNTS)
        await session.execute(text("DELETE FROM events WHERE message_id LIKE 'intake-%' OR account_id IS NULL"))
        await session.execute(text("DELETE FROM people WHERE id LIKE 'intake-%'"))


async def times(database: Database) -> dict[str, int]:
    """Events of each account by its daily figures."""
    query = text("SELECT account_id, sum(events) AS n FROM daily_people WHERE account_id LIKE 'intake-%' GROUP BY 1")
    async with database.begin() as session:
        return {row.account_id: int(row.n) for row in await session.execute(query)}


async def test_requests_at_once_are_each_told_of_their_own(intake: Intake, database: Database) -> None:
    """Twenty requests, with a message that two of them bring and one that is wrong: each counted once, where it came first."""
    wrong = [{"type": "nonsense", "userId": "u", "messageId": "intake-wrong"}]
    given = [batch(ACCOUNTS[n % 2], f"{n}", f"{n}-more") for n in range(20)]
    given += [batch("intake-a", "twice"), batch("intake-a", "twice") + wrong, []]
    results = await asyncio.gather(*(intake.take(each, None) for each in given))
    assert [(each.accepted, each.duplicates) for each in results[:20]] == [(2, 0)] * 20
    assert sorted((each.accepted, each.duplicates) for each in results[20:]) == [(0, 0), (0, 1), (1, 0)]
    assert [len(each.rejected) for each in results[20:]] == [0, 1, 0]
    assert results[0].accounts == ["intake-a"]
    assert await times(database) == {"intake-a": 21, "intake-b": 20}


async def test_what_cannot_be_written_keeps_nothing_else_out(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that fails is tried request by request; the one at fault is told so, and nothing of it is kept."""
    take = repository.take_events

    async def fails(session: Any, rows: Any, at: Any) -> list[str]:
        found = await take(session, rows, at)
        if any(row["message_id"] == "intake-bad" for row in rows):
            raise RuntimeError("after its rows were written")
        return found

    monkeypatch.setattr(repository, "take_events", fails)
    given = [batch("intake-a", f"{n}") for n in range(6)]
    given.insert(3, batch("intake-b", "bad", "beside"))
    results = await asyncio.gather(*(intake.take(each, None) for each in given), return_exceptions=True)
    assert isinstance(results.pop(3), RuntimeError)
    assert [each.accepted for each in results if not isinstance(each, BaseException)] == [1] * 6
    assert await times(database) == {"intake-a": 6}


async def test_a_request_that_is_given_up_leaves_the_others_whole(intake: Intake, database: Database) -> None:
    """The one that writes for all goes away meanwhile."""
    asked = [asyncio.create_task(intake.take(batch("intake-a", f"{n}"), None)) for n in range(8)]
    await asyncio.sleep(0)
    asked[0].cancel()
    results = await asyncio.wait_for(asyncio.gather(*asked[1:]), 30)
    assert [each.accepted for each in results] == [1] * 7


async def test_a_large_request_goes_alone(intake: Intake, database: Database) -> None:
    """More than one transaction takes with others: still all of it at once."""
    large = batch("intake-a", *(str(n) for n in range(MOST + 1)))
    results = await asyncio.gather(*(intake.take(each, None) for each in ([], large, batch("intake-b", "small"))))
    assert [each.accepted for each in results] == [0, MOST + 1, 1]
    assert await times(database) == {"intake-a": MOST + 1, "intake-b": 1}


async def test_a_batch_is_settled_at_the_moment_it_comes() -> None:
    """However long it waits to be written, its own clock is corrected by when it came."""
    at = now()
    settled = ingestion.settle(batch("intake-a", "x"), at, None)
    assert [message.at for message in settled.messages] == [at]


async def test_use_of_those_who_are_known_counts_as_that_of_others(intake: Intake, database: Database) -> None:
    """Once they are known, one statement takes it: new and known messages, several batches, and people who do not say their account."""
    await asyncio.gather(intake.take(batch("intake-a", "0"), None), intake.take(batch("intake-b", "1"), None))
    silent = {"type": "page", "userId": "intake-a-p", "messageId": "intake-silent"}
    given = [batch("intake-a", "0", "2", "3"), [*batch("intake-b", "3", "4"), silent], [silent]]
    settled = [ingestion.settle(each, now(), None) for each in given]
    results = await ingestion.ingest_use(database, settled, now())
    assert results is not None
    assert [(each.accepted, each.duplicates, each.accounts) for each in results] == [
        (2, 1, ["intake-a", "intake-b"]),  # of two messages with one id the later counts, where it came first
        (2, 1, ["intake-a", "intake-b"]),
        (0, 1, []),
    ]
    assert await times(database) == {"intake-a": 3, "intake-b": 3}


@pytest.mark.parametrize(
    "more",
    [
        {"type": "track", "event": "done", "userId": "intake-stranger"},
        {"type": "track", "event": "done", "userId": "intake-nobodys"},
        {"type": "track", "event": "done", "userId": "intake-a-p", "context": {"groupId": "intake-new"}},
        {"type": "track", "event": "done", "anonymousId": "x"},
        {"type": "identify", "userId": "intake-a-p"},
        {"type": "group", "userId": "intake-a-p", "groupId": "intake-a"},
    ],
)
async def test_one_who_is_not_known_is_not_use_of_those_who_are(
    intake: Intake, database: Database, more: dict[str, Any]
) -> None:
    """Nothing is written then: it goes the way that makes them known."""
    await intake.take([*batch("intake-a", "0"), {"type": "identify", "userId": "intake-nobodys"}], None)
    mixed = ingestion.settle([*batch("intake-a", "1"), more], now(), None)
    assert await ingestion.ingest_use(database, [mixed], now()) is None
    assert await times(database) == {"intake-a": 1}
    result = await intake.take([*batch("intake-a", "1"), more], None)
    assert (result.accepted, result.duplicates) == (2, 0)
