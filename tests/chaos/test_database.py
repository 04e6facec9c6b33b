"""A database without connections, that only reads, or whose disk is full; more messages than can be answered; a stop in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect

from kit.database import HANGS_SECONDS, Database
from tests.chaos.front import GUEST, Front, Server, front, small_server, until
from tests.chaos.rasa import GOOD, Rasa, rasa


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A small PostgreSQL of our own."""
    async with small_server(tmp_path_factory.mktemp("small")) as made:
        yield made


@pytest.fixture(scope="module")
async def bot() -> AsyncIterator[Rasa]:
    """In Rasa's place."""
    async with rasa() as made:
        yield made


@pytest.fixture(scope="module")
async def door(server: Server, bot: Rasa, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """A front door on it that answers at most five turns at once."""
    folder = tmp_path_factory.mktemp("front")
    limits = {"KOTAE_TURN_WORKERS": "2", "KOTAE_TURN_BACKLOG": "5", "KOTAE_TURN_BUDGET_SECONDS": "2"}
    async with front(server.url, folder, KOTAE_RASA_PORT=str(bot.port), **limits) as made:
        yield made


def is_honest(answer: httpx.Response) -> None:
    """503, when to come back, and no word of the inside."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "unavailable"
    assert not any(word in answer.text.lower() for word in ("postgres", "sql", "psycopg", "role", "disk", "read-only"))


async def accepted_again(door: Front, conversation: str, client_id: str) -> None:
    """Within seconds after the fault is over, without anybody doing anything."""

    async def accepted() -> bool:
        return (await door.say(conversation, client_id)).status_code == 202

    await until(accepted)


async def once_and_answered(door: Front, conversation: str, *client_ids: str) -> None:
    """The log has each of them once, in order, and as many answers."""

    async def answered() -> bool:
        log = await door.read(conversation)
        return sum(message["sender"] == "bot" for message in log) > len(client_ids)  # the first is the greeting

    await until(answered)
    log = await door.read(conversation)
    assert [message["client_id"] for message in log if message["sender"] == "customer"] == list(client_ids)
    assert sum(message["sender"] == "bot" for message in log) == len(client_ids) + 1


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (f"ALTER ROLE {GUEST} CONNECTION LIMIT 0", f"ALTER ROLE {GUEST} CONNECTION LIMIT -1"),
        (f"ALTER ROLE {GUEST} SET default_transaction_read_only = on", f"ALTER ROLE {GUEST} RESET ALL"),
    ],
    ids=["no connection to spare", "read-only"],
)
async def test_what_cannot_be_stored_is_refused_and_taken_later(
    server: Server, door: Front, breaks: str, mends: str
) -> None:
    """The customer's client hears 503 and when to come back, over REST and over the socket; the socket stays usable."""
    conversation = await door.open()
    server.run(breaks)
    server.disconnect()
    try:
        is_honest(await door.say(conversation, "a"))
        is_honest(await door.http.post("/v1/conversations", json={}))
    finally:
        server.run(mends)
        server.disconnect()
    await accepted_again(door, conversation, "a")
    await once_and_answered(door, conversation, "a")


async def test_an_open_window_outlives_a_database_that_is_away(server: Server, door: Front) -> None:
    """Its message is refused with a time to come back, and taken on the same socket afterwards."""
    conversation = await door.open()
    address = f"{door.url.replace('http', 'ws')}/v1/conversations/{conversation}/stream?after=99"
    frame = json.dumps({"type": "message", "client_id": "a", "text": "hello"})
    async with connect(address, additional_headers=door.proof(conversation), proxy=None) as socket:
        await socket.send(json.dumps({"type": "ping"}))
        assert json.loads(await socket.recv())["type"] == "pong"
        server.run(f"ALTER ROLE {GUEST} SET default_transaction_read_only = on")
        server.disconnect()
        await socket.send(frame)
        refused = await _next(socket, "error")
        assert (refused["code"], refused["client_id"]) == ("unavailable", "a")
        assert refused["retry_after"] >= 1
        server.run(f"ALTER ROLE {GUEST} RESET ALL")
        server.disconnect()
        async with asyncio.timeout(30):
            await socket.send(frame)
            while (await _next(socket, "ack", "error"))["type"] != "ack":
                await asyncio.sleep(0.2)
                await socket.send(frame)
    await once_and_answered(door, conversation, "a")


async def _next(socket: object, *kinds: str) -> dict[str, object]:
    async with asyncio.timeout(20):
        while True:
            frame: dict[str, object] = json.loads(await socket.recv())  # type: ignore[attr-defined]
            if frame["type"] in kinds:
                return frame


async def test_a_standby_takes_nothing_until_it_is_promoted(server: Server, door: Front) -> None:
    """In recovery: what is there can be read by who knows how, nothing is taken, and after the promotion all is as before."""
    conversation = await door.open()
    await accepted_again(door, conversation, "a")
    await server.becomes_standby()
    try:

        async def refused() -> bool:  # the connections of before are noticed to be dead one by one
            answer = await door.say(conversation, "b")
            is_honest(answer)
            return "recovery" in door.log.read_text() or "ReadOnlySqlTransaction" in door.log.read_text()

        await until(refused)
        is_honest(await door.http.post("/v1/conversations", json={}))
    finally:
        server.run("SELECT pg_promote()")
    await accepted_again(door, conversation, "b")
    await once_and_answered(door, conversation, "a", "b")


async def test_a_database_that_hangs_keeps_nobody_waiting(server: Server, door: Front) -> None:
    """Frozen in the middle: who waits is told within seconds, who comes at once; when it goes on everything is taken, once."""
    conversation, other = await door.open(), await door.open()
    address = f"{door.url.replace('http', 'ws')}/v1/conversations/{other}/stream?after=99"
    async with connect(address, additional_headers=door.proof(other), proxy=None) as socket:
        await accepted_again(door, conversation, "a")
        server.freeze()
        try:
            began = time.monotonic()
            await socket.send(json.dumps({"type": "message", "client_id": "a", "text": "hello"}))
            is_honest(await door.say(conversation, "b"))
            refused = await _next(socket, "error")
            assert (refused["code"], refused["client_id"], refused["retry_after"]) == ("unavailable", "a", 2)
            assert time.monotonic() - began < HANGS_SECONDS + 5
            began = time.monotonic()
            is_honest(await door.say(conversation, "b"))
            is_honest(await door.http.post("/v1/conversations", json={}))
            assert (await door.http.get("/readyz")).status_code == 503
            assert time.monotonic() - began < 1
        finally:
            server.thaw()
        await accepted_again(door, conversation, "b")
        await accepted_again(door, other, "a")
    await once_and_answered(door, conversation, "a", "b")
    await once_and_answered(door, other, "a")


async def test_a_slow_statement_is_no_hanging_server(server: Server) -> None:
    """What takes longer than a server may be silent is left alone, as long as the server answers others."""
    database = Database(server.url)
    watching = asyncio.create_task(database.watch())
    try:
        async with database.begin() as session:
            await session.execute(text(f"SELECT pg_sleep({HANGS_SECONDS + 2})"))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await database.close()


async def test_a_full_disk_loses_nothing_that_was_accepted(server: Server, door: Front) -> None:
    """Messages are taken while there is room and refused then; with room again they are taken, and the log is whole."""
    conversation = await door.open()
    filler, taken = server.disk / "filler", []
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * (1 << 16))
    try:
        for number in range(400):
            answer = await door.say(conversation, f"c{number}", "x" * 4000)
            if answer.status_code != 202:
                break
            taken.append(f"c{number}")
        is_honest(answer)
    finally:
        filler.unlink()
    await server.until_up()
    following = f"c{len(taken)}"
    await accepted_again(door, conversation, following)
    await once_and_answered(door, conversation, *taken, following)


async def test_more_than_can_be_answered_is_refused_with_a_time_to_come_back(door: Front, bot: Rasa) -> None:
    """The queue is bounded: beyond it nothing is taken; when it is shorter everything is, and every answer comes."""
    conversations = [await door.open() for _ in range(12)]
    bot.seconds = 1.5
    refused: list[Any] = []
    taken: list[Any] = []
    try:
        async with asyncio.timeout(30):
            while not refused:
                for conversation in conversations:
                    answer = await door.say(conversation, f"c{sum(one == conversation for one in taken)}")
                    (taken if answer.status_code == 202 else refused).append(conversation)
                    if answer.status_code != 202:
                        is_honest(answer)
                        assert answer.headers["Retry-After"] == "5"
                await asyncio.sleep(0.05)
    finally:
        bot.seconds = 0.0
    await accepted_again(door, conversations[0], "last")
    for conversation in conversations:
        count = sum(one == conversation for one in taken)
        sent = [f"c{number}" for number in range(count)] + (["last"] if conversation == conversations[0] else [])
        await once_and_answered(door, conversation, *sent)


async def test_told_to_stop_it_finishes_what_it_holds(server: Server, tmp_path: Path) -> None:
    """A turn that Rasa is at is answered and settled before the process ends; it ends well, and soon."""
    async with rasa() as slow, front(server.url, tmp_path, KOTAE_RASA_PORT=str(slow.port)) as leaving:
        slow.seconds, slow.says = 1.5, [(200, GOOD)]
        conversation = await leaving.open()
        assert (await leaving.say(conversation, "a")).status_code == 202

        async def asked() -> bool:
            return slow.asked > 0

        await until(asked)
        assert await asyncio.to_thread(leaving.stop) in (0, -signal.SIGTERM)
        async with front(server.url, tmp_path, KOTAE_RASA_PORT="1") as coming:
            coming.conversations = leaving.conversations
            log = await coming.read(conversation)
    assert [message["body"].get("text") for message in log if message["sender"] == "bot"][1:] == ["Good."]
