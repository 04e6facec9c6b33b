"""The turn runner beside a Rasa that takes the question and never answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from api import app
from api.hub import Hub
from api.runner import TurnRunner
from conversations import log
from conversations.turns import Leased
from kit.clock import now
from kit.database import Database
from kit.http import Http
from kit.settings import load_settings

WORKERS = 2


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port where somebody listens, reads, and says nothing."""

    async def read_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(read_for_ever, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def _leased(database: Database, runner: TurnRunner) -> Leased:
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=now())
        accepted = await log.accept(session, made.id, "c1", "hello", now(), lease=runner.lease or timedelta(seconds=30))
    assert accepted.leased is not None
    return accepted.leased


async def test_a_silent_rasa_costs_its_budget_and_the_customer_is_told(
    database: Database, silent_port: int, tmp_path: Path
) -> None:
    """While all hands are full nobody may lease for this process. Told to stop it finishes what it holds: each turn is settled as failed."""
    settings = load_settings(home=tmp_path, rasa_port=silent_port, turn_workers=WORKERS, turn_budget_seconds=0.5)
    async with Http(settings.rasa_url) as rasa:
        runner = TurnRunner(database, settings, rasa, Hub(database))
        turns = [await _leased(database, runner) for _ in range(WORKERS)]
        for turn in turns:
            assert runner.lease is not None
            runner.answer(turn)
        assert runner.lease is None
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0)  # it begins, finds all hands full, and waits
        running.cancel()
        async with asyncio.timeout(30):
            await asyncio.gather(running, return_exceptions=True)
        assert runner.lease is not None
    for turn in turns:
        async with database.begin() as session:
            messages = await log.history(session, turn.conversation_id)
        assert [message.sender for message in messages] == ["customer", "bot"]
        assert messages[-1].body.type == "choices"
        assert [choice.id for choice in messages[-1].body.choices] == ["human"]


async def test_a_loop_that_something_ends_begins_again() -> None:
    """Whatever it was; told to stop it stops."""
    begun = asyncio.Queue[int]()

    async def loop() -> None:
        begun.put_nowait(begun.qsize())
        if begun.qsize() == 1:
            raise RuntimeError("nobody thought of this")
        await asyncio.Event().wait()

    running = asyncio.create_task(app.kept(loop))
    async with asyncio.timeout(10):
        while begun.qsize() < 2:  # noqa: ASYNC110  # it is the queue that is looked at
            await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
