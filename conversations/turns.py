"""Turns still owed: leased to one runner at a time, settled once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository
from conversations.models import Turn
from kit import tokens
from kit.database import Database
from kit.errors import Unauthenticated

AUDIENCE = "turn"
LIFETIME = timedelta(minutes=1)
"""How long a turn token holds: more than a turn may take, too short to be worth stealing."""


@dataclass(frozen=True)
class Leased:
    """A turn somebody is working on, with the words it answers."""

    id: str
    conversation_id: str
    account_id: str | None
    person_id: str | None
    lang: str
    text: str
    choice: str | None
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class TurnClaims:
    """What a turn token proves: which turn is being answered, and for whom."""

    conversation_id: str
    turn_id: str
    account_id: str | None
    person_id: str | None
    lang: str


async def lease(at: Database | AsyncSession, now: datetime, lifetime: timedelta) -> Leased | None:
    """Takes the next owed turn, if there is one.

    Args:
        at: a session, or a database: then it is committed.
        lifetime: after which another runner may take it, should this one die.
    """
    found = await repository.lease_turn(at, now, now + lifetime)
    return None if found is None else Leased(**found)


def sign(turn: Leased, key: str, now: datetime) -> str:
    """The turn token: what an action may know of who is asking."""
    claims = {
        "conversation": turn.conversation_id,
        "turn": turn.id,
        "account": turn.account_id,
        "person": turn.person_id,
        "lang": turn.lang,
    }
    return tokens.sign(claims, key, audience=AUDIENCE, now=now, lifetime=LIFETIME)


def verify(token: str, key: str) -> TurnClaims:
    """What a turn token says.

    Raises:
        Unauthenticated: forged, too old, or not a turn token.
    """
    claims: dict[str, Any] = tokens.verify(token, key, audience=AUDIENCE)
    try:
        return TurnClaims(claims["conversation"], claims["turn"], claims["account"], claims["person"], claims["lang"])
    except KeyError as missing:
        raise Unauthenticated(f"the turn token lacks {missing}") from None


async def owed(session: AsyncSession, claims: TurnClaims) -> Turn:
    """The turn of a token, while it is still owed: a token replayed after its turn opens nothing.

    Raises:
        Unauthenticated: settled, or not of that conversation.
    """
    turn = await repository.turn(session, claims.turn_id)
    if turn is None or turn.conversation_id != claims.conversation_id or turn.settled_at is not None:
        raise Unauthenticated("the turn of this token is over")
    return turn


async def failures_in_a_row(session: AsyncSession, conversation_id: str, limit: int = 5) -> int:
    """How many of the newest turns in a row did not help: failed or abstained."""
    count = 0
    for outcome, decision in await repository.recent_outcomes(session, conversation_id, limit):
        if outcome != "failed" and decision != "abstain":
            break
        count += 1
    return count
