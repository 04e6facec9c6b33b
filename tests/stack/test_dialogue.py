"""Dialogue through the running stack: what `rasa test` cannot show, since it runs no action."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest

from kit import postgres
from kit.settings import load_settings
from tests.support import Customer, Stack

pytestmark = pytest.mark.stack
NONSENSE = (
    "What is the airspeed velocity of an unladen swallow?",
    "Who invented the paper umbrella?",
    "Which colour do dragons prefer?",
    "How many moons does Saturn have?",
)


def _offers(bodies: list[dict[str, object]]) -> bool:
    return any(body["type"] == "choices" and body["choices"][0]["id"] == "human" for body in bodies)  # type: ignore[index]


async def test_a_follow_up_keeps_the_subject(stack: Stack) -> None:
    """ "And on the Pro plan?" is about what was asked before."""
    async with Customer(stack) as visitor:
        await visitor.ask("How many API calls can I make a day?")
        bodies = await visitor.ask("and on the Pro plan?")
    assert bodies[0]["type"] == "answer"


async def test_the_price_of_the_plan_just_talked_about(stack: Stack) -> None:
    """ "How much is that?" after the plan is the price of the plan."""
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        await customer.ask("Which plan am I on?")
        (card,) = await customer.ask("how much is that?")
    assert any(fact["label"] == "Price" for fact in card["facts"])


async def test_two_questions_get_two_answers(stack: Stack) -> None:
    """One about the account, one about the product."""
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        bodies = await customer.ask("How many runs have I used? How do I invite a colleague to my workspace?")
    assert [body["type"] for body in bodies] == ["account", "answer"]
    assert bodies[1]["citations"][0]["article_id"] == "en/invite-your-team"


async def test_a_correction_is_answered_instead(stack: Stack) -> None:
    """ "No, I meant …" asks again."""
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        await customer.ask("Which plan am I on?")
        bodies = await customer.ask("no, I meant how many runs we have used this month")
    assert any(fact["label"].startswith("Runs") for fact in bodies[0]["facts"])


async def test_of_three_failures_the_third_offers_a_person_and_the_fourth_does_not(stack: Stack) -> None:
    """Offered once after three, not every time."""
    async with Customer(stack) as visitor:
        offered = [_offers(await visitor.ask(one)) for one in NONSENSE]
    assert offered == [True, False, True, False]


async def test_asking_how_to_cancel_is_not_cancelling(stack: Stack) -> None:
    """The question is answered from the help content; the wish is taken up."""
    async with Customer(stack) as visitor:
        asked = await visitor.ask("How do I cancel my subscription?")
        wished = await visitor.ask("Cancel my subscription")
    assert asked[0]["type"] == "answer"
    assert asked[0]["citations"][0]["article_id"] == "en/cancel-subscription"
    assert "sorry" in wished[0]["text"]


async def test_a_form_is_left_for_a_question_and_resumed(stack: Stack) -> None:
    """The question is answered, the address asked for again, and taken."""
    async with Customer(stack) as visitor:
        await visitor.ask("please call me back")
        between = await visitor.ask("How do I invite a colleague to my workspace?")
        done = await visitor.ask("kenta@example.com")
    assert between[0]["type"] == "answer"
    assert "e-mail" in between[-1]["text"]
    assert "kenta@example.com" in done[0]["text"]


async def test_the_language_is_kept_and_switched_by_asking(stack: Stack) -> None:
    """Asked for Japanese, a word that shows no language is answered in Japanese; asked for English, in English."""
    async with Customer(stack) as visitor:
        assert "日本語" in (await visitor.ask("日本語でお願いします"))[0]["text"]
        assert "こんにちは" in (await visitor.ask("hello"))[0]["text"]
        assert "English" in (await visitor.ask("in English please"))[0]["text"]
        assert "Hello" in (await visitor.ask("hello"))[0]["text"]


async def test_a_mood_reaches_the_policy(stack: Stack) -> None:
    """An at-risk account's words are kept with the facts of its escalation."""
    async with Customer(stack, await stack.token("cedar-enterprise", "cedar-chika")) as customer:
        await customer.ask("this is outrageous, I am furious and I need an answer immediately!!")
        query = "SELECT facts FROM escalations WHERE conversation_id = %s"
        with postgres.running(load_settings(home=stack.home)) as url:
            async with await psycopg.AsyncConnection.connect(url.replace("+psycopg", "")) as other:
                (facts,) = await (await other.execute(query, [customer.id])).fetchone() or ({},)
    assert facts["anger"] >= 0.6
    assert facts["urgency"] >= 0.5
    assert facts["deadline"] < 0.5


async def test_with_the_knowledge_base_stopped_it_understands_and_says_so(stack: Stack) -> None:
    """Really stopped: accounts are still answered for, and a help question hears that nothing can be looked up."""
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        pid = stack.pid("knowledge_base")
        os.kill(pid, signal.SIGSTOP)
        try:
            card = await customer.ask("which plan are we on", seconds=30)
            asked = await customer.ask("how do I set up a webhook", seconds=30)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert card[0]["type"] == "account"
    assert "cannot look things up" in asked[-1]["text"]


async def test_with_the_accounts_out_of_reach_help_is_still_given(stack: Stack) -> None:
    """The accounts' tables are held by another session: product questions are answered, the account is said to be away."""
    async with Customer(stack, await stack.token("acme-starter", "acme-amy")) as customer:
        with postgres.running(load_settings(home=stack.home)) as url:
            other = await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""))
            await other.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            away = await customer.ask("Which plan am I on?")
            told = await customer.ask("How do I invite a colleague to my workspace?")
            await other.close()
    assert "cannot see your account" in away[0]["text"]
    assert told[0]["type"] == "answer"
