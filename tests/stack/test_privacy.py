"""Forgetting over HTTP, after a real conversation: a dump of the database and the logs of every process hold nothing of them."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from kit import postgres
from kit.settings import load_settings
from tests.chaos.front import until
from tests.support import Customer, Stack

pytestmark = pytest.mark.stack
ACCOUNT, PERSON = "zqp-account", "zqp-person"
MARKS = (PERSON, "Zqpname", "zqp@mail.example", "zqpwords", "zqpattribute", "zqpevent")
"""Everything by which the person is known: id, name, address, what they wrote, what is known of them and what they did."""


def dump(stack: Stack) -> str:
    """Every row of every table of every schema, as COPY writes it."""
    parts: list[bytes] = []
    with postgres.running(load_settings(home=stack.home)) as url, psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))) as copy:
                parts += [bytes(row) for row in copy]
    assert len(tables) > 25
    return b"".join(parts).decode().lower()


async def told(stack: Stack, conversation: str) -> None:
    """Waits until every notification of the conversation has left: until then each look at what is kept sees another state."""
    waiting = "SELECT count(*) FROM outbox WHERE payload ->> 'conversation' = %s AND state = 'waiting'"
    with postgres.running(load_settings(home=stack.home)) as url, psycopg.connect(url, autocommit=True) as connection:
        await until(partial(asyncio.to_thread, lambda: connection.execute(waiting, [conversation]).fetchone() == (0,)))


def logged(home: Path) -> str:
    """What every process logged, PostgreSQL and `kotae up` too."""
    paths = [*(home / "logs").glob("*"), home / "postgres" / "log", home / "up.log"]
    return "\n".join(path.read_text() for path in paths).lower()


async def lived(stack: Stack, backend: httpx.AsyncClient) -> str:
    """A person who came, talked, rated, left an address, and asked for a human. Returns the conversation."""
    assert (
        await backend.put(f"/v1/accounts/{ACCOUNT}", json={"name": "Zqpcorp", "plan": "pro", "seats": 5})
    ).status_code == 204
    said = {"account_id": ACCOUNT, "name": "Zqpname", "email": "zqp@mail.example", "attributes": {"x": "zqpattribute"}}
    assert (await backend.put(f"/v1/people/{PERSON}", json=said)).status_code == 204
    did = {"userId": PERSON, "event": "run", "properties": {"of": "zqpevent"}, "context": {"groupId": ACCOUNT}}
    assert (await backend.post("/v1/track", json=did)).status_code == 200
    async with Customer(stack, await stack.token(ACCOUNT, PERSON)) as customer:
        await customer.ask("How do I invite a colleague, zqpwords?")
        await customer.ask("Which plan am I on, zqpwords?")
        await customer.raw({"type": "feedback", "seq": (await customer.log())[-1]["seq"], "helpful": False})
        left = await backend.put(
            f"/v1/conversations/{customer.id}/email",
            json={"email": "zqp@mail.example"},
            headers={"Authorization": f"Bearer {customer.token}"},
        )
        assert left.status_code == 204
        await customer.ask("I want to cancel my subscription, zqpwords, get me a human")
        await customer.raw({"type": "ping"})
        await customer.frame(type="pong")
    return customer.id


@pytest.mark.parametrize("kind", ["people", "accounts"])
async def test_forgetting_over_http_leaves_nothing(stack: Stack, kind: str) -> None:
    """With the key for it alone; it is exported first, and then gone from every table, Rasa's memory, and was never in a log."""
    keys = {}
    for scope in ("accounts", "events", "export", "erase"):
        keys[scope] = (await stack.run("key", "add", f"privacy {kind} {scope}", "--scope", scope)).stdout.strip()
    both = (await stack.run("key", "add", f"privacy {kind}", "--scope", "accounts", "--scope", "events")).stdout.strip()
    async with httpx.AsyncClient(
        base_url=stack.url, headers={"Authorization": f"Bearer {both}"}, timeout=30
    ) as backend:
        conversation = await lived(stack, backend)
        await told(stack, conversation)
        before = await asyncio.to_thread(dump, stack)
        assert [mark for mark in (*MARKS, conversation) if mark.lower() not in before] == []
        subject = ("--person", PERSON) if kind == "people" else ("--account", ACCOUNT)
        at = f"/v1/{kind}/{PERSON if kind == 'people' else ACCOUNT}"
        printed = await stack.json("export", *subject)
        handed = await backend.get(f"{at}/export", headers={"Authorization": f"Bearer {keys['export']}"})
        assert handed.status_code == 200, handed.text
        assert handed.json() | {"exported_at": ""} == printed | {"exported_at": ""}
        exported = json.dumps(printed).lower()
        assert [mark for mark in (*MARKS, conversation) if mark.lower() not in exported] == []
        (dialogue,) = printed["internal"]["dialogues"]
        assert "How do I invite a colleague, zqpwords?" in [event.get("text") for event in dialogue["events"]]
        assert "token" not in str(dialogue["events"])
        for wrong in (both, keys["erase"], "ktk_none"):
            refused = await backend.get(f"{at}/export", headers={"Authorization": f"Bearer {wrong}"})
            assert refused.status_code == 401, refused.text
        for wrong in (both, keys["accounts"], keys["events"], "ktk_none"):
            refused = await backend.delete(at, headers={"Authorization": f"Bearer {wrong}"})
            assert refused.status_code == 401, refused.text
        gone = await backend.delete(at, headers={"Authorization": f"Bearer {keys['erase']}"})
        assert gone.status_code == 204
        again = await backend.delete(at, headers={"Authorization": f"Bearer {keys['erase']}"})
        assert again.status_code == 404
    after = await asyncio.to_thread(dump, stack)
    wanted = (*MARKS, conversation, *(("zqpcorp", ACCOUNT) if kind == "accounts" else ()))
    assert [mark for mark in wanted if mark.lower() in after] == []
    assert [mark for mark in MARKS if mark.lower() in logged(stack.home)] == []
