"""When a process dies, the customer is told the truth, and it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import psycopg
import pytest

from conversations import turns
from kit import postgres
from kit.clock import now
from kit.settings import load_settings
from tests.chaos.front import until
from tests.support import Customer, Stack

pytestmark = pytest.mark.stack


async def test_rasa_dies_and_comes_back(stack: Stack) -> None:
    """Killed without warning: the message is kept, the failure is said plainly, and later messages are answered."""
    async with Customer(stack) as visitor:
        os.kill(stack.pid("rasa"), signal.SIGKILL)
        bodies = await visitor.ask("How do I change my plan?", seconds=30)
        assert bodies[0]["type"] in ("choices", "answer")
        await asyncio.to_thread(stack.until_ready)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"


async def test_the_knowledge_base_dies_and_comes_back(stack: Stack) -> None:
    """Without it the bot still understands and says that it cannot look things up; afterwards it answers again."""
    async with Customer(stack) as visitor:
        os.kill(stack.pid("knowledge_base"), signal.SIGKILL)
        bodies = await visitor.ask("How do I change my plan?", seconds=30)
        assert bodies[-1]["type"] in ("choices", "answer")
        await asyncio.to_thread(stack.until_ready)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"


async def test_the_front_door_dies_and_comes_back(stack: Stack) -> None:
    """What it had acknowledged is answered after the restart, once."""
    async with Customer(stack) as visitor:
        await visitor.send("How do I change my plan?")
        ack = await visitor.frame(type="ack")
        os.kill(stack.pid("api"), signal.SIGKILL)
        await asyncio.to_thread(stack.until_ready)
        await visitor.connect(after=ack["seq"])
        await visitor.message("bot", seconds=40)
        answers = [message for message in await visitor.log(after=ack["seq"]) if message["sender"] == "bot"]
    assert len(answers) == 1


def kill_database(stack: Stack) -> None:
    """Ends PostgreSQL with all its processes: what none of them has written yet is lost."""
    postmaster = int((stack.home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    for each in [psutil.Process(postmaster), *psutil.Process(postmaster).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


async def test_postgresql_dies_and_comes_back(stack: Stack) -> None:
    """Killed without warning with all its processes: `kotae up` starts it again, and what was acknowledged is answered once."""
    async with Customer(stack) as visitor:
        await visitor.send("How do I change my plan?")
        ack = await visitor.frame(type="ack")
        kill_database(stack)
        await asyncio.to_thread(stack.until_ready)
        await visitor.disconnect()
        await visitor.connect(after=ack["seq"])
        await visitor.message("bot", seconds=40)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"
        log = await visitor.log()
    assert [message["seq"] for message in log] == list(range(1, len(log) + 1))
    assert [message["sender"] for message in log if message["seq"] > ack["seq"]].count("bot") == 2


async def test_a_turn_that_reaches_rasa_late_is_not_remembered_behind_later_ones(stack: Stack) -> None:
    """As one does that a frozen Rasa took and goes on with when another has answered it and others since."""
    settings = load_settings(home=stack.home)
    with postgres.running(settings) as url:
        pass  # the stack's own processes keep it running
    async with Customer(stack) as visitor:
        for words in (FIRST, SECOND, "hello"):
            await visitor.ask(words)
        ((turn, seq),) = run(
            url, "SELECT id, seq FROM turns WHERE conversation_id = %s ORDER BY seq LIMIT 1", [visitor.id]
        )
        leased = turns.Leased(turn, visitor.id, seq, None, None, "en", FIRST, None, 1, now())
        await to_rasa(stack, leased, turns.sign(leased, settings.signing_key, now(), asked=1))
        assert remembered(url, visitor.id) == [FIRST, SECOND, "hello"]
        await visitor.ask("thanks")
        assert remembered(url, visitor.id) == [FIRST, SECOND, "hello", "thanks"]


async def to_rasa(stack: Stack, turn: turns.Leased, token: str) -> None:
    """Asks Rasa for a turn, as the front door does."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        done = await http.post(
            f"http://127.0.0.1:{stack.ports['rasa']}/webhooks/kotae/turn",
            json={"conversation": turn.conversation_id, "text": turn.text, "choice": None},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert done.status_code == 200, done.text


@pytest.fixture
def without_new_connections(stack: Stack) -> Iterator[Callable[[], None]]:
    """Cuts Rasa off from its database, whose other users keep the connections they have; called again, or in the end, it lets it back."""
    with postgres.running(load_settings(home=stack.home)) as url:
        pass  # the stack's own processes keep it running
    name = urlsplit(url).path.lstrip("/")
    admin = urlunsplit(urlsplit(url)._replace(path="/template1"))
    allowed = itertools.cycle((False, True))

    def change() -> None:
        run(admin, f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {next(allowed)}')
        run(admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'kotae-rasa'")

    yield change
    run(admin, f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


async def test_a_rasa_without_its_database_is_asked_again_and_forgets_nothing(
    stack: Stack, without_new_connections: Callable[[], None]
) -> None:
    """It does not take a conversation that it cannot read for one that has just begun."""
    with postgres.running(load_settings(home=stack.home)) as url:
        pass  # the stack's own processes keep it running
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        await customer.ask(FIRST)
        log = stack.home / "logs" / "rasa.log"
        said = log.stat().st_size
        without_new_connections()
        await customer.send(SECOND)
        await until(partial(asyncio.to_thread, lambda: b"the database is away" in log.read_bytes()[said:]))
        without_new_connections()
        assert (await customer.message("bot", seconds=10))["body"]["type"] != "choices"
        assert remembered(url, customer.id) == [FIRST, SECOND]


def waiting(port: int) -> int:
    """Bytes that wait to be read by whoever serves that port of loopback, by Linux's own account of its sockets."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(fields[4].partition(":")[2], 16) for fields in lines if int(fields[1].partition(":")[2], 16) == port)


async def test_a_turn_whose_answer_was_lost_is_run_again_from_where_it_began(stack: Stack) -> None:
    """Rasa has answered and remembers it, and the front door dies before it has heard: the address is not asked for what it was said."""
    with postgres.running(load_settings(home=stack.home)) as url:
        pass  # the stack's own processes keep it running
    said = ["Please call me back, I want to leave my contact details", "kenta@example.com"]
    async with Customer(stack) as visitor:
        await visitor.ask(said[0])
        rasa, front_door = psutil.Process(stack.pid("rasa")), psutil.Process(stack.pid("api"))
        rasa.suspend()
        await visitor.send(said[1])
        ack = (await visitor.frame(type="ack"))["seq"]
        await until(partial(asyncio.to_thread, lambda: waiting(stack.ports["rasa"]) > 0))
        front_door.suspend()
        rasa.resume()
        await until(partial(asyncio.to_thread, lambda: remembered(url, visitor.id) == said))
        front_door.kill()
        await asyncio.to_thread(stack.until_ready)
        await visitor.disconnect()
        await visitor.connect(after=ack)
        assert said[1] in (await visitor.message("bot", seconds=40))["body"]["text"]
    assert remembered(url, visitor.id) == said
    assert run(url, "SELECT attempts FROM turns WHERE conversation_id = %s ORDER BY seq", [visitor.id]) == [(1,), (2,)]


@pytest.fixture
def hasty(stack: Stack) -> Iterator[str]:
    """URL of the stack's database, which writes a commit that does not wait for the disk only with the next one that does, or after 10 s."""
    with postgres.running(load_settings(home=stack.home)) as url:
        pass  # the stack's own processes keep it running
    run(url, "ALTER SYSTEM SET wal_writer_delay = '10s'")
    run(url, "SELECT pg_reload_conf()")
    yield url
    run(url, "ALTER SYSTEM RESET wal_writer_delay")
    run(url, "SELECT pg_reload_conf()")


def run(url: str, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
    """One statement that does not wait for the disk, on a connection of its own."""
    with psycopg.connect(url, autocommit=True, options="-c synchronous_commit=off") as connection:
        found = connection.execute(statement, values)  # constants of this file
        return found.fetchall() if found.description else []


def remembered(url: str, conversation: str) -> list[str]:
    """What the customer said, as far as Rasa remembers it."""
    parts = run(
        url,
        "SELECT events FROM rasa.rasa_trackers WHERE sender_id = %(id)s "
        "UNION ALL (SELECT events FROM rasa.rasa_tracker_turns WHERE sender_id = %(id)s ORDER BY version)",
        {"id": conversation},
    )
    return [event["text"] for (part,) in parts for event in json.loads(part) if event["event"] == "user"]


FIRST, SECOND = "How do I invite a colleague to my workspace?", "Which plan am I on?"


async def test_a_crash_takes_nothing_that_was_answered(stack: Stack, hasty: str) -> None:
    """Of commits that do not wait for the disk too: Rasa's memory and the notes of the actions are there for every answer a customer saw, and
    what was under way is done again."""
    identity = await stack.token("acme-starter", "acme-amy")
    async with contextlib.AsyncExitStack() as doors:
        customers = [await doors.enter_async_context(Customer(stack, identity)) for _ in range(6)]
        await asyncio.gather(*(one.ask(FIRST, seconds=60) for one in customers))
        run(hasty, "CREATE TABLE lost (what text)")
        for one in customers:
            await one.send(SECOND)
        acks = [(await one.frame(type="ack", seconds=60))["seq"] for one in customers]
        await customers[0].message("bot", seconds=60)
        front_door = psutil.Process(stack.pid("api"))
        front_door.suspend()  # whose commits would write this one as well
        run(hasty, "INSERT INTO lost VALUES ('by a crash')")
        kill_database(stack)
        front_door.resume()
        await asyncio.to_thread(stack.until_ready)
        assert run(hasty, "SELECT * FROM lost") == [], "the crash must be able to take something"
        run(hasty, "DROP TABLE lost")
        for one, ack in zip(customers, acks, strict=True):
            seen = {frame["seq"]: frame["body"] for frame in one.frames if frame["type"] == "message"}
            await one.disconnect()
            await one.connect(after=ack)
            await one.message("bot", seconds=60)
            log = await one.log()
            assert seen.items() <= {message["seq"]: message["body"] for message in log}.items()
            assert [message["seq"] for message in log] == list(range(1, len(log) + 1))
            asked = [message["body"]["text"] for message in log if message["sender"] == "customer"]
            assert asked == [FIRST, SECOND]
            settled = run(
                hasty, "SELECT outcome, intent IS NOT NULL FROM turns WHERE conversation_id = %s ORDER BY seq", [one.id]
            )
            assert settled[0] == ("answered", True)
            assert settled[1] in [("answered", True), ("failed", False)]
            answered = [words for words, (outcome, _) in zip(asked, settled, strict=True) if outcome == "answered"]
            assert set(answered) <= set(remembered(hasty, one.id))
            assert run(hasty, "SELECT count(*) FROM turns WHERE conversation_id = %s", [one.id]) == [(2,)]
