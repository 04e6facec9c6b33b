"""Ways of not being who one says, over HTTP: identity tokens, turn tokens, and each in the place of the other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from api.identity import sign
from conversations import turns
from conversations.turns import Leased
from kit import postgres, tokens
from kit.clock import now
from kit.settings import Settings, load_settings
from tests.security.conftest import Door, bearer
from tests.support import Customer, Stack

Forge = Callable[[Settings], str]


def claims(**changes: Any) -> dict[str, Any]:
    made = {"sub": "sec-ann", "account_id": "sec-a", "aud": "kotae", "exp": now() + timedelta(hours=1)} | changes
    return {key: value for key, value in made.items() if value is not None}


def signed(settings: Settings, **changes: Any) -> str:
    return jwt.encode(claims(**changes), settings.identity_key, "HS256")


def turn_token(settings: Settings, *, at: datetime | None = None, turn: str = "trn_x", **who: str) -> str:
    owed = Leased(turn, who.get("conversation", "cnv_x"), 1, who.get("account", "sec-a"), who.get("person", "sec-ann"), "en", "hi", None, 1, now())  # fmt: skip
    return turns.sign(owed, settings.signing_key, at or now())


def tampered(settings: Settings) -> str:
    """A good token with another account in it and the old signature."""
    head, _, mac = signed(settings).split(".")
    body = (
        base64.urlsafe_b64encode(json.dumps(claims(account_id="sec-b", exp=4_000_000_000)).encode())
        .decode()
        .rstrip("=")
    )
    return f"{head}.{body}.{mac}"


def by_hand(settings: Settings, algorithm: str, key: bytes, **head: Any) -> str:
    """Signed with HS256 under another name, with whatever else in its head."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    body = claims()
    body["exp"] = int(body["exp"].timestamp())
    message = part({"alg": algorithm, "typ": "JWT", **head}) + b"." + part(body)
    mac = base64.urlsafe_b64encode(hmac.new(key, message, hashlib.sha256).digest()).rstrip(b"=")
    return (message + b"." + mac).decode()


UNKEEPABLE = hashlib.shake_256(b"").hexdigest(1500)
"""Cannot be packed smaller, and is longer than an index holds."""
FORGERIES: dict[str, Forge] = {
    "wrong key": lambda s: jwt.encode(claims(), "x" * 40, "HS256"),
    "empty key": lambda s: by_hand(s, "HS256", b""),
    "no algorithm": lambda s: jwt.encode(claims(), None, "none"),
    "no algorithm, oddly written": lambda s: by_hand(s, "NoNe", b"").rsplit(".", 1)[0] + ".",
    "another HMAC": lambda s: jwt.encode(claims(), s.identity_key, "HS512"),
    "HMAC said to be RSA": lambda s: by_hand(s, "RS256", s.identity_key.encode()),
    "a key of its own in its head": lambda s: by_hand(s, "HS256", b"mine", jwk={"kty": "oct", "k": "bWluZQ"}),
    "a key elsewhere in its head": lambda s: by_hand(s, "HS256", b"mine", jku="http://127.0.0.1:9/jwks", kid="../../dev/null"),
    "tampered": tampered,
    "expired": lambda s: signed(s, exp=now() - timedelta(minutes=2)),
    "not yet valid": lambda s: signed(s, nbf=now() + timedelta(hours=1)),
    "issued in the future": lambda s: signed(s, iat=now() + timedelta(hours=1)),
    "25 hours": lambda s: signed(s, exp=now() + timedelta(hours=25)),
    "no end": lambda s: signed(s, exp=None),
    "an end that is no number": lambda s: signed(s, exp="tomorrow"),
    "an end beyond all clocks": lambda s: signed(s, exp=10**18),
    "other audience": lambda s: signed(s, aud="shop"),
    "an end in quotes": lambda s: signed(s, exp=str(int(now().timestamp()) + 3600)),
    "an end without end": lambda s: signed(s, exp=float("inf")),
    "a person nobody could keep": lambda s: signed(s, sub=UNKEEPABLE),
    "an account nobody could keep": lambda s: signed(s, account_id=UNKEEPABLE),
    "no audience": lambda s: signed(s, aud=None),
    "no person": lambda s: signed(s, sub=None),
    "empty person": lambda s: signed(s, sub=""),
    "no account": lambda s: signed(s, account_id=None),
    "account no word": lambda s: signed(s, account_id={"$ne": ""}),
    "person no word": lambda s: signed(s, sub=["sec-ann"]),
    "NUL in the account": lambda s: signed(s, account_id="sec-a\x00"),
    "a turn token": lambda s: turn_token(s),
    "a parse token": lambda s: tokens.sign({"lang": "en"}, s.signing_key, audience="parse", now=now(), lifetime=timedelta(minutes=1)),
    "signed with the other of our keys": lambda s: jwt.encode(claims(), s.signing_key, "HS256"),
    "not a token": lambda s: "a.b.c",
    "three dots of nothing": lambda s: "..",
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGERIES)
async def test_forged_identities_are_refused(door: Door, known: None, kind: str) -> None:
    """To begin a conversation, to open one, and to take a visitor's over; with one line that gives no secret away."""
    forged = FORGERIES[kind](door.settings)
    visitor = door.post("/v1/conversations", json={}).json()
    at = f"/v1/conversations/{visitor['conversation_id']}"
    answers = [
        door.post("/v1/conversations", json={}, headers=bearer(forged)),
        door.get(at, headers=bearer(forged)),
        door.put(f"{at}/identity", json={"identity": forged}, headers=bearer(visitor["token"])),
    ]
    assert [answer.status_code for answer in answers] in ([401] * 3, [401, 404, 401])
    for answer in answers:
        assert door.settings.identity_key not in answer.text
        assert "Traceback" not in answer.text
    assert door.get(at, headers=bearer(visitor["token"])).json()["known"] is False


async def test_another_account_needs_its_own_token(door: Door, known: None) -> None:
    """A person who is known in one account is nobody in another, whatever the token says."""
    strange = door.post("/v1/conversations", json={}, headers=bearer(signed(door.settings, account_id="sec-none")))
    assert strange.status_code in (201, 404)
    assert "sec-" not in strange.json().get("messages", [{}])[0].get("body", {}).get("text", "")


@pytest.mark.stack
async def test_only_a_turn_token_runs_a_turn(stack: Stack) -> None:
    """At Rasa and at the actions: what is forged, over, of another audience or another conversation, or used up."""
    settings = load_settings(home=stack.home)
    rasa = f"http://127.0.0.1:{stack.ports['rasa']}/webhooks/kotae"
    body = {"conversation": "cnv_x", "text": "Which plan am I on?", "choice": None}
    parse = tokens.sign({}, settings.signing_key, audience="parse", now=now(), lifetime=timedelta(minutes=1))
    forged = {
        "none": "x",
        "identity": sign(settings, "borealis-business", "ann", now(), timedelta(hours=1)),
        "wrong key": tokens.sign(turns_claims(), "y" * 40, audience="turn", now=now(), lifetime=timedelta(minutes=1)),
        "over": turn_token(settings, at=now() - timedelta(minutes=5)),
        "parse": parse,
        "unsigned": jwt.encode(turns_claims() | {"aud": "turn", "exp": now() + timedelta(minutes=1)}, None, "none"),
        "other conversation": turn_token(settings, conversation="cnv_other"),
    }
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        for kind, token in forged.items():
            answer = await client.post(f"{rasa}/turn", json=body, headers=bearer(token))
            assert answer.status_code == 401, kind
        turned = await client.post(f"{rasa}/parse", json={"text": "hi"}, headers=bearer(turn_token(settings)))
        assert turned.status_code == 401
        # A token with our signature whose turn is owed by nobody: Rasa believes it, the actions ask the log.
        invented = await client.post(f"{rasa}/turn", json=body, headers=bearer(turn_token(settings)))
        assert invented.json()["failed"] is True
        assert [one for one in invented.json()["messages"] if one["type"] == "account"] == []


@pytest.mark.stack
async def test_a_turn_token_is_of_no_use_once_its_turn_is_over(stack: Stack) -> None:
    """Replayed at Rasa and at the actions themselves, for the very conversation, turn and account it was made for."""
    settings = load_settings(home=stack.home)
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        assert [body for body in await customer.ask("Which plan am I on?") if body["type"] == "account"]
    with postgres.running(settings) as url, psycopg.connect(url) as connection:
        query = "SELECT t.id, c.account_id, c.person_id FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE c.id = %s"
        row = connection.execute(query, [customer.id]).fetchone()
    assert row is not None
    replayed = turn_token(settings, turn=row[0], conversation=customer.id, account=row[1], person=row[2])
    body = {"conversation": customer.id, "text": "Which plan am I on?", "choice": None}
    latest = {"text": "x", "intent": {"name": "ask_plan"}, "metadata": {"turn_token": replayed, "account": row[1]}}
    call = {
        "next_action": "action_plan",
        "sender_id": customer.id,
        "tracker": {"sender_id": customer.id, "slots": {"account_id": row[1]}, "latest_message": latest, "events": []},
        "domain": {},
    }
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        again = await client.post(
            f"http://127.0.0.1:{stack.ports['rasa']}/webhooks/kotae/turn", json=body, headers=bearer(replayed)
        )
        directly = await client.post(f"http://127.0.0.1:{stack.ports['actions']}/webhook", json=call)
    assert again.json()["failed"] is True
    assert "account" not in [one["type"] for one in again.json()["messages"]]
    assert directly.status_code >= 400
    assert "facts" not in directly.text


def turns_claims() -> dict[str, Any]:
    return {"conversation": "cnv_x", "turn": "trn_x", "account": "sec-a", "person": "sec-ann", "lang": "en"}
