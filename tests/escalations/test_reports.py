"""Reports count what happened in a period, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from conversations import reports as bot_reports
from conversations.bodies import Survey, Text
from conversations.models import Turn
from conversations.reports import Day, Satisfaction, Turns
from escalations import queue, reports
from escalations.reports import CsmCount
from kit.ids import new_id
from tests.escalations.test_queue import new_csm, raise_

MONDAY = datetime(2031, 3, 3, tzinfo=UTC)
"""Far from what other tests leave behind."""
WEEK = (MONDAY, MONDAY + timedelta(days=7))


async def conversation(session: AsyncSession, at: datetime) -> str:
    made = await log.start(session, lang="en", now=at)
    await log.append(session, made.id, "customer", Text(text="hello"), at)
    return made.id


async def test_volume_is_counted_in_the_companys_days(session: AsyncSession) -> None:
    """23:30 in London is the next morning in Tokyo; what is outside of the period is left out."""
    await conversation(session, MONDAY + timedelta(hours=14, minutes=30))
    await conversation(session, MONDAY + timedelta(hours=16))
    await conversation(session, MONDAY - timedelta(seconds=1))
    assert await bot_reports.volume(session, *WEEK, "Asia/Tokyo") == [
        Day(MONDAY.date(), 1, 1),
        Day(MONDAY.date() + timedelta(days=1), 1, 1),
    ]


async def test_turns_are_counted_by_how_they_ended(session: AsyncSession) -> None:
    """By what the knowledge base decided; failed and silent turns by that."""
    id_ = await conversation(session, MONDAY)
    endings = [("answered", "answer"), ("answered", "clarify"), ("answered", "abstain"), ("answered", None)]
    endings += [("answered", "answer"), ("failed", None), ("silent", "answer"), ("answered", "unavailable")]
    for seq, (outcome, decision) in enumerate(endings, 2):
        turn = Turn(id=new_id("trn"), conversation_id=id_, seq=seq, created_at=MONDAY, settled_at=MONDAY)
        turn.outcome, turn.decision, turn.attempts = outcome, decision, 1
        session.add(turn)
    await session.flush()
    found = await bot_reports.turns(session, *WEEK)
    assert found == Turns(answered=2, clarified=1, abstained=1, account=1, failed=2, silent=1)


async def test_satisfaction(session: AsyncSession) -> None:
    """Scores of the CSAT question alone, and thumbs."""
    id_ = await conversation(session, MONDAY)
    for score in (5, 4):
        asked = await log.append(session, id_, "system", Survey(survey="csat", text="?", low=1, high=5), MONDAY)
        await log.give_feedback(session, id_, asked, MONDAY, score=score)
    asked = await log.append(session, id_, "system", Survey(survey="nps", text="?", low=0, high=10), MONDAY)
    await log.give_feedback(session, id_, asked, MONDAY, score=3)
    thumb = await log.append(session, id_, "bot", Text(text="there"), MONDAY)
    await log.give_feedback(session, id_, thumb, MONDAY, helpful=False)
    found = await bot_reports.satisfaction(session, *WEEK)
    assert found == Satisfaction({1: 0, 2: 0, 3: 0, 4: 1, 5: 1}, helpful=0, not_helpful=1)
    assert found.average == 4.5
    assert (await bot_reports.satisfaction(session, WEEK[1], WEEK[1])).average is None


async def test_service_levels(session: AsyncSession) -> None:
    """Answered in time, late, not at all; resolved for good and come back."""
    await session.execute(text("DELETE FROM escalations"))
    ana, at = await new_csm(session, "Ana"), MONDAY + timedelta(hours=9)
    ids = [await conversation(session, at) for _ in range(4)]
    raised = [(await raise_(session, id_, "wish", at=at)).escalation for id_ in ids]  # half an hour to answer
    for one, account in zip(raised, "abcd", strict=True):
        one.account_id = account
    for one, minutes in ((raised[0], 10), (raised[1], 40)):
        await queue.claim(session, one.id, ana, at + timedelta(minutes=minutes))
        await queue.reply(session, one.conversation_id, ana, "hello", at + timedelta(minutes=minutes))
        await queue.resolve(session, one.id, ana, at + timedelta(hours=1))
    await raise_(session, ids[1], "cancel_at_risk", at=at + timedelta(days=2))
    found = await reports.service(session, at, at + timedelta(hours=1), at + timedelta(days=30))
    assert (found.conversations, found.raised, found.answered, found.in_time) == (4, 4, 2, 1)
    assert (found.first_response, found.resolved, found.returned) == (25 * 60, 2, 0)
    assert (found.resolution, found.settled, found.lasted) == (3600, 2, 1)
    due = raised[2].due_at
    for moment, waiting in ((due, 2), (due + timedelta(seconds=1), 0)):
        assert (await reports.service(session, at, at + timedelta(hours=1), moment)).waiting == waiting
    (rule,) = await reports.rules(session, at, at + timedelta(hours=1))
    assert (rule.rule, rule.watch, rule.takeover) == ("wish", 0, 4)
    assert rule.reason["en"] == "The customer asks for a person"
    (mine,) = await reports.csms(session, at, at + timedelta(hours=1))
    assert mine == CsmCount("Ana", 2, 2, 1, 25 * 60)


async def test_an_empty_period_is_zeros(session: AsyncSession) -> None:
    """Nothing is divided by nothing."""
    found = await reports.service(session, *WEEK, MONDAY)
    assert (found.raised, found.first_response, found.lasted) == (0, None, 0)
    assert await bot_reports.turns(session, *WEEK) == Turns()
