"""When people are asked, and what they say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.records import put_account, put_person
from accounts.schemas import PutAccount, PutPerson
from accounts.surveys import Kind, SurveyRules, answer, ask, is_due
from kit.errors import Conflict, NotFound, UserError

RULES = SurveyRules()


@pytest.mark.parametrize(
    ("kind", "known", "asked", "due"),
    [
        ("nps", 30, [], True),
        ("nps", 29, [], False),
        ("nps", None, [], False),
        ("nps", 400, [("nps", 90)], True),
        ("nps", 400, [("nps", 89)], False),
        ("nps", 400, [("csat", 14)], True),
        ("nps", 400, [("csat", 13)], False),
        ("csat", 0, [], True),
        ("csat", None, [], True),
        ("csat", 400, [("nps", 13)], False),
        ("csat", 400, [("nps", 14), ("csat", 14)], True),
    ],
)
def test_nobody_is_asked_too_often(
    now: datetime, kind: Kind, known: int | None, asked: list[tuple[Kind, int]], due: bool
) -> None:
    """Below and at each limit."""
    since = None if known is None else now - timedelta(days=known)
    before: list[tuple[Kind, datetime]] = [(each, now - timedelta(days=ago)) for each, ago in asked]
    assert is_due(RULES, kind, known_since=since, asked=before, now=now) is due


async def test_an_answer_is_kept_once(session: AsyncSession, now: datetime) -> None:
    """The score cannot be changed, a comment may follow; off the scale is refused."""
    await put_account(session, "a", PutAccount(), now)
    await put_person(session, "p", PutPerson(account_id="a"), now)
    survey = await ask(session, "csat", now, account_id="a", person_id="p", conversation_id="c")
    assert survey is not None
    assert await ask(session, "csat", now, account_id="a", person_id="p", conversation_id="c") is None
    with pytest.raises(UserError, match="not from 1 to 5"):
        await answer(session, survey, 0, now)
    await answer(session, survey, 4, now)
    await answer(session, survey, 4, now, comment="quick")
    with pytest.raises(Conflict):
        await answer(session, survey, 1, now)
    with pytest.raises(NotFound):
        await answer(session, "nothing", 4, now)


async def test_a_visitor_is_asked_about_their_conversation(session: AsyncSession, now: datetime) -> None:
    """Without an account; once."""
    assert await ask(session, "csat", now, account_id=None, person_id=None, conversation_id="c") is not None
    assert await ask(session, "nps", now, account_id=None, person_id=None, conversation_id="c") is None
