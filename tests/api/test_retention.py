"""Each kind of data goes when it has had its time, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from accounts.ingestion import ingest
from api import audit, retention
from cli import logs
from conversations import log
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings, load_settings

NOW = datetime(2036, 1, 1, tzinfo=UTC)
"""Far ahead, so that nothing else in the database is young, and its days are other tests' no more."""
DAYS = {"conversations": 730, "events": 400, "notifications": 30, "audit": 730}


def only(settings: Settings, kind: str, days: int) -> Settings:
    """Settings under which one kind alone has its time."""
    return load_settings(home=settings.home, **{f"keep_{name}_days": days if name == kind else 0 for name in DAYS})


async def kept(database: Database, kind: str, moment: datetime) -> str:
    """Something of a kind, from that moment. Returns the query that finds it."""
    id_ = new_id("old")
    async with database.begin() as session:
        if kind == "conversations":
            made = await log.start(session, lang="en", now=moment)
            await log.accept(session, made.id, "c", "hello", moment)
            await log.mint_token(session, made.id, None)
            return f"SELECT 1 FROM conversations WHERE id = '{made.id}'"  # noqa: S608
        if kind == "events":
            await ingest(session, [{"type": "track", "anonymousId": id_, "event": "run", "messageId": id_}], moment)
            return f"SELECT 1 FROM events WHERE message_id = '{id_}'"  # noqa: S608
        if kind == "notifications":
            await session.execute(
                text(
                    "INSERT INTO outbox (id, kind, payload, dedupe, state, attempts, next_at, created_at) "
                    "VALUES (:id, 'slack', '{}', :id, 'sent', 1, :at, :at)"
                ),
                {"id": id_, "at": moment},
            )
            return f"SELECT 1 FROM outbox WHERE id = '{id_}'"  # noqa: S608
        await audit.record(session, "settings", id_, moment)
        return f"SELECT 1 FROM audit_log WHERE actor = '{id_}'"  # noqa: S608


@pytest.mark.parametrize("kind", DAYS)
async def test_it_goes_after_its_days(database: Database, settings: Settings, kind: str) -> None:
    """A day before: kept. A day after: gone. 0 days: kept for ever."""
    days, moment = DAYS[kind], datetime(2001, 1, 1, tzinfo=UTC)
    there = await kept(database, kind, moment)
    for setting, later, stays in ((0, 36_500, True), (days, days - 1, True), (days, days + 1, False)):
        await retention.forget(database, only(settings, kind, setting), moment + timedelta(days=later))
        async with database.read() as session:
            assert ((await session.execute(text(there))).first() is not None) is stays


async def test_what_still_has_to_leave_is_kept(database: Database, settings: Settings) -> None:
    """A notification that waits has not had its time, however old."""
    old = datetime(2001, 1, 1, tzinfo=UTC)
    there = await kept(database, "notifications", old)
    async with database.begin() as session:
        await session.execute(text(there.replace("SELECT 1 FROM outbox", "UPDATE outbox SET state = 'waiting'")))
    await retention.forget(database, only(settings, "notifications", 30), old + timedelta(days=99))
    async with database.begin() as session:
        assert (await session.execute(text(there))).first() is not None
        await session.execute(text(there.replace("SELECT 1 FROM", "DELETE FROM")))


async def test_many_go_in_parts(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one transaction takes."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    moment = datetime(2000, 6, 1, tzinfo=UTC)
    for _ in range(5):
        await kept(database, "conversations", moment)
    gone = await retention.forget(database, only(settings, "conversations", 30), moment + timedelta(days=60))
    assert gone["conversations"] == 5


async def test_tokens_go_when_they_open_nothing(database: Database, settings: Settings) -> None:
    """Expired ones, at once."""
    moment = datetime(2001, 1, 1, tzinfo=UTC)
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=moment)
        await log.mint_token(session, made.id, moment + timedelta(hours=1))
        await log.mint_token(session, made.id, None)
    await retention.forget(database, only(settings, "audit", 0), moment + timedelta(hours=2))
    query = text("SELECT count(*) FROM conversation_tokens WHERE conversation_id = :id")
    async with database.begin() as session:
        assert (await session.execute(query, {"id": made.id})).scalar_one() == 1
        await session.execute(text("DELETE FROM conversations WHERE id = :id"), {"id": made.id})


def test_log_files_are_closed_by_day_and_removed(tmp_path: Path) -> None:
    """While a process goes on writing to its file."""
    today = datetime.now(UTC).date()
    path = tmp_path / "api.log"
    with path.open("ab") as process:
        process.write(b"yesterday\n")
        process.flush()
        logs.close(tmp_path, today, rolled=True)
        process.write(b"today\n")
        process.flush()
    assert path.read_bytes() == b"today\n"
    closed = tmp_path / f"api-{today - timedelta(days=1)}.log"
    assert closed.read_bytes() == b"yesterday\n"
    logs.close(tmp_path, today)
    assert path.read_bytes() == b"today\n"
    logs.forget(tmp_path, today, 0)
    logs.forget(tmp_path, today, 1)
    assert closed.exists()
    logs.forget(tmp_path, today + timedelta(days=1), 1)
    assert not closed.exists()
    assert path.exists()
