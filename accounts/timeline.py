"""How accounts have been doing, for those who look after them. Internal: nothing of this is for customers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.health import Band


@dataclass(frozen=True)
class HealthDay:
    """The health score of one day."""

    day: date
    score: float


@dataclass(frozen=True)
class UsageDay:
    """The use of one day."""

    day: date
    events: int
    people: int


@dataclass(frozen=True)
class Timeline:
    """One account over some days, oldest first. Days without a score are left out; days without use are zero."""

    health: Sequence[HealthDay]
    usage: Sequence[UsageDay]


@dataclass(frozen=True)
class Standing:
    """Where one account stands.

    Attributes:
        change: of the score in 30 days; None where there is no score that old.
    """

    account_id: str
    name: str
    owner: str | None
    score: float | None
    band: Band | None
    change: float | None
    plan: str | None
    renews_on: date | None


async def timeline(session: AsyncSession, account_id: str, now: datetime, days: int = 90) -> Timeline:
    """Health and use of an account, day by day until today."""
    today = now.date()
    first = today - timedelta(days=days - 1)
    scores = {row.day: row.score for row in await repository.scores_from(session, account_id, first)}
    used = {row["day"]: row for row in await repository.usage_from(session, account_id, first)}
    every = [first + timedelta(days=number) for number in range(days)]
    return Timeline(
        health=[HealthDay(day, float(score)) for day in every if (score := scores.get(day)) is not None],
        usage=[
            UsageDay(day, used[day]["events"], used[day]["people"]) if day in used else UsageDay(day, 0, 0)
            for day in every
        ],
    )


@dataclass(frozen=True)
class PersonLine:
    """One user of an account."""

    id: str
    name: str
    email: str | None
    role: str | None
    champion: bool
    last_seen_at: datetime | None


async def people(session: AsyncSession, account_id: str, now: datetime, limit: int = 50) -> list[PersonLine]:
    """Who uses the product there now: champions first, then who was there last."""
    rows = [row for row in await repository.people_of(session, account_id) if row.left_at is None or row.left_at > now]
    rows.sort(key=lambda row: (not row.champion, -(row.last_seen_at.timestamp() if row.last_seen_at else 0), row.id))
    return [
        PersonLine(row.id, row.name or row.email or row.id, row.email, row.role, row.champion, row.last_seen_at)
        for row in rows[:limit]
    ]


async def standings(
    session: AsyncSession,
    now: datetime,
    *,
    words: str = "",
    band: Band | None = None,
    owner: str | None = None,
    limit: int = 200,
) -> list[Standing]:
    """Accounts, the worst health first; those without a score last.

    Args:
        words: part of the name or the id.
        owner: e-mail of the CSM who looks after it.
    """
    rows = await repository.standings(session, now, words=words.strip(), band=band, owner=owner, limit=limit)
    return [Standing(**row) for row in rows]


async def bands(session: AsyncSession, now: datetime) -> dict[Band | None, int]:
    """How many accounts are in each band, by their latest score; None: without a score."""
    return {row["band"]: row["accounts"] for row in await repository.bands(session, now)}


async def movers(session: AsyncSession, now: datetime, limit: int = 10) -> list[Standing]:
    """The accounts whose score changed most in 30 days, in either direction."""
    rows = await repository.movers(session, now, limit)
    return [Standing(**row) for row in rows]


async def names(session: AsyncSession, account_ids: Collection[str]) -> dict[str, str]:
    """Names of accounts, by id; what is not known is left out."""
    return await repository.account_names(session, account_ids)
