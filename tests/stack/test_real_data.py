"""Other people's data, as they wrote it, answered from by the running bot."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.support import EVAL, ROOT, Customer, Stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not EVAL.exists(), reason=f"the evaluation data is not there ({EVAL})"),
]


async def until_served(stack: Stack) -> None:
    """Waits until what was built last is what is served: the service looks once a second."""
    built = (stack.home / "index" / "current").read_text().strip()
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        address = f"http://127.0.0.1:{stack.ports['knowledge_base']}/readyz"
        while (await client.get(address)).json().get("build") != built:  # noqa: ASYNC110  # another process switches
            await asyncio.sleep(0.1)


@pytest.mark.timeout(1200)
async def test_a_real_help_centre_is_built_swapped_in_and_answered_from(stack: Stack) -> None:
    """The running stack switches to the new index without a restart, and back."""
    built = await stack.run("kb", "build", "--content", str(EVAL / "plausible-docs" / "docs"), seconds=800)
    assert built.returncode == 0, built.stderr
    assert "132 articles" in built.stdout
    await until_served(stack)
    try:
        async with Customer(stack) as visitor:
            answer = (await visitor.ask("How do I exclude my own visits?"))[0]
        assert answer["type"] == "answer"
        assert answer["citations"][0]["article_id"].startswith("excluding")
    finally:
        again = await stack.run("kb", "build", seconds=800)
    assert again.returncode == 0, again.stderr
    await until_served(stack)
    async with Customer(stack) as visitor:
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"


async def test_seven_thousand_accounts_are_imported_and_answered_for(stack: Stack) -> None:
    """Imported by a mapping; one of them asks for its plan."""
    csv = EVAL / "telco-churn" / "Telco-Customer-Churn.csv"
    mapping = ROOT / "demo" / "mappings" / "telco-churn.yml"
    report = await stack.json("accounts", "import", str(csv), "--mapping", str(mapping))
    assert (report["rows"], report["wrong_count"], report["written"]) == (7043, 0, True)
    asked = await stack.json("ask", "Which plan am I on?", "--account", "7590-VHVEG")
    (body,) = [message["body"] for message in asked["messages"]]
    assert body["type"] == "account"
    facts = {fact["label"]: fact["value"] for fact in body["facts"]}
    assert facts["Plan"] == "DSL"
    assert facts["Price"] == "29.85 USD a month"
