"""Asking how it was: CSAT after a resolved conversation, NPS on a schedule by person. Free text is kept; both feed health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from kit.company import Company
from kit.errors import Conflict, NotFound, UserError
from kit.files import read_yaml
from kit.ids import new_id
from kit.masking import mask

Kind = Literal["csat", "nps"]
SCALES: dict[Kind, tuple[int, int]] = {"csat": (1, 5), "nps": (0, 10)}


class SurveyRules(BaseModel):
    """`surveys.yml`: when people are asked. Days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nps_every: int = Field(90, ge=1, description="between two NPS questions to one person")
    nps_after: int = Field(30, ge=0, description="after a person is first known, until the first")
    rest: int = Field(14, ge=0, description="after any survey, answered or not, in which a person is not asked again")


def load_rules(company: Company) -> SurveyRules:
    """The company's `surveys.yml`, or the product's rules.

    Raises:
        UserError: it is wrong; names the line.
    """
    own = company.folder / "surveys.yml"
    return read_yaml(own, SurveyRules) if own.exists() else SurveyRules()


def is_due(
    rules: SurveyRules, kind: Kind, *, known_since: datetime | None, asked: list[tuple[Kind, datetime]], now: datetime
) -> bool:
    """Whether a person is to be asked. Pure.

    Args:
        known_since: when the person was first known; None for a visitor, who is only asked about a conversation.
        asked: what they were asked before, and when.
    """
    if any(now - at < timedelta(days=rules.rest) for _, at in asked):
        return False
    if kind == "csat":
        return True
    if known_since is None or now - known_since < timedelta(days=rules.nps_after):
        return False
    return all(now - at >= timedelta(days=rules.nps_every) for before, at in asked if before == "nps")


async def ask(
    session: AsyncSession,
    kind: Kind,
    now: datetime,
    *,
    account_id: str | None,
    person_id: str | None,
    conversation_id: str | None,
    rules: SurveyRules | None = None,
) -> str | None:
    """Notes that a person is asked, where they are due.

    Returns:
        The id of the survey, for `answer`; None where the person is not to be asked now, or was asked in this conversation.
    """
    if conversation_id and await repository.survey_of(session, conversation_id, kind):
        return None
    person = await repository.person(session, person_id) if person_id else None
    before = await repository.surveys_of(session, person_id) if person_id else []
    asked: list[tuple[Kind, datetime]] = [("nps" if each.kind == "nps" else "csat", each.asked_at) for each in before]
    since = person.created_at if person else None
    if not is_due(rules or SurveyRules(), kind, known_since=since, asked=asked, now=now):
        return None
    survey = m.Survey(
        id=new_id("srv"),
        kind=kind,
        account_id=account_id,
        person_id=person_id,
        conversation_id=conversation_id,
        asked_at=now,
    )
    session.add(survey)
    await session.flush()
    return survey.id


async def answer(
    session: AsyncSession, survey_id: str, score: int, now: datetime, *, comment: str | None = None
) -> None:
    """Keeps an answer. A comment may follow the score; the score is given once.

    Raises:
        NotFound: there is no such survey.
        UserError: the score is off the scale.
        Conflict: it was answered otherwise.
    """
    survey = await session.get(m.Survey, survey_id, with_for_update=True, populate_existing=True)
    if survey is None:
        raise NotFound(f"there is no survey {survey_id}", "ask first")
    low, high = SCALES["nps" if survey.kind == "nps" else "csat"]
    if not low <= score <= high:
        raise UserError(f"the score {score} is not from {low} to {high}", "choose one of the scale")
    if survey.score is not None and survey.score != score:
        raise Conflict("this was answered already", "thank you")
    survey.score, survey.answered_at = score, survey.answered_at or now
    survey.comment = mask(comment) if comment is not None else survey.comment
    await session.flush()
