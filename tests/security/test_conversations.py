"""Another's conversation: by id, by token, by socket, over every way there is. Forbidden and missing look the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from accounts.records import put_person
from accounts.schemas import PutPerson
from api.identity import sign
from conversations import log
from kit.clock import now
from kit.database import Database
from tests.security.conftest import Door, Identity, bearer

Call = Callable[[Door, str, dict[str, str]], httpx.Response]

CALLS: dict[str, Call] = {
    "show": lambda door, id_, headers: door.get(f"/v1/conversations/{id_}", headers=headers),
    "read": lambda door, id_, headers: door.get(f"/v1/conversations/{id_}/messages", headers=headers),
    "say": lambda door, id_, headers: door.post(
        f"/v1/conversations/{id_}/messages", json={"client_id": "evil", "text": "hello"}, headers=headers
    ),
    "e-mail": lambda door, id_, headers: door.put(
        f"/v1/conversations/{id_}/email", json={"email": "evil@example.com"}, headers=headers
    ),
    "typing": lambda door, id_, headers: door.post(
        f"/v1/conversations/{id_}/frames", json={"type": "typing"}, headers=headers
    ),
    "thumb": lambda door, id_, headers: door.post(
        f"/v1/conversations/{id_}/frames", json={"type": "feedback", "seq": 1, "helpful": False}, headers=headers
    ),
    "sign out": lambda door, id_, headers: door.delete(f"/v1/conversations/{id_}/token", headers=headers),
    "identity": lambda door, id_, headers: door.put(
        f"/v1/conversations/{id_}/identity", json={"identity": "a.b.c"}, headers=headers
    ),
}


def begun(door: Door, token: str | None = None) -> dict[str, Any]:
    answer = door.post("/v1/conversations", json={}, headers=bearer(token) if token else {})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize("call", CALLS)
async def test_by_id(door: Door, identity: Identity, call: str) -> None:
    """A visitor's token, another customer's identity and another's conversation token open nothing, and tell nothing."""
    mine = begun(door, identity("sec-a", "sec-ann"))
    theirs = [begun(door)["token"], identity("sec-b", "sec-bob"), begun(door, identity("sec-b", "sec-bob"))["token"]]
    theirs.append(identity("sec-b", "sec-ann"))  # the same person's id under another account
    theirs.append(identity("sec-a", "sec-bob"))  # a colleague
    for token in theirs:
        forbidden = CALLS[call](door, mine["conversation_id"], bearer(token))
        missing = CALLS[call](door, "cnv_" + "0" * 32, bearer(token))
        assert forbidden.status_code == 404
        assert (forbidden.status_code, forbidden.text) == (missing.status_code, missing.text)
    assert CALLS[call](door, mine["conversation_id"], {}).status_code == 401
    assert (
        len(
            door.get(f"/v1/conversations/{mine['conversation_id']}/messages", headers=bearer(mine["token"])).json()[
                "messages"
            ]
        )
        == 1
    )


async def test_a_token_in_the_address_opens_nothing(door: Door) -> None:
    """Addresses are logged on their way; a token in one would be lying about."""
    mine = begun(door)
    at = f"/v1/conversations/{mine['conversation_id']}"
    assert door.get(at, params={"token": mine["token"]}).status_code == 401


async def test_by_socket(door: Door, identity: Identity) -> None:
    """The socket says that there is no such conversation, and closes without a word of it."""
    mine = begun(door, identity("sec-a", "sec-ann"))
    for token in (begun(door)["token"], identity("sec-b", "sec-bob")):
        address = f"{door.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=0"
        async with connect(address, additional_headers=bearer(token)) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404


async def test_a_socket_cannot_reach_into_another(door: Door) -> None:
    """Marks, ratings and answers to surveys in a frame are of the socket's own conversation, whatever else it names."""
    mine, theirs = begun(door), begun(door)
    address = f"{door.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=1"
    async with connect(address, additional_headers=bearer(mine["token"])) as socket:
        for frame in (
            {"type": "message", "client_id": "x1", "text": "hello", "conversation_id": theirs["conversation_id"]},
            {"type": "feedback", "seq": 1, "helpful": True, "conversation": theirs["conversation_id"]},
            {"type": "read", "seq": 1, "c": theirs["conversation_id"]},
            {"type": "ping"},
        ):
            await socket.send(json.dumps(frame))
        while json.loads(await socket.recv())["type"] != "pong":
            pass
    at = f"/v1/conversations/{theirs['conversation_id']}/messages"
    assert len(door.get(at, headers=bearer(theirs["token"])).json()["messages"]) == 1


async def test_only_its_own_kind_of_frame_is_taken(door: Door) -> None:
    """What only CSMs may do is no frame a customer can send."""
    mine = begun(door)
    address = f"{door.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=1"
    async with connect(address, additional_headers=bearer(mine["token"])) as socket:
        for kind in ("note", "claim", "release", "resolve", "hold", "system", "holder", "transcript"):
            await socket.send(json.dumps({"type": kind, "text": "x", "seq": 1}))
            assert json.loads(await socket.recv())["code"] == "invalid"
        await socket.send(
            json.dumps({"type": "message", "client_id": "c", "text": "hi", "sender": "csm", "name": "Boss"})
        )
        said: dict[str, Any] = {}
        while said.get("client_id") != "c" or said.get("type") != "message":
            said = json.loads(await socket.recv())
    assert (said["sender"], said["name"]) == ("customer", None)


async def test_a_visitors_token_ends_with_the_proof_of_whose_it_became(
    door: Door, known: None, database: Database
) -> None:
    """Once a conversation is a customer's, no token opens it for longer than the customer's own proof holds."""
    mine = begun(door)
    at = f"/v1/conversations/{mine['conversation_id']}"
    proof = sign(door.settings, "sec-a", "sec-ann", now() - timedelta(hours=1), timedelta(hours=1, seconds=-28))
    # Over for a second or two, by our clock; a backend's clock may be off by half a minute.
    assert door.put(f"{at}/identity", json={"identity": proof}, headers=bearer(mine["token"])).status_code == 204
    assert door.get(at, headers=bearer(mine["token"])).status_code == 404
    async with database.begin() as session:
        assert (await log.existing(session, mine["conversation_id"])).person_id == "sec-ann"


Ends = Callable[[Door, str, dict[str, str]], httpx.Response]
ENDS: dict[str, Ends] = {
    "signed out": lambda door, at, token: door.delete(f"{at}/token", headers=token),
    "its proof ended": lambda door, at, token: door.put(
        f"{at}/identity",
        json={"identity": sign(door.settings, "sec-a", "sec-ann", now() - timedelta(hours=1), timedelta(hours=1, seconds=1))},
        headers=token,
    ),
}  # fmt: skip
"""Ways in which what opened a window opens nothing any more, at once or a second later."""


@pytest.mark.parametrize("how", ENDS)
async def test_a_window_ends_with_what_opened_it(door: Door, known: None, how: str) -> None:
    """Who left a page open on another's machine leaves no window on the conversation; that of another token stays."""
    mine = begun(door)
    at = f"/v1/conversations/{mine['conversation_id']}"
    address = f"{door.url.replace('http', 'ws')}{at}/stream?after=1"
    async with connect(address, additional_headers=bearer(mine["token"])) as window:
        await window.send('{"type": "ping"}')
        assert "pong" in str(await window.recv())
        told = await asyncio.to_thread(ENDS[how], door, at, bearer(mine["token"]))
        assert told.status_code == 204
        async with asyncio.timeout(10):
            await window.wait_closed()
    assert window.close_code == 4401


async def test_a_window_of_another_proof_stays(door: Door, identity: Identity) -> None:
    """One signs out on one device."""
    mine = begun(door, identity("sec-a", "sec-ann"))
    at = f"/v1/conversations/{mine['conversation_id']}"
    address = f"{door.url.replace('http', 'ws')}{at}/stream?after=1"
    async with connect(address, additional_headers=bearer(identity("sec-a", "sec-ann"))) as window:
        told = await asyncio.to_thread(door.delete, f"{at}/token", headers=bearer(mine["token"]))
        assert told.status_code == 204
        await window.send('{"type": "message", "client_id": "still", "text": "hello"}')
        async with asyncio.timeout(10):
            while json.loads(await window.recv())["type"] != "ack":
                pass


async def test_a_customers_conversation_never_becomes_anothers(door: Door, identity: Identity) -> None:
    """Who holds its token and another's identity still cannot take it over."""
    mine = begun(door, identity("sec-a", "sec-ann"))
    at = f"/v1/conversations/{mine['conversation_id']}/identity"
    taken = door.put(at, json={"identity": identity("sec-b", "sec-bob")}, headers=bearer(mine["token"]))
    assert taken.status_code == 409


async def test_a_person_is_greeted_in_their_language(door: Door, database: Database, identity: Identity) -> None:
    """Where the page does not say which: what is known of the person, else the company's first."""
    async with database.begin() as session:
        await put_person(session, "sec-ken", PutPerson(account_id="sec-a", name="Ken", lang="ja"), now())
    for person, wanted, lang in (("sec-ken", {}, "ja"), ("sec-ken", {"lang": "en"}, "en"), ("sec-ann", {}, "en")):
        answer = await asyncio.to_thread(
            door.post, "/v1/conversations", json=wanted, headers=bearer(identity("sec-a", person))
        )
        assert answer.json()["lang"] == lang
