"""What the front door asks of its callers: patience, a known website, short messages. On the real database, in its own process."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from api.identity import sign
from kit.clock import now
from kit.settings import Settings
from tests.widget.front_door import FrontDoor, add_customer

SHOP = "https://shop.example"
CONVERSATION, PERSON, ADDRESS = 4, 6, 9
ADDRESSES = count(1)


@pytest.fixture(scope="module")
async def door(settings: Settings, database_url: str) -> AsyncIterator[FrontDoor]:
    await add_customer(database_url)
    door = FrontDoor(
        settings,
        database_url,
        KOTAE_MESSAGES_PER_MINUTE=str(CONVERSATION),
        KOTAE_PERSON_MESSAGES_PER_MINUTE=str(PERSON),
        KOTAE_ADDRESS_MESSAGES_PER_MINUTE=str(ADDRESS),
        KOTAE_CONVERSATIONS_PER_MINUTE=str(ADDRESS),
        KOTAE_SEARCHES_PER_MINUTE=str(ADDRESS),
        KOTAE_ALLOWED_ORIGINS=json.dumps([SHOP]),
    )
    await asyncio.to_thread(door.start)
    yield door
    await asyncio.to_thread(door.stop)


@pytest.fixture
async def client(door: FrontDoor) -> AsyncIterator[httpx.AsyncClient]:
    # Each test comes from an address of its own: what comes from this machine itself is not counted in development.
    async with httpx.AsyncClient(
        base_url=door.url, headers={"X-Forwarded-For": f"198.51.100.{next(ADDRESSES)}"}
    ) as made:
        yield made


class Talk:
    """A conversation over REST.

    Args:
        headers: of every request, beside its token.
    """

    def __init__(self, client: httpx.AsyncClient, **headers: str) -> None:
        self.client, self.headers = client, headers
        self.id = self.token = ""

    async def start(self, identity: str | None = None, lang: str = "en") -> httpx.Response:
        more = {"Authorization": f"Bearer {identity}"} if identity else {}
        answer = await self.client.post("/v1/conversations", json={"lang": lang}, headers=self.headers | more)
        if answer.is_success:
            self.id, self.token = answer.json()["conversation_id"], answer.json()["token"]
        return answer

    async def say(self, text: str = "Hello", client_id: str | None = None) -> httpx.Response:
        body = {"client_id": client_id or str(uuid.uuid4()), "text": text}
        return await self.ask("POST", "messages", body)

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = self.headers | {"Authorization": f"Bearer {self.token}"}
        return await self.client.request(method, f"/v1/conversations/{self.id}/{path}", json=body, headers=headers)


async def statuses(talk: Talk, number: int) -> list[int]:
    return [(await talk.say()).status_code for _ in range(number)]


async def test_one_conversation_takes_so_many_messages_a_minute(client: httpx.AsyncClient) -> None:
    """At the limit the next is refused in the customer's language, with when to try again; nothing of it is kept."""
    talk = Talk(client)
    await talk.start(lang="ja")
    first = await talk.say("one", client_id="one")
    assert await statuses(talk, CONVERSATION - 1) == [202] * (CONVERSATION - 1)
    refused = await talk.say("too much")
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 60
    assert refused.json()["error"] == {
        "code": "too_many",
        "message": f"短時間に多くのメッセージが送信されました。{wait}秒ほど待ってからお試しください。",
        "hint": "",
    }
    assert (await talk.say("one", client_id="one")).json() == first.json()  # what is there already is told again
    log = (await talk.ask("GET", "messages")).json()["messages"]
    assert "too much" not in [one["body"].get("text") for one in log]
    other = Talk(client)
    await other.start()
    assert (await other.say()).status_code == 202


async def test_one_person_has_one_allowance_in_all_conversations(client: httpx.AsyncClient) -> None:
    who = {"account_id": "widget-acme", "person_id": "widget-amy"}
    identity = (await client.post("/demo/token", json=who)).json()["token"]
    one, two = Talk(client), Talk(client)
    await one.start(identity)
    await two.start(identity)
    assert await statuses(one, 3) == [202] * 3
    assert await statuses(two, 4) == [202, 202, 202, 429]


async def test_one_address_has_an_allowance_of_each_kind(client: httpx.AsyncClient) -> None:
    """Messages, new conversations and searches; a proxy says whose they are; another address has its own."""
    here = {"X-Forwarded-For": "203.0.113.7"}
    talks = [Talk(client, **here) for _ in range(3)]
    for talk in talks:
        await talk.start()
    sent = [await statuses(talk, CONVERSATION - 1) for talk in talks]
    assert sent == [[202] * 3] * 3
    assert (await talks[0].say()).status_code == 429
    for _ in range(ADDRESS - len(talks)):
        assert (await Talk(client, **here).start()).status_code == 201
    assert (await Talk(client, **here).start()).status_code == 429
    assert (await Talk(client, **{"X-Forwarded-For": "203.0.113.8"}).start()).status_code == 201
    # A household of IPv6 has 2^64 addresses, and one allowance.
    six = [Talk(client, **{"X-Forwarded-For": f"2001:db8:1:1::{n:x}"}) for n in range(ADDRESS + 1)]
    assert [(await one.start()).status_code for one in six] == [201] * ADDRESS + [429]


async def test_a_socket_hears_when_to_try_again(door: FrontDoor, client: httpx.AsyncClient) -> None:
    talk = Talk(client)
    await talk.start()
    address = f"{door.url.replace('http', 'ws', 1)}/v1/conversations/{talk.id}/stream"
    headers = {"Authorization": f"Bearer {talk.token}", "X-Forwarded-For": client.headers["X-Forwarded-For"]}
    async with connect(address, additional_headers=headers) as socket:
        for number in range(CONVERSATION + 1):
            await socket.send(json.dumps({"type": "message", "client_id": str(number), "text": "Hello"}))
        async with asyncio.timeout(10):
            while (frame := json.loads(await socket.recv()))["type"] != "error":
                pass
        assert (frame["code"], frame["client_id"]) == ("too_many", str(CONVERSATION))
        assert frame["retry_after"] >= 1
        await socket.send(json.dumps({"type": "ping"}))
        async with asyncio.timeout(10):
            while (frame := json.loads(await socket.recv()))["type"] != "pong":
                pass
        assert frame["seq"] >= CONVERSATION + 1


@pytest.mark.parametrize("origin", [SHOP, None, "own"])
async def test_an_allowed_website_may_talk(door: FrontDoor, client: httpx.AsyncClient, origin: str | None) -> None:
    """Those named in the settings, this server's own pages, and what is no browser."""
    origin = door.url if origin == "own" else origin
    talk = Talk(client, **({"Origin": origin} if origin else {}))
    assert (await talk.start()).status_code == 201
    address = f"{door.url.replace('http', 'ws', 1)}/v1/conversations/{talk.id}/stream"
    headers = {"Authorization": f"Bearer {talk.token}"} | talk.headers
    async with connect(address, additional_headers=headers) as socket, asyncio.timeout(10):
        assert json.loads(await socket.recv())["seq"] == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null"])
async def test_another_website_may_not(door: FrontDoor, client: httpx.AsyncClient, origin: str) -> None:
    """Not even with a token it got hold of: neither by REST, nor by a socket, which browsers would let it open."""
    refused = await Talk(client, Origin=origin).start()
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    assert "KOTAE_ALLOWED_ORIGINS" in refused.json()["error"]["hint"]
    talk = Talk(client)
    await talk.start()
    address = f"{door.url.replace('http', 'ws', 1)}/v1/conversations/{talk.id}/stream"
    headers = {"Authorization": f"Bearer {talk.token}", "Origin": origin}
    async with connect(address, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def test_a_message_has_a_length(client: httpx.AsyncClient) -> None:
    """At the limit it is taken, above it is refused with the reason."""
    talk = Talk(client)
    await talk.start()
    assert (await talk.say("x" * 4000)).status_code == 202
    refused = await talk.say("x" * 4001)
    assert refused.status_code == 422
    assert "4001 characters" in refused.json()["error"]["message"]


async def test_without_a_socket_thumbs_and_read_marks_arrive_too(client: httpx.AsyncClient) -> None:
    talk = Talk(client)
    await talk.start()
    for frame in (
        {"type": "typing"},
        {"type": "read", "seq": 1},
        {"type": "feedback", "seq": 1, "helpful": True},
        {"type": "feedback", "seq": 1, "helpful": False},
    ):
        assert (await talk.ask("POST", "frames", frame)).status_code == 204
    unknown = await talk.ask("POST", "frames", {"type": "feedback", "seq": 99, "helpful": True})
    assert unknown.status_code == 404
    assert (await talk.ask("POST", "frames", {"type": "message", "client_id": "a", "text": "x"})).status_code == 422


async def test_a_token_ends_with_the_log_out(client: httpx.AsyncClient) -> None:
    talk = Talk(client)
    await talk.start()
    assert (await talk.ask("PUT", "identity", {"identity": "not.a.token"})).status_code == 401
    who = {"account_id": "widget-acme", "person_id": "widget-amy"}
    identity = (await client.post("/demo/token", json=who)).json()["token"]
    assert (await talk.ask("PUT", "identity", {"identity": identity})).status_code == 204
    assert (await talk.ask("GET", "messages")).status_code == 200
    assert (await talk.ask("DELETE", "token")).status_code == 204
    assert (await talk.ask("GET", "messages")).status_code == 404


async def test_a_visitors_token_ends_with_the_proof(client: httpx.AsyncClient, settings: Settings) -> None:
    """Once the conversation is a customer's it may not be open for ever to whoever finds the token of before."""
    talk = Talk(client)
    await talk.start()
    identity = sign(settings, "widget-acme", "widget-amy", now(), timedelta(seconds=2))
    assert (await talk.ask("PUT", "identity", {"identity": identity})).status_code == 204
    assert (await talk.ask("GET", "messages")).status_code == 200
    async with asyncio.timeout(10):
        while (await talk.ask("GET", "messages")).status_code == 200:  # noqa: ASYNC110  # another process ends it
            await asyncio.sleep(0.2)
