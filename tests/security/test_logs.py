"""Log lines: nothing in them opens a door, none of them can be made up from outside, and they are joined by ids."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from escalations import csms
from escalations.csms import CsmEntry
from kit.clock import now
from kit.database import Database
from kit.ids import new_id
from kit.logging import hide
from kit.settings import Settings
from tests.security.conftest import Door, Identity, bearer, front_door
from tests.security.test_conversations import begun

PASSWORD = "zq-a long enough password"
SECRETS = {
    "KOTAE_SLACK_WEBHOOK_URL": "https://127.0.0.1:9/services/zqslacksecret",
    "KOTAE_WEBHOOK_URL": "https://127.0.0.1:9/hook",
    "KOTAE_WEBHOOK_SECRET": "whsec_enF3ZWJob29rc2VjcmV0enF3ZWJob29r",
    "KOTAE_SMTP_URL": "smtp://zquser:zqmailsecret@127.0.0.1:9",
    "KOTAE_OIDC_CLIENT_SECRET": "zqoidcsecret",
    "KOTAE_METRICS_TOKEN": "zqmetricssecret",
}


@pytest.fixture(scope="module")
def talkative(settings: Settings, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A front door that logs all it can, as JSON, with every secret there is to be set."""
    log = tmp_path_factory.mktemp("talkative") / "api.log"
    with front_door(settings, database_url, log, KOTAE_LOG_FORMAT="json", **SECRETS) as made:
        yield made


def lines(path: Path) -> list[dict[str, object]]:
    """Each line is one event."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def until(door: Door, event: str, **wanted: object) -> dict[str, object]:
    """The line of an event, once it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in lines(door.log):
            if line["event"] == event and all(line.get(key) == value for key, value in wanted.items()):
                return line
        time.sleep(0.05)
    raise AssertionError(f"no line {event} {wanted}")


async def test_no_secret_and_no_word_of_a_customer_reaches_the_log(
    talkative: Door, identity: Identity, key: str, database: Database
) -> None:
    """Turns, sockets, sign-ins, keys, refusals and faults, at the highest level of detail; then everything is looked for."""
    email = f"{new_id('zqcsm')}@example.com"
    async with database.begin() as session:
        await csms.add(session, CsmEntry(email=email, name="Zq"), PASSWORD, now())
    proof = identity("sec-a", "sec-ann")
    mine = begun(talkative, proof)
    at, token = f"/v1/conversations/{mine['conversation_id']}", mine["token"]
    words = "zqwords that nobody but a CSM should read"
    talkative.post(f"{at}/messages", json={"client_id": "z1", "text": words}, headers=bearer(token))
    talkative.post(f"{at}/messages", json={"client_id": "z" * 99, "text": words}, headers=bearer(token))
    talkative.put(f"{at}/email", json={"email": "zqmail\x00@example.com"}, headers=bearer(token))
    talkative.put(f"{at}/identity", json={"identity": proof + "x"}, headers=bearer(token))
    talkative.put(
        "/v1/people/zqperson", json={"email": "zqperson@example.com", "name": "Zqname\ud800"[:6]}, headers=bearer(key)
    )
    talkative.put("/v1/people/%00", json={"email": "zqperson@example.com"}, headers=bearer(key))
    talkative.post("/v1/batch", content=b'{"batch": "zqwords', headers=bearer(key))
    talkative.post("/console/sign-in", data={"email": email, "password": PASSWORD})
    talkative.post("/console/sign-in", data={"email": email, "password": "zqwrongpassword"})
    talkative.get("/metrics", headers=bearer(SECRETS["KOTAE_METRICS_TOKEN"]))
    async with connect(
        f"{talkative.url.replace('http', 'ws')}{at}/stream?after=0", additional_headers=bearer(token)
    ) as line:
        await line.send(json.dumps({"type": "message", "client_id": "z2", "text": words}))
        await line.send("zqwords, which are no frame")
        while "error" not in str(await line.recv()):
            pass
    until(talkative, "turn", conversation=mine["conversation_id"])
    written = talkative.log.read_text()
    secrets = [proof, token, key, PASSWORD, "zqwrongpassword", talkative.settings.signing_key, talkative.settings.identity_key, "zqslack", "zqmail",
               "zqoidc", "zqmetrics", SECRETS["KOTAE_WEBHOOK_SECRET"], "zqwords", "zqperson@", "Zqname", "$argon2", "eyJ"]  # fmt: skip
    assert [secret for secret in secrets if secret in written] == []


@pytest.mark.parametrize(
    "forged",
    ["%0a2026-01-01 [error] forged", "%0d%0aforged: 1", "%1b[2J%1b[31mforged", "%e2%80%a8forged", "%00%08forged"],
)
def test_no_address_makes_a_line_of_its_own(talkative: Door, forged: str) -> None:
    """Line breaks and what steers a terminal are written out."""
    before = len(lines(talkative.log))
    talkative.put(f"/v1/people/{forged}", json={"email": "a\ud83d"[:1]}, headers=bearer("ktk_wrong"))
    talkative.get(f"/v1/conversations/{forged}", headers=bearer("x"))
    talkative.get(f"/{forged}")
    new = lines(talkative.log)[before:]
    raw = talkative.log.read_bytes()
    assert [line for line in new if line["process"] != "api"] == []
    assert b"\x1b" not in raw
    assert b"\xe2\x80\xa8" not in raw


def test_lines_of_a_turn_are_joined(talkative: Door) -> None:
    """By conversation and turn, whoever writes them."""
    mine = begun(talkative)
    at = f"/v1/conversations/{mine['conversation_id']}/messages"
    talkative.post(at, json={"client_id": "j", "text": "hello"}, headers=bearer(mine["token"]))
    line = until(talkative, "turn", conversation=mine["conversation_id"])
    assert str(line["turn"]).startswith("trn_")
    assert (line["process"], line["outcome"]) == ("api", "failed")


@pytest.mark.parametrize(
    "secret",
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "ktk_abcdefghijklmnop", "whsec_abcdefgh1234", "$argon2id$v=19$m=65536,t=3,p=4$abc$def", "Bearer abcdefghijklmnop", "basic YWJjZGVmZ2g6"],
)  # fmt: skip
def test_what_opens_a_door_is_hidden_wherever_it_stands(secret: str) -> None:
    """In the middle of a sentence, as in an error of a library."""
    hidden = hide(f"it said {secret!r}, and ended")
    assert secret.split()[-1] not in hidden
    assert hidden.startswith("it said")
    assert hidden.endswith("and ended")


def test_metrics_are_for_who_has_the_token(talkative: Door) -> None:
    """Others find nothing, as if there were nothing."""
    right = talkative.get("/metrics", headers=bearer(SECRETS["KOTAE_METRICS_TOKEN"]))
    assert right.status_code == 200
    assert "kotae_turn_seconds_bucket" in right.text
    for headers in ({}, bearer("wrong"), bearer("zqmetricssecre"), {"Authorization": "Basic zqmetricssecret"}):
        assert talkative.get("/metrics", headers=headers).status_code == 404
