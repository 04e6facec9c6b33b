"""Somebody comes back: what is open, and what was last talked about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import facts
from api import greeting
from conversations import log
from conversations.bodies import Handover, Text
from conversations.models import Conversation
from escalations import csms, policy, queue
from escalations.csms import CsmEntry
from escalations.policy import Facts
from escalations.queue import Asker
from kit.ids import new_id
from tests.api.test_aftercare import begin, customer, front

__all__ = ["front"]

MONDAY = datetime(2033, 11, 14, 3, tzinfo=UTC)
"""Noon in Tokyo, where the sample company's support works."""
RULES = policy.load(policy.DEFAULT).rules


async def said(session: AsyncSession, conversation: Conversation, text: str, intent: str, at: datetime) -> None:
    """A turn of the customer, understood and answered."""
    accepted = await log.accept(session, conversation.id, new_id("msg"), text, at, lease=timedelta(seconds=10))
    assert accepted.leased is not None
    await log.settle(
        session, accepted.leased.id, [Text(text="…")], "answered", at, intent=intent, intent_confidence=0.9
    )


async def raised(session: AsyncSession, front: Any, conversation: Conversation, rule: str) -> str:
    wanted = next(one for one in RULES if one.id == rule)
    asker = Asker(account_id="a", account_name="A", owner=None, value=None, currency=None)
    found = await queue.raise_(
        session,
        front.company,
        conversation_id=conversation.id,
        rule=wanted,
        facts=Facts(),
        asker=asker,
        lang="en",
        now=MONDAY,
    )
    return found.escalation.id


async def words(session: AsyncSession, conversation: Conversation) -> Sequence[str]:
    return [row.body["text"] for row in await log.transcript(session, conversation.id)]


@pytest.fixture
async def asked(session: AsyncSession, front: Any) -> Conversation:
    """Pat asked about an invoice, then for a person, and said thanks."""
    await customer(session, front, age=400)
    conversation = await begin(session, front, MONDAY, first=True)
    await said(session, conversation, "Why is my invoice higher than last month?", "ask_invoice", MONDAY)
    await said(session, conversation, "a person please", "ask_human", MONDAY + timedelta(seconds=1))
    await said(session, conversation, "thanks", "thanks", MONDAY + timedelta(seconds=2))
    return conversation


async def test_a_new_conversation_begins_with_what_is_open(
    session: AsyncSession, front: Any, asked: Conversation
) -> None:
    """Whose question it is with, and until when; first the team's, then the CSM's who claimed it."""
    id_ = await raised(session, front, asked, "wish")
    await log.append(session, asked.id, "bot", Handover(status="queued", text="…", expected_at=MONDAY), MONDAY)
    await said(session, asked, "How do I invite Ben?", "help_question", MONDAY + timedelta(minutes=4))
    (first,) = await words(session, await begin(session, front, MONDAY + timedelta(minutes=5)))
    assert "“Why is my invoice higher than last month?” is with our team; expect an answer by 12:30" in first
    assert "Last time you asked me “How do I invite Ben?”" in first
    aiko = await csms.add(session, CsmEntry(email=f"{new_id('aiko')}@acme.example", name="Aiko"), None, MONDAY)
    await queue.claim(session, id_, aiko, MONDAY + timedelta(minutes=6))
    (then,) = await words(session, await begin(session, front, MONDAY + timedelta(minutes=7), lang="ja"))
    assert "「Why is my invoice higher than last month?」のご質問はAikoが担当しています。12:30までに" in then


async def test_a_time_that_has_passed_is_not_promised_again(
    session: AsyncSession, front: Any, asked: Conversation
) -> None:
    """What is late is said to be open, and no more."""
    await raised(session, front, asked, "wish")
    (late,) = await words(session, await begin(session, front, MONDAY + timedelta(hours=2)))
    assert late.endswith("is with our team.")


async def test_what_is_only_watched_is_never_named(session: AsyncSession, front: Any, asked: Conversation) -> None:
    """A watch is internal: the customer reads what they last asked, and nothing of it."""
    await raised(session, front, asked, "watch_at_risk")
    first, *_ = await words(session, await begin(session, front, MONDAY + timedelta(minutes=5)))
    assert "Last time you asked “Why is my invoice higher than last month?”" in first
    assert "team" not in first


async def test_who_never_asked_anything_is_greeted_as_ever(session: AsyncSession, front: Any) -> None:
    """Small talk is nothing to come back to."""
    await customer(session, front, age=400)
    conversation = await begin(session, front, MONDAY, first=True)
    await said(session, conversation, "hello", "greet", MONDAY)
    (greeted,) = await words(session, await begin(session, front, MONDAY + timedelta(minutes=5)))
    assert "Welcome back" not in greeted


@pytest.mark.parametrize(("minutes", "met"), [(59, False), (61, True)])
async def test_an_old_conversation_opened_again_says_it_once(
    session: AsyncSession, front: Any, asked: Conversation, minutes: int, met: bool
) -> None:
    """After an hour of silence, and not again for opening the window once more."""
    await raised(session, front, asked, "wish")
    who = await facts.customer_facts(session, front.catalog, "a", "p", MONDAY)
    before = len(await words(session, asked))
    for hour in range(3):
        at = MONDAY + timedelta(hours=2 * hour, minutes=minutes, seconds=2)
        if met or hour == 0:
            await greeting.meet_again(session, front, asked, who, at)
    new = list(await log.transcript(session, asked.id))[before:]
    assert [row.sender for row in new] == (["system"] if met else [])
