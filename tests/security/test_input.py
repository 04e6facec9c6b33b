"""What no honest client sends: too much, too deep, too slow, half characters. Nothing of it is a fault of ours (5xx)."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from websockets.asyncio.client import connect

from api import bounded
from tests.security.conftest import Door, Identity, bearer
from tests.security.test_conversations import begun

HUGE = 10**400
STRANGE = [
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\r\nX-Evil: 1",
    "\x1b[2J",
    "\u202eevil",
    "﷽" * 300,
    "A" * 100_000,
]


def refused(status: int) -> bool:
    return 400 <= status < 500


@pytest.mark.parametrize("strange", STRANGE, ids=lambda text: repr(text)[:20])
async def test_strange_text_in_every_field(door: Door, key: str, identity: Identity, strange: str) -> None:
    """Taken as text or refused; never a fault, and never a header of the answer."""
    mine = begun(door)
    at = f"/v1/conversations/{mine['conversation_id']}"
    headers = bearer(mine["token"]) | {"content-type": "application/json"}

    def sent(value: object) -> bytes:
        return json.dumps(value).encode()

    answers = [
        door.post("/v1/conversations", content=sent({"page_url": strange, "lang": "en"}), headers=headers | bearer(identity("sec-a", "sec-ann"))),
        door.post(f"{at}/messages", content=sent({"client_id": strange, "text": "x"}), headers=headers),
        door.post(f"{at}/messages", content=sent({"client_id": "c", "text": strange}), headers=headers),
        door.post(f"{at}/messages", content=sent({"client_id": "d", "text": "x", "choice": strange}), headers=headers),
        door.put(f"{at}/email", content=sent({"email": f"a{strange}@example.com"}), headers=headers),
        door.put(f"{at}/identity", content=sent({"identity": strange}), headers=headers),
        door.put("/v1/accounts/sec-strange", content=sent({"name": strange, "attributes": {strange: [strange]}}), headers=headers | bearer(key)),
        door.put("/v1/people/sec-strange", content=sent({"name": strange, "email": strange}), headers=headers | bearer(key)),
        door.post("/v1/track", content=sent({"userId": strange, "event": strange, "properties": {strange: strange}}), headers=headers | bearer(key)),
        door.post("/v1/identify", content=sent({"userId": "u", "traits": {"email": strange, strange: 1}}), headers=headers | bearer(key)),
        door.post("/v1/accounts:import", content=sent({"accounts": [{"id": strange, "name": "x"}]}), headers=headers | bearer(key)),
    ]  # fmt: skip
    assert [answer.text for answer in answers if answer.status_code >= 500] == []
    assert [answer for answer in answers if "x-evil" in answer.headers] == []


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\ufeff", "\u2066", " ", "\r\nBcc: v@e.example"], ids=ascii)
def test_no_address_looks_like_another(door: Door, sign: str) -> None:
    """A CSM reads it and may answer to it: nothing unseen is in it, and nothing that turns its direction; one of any letters is taken."""
    mine = begun(door)
    at, proof = f"/v1/conversations/{mine['conversation_id']}/email", bearer(mine["token"])
    for address in (f"a{sign}b@example.com", f"a@exa{sign}mple.com", f"a@example.co{sign}m"):
        assert door.put(at, json={"email": address}, headers=proof).status_code == 422
    assert door.put(at, json={"email": "アンナ@例え.jp"}, headers=proof).status_code == 204


@pytest.mark.parametrize("path", ["/v1/conversations/%00", "/v1/conversations/%00/messages", "/v1/articles/en/%00", "/v1/conversations/%ff%fe",
                                  "/v1/conversations/a%0d%0aX-Evil:1", "/v1/conversations/" + "a" * 9000, "/demo/%00", "/demo/..%2f..%2fpyproject.toml"])  # fmt: skip
async def test_strange_addresses(door: Door, path: str) -> None:
    """An address that cannot be one is refused."""
    answer = door.get(path, headers=bearer("x" * 43))
    assert refused(answer.status_code) or answer.status_code == 503, answer.text  # no knowledge base runs here
    assert "x-evil" not in answer.headers
    assert "[project]" not in answer.text


@pytest.mark.parametrize("after", ["-1", str(2**31), str(2**63), str(HUGE), "1e3", "NaN"])
async def test_numbers_beyond_any_column(door: Door, after: str) -> None:
    """In the address, in a frame and in a body."""
    mine = begun(door)
    at = f"/v1/conversations/{mine['conversation_id']}"
    assert door.get(f"{at}/messages", params={"after": after}, headers=bearer(mine["token"])).status_code < 500
    async with connect(
        f"{door.url.replace('http', 'ws')}{at}/stream?after=1", additional_headers=bearer(mine["token"])
    ) as line:
        for kind in ("read", "feedback", "survey"):
            await line.send(f'{{"type": "{kind}", "seq": {after}, "helpful": true, "score": {after}}}')
        await line.send('{"type": "ping"}')
        while json.loads(await line.recv())["type"] != "pong":
            pass


async def test_huge_numbers_in_facts(door: Door, key: str) -> None:
    """Numbers that no column and no 64 bits hold."""
    body = f'{{"name": "n", "seats": {HUGE}, "attributes": {{"n": {HUGE}}}}}'
    assert door.put("/v1/accounts/sec-huge", content=body, headers=bearer(key)).status_code < 500
    body = f'{{"name": "n", "attributes": {{"n": {HUGE}, "i": {2**64}, "e": 1e999, "d": NaN}}}}'
    assert door.put("/v1/accounts/sec-huge", content=body, headers=bearer(key)).status_code < 500
    event = f'{{"userId": "u", "event": "e", "properties": {{"quantity": 1e308, "n": {2**70}}}}}'
    assert door.post("/v1/track", content=event, headers=bearer(key)).status_code < 500


LONG = "".join(chr(0x4E00 + number) for number in range(3000))
"""Cannot be packed smaller, and is longer than an index holds."""


@pytest.mark.parametrize("field", ["name", "owner", "plan", "subscription_id"])
def test_no_word_is_too_long_to_be_told_so(door: Door, key: str, field: str) -> None:
    """Kept or refused for good: \"try again\" would have the sender do so for ever."""
    answer = door.put("/v1/accounts/sec-long", json={field: LONG}, headers=bearer(key))
    assert answer.status_code in (204, 422), answer.text
    event = {"type": "group", "userId": "sec-long", "groupId": "sec-long-2", "traits": {field: LONG}}
    assert door.post("/v1/batch", json={"batch": [event]}, headers=bearer(key)).status_code in (200, 422)


DEEP = "[" * 60_000


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/batch", "/v1/track", "/v1/accounts:import"])
@pytest.mark.parametrize(
    "body", [DEEP.encode(), b'{"a":' * 10_000, b"\xff\xfe{", b"", b"nul", b'{"text": "\xed\xa0\x80"}'], ids=range(6)
)
async def test_bodies_that_are_no_json(door: Door, key: str, path: str, body: bytes) -> None:
    """Bottomless, cut off, or no text at all."""
    answer = door.post(path, content=body, headers=bearer(key) | {"content-type": "application/json"})
    assert answer.status_code < 500
    assert path == "/v1/conversations" or refused(answer.status_code)


async def test_frames_that_are_no_frames(door: Door) -> None:
    """The socket says so and stays open."""
    mine = begun(door)
    address = f"{door.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=1"
    async with connect(address, additional_headers=bearer(mine["token"])) as line:
        for frame in (
            DEEP,
            '{"client_id":' * 5000,
            "",
            "null",
            "7",
            '{"type": "message"}',
            '{"type": ["message"]}',
            '"\\ud800"',
            "x" * 70_000,
            b'{"type": "ping"}',
            b"\xff\xfe\x00",
        ):
            await line.send(frame)
            assert json.loads(await line.recv())["type"] == "error"
        await line.send('{"type": "ping"}')
        assert json.loads(await line.recv())["type"] == "pong"


async def test_a_small_body_does_not_unpack_into_a_large_one(door: Door, key: str) -> None:
    """A hundred megabytes of nothing, in a hundred kilobytes; also in many members, and packed twice."""
    bomb = gzip.compress(b" " * 100_000_000, 9)
    for body in (
        bomb,
        bomb[: len(bomb) // 2] + bomb,
        gzip.compress(bomb),
        b"".join([gzip.compress(b" " * 1_000_000)] * 100),
    ):
        began = time.monotonic()
        answer = door.post("/v1/batch", content=body, headers=bearer(key) | {"content-encoding": "gzip"})
        assert answer.status_code == 422
        assert time.monotonic() - began < 5


async def test_a_body_has_a_size(door: Door, key: str) -> None:
    """Said beforehand or found out on the way."""

    async def endless() -> Any:
        for _ in range(200):
            yield b" " * 65_536

    def chunks() -> Any:
        for _ in range(200):
            yield b" " * 65_536

    large = b'{"text": "' + b"x" * 100_000 + b'"}'
    assert door.post("/v1/conversations", content=large).status_code == 413
    for body in (b" " * 6_000_000, chunks()):
        answer = door.post("/v1/batch", content=body, headers=bearer(key))
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize("path", ["PUT /v1/accounts/a", "PUT /v1/people/p", "PUT /v1/tickets/t", "PUT /v1/accounts/a/history", "POST /v1/accounts:import", "POST /v1/batch", "POST /v1/track"])  # fmt: skip
def test_what_nobody_has_proved_is_not_read(door: Door, path: str) -> None:
    """Neither unpacked nor checked, however wrong it is: five megabytes of it would keep everybody else waiting for seconds."""
    method, at = path.split()
    for proof in ({}, bearer("ktk_none"), bearer("x" * 43)):
        for body, packed in (
            (b'{"accounts": [{}]}', {}),
            (b'{"batch": 1}', {}),
            (b"[7", {}),
            (b"no gzip", {"content-encoding": "gzip"}),
        ):
            headers = {"content-type": "application/json"} | proof | packed
            # FastAPI takes a body with a model of its own apart before it asks for proof, no more.
            answer = httpx.request(method, door.url + at, content=body, headers=headers, trust_env=False)
            assert answer.status_code == 401 or (method == "PUT" and body in (b"[7", b"no gzip")), answer.text


async def test_slow_heads_and_endless_heads_are_hung_up_on(door: Door) -> None:
    """A client that never finishes asking holds a connection for ten seconds, and no memory."""
    address = ("127.0.0.1", door.port)
    with socket.create_connection(address) as endless, pytest.raises(ConnectionError):  # noqa: PT012  # at any of them
        endless.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(200):
            endless.sendall(b"x" * 65_536)
    reader, writer = await asyncio.open_connection(*address)
    began = time.monotonic()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    async with asyncio.timeout(bounded.HEAD_SECONDS * 2):
        assert await reader.read() == b""
    assert time.monotonic() - began > bounded.HEAD_SECONDS / 2
    writer.close()


def operations(door: Door) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_url(f"{door.url}/openapi.json", config=SchemathesisConfig())
