"""How the bot has been doing over a period: volume, decisions, and what customers said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository


@dataclass(frozen=True)
class Day:
    """One day: conversations begun and messages of customers."""

    day: date
    conversations: int
    messages: int


@dataclass(frozen=True)
class Turns:
    """Turns of the bot by how they ended.

    Attributes:
        answered: quoted an article; clarified: asked which was meant; abstained: said that it does not know;
        account: told of the account, or did something else that asks no article.
        failed: Rasa was silent or too slow; silent: a person had taken the conversation.
    """

    answered: int = 0
    clarified: int = 0
    abstained: int = 0
    account: int = 0
    failed: int = 0
    silent: int = 0


@dataclass(frozen=True)
class Satisfaction:
    """Scores of the CSAT question, and thumbs under answers.

    Attributes:
        scores: how many gave each score from 1 to 5.
    """

    scores: dict[int, int]
    helpful: int
    not_helpful: int

    @property
    def average(self) -> float | None:
        """The mean score; None where nobody answered."""
        number = sum(self.scores.values())
        return sum(score * times for score, times in self.scores.items()) / number if number else None


_DECISIONS = {"answer": "answered", "clarify": "clarified", "abstain": "abstained", "unavailable": "failed"}


async def volume(session: AsyncSession, since: datetime, until: datetime, zone: str) -> Sequence[Day]:
    """Each day of a period, in a time zone; days on which nothing happened are left out."""
    return [Day(*row) for row in await repository.volume(session, since, until, zone)]


async def turns(session: AsyncSession, since: datetime, until: datetime) -> Turns:
    """Turns begun in a period."""
    found: dict[str, int] = {}
    for outcome, decision, number in await repository.outcomes(session, since, until):
        name = outcome if outcome in ("failed", "silent") else _DECISIONS.get(decision or "", "account")
        found[name] = found.get(name, 0) + number
    return Turns(**found)


async def satisfaction(session: AsyncSession, since: datetime, until: datetime) -> Satisfaction:
    """What was said in a period."""
    scores = dict.fromkeys(range(1, 6), 0)
    scores |= {score: number for score, number in await repository.csat(session, since, until) if score in scores}
    helpful, not_helpful = await repository.thumbs(session, since, until)
    return Satisfaction(scores, helpful, not_helpful)
