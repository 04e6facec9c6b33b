"""How people have been helping over a period: how much came to them, how fast they were, and whether it lasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from escalations import repository
from kit.database import Json

LASTS = timedelta(days=7)
"""What is resolved and not brought up again for this long has lasted."""


@dataclass(frozen=True)
class Service:
    """Conversations that people were to take over.

    Attributes:
        conversations: begun in the period, handed over or not.
        raised: to be taken over; answered: and a person did; in_time: within the first service level.
        first_response, first_response_90: median and 90th percentile in seconds; None where nobody answered.
        resolved: closed as resolved; returned: handed back to the bot; resolution…: seconds from raised to closed.
        settled: resolved more than seven days ago; lasted: of those, not raised again within seven days.
        waiting: not answered yet, and not late either.
    """

    conversations: int
    raised: int
    answered: int
    in_time: int
    first_response: float | None
    first_response_90: float | None
    resolved: int
    returned: int
    resolution: float | None
    resolution_90: float | None
    settled: int
    lasted: int
    waiting: int


@dataclass(frozen=True)
class RuleCount:
    """How often a rule of the policy brought people in, and the reason it gives, by language."""

    rule: str
    watch: int
    takeover: int
    reason: Json


@dataclass(frozen=True)
class Alone:
    """Conversations the bot had without a person taking over.

    Attributes:
        conversations: of the period, in which a customer said something; alone: nobody was to take over in them.
        settled: alone, and over for more than seven days; lasted: of those, the account needed no person within seven days.
    """

    conversations: int
    alone: int
    settled: int
    lasted: int


@dataclass(frozen=True)
class CsmCount:
    """What one CSM did: conversations taken, answered, in time, and the median first response in seconds."""

    name: str
    taken: int
    answered: int
    in_time: int
    first_response: float | None


async def service(session: AsyncSession, since: datetime, until: datetime, now: datetime) -> Service:
    """Everything raised in a period, as one line."""
    return Service(*await repository.service(session, since, until, now, LASTS))


async def alone(session: AsyncSession, since: datetime, until: datetime, now: datetime) -> Alone:
    """What the bot did by itself in a period."""
    return Alone(*await repository.alone(session, since, until, now, LASTS))


async def rules(session: AsyncSession, since: datetime, until: datetime) -> Sequence[RuleCount]:
    """What was raised in a period by rule, the commonest first."""
    return [RuleCount(*row) for row in await repository.by_rule(session, since, until)]


async def csms(session: AsyncSession, since: datetime, until: datetime) -> Sequence[CsmCount]:
    """What was raised in a period by the CSM who has or had it last."""
    return [CsmCount(*row) for row in await repository.by_csm(session, since, until)]
