"""Slow and wrong neighbours: the customer is told the truth, soon, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api import runner as module
from api.hub import Hub
from api.runner import TurnRunner
from conversations import log, repository, turns
from conversations.turns import Leased
from kit.clock import now
from kit.database import Database
from kit.errors import Unavailable
from kit.http import Http
from kit.settings import load_settings
from knowledge_base.client import KnowledgeBase
from tests.chaos.front import front, until
from tests.chaos.rasa import GOOD, Rasa, rasa
from tests.support import free_ports

BUDGET = 1.0
UNUSABLE = {
    "empty": (200, json.dumps({"messages": []})),
    "failed": (200, json.dumps({"messages": [{"type": "text", "text": "half"}], "failed": True})),
    "no json": (200, "<html>nginx</html>"),
    "another object": (200, "[]"),
    "unknown body": (200, json.dumps({"messages": [{"type": "malware", "text": "x"}]})),
    "crash": (500, "{}"),
    "silence": None,
}


@pytest.fixture
async def bot() -> AsyncIterator[Rasa]:
    """In Rasa's place."""
    async with rasa() as made:
        yield made


@pytest.fixture
async def runner(database: Database, bot: Rasa, tmp_path: Path) -> AsyncIterator[TurnRunner]:
    """A turn runner beside it, with a budget of a second."""
    settings = load_settings(home=tmp_path, rasa_port=bot.port, turn_workers=8, turn_budget_seconds=BUDGET)
    async with Http(settings.rasa_url) as client:
        yield TurnRunner(database, settings, client, Hub(database))


async def turn_of(database: Database) -> Leased:
    """A turn that is owed, and ours."""
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=now())
        accepted = await log.accept(session, made.id, "c1", "hello", now(), lease=timedelta(seconds=30))
    assert accepted.leased is not None
    return accepted.leased


async def answered(database: Database, runner: TurnRunner, turn: Leased) -> list[str]:
    """Types of what the customer reads in the end."""
    runner.answer(turn)
    async with asyncio.timeout(20):
        while True:
            async with database.begin() as session:
                found = await log.history(session, turn.conversation_id)
            if len(found) > 1:
                return [message.body.type for message in found[1:]]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", UNUSABLE)
async def test_whatever_rasa_answers_the_customer_is_told(
    database: Database, runner: TurnRunner, bot: Rasa, how: str
) -> None:
    """Late, empty or nonsense: within the budget the customer reads that it did not work, and is offered a person."""
    bot.says = [UNUSABLE[how]]
    began = time.monotonic()
    assert await answered(database, runner, await turn_of(database)) == ["choices"]
    assert time.monotonic() - began < BUDGET + 2


async def test_a_rasa_that_drips_is_late(database: Database, runner: TurnRunner, bot: Rasa) -> None:
    """The budget is for the whole answer, not for each byte of it."""
    bot.drips = True
    began = time.monotonic()
    assert await answered(database, runner, await turn_of(database)) == ["choices"]
    assert time.monotonic() - began < BUDGET + 2


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_load_balancer_without_a_rasa_is_asked_again(
    database: Database, runner: TurnRunner, bot: Rasa, status: int
) -> None:
    """The process behind it may be coming back: within the budget that is worth another try."""
    bot.says = [(status, "nobody there"), (200, GOOD)]
    assert await answered(database, runner, await turn_of(database)) == ["text"]
    assert bot.asked == 2


async def test_a_rasa_that_hangs_is_left_alone_for_a_while(database: Database, runner: TurnRunner, bot: Rasa) -> None:
    """After five turns without an answer nobody waits for the sixth; one turn tries later, and all is well."""
    bot.says = [None]
    hanging = [await turn_of(database) for _ in range(module._FAILURES)]
    assert {tuple(one) for one in await asyncio.gather(*(answered(database, runner, turn) for turn in hanging))} == {
        ("choices",)
    }
    asked, began = bot.asked, time.monotonic()
    assert await answered(database, runner, await turn_of(database)) == ["choices"]
    assert time.monotonic() - began < BUDGET
    assert bot.asked == asked
    bot.says = [(200, GOOD)]
    async with asyncio.timeout(module._REST_SECONDS + 5):
        while await answered(database, runner, await turn_of(database)) != ["text"]:
            pass
    assert await answered(database, runner, await turn_of(database)) == ["text"]


async def test_a_knowledge_base_that_hangs_costs_a_moment_once() -> None:
    """Five calls wait for it, those after them do not; when it answers again it is asked again."""
    async with rasa() as hanging, KnowledgeBase(f"http://127.0.0.1:{hanging.port}") as client:
        hanging.says = [None]

        async def ask() -> float:
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await client.embed(["hello"])
            return time.monotonic() - began

        await asyncio.gather(*(ask() for _ in range(5)))
        asked = hanging.asked
        assert max([await ask() for _ in range(5)]) < 0.5
        assert hanging.asked == asked
        hanging.says = [(200, "{}")]
        async with asyncio.timeout(10):
            while hanging.asked == asked:
                await ask()


async def test_a_knowledge_base_that_answers_nonsense_is_away() -> None:
    """It is not taken for an answer, and does not crash the turn."""
    async with rasa() as other, KnowledgeBase(f"http://127.0.0.1:{other.port}") as client:
        for body in ("<html>", "{}", "[]", '{"vectors": "x"}'):
            other.says = [(200, body)]
            with pytest.raises(Unavailable):
                await client.embed(["hello"])


async def test_it_is_said_in_time_who_does_not_answer(database_url: str, bot: Rasa, tmp_path: Path) -> None:
    """Ready is who could answer a message: not with a Rasa that drips, actions that refuse and a knowledge base that hangs. Alive it is all the while."""
    (nobody,) = free_ports(1)
    async with rasa() as hanging:
        hanging.says, bot.drips = [None], True
        ports = {"rasa": bot.port, "actions": nobody, "knowledge_base": hanging.port}
        settings = {f"KOTAE_{name.upper()}_PORT": str(port) for name, port in ports.items()}
        async with front(database_url, tmp_path, **settings) as door:

            async def listening() -> bool:
                return bool((await door.http.get("/readyz")).json()["checks"]["listening"])

            await until(listening)
            began = time.monotonic()
            told = await door.http.get("/readyz")
            assert time.monotonic() - began < 3
            assert (told.status_code, told.json()["ready"]) == (503, False)
            assert told.json()["checks"] == {"database": True, "listening": True, **dict.fromkeys(ports, False)}
            assert (await door.http.get("/healthz")).status_code == 200
            bot.drips = False
            assert (await door.http.get("/readyz")).json()["checks"]["rasa"]


async def test_a_turn_whose_clock_was_put_back_is_not_owed_for_an_hour(database: Database) -> None:
    """Leased by a clock that was an hour ahead, it is free; one leased by a neighbour whose clock is a little ahead is not."""
    lifetime = timedelta(seconds=15)
    for ahead, free in ((timedelta(hours=1), True), (timedelta(seconds=30), False)):
        async with database.begin() as session:
            made = await log.start(session, lang="en", now=now())
            moment = datetime(2001, 1, 1, tzinfo=UTC)  # the oldest turn is leased first
            accepted = await log.accept(session, made.id, "c1", "hello", moment, lease=lifetime)
            assert accepted.leased is not None
            turn = await repository.turn(session, accepted.leased.id)
            assert turn is not None
            turn.leased_until = now() + lifetime + ahead
        async with database.begin() as session:
            found = await turns.lease(session, now(), lifetime)
            assert (found is not None and found.id == accepted.leased.id) == free
            await session.rollback()
        async with database.begin() as session:
            await log.settle(session, accepted.leased.id, [], "failed", now())


async def test_a_token_of_a_machine_whose_clock_is_ahead_holds() -> None:
    """Twenty seconds are no reason to refuse a turn."""
    key = "k" * 32
    turn = Leased("trn_1", "cnv_1", 1, None, None, "en", "hello", None, 1, now())
    assert turns.verify(turns.sign(turn, key, now() + timedelta(seconds=20)), key).turn_id == "trn_1"
