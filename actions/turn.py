"""One turn, as an action sees it: who asks is known from the turn token alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import facts as account_facts
from accounts.facts import CustomerFacts, Standing
from actions.rooms import Rooms
from conversations import turns
from conversations.bodies import Body
from conversations.turns import TurnClaims
from escalations.policy import Facts
from kit.company import Language

logger = structlog.get_logger()


@dataclass
class Turn:
    """Everything an action may use, and what it found out.

    Attributes:
        text: what the customer wrote. Data: it never decides who is asking.
        failures: how many turns in a row before this one did not help.
        customer: what the customer may see of their own account; None for a visitor.
        internal: what only CSMs may see; it decides, and is never said.
        decision, confidence, article_id: what the knowledge base decided, where it was asked.
        wish: the customer asks for a person.
        asked: what the escalation policy was asked, once it was.
        subject: what this turn is about, where it is about something: `{question, intent}`.
        account_away: the accounts could not be looked up.
    """

    rooms: Rooms
    claims: TurnClaims
    now: datetime
    failures: int
    text: str
    intent: str
    slots: Mapping[str, Any]
    understood: Mapping[str, Any]
    customer: CustomerFacts | None = None
    internal: Standing | None = None
    decision: str | None = None
    confidence: float | None = None
    article_id: str | None = None
    wish: bool = False
    substantive: bool = True
    asked: Facts | None = None
    account_away: bool = False
    subject: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    _session: AsyncSession | None = None
    _work: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Turn:
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._work.__aexit__(*raised)

    async def session(self) -> AsyncSession:
        """The transaction of what this turn changes for others; committed once the turn is answered. Most turns need none."""
        if self._session is None:
            self._session = await self._work.enter_async_context(self.rooms.database.begin())
        return self._session

    @property
    def confidence_of_intent(self) -> float:
        """How sure the bot is of the intent, 0 to 1; 1 for a click."""
        return float((self.understood.get("intent") or {}).get("confidence") or 0.0)

    @property
    def lang(self) -> Language:
        """The language of this message, as the bot's channel found it; else that of the conversation."""
        said = (self.understood.get("metadata") or {}).get("lang") or self.claims.lang
        return "ja" if said == "ja" else "en"


Act = Callable[[Turn], Awaitable[list[Body]]]
"""An action: answers a turn with bodies, in order."""


async def look_up(turn: Turn) -> None:
    """Fetches the asker's facts, fresh for each turn: slots would go stale."""
    account_id = turn.claims.account_id
    if account_id is None:
        return
    try:
        turn.customer, turn.internal = await account_facts.facts_of_turn(
            turn.rooms.accounts, turn.rooms.catalog, account_id, turn.claims.person_id, turn.now
        )
    except (psycopg.Error, DBAPIError) as error:  # what fails here must not take the turn with it
        logger.warning("accounts_away", reason=type(getattr(error, "orig", error)).__name__)
        turn.customer, turn.internal, turn.account_away = None, None, True


async def record(turn: Turn) -> None:
    """Notes what was decided beside the owed turn: with what the turn changes for others, where it changes anything."""
    await turns.note(
        turn._session or turn.rooms.database,
        turn.claims,
        decision=turn.decision,
        confidence=turn.confidence,
        article_id=turn.article_id,
        facts=turn.asked.model_dump_json() if turn.asked is not None else None,
    )
