"""The action server speaks the protocol of rasa-sdk."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request

import kit.database
from actions.server import ACTIONS, Server, create
from kit.settings import Settings
from tests.chaos.front import until
from tests.chaos.silence import line

TRACKER = {
    "sender_id": "x",
    "slots": {},
    "latest_message": {"text": "hello", "metadata": {"turn_token": "secret"}},
    "events": [],
}


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose rooms are closed, so that no turn can be answered."""
    app = create(settings, "postgresql://nobody@127.0.0.1:9/nothing")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://actions") as client:
        yield client


async def test_every_action_is_listed(http: httpx.AsyncClient) -> None:
    """Those of forms, which rasa-sdk runs, too."""
    listed = (await http.get("/actions")).json()
    assert {one["name"] for one in listed} == {*ACTIONS, "validate_callback_form", "action_ask_email"}
    assert (await http.get("/health")).json() == {"status": "ok"}
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/metrics")).text.startswith("# HELP")


@pytest.mark.parametrize("deflated", [False, True])
async def test_an_action_of_a_form_answers_as_rasa_sdk_has_it(http: httpx.AsyncClient, deflated: bool) -> None:
    """Its words and no event; the call may be compressed."""
    tracker = {**TRACKER, "latest_message": {"intent": {"name": "callback"}, "metadata": {"lang": "ja"}}}
    call = orjson.dumps({"next_action": "action_ask_email", "tracker": tracker, "domain": {"forms": {}}})
    headers = {"Content-Encoding": "deflate"} if deflated else {}
    done = await http.post("/webhook", content=zlib.compress(call) if deflated else call, headers=headers)
    assert done.status_code == 200
    assert done.json()["events"] == []
    assert "メール" in done.json()["responses"][0]["custom"]["text"]


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (b"garbage", 400, {"error": "Invalid body request"}),
        (b"[]", 400, {"error": "Invalid body request"}),
        (orjson.dumps({"next_action": "action_x", "tracker": TRACKER}), 404, None),
        (orjson.dumps({"next_action": "action_plan", "tracker": TRACKER}), 500, {"error": "the action failed"}),
        (orjson.dumps({"next_action": "action_plan"}), 500, {"error": "the action failed"}),
        (orjson.dumps({"tracker": TRACKER}), 200, None),
    ],
)
async def test_what_cannot_be_run_is_told_without_the_call(
    http: httpx.AsyncClient, call: bytes, status: int, said: object
) -> None:
    """Rasa hears that it failed; what it sent, the token in it, does not come back."""
    done = await http.post("/webhook", content=call)
    assert done.status_code == status
    assert "secret" not in done.text
    if said is not None:
        assert done.json() == said


async def test_a_database_that_falls_silent_is_left(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections are not closed and answer no more: who waits hears so in time, and what comes is asked over new ones."""
    monkeypatch.setattr(kit.database, "HANGS_SECONDS", 1.0)
    with line(f"{conninfo_to_dict(database_url)['host']}/.s.PGSQL.5432") as wire:
        url = f"postgresql://postgres@127.0.0.1:{wire.port}/kotae"
        server = Server(settings, url)
        async with server.open(None):
            call = Request({"type": "http", "method": "GET", "path": "/readyz", "headers": []})
            assert (await server.readyz(call)).status_code == 200
            wire.fall_silent()
            async with asyncio.timeout(4):
                assert (await server.readyz(call)).status_code == 503

            async def ready() -> bool:
                return bool((await server.readyz(call)).status_code == 200)

            await until(ready, seconds=5)
