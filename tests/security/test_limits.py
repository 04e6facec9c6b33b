"""Guessing and flooding: counted for each address and each conversation, and said so with when to come back."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api import audit
from api.limits import CONVERSATION_WINDOWS
from escalations import csms
from escalations.csms import CsmEntry
from kit.clock import now
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from tests.chaos.front import until
from tests.security.conftest import SECRETS, Door, bearer, company, front_door
from tests.security.test_conversations import begun

PASSWORD = "a long enough password"
NARROW = {
    "KOTAE_CONVERSATIONS_PER_MINUTE": "5",
    "KOTAE_MESSAGES_PER_MINUTE": "4",
    "KOTAE_SEARCHES_PER_MINUTE": "3",
    "KOTAE_REFUSALS_PER_MINUTE": "10",
    "KOTAE_SIGN_INS_PER_MINUTE": "8",
    "KOTAE_ADDRESS_WINDOWS": "3",
}


@pytest.fixture(scope="module")
def narrow(settings: Settings, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A front door with little patience, behind a load balancer on this machine that says who is asking."""
    log: Path = tmp_path_factory.mktemp("narrow") / "api.log"
    with front_door(settings, database_url, log, **NARROW) as made:
        yield made


def from_(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_guessed_tokens_are_soon_not_even_looked_at(narrow: Door) -> None:
    """Ten wrong ones, then 429 for this address, also where the next were right; others go on."""
    mine = begun(narrow)
    at = f"/v1/conversations/{mine['conversation_id']}"
    seen = [narrow.get(at, headers=bearer(f"guess{n}") | from_("203.0.113.1")).status_code for n in range(14)]
    assert seen == [404] * 10 + [429] * 4
    refused = narrow.get(at, headers=bearer(mine["token"]) | from_("203.0.113.1"))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert narrow.get(at, headers=bearer(mine["token"]) | from_("203.0.113.2")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/accounts/a", "/v1/people/p"])
def test_guessed_keys_too(narrow: Door, path: str) -> None:
    """Of the company's backend."""
    address = from_("203.0.113.3" if "people" in path else "203.0.113.4")
    seen = [narrow.put(path, json={}, headers=bearer(f"ktk_{n}") | address).status_code for n in range(12)]
    assert seen == [401] * 10 + [429] * 2


def test_one_network_of_the_new_kind_counts_as_one(narrow: Door) -> None:
    """A household has 2**64 addresses of IPv6."""
    seen = [
        narrow.get("/v1/conversations/x", headers=bearer("g") | from_(f"2001:db8:1:2::{n:x}")).status_code
        for n in range(12)
    ]
    assert seen[-1] == 429
    assert narrow.get("/v1/conversations/x", headers=bearer("g") | from_("2001:db8:1:3::1")).status_code == 404


def test_conversations_messages_and_searches_are_counted(narrow: Door) -> None:
    """Per address, per conversation, per address."""
    who = from_("203.0.113.5")
    made = [narrow.post("/v1/conversations", json={}, headers=who) for _ in range(7)]
    assert [answer.status_code for answer in made] == [201] * 5 + [429] * 2
    mine = made[0].json()
    at, token = f"/v1/conversations/{mine['conversation_id']}/messages", bearer(mine["token"])
    said = [narrow.post(at, json={"client_id": str(n), "text": "x"}, headers=token | who).status_code for n in range(6)]
    assert said == [202] * 4 + [429] * 2
    found = [narrow.get("/v1/articles", params={"q": "x"}, headers=who).status_code for _ in range(5)]
    assert found[3:] == [429, 429]


async def opened(door: Door, made: dict[str, str], address: str, windows: contextlib.AsyncExitStack) -> int | str:
    """Opens one more window: `ready` where it stands, else the status with which it is refused."""
    at = f"{door.url.replace('http', 'ws')}/v1/conversations/{made['conversation_id']}/stream"
    try:
        proof = bearer(made["token"]) | from_(address)
        window = await windows.enter_async_context(connect(at, additional_headers=proof, proxy=None))
    except InvalidStatus as refused:
        return refused.response.status_code
    assert json.loads(await window.recv())["type"] == "message"
    return "ready"


async def test_windows_that_are_open_at_once_are_counted(narrow: Door) -> None:
    """Per address and per conversation; one that is closed makes room for another."""
    mine = narrow.post("/v1/conversations", json={}, headers=from_("203.0.113.50")).json()
    async with contextlib.AsyncExitStack() as windows:
        seen = [await opened(narrow, mine, "203.0.113.50", windows) for _ in range(4)]
        assert seen == ["ready", "ready", "ready", 403]
        assert await opened(narrow, mine, "203.0.113.51", windows) == "ready"
    async with contextlib.AsyncExitStack() as windows:

        async def room() -> bool:
            return await opened(narrow, mine, "203.0.113.50", windows) == "ready"

        await until(room)
        seen = [await opened(narrow, mine, f"203.0.113.{100 + number}", windows) for number in range(20)]
        assert seen == ["ready"] * (CONVERSATION_WINDOWS - 1) + [403]


async def test_questions_whether_the_line_stands_are_counted(narrow: Door) -> None:
    """Each reads the log: five times as many as messages, and the window stays."""
    mine = narrow.post("/v1/conversations", json={}, headers=from_("203.0.113.60")).json()
    at = f"{narrow.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=99"
    proof = bearer(mine["token"]) | from_("203.0.113.60")
    async with connect(at, additional_headers=proof, proxy=None) as window:
        for _ in range(21):
            await window.send('{"type": "ping"}')
        seen = [json.loads(await window.recv())["type"] for _ in range(21)]
    assert seen == ["pong"] * 20 + ["error"]


async def test_passwords_are_locked_the_same_for_who_is_there_and_who_is_not(narrow: Door, database: Database) -> None:
    """Five wrong ones lock an address, known or not, and take as long: the form does not tell who is a CSM."""
    real, none = f"{new_id('lock')}@example.com", f"{new_id('none')}@example.com"
    async with database.begin() as session:
        await csms.add(session, CsmEntry(email=real, name="Lock"), PASSWORD, now())
    told: dict[str, list[int]] = {}
    took: dict[str, list[float]] = {}
    for number, email in enumerate((real, none)):
        for _ in range(7):
            began = time.monotonic()
            answer = narrow.post(
                "/console/sign-in",
                data={"email": email, "password": "wrong wrong wrong"},
                headers=from_(f"198.51.100.{number}"),
            )
            took.setdefault(email, []).append(time.monotonic() - began)
            told.setdefault(email, []).append(answer.status_code)
    assert told[real] == told[none] == [401] * 5 + [429] * 2
    quick = statistics.median(took[none][:5]) / statistics.median(took[real][:5])
    assert 0.4 < quick < 2.5
    async with database.read() as session:
        actors = {entry.actor for entry in await audit.recent(session)}
    assert real in actors
    assert none not in str(actors)  # it may be a customer's address, or a password in the wrong field
    right = narrow.post("/console/sign-in", data={"email": real, "password": PASSWORD}, headers=from_("198.51.100.9"))
    assert right.status_code == 429


def test_one_address_tries_few_passwords_whoever_it_names(narrow: Door) -> None:
    """A list of addresses and one password."""
    who = from_("198.51.100.77")
    seen = [
        narrow.post(
            "/console/sign-in", data={"email": f"{n}@example.com", "password": "Summer2026!"}, headers=who
        ).status_code
        for n in range(10)
    ]
    assert seen == [401] * 8 + [429] * 2


def test_who_is_behind_is_believed_of_a_proxy_alone(settings: Settings, database_url: str, tmp_path: Path) -> None:
    """A caller that is not a trusted proxy cannot make itself somebody else with each request."""
    more = {
        "KOTAE_TRUSTED_PROXIES": '["192.0.2.1"]',
        "KOTAE_MODE": "production",
        "KOTAE_COMPANY": str(company(tmp_path)),
        "KOTAE_HOME": str(tmp_path / "home"),
    }
    with front_door(settings, database_url, tmp_path / "api.log", **NARROW, **SECRETS, **more) as door:
        seen = [
            door.get("/v1/conversations/x", headers=bearer("g") | from_(f"203.0.113.{n}")).status_code
            for n in range(12)
        ]
        assert seen == [404] * 10 + [429] * 2
        assert door.get("/metrics", headers=from_("127.0.0.1")).status_code == 404
