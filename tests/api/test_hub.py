"""What is told of the log reaches whoever waits, from this process at once and from others by PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

import kit.database
from api.hub import RESYNC, Hub
from conversations import log
from conversations.models import Conversation
from kit.clock import now
from kit.database import Database, driver_url
from tests.chaos.silence import line

SECONDS = 15


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Hub]:
    """A process's hub, connected."""
    hub = Hub(database)
    task = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(SECONDS):
            await hub.listening.wait()
        yield hub
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def begun(database: Database) -> Conversation:
    async with database.begin() as session:
        return await log.start(session, lang="en", now=now())


async def test_what_a_process_wrote_is_handed_out_once(database: Database) -> None:
    """With its messages unless PostgreSQL's echo is quicker, which is left aside otherwise; what others wrote is not."""
    made = await begun(database)
    async with listening(database) as ours, listening(database) as theirs, asyncio.timeout(SECONDS):
        with ours.conversation(made.id) as here, theirs.conversation(made.id) as there:
            first = await log.accept(database, made.id, "c1", "one", now(), lease=timedelta(minutes=1))
            ours.tell(first.event, first.said)
            event = await here.get()
            assert event["seq"] == 1
            assert event.get("said", first.said) == first.said
            assert (await there.get())["seq"] == 1
            second = await log.accept(database, made.id, "c2", "two", now())
            assert "said" not in (event := await here.get())
            assert event["seq"] == second.seq == 2
            assert (await there.get())["seq"] == 2


async def test_the_messages_go_with_what_is_told() -> None:
    """A window of the process that wrote them reads nothing again."""
    hub = Hub(Database("postgresql://unused"))
    said = [{"seq": 1, "sender": "customer", "body": {"type": "text", "text": "one"}}]
    with hub.conversation("cnv_told") as here:
        hub.tell('{"c": "cnv_told", "seq": 1}', said)
        assert here.get_nowait() == {"c": "cnv_told", "seq": 1, "said": said}


async def test_a_turn_nobody_works_on_wakes_the_runner(database: Database) -> None:
    """One that its accepter has leased does not."""
    made = await begun(database)
    hub = Hub(database)
    first = await log.accept(database, made.id, "c1", "one", now(), lease=timedelta(minutes=1))
    hub.tell(first.event, first.said)
    assert not hub.owed.is_set()
    second = await log.accept(database, made.id, "c2", "two", now(), lease=timedelta(minutes=1))
    hub.tell(second.event, second.said)
    assert hub.owed.is_set()


async def test_who_falls_behind_is_told_to_read_everything(database: Database) -> None:
    """A socket that takes nothing for a thousand events gets one word instead of them."""
    hub = Hub(database)
    with hub.conversation("cnv_slow") as waiting:
        for number in range(1001):
            hub.tell(f'{{"c": "cnv_slow", "seq": {number}}}', [])
        assert [waiting.get_nowait() for _ in range(waiting.qsize())] == [RESYNC]


async def test_a_lost_connection_is_made_again_and_everyone_reads_anew(database: Database) -> None:
    """The server ended it, as in a restart: what was told meanwhile is in the log."""
    made = await begun(database)
    async with listening(database) as hub, asyncio.timeout(SECONDS):
        with hub.conversation(made.id) as waiting:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN kotae'"
            async with database.begin() as session:
                await session.execute(text(ended))
            assert await waiting.get() == RESYNC
            assert hub.listening.is_set()
            await log.accept(database, made.id, "c1", "one", now())
            assert (await waiting.get())["seq"] == 1


async def test_a_line_that_falls_silent_is_noticed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window would hear nothing more, and nobody that it is so: it is told to read again, and hears what comes afterwards."""
    monkeypatch.setattr(kit.database, "HANGS_SECONDS", 1.0)
    made = await begun(database)
    with line(f"{conninfo_to_dict(driver_url(database.url))['host']}/.s.PGSQL.5432") as wire:
        over = Database(f"postgresql://postgres@127.0.0.1:{wire.port}/kotae")
        watching = asyncio.create_task(over.watch())
        try:
            async with listening(over) as hub, asyncio.timeout(SECONDS):
                with hub.conversation(made.id) as here:
                    wire.fall_silent()
                    assert await here.get() == RESYNC
                    accepted = await log.accept(database, made.id, "c1", "one", now())
                    assert (await here.get())["seq"] == accepted.seq
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await over.close()
