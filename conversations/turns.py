"""Turns still owed: leased to one runner at a time, settled once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository
from kit import tokens
from kit.database import Database
from kit.errors import Unauthenticated

AUDIENCE = "turn"
LIFETIME = timedelta(minutes=1)
"""How long a turn token holds: more than a turn may take, too short to be worth stealing."""
_LOOKED_BACK = 5
"""Turns in which failures in a row are counted."""


@dataclass(frozen=True)
class Leased:
    """A turn somebody is working on, with the words it answers.

    Attributes:
        seq: of the message it answers, within the conversation.
        attempts: leases of it so far, this one included.
    """

    id: str
    conversation_id: str
    seq: int
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


def sign(turn: Leased, key: str, now: datetime, asked: int = 0) -> str:
    """The turn token: what an action may know of who is asking.

    Args:
        asked: how often Rasa was asked for this turn within this lease. `order`, made of it, is greater for whatever is later in the
            conversation: another turn, another lease of it, another try.
    """
    claims = {
        "conversation": turn.conversation_id,
        "turn": turn.id,
        "order": [turn.seq, turn.attempts, asked],
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


async def owed(at: Database | AsyncSession, claims: TurnClaims) -> int:
    """Makes sure that the turn of a token is still owed: a token replayed after its turn opens nothing.

    Returns:
        how many of the conversation's newest turns in a row did not help: failed or abstained; counted up to five.
    Raises:
        Unauthenticated: settled, or not of that conversation.
    """
    still, failed = await repository.owed(at, claims.conversation_id, claims.turn_id, _LOOKED_BACK)
    if not still:
        raise Unauthenticated("the turn of this token is over")
    return sum(1 for _ in takewhile(bool, failed))


async def note(
    at: Database | AsyncSession,
    claims: TurnClaims,
    *,
    decision: str | None,
    confidence: float | None,
    article_id: str | None,
    facts: str | None,
) -> None:
    """Notes what was decided beside the owed turn, for reports and for finding gaps.

    Args:
        facts: what the escalation policy was asked, as JSON. Internal.
    """
    await repository.note(
        at, claims.turn_id, decision=decision, confidence=confidence, article_id=article_id, facts=facts
    )
