"""The policy looked at from outside the conversation: explained for a text, and replayed on what was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from kit import tokens
from kit.settings import load_settings
from tests.support import Customer, Stack

pytestmark = pytest.mark.stack

NOBODY = """rules:
  - id: only_wishes
    when: {wish: true}
    mode: takeover
    priority: normal
    within_minutes: 30
    reason: {en: Asked for, ja: ご希望}
"""


async def test_a_text_is_explained_as_the_bot_understands_it(stack: Stack) -> None:
    """The rule that would fire for that account, and none that small talk sets off."""
    words = ("policy", "explain", "--account", "borealis-business", "--text")
    explained = await stack.json(*words, "I want to cancel our subscription.")
    assert (explained["facts"]["intent"], explained["fired"]) == ("cancel", "cancel_at_risk")
    assert (await stack.json(*words, "Hello!"))["fired"] is None


async def test_only_a_token_for_it_is_understood(stack: Stack) -> None:
    """Neither none, nor another key's, nor one that runs turns; and one that parses runs no turn."""
    at = f"http://127.0.0.1:{stack.ports['rasa']}/webhooks/kotae"
    key = load_settings(home=stack.home).signing_key

    def token(key: str, audience: str) -> str:
        claims = {"conversation": "c"}
        moment = datetime.now(UTC)
        return tokens.sign(claims, key, audience=audience, now=moment, lifetime=timedelta(minutes=1))

    async with httpx.AsyncClient(trust_env=False) as client:

        async def post(path: str, bearer: str | None, body: dict[str, str]) -> int:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            return (await client.post(f"{at}/{path}", json=body, headers=headers)).status_code

        text = {"text": "Which plan am I on?"}
        assert await post("parse", None, text) == 401
        assert await post("parse", token("x" * 32, "parse"), text) == 401
        assert await post("parse", token(key, "turn"), text) == 401
        assert await post("turn", token(key, "parse"), {**text, "conversation": "c"}) == 401
        assert await post("parse", token(key, "parse"), {"words": "none"}) == 400
        assert await post("parse", token(key, "parse"), text) == 200


async def test_another_policy_is_tried_on_what_was_said(stack: Stack, tmp_path: Path) -> None:
    """Today's policy brings somebody in where it did; one that waits for a wish does not."""
    before = await stack.json("policy", "simulate")
    async with Customer(stack, await stack.token("borealis-business", "borealis-bea")) as customer:
        assert (await customer.ask("I want to cancel our subscription."))[-1]["type"] == "handover"
    other = tmp_path / "escalation.yml"
    other.write_text(NOBODY)
    after = await stack.json("policy", "simulate", "--policy", str(other), "--days", "1")
    today, tried = after["policies"]
    count = before["policies"][0]["by_rule"].get("cancel_at_risk", 0)
    assert today["by_rule"]["cancel_at_risk"] == count + 1
    assert "cancel_at_risk" not in tried["by_rule"]
    assert sum(hour["takeovers"] for hour in today["hours"]) == today["takeovers"]
    assert after["staffing"]["slots"] > 0
    printed = await stack.run("policy", "simulate", "--policy", str(other))
    assert printed.returncode == 0, printed.stderr
    assert "service levels met" in printed.stdout
