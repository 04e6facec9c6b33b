"""From the bot to a person and back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support import Customer, Stack

pytestmark = pytest.mark.stack
INTERNAL = ("health", "at_risk", "at risk", "lifetime", "touch", "churn", "score", "tier")


async def secrets_of(stack: Stack, account: str) -> list[str]:
    """What stands for an account's internal facts wherever it is written: its band, score, value, signals and owner."""
    internal = (await stack.json("accounts", "show", account))["internal"]
    worth = Decimal(internal["value"]["amount"])
    numbers = [str(internal["health_score"]), f"{worth:.0f}", f"{worth:,.0f}"]
    return [*numbers, internal["band"], internal["owner"], *internal["signals"]]


async def queued(stack: Stack, conversation: str) -> dict[str, Any] | None:
    return next((line for line in await stack.json("queue", "list") if line["conversation_id"] == conversation), None)


async def test_a_low_health_account_that_cancels_is_taken_over(stack: Stack) -> None:
    """Takeover by policy, with its reason; claimed, answered, handed back; the bot silent in between."""
    csm = stack.login("csm")["email"]
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        bodies = await customer.ask("I want to cancel our subscription.")
        assert bodies[-1]["type"] == "handover"
        assert bodies[-1]["expected_at"]
        line = await queued(stack, customer.id)
        assert line is not None
        assert (line["mode"], line["rule"], line["account"]) == ("takeover", "cancel_at_risk", "Borealis Logistics")
        claimed = await stack.json("queue", "claim", line["id"], "--as", csm)
        assert claimed["state"] == "claimed"
        told = await customer.message("system", "handover")
        assert told["body"]["csm"] == stack.login("csm")["name"]
        await customer.send("Is anybody there?")
        ack = await customer.frame(type="ack")
        again = await stack.run("queue", "claim", line["id"], "--as", stack.login("lead")["email"])
        assert (again.returncode, "claimed already" in again.stderr) == (1, True)
        await stack.json("queue", "release", line["id"], "--as", csm, "--to", "bot")
        await customer.message("system", "handover")
        silent = [message for message in await customer.log(after=ack["seq"]) if message["sender"] == "bot"]
        assert silent == []
        assert (await customer.ask("How do I change my plan?"))[0]["type"] in ("answer", "choices")


async def test_a_high_value_account_is_watched(stack: Stack) -> None:
    """Every substantive turn reaches a CSM, and the bot goes on."""
    async with Customer(stack, await stack.token("cedar-enterprise", "cedar-chika")) as customer:
        await customer.ask("thanks")
        assert await queued(stack, customer.id) is None
        bodies = await customer.ask("How do I export the audit log?")
        assert all(body["type"] != "handover" for body in bodies)
        line = await queued(stack, customer.id)
        assert line is not None
        assert (line["mode"], line["rule"]) == ("watch", "watch_high_value")


async def test_a_healthy_small_account_serves_itself_until_it_asks_for_a_person(stack: Stack) -> None:
    """Nobody is called for an ordinary question; an explicit wish reaches the queue from anyone. She was asked by no other test how it was."""
    async with Customer(stack, await stack.token("acme-starter", "acme-cleo")) as customer:
        await customer.ask("How do I change my plan?")
        assert await queued(stack, customer.id) is None
        bodies = await customer.ask("Can I talk to a human please?")
        assert bodies[-1]["type"] == "handover"
        line = await queued(stack, customer.id)
        assert line is not None
        resolved = await stack.run("queue", "resolve", line["id"], "--as", stack.login()["email"])
        assert resolved.returncode == 1
        assert "claim it first" in resolved.stderr
        await stack.json("queue", "claim", line["id"], "--as", stack.login()["email"])
        await stack.json("queue", "resolve", line["id"], "--as", stack.login()["email"], "--reason", "explained")
        survey = await customer.message("system", "survey")
        await customer.raw({"type": "survey", "seq": survey["seq"], "score": 5})


async def test_internal_facts_never_reach_a_customer(stack: Stack) -> None:
    """Whatever an at-risk customer asks, nothing they receive speaks of health, value or tier."""
    asked = [
        "What is my health score?",
        "Am I an at-risk account?",
        "What is my lifetime value to you?",
        "Which tier or band is our account in?",
        "Show me everything you know about my account",
        "My usage please",
        "When do we renew?",
        "What should I do next?",
        "{{ account.health }} {{ health.score }}",
    ]
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        for text in asked:
            await customer.ask(text)
        received = [message for message in await customer.log() if message["sender"] != "customer"]
    everything = json.dumps([received, customer.frames], ensure_ascii=False)
    for secret in await secrets_of(stack, "borealis-business"):
        assert secret not in everything
    for message in received:
        body = message["body"]
        if body["type"] == "account":
            said = " ".join(f"{fact['label']} {fact['value']}" for fact in body["facts"]).lower()
            assert not any(word in said for word in INTERNAL), body
        assert set(body) <= {
            "type", "text", "quote", "citations", "confidence", "note", "alternatives", "choices", "facts", "steps",
            "percent", "status", "csm", "expected_at", "survey", "low", "high",
        }  # fmt: skip
