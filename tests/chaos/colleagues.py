"""CSMs at work, through the same services as the console: they claim, answer twice, and let go."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from escalations import csms, queue
from escalations.models import Csm
from kit.clock import now
from kit.database import Database
from kit.errors import Conflict

Made = TypeVar("Made")


@dataclass
class Colleague:
    """One CSM.

    Attributes:
        said: conversation and client id of every answer that was stored.
        handled: conversations they let go of again.
    """

    database: Database
    email: str
    chance: random.Random
    said: list[tuple[str, str]] = field(default_factory=list)
    handled: int = 0

    async def run(self, calm: asyncio.Event) -> None:
        """Helps who waits until it is calm, and leaves nobody held."""
        me = await self._again(lambda session: csms.by_email(session, self.email))
        while not calm.is_set():
            waiting = await self._again(lambda session: queue.listing(session, state="queued"))
            takeovers = [entry.escalation.id for entry in waiting if entry.escalation.mode == "takeover"]
            if takeovers:
                await self._help(me, self.chance.choice(takeovers[:3]))
            await asyncio.sleep(self.chance.uniform(0.3, 1.5))

    async def _help(self, me: Csm, escalation: str) -> None:
        try:
            found = await self._again(lambda session: queue.claim(session, escalation, me, now()))
        except Conflict:  # a colleague was faster
            return
        for number in range(2):
            await asyncio.sleep(self.chance.uniform(0.5, 2.0))
            client_id = str(uuid.uuid4())
            text = f"I am looking into it, {number}"
            await self._again(
                lambda session, id_=client_id, words=text: queue.reply(  # type: ignore[misc]
                    session, found.conversation_id, me, words, now(), id_
                )
            )
            self.said.append((found.conversation_id, client_id))
        try:
            if self.chance.random() < 0.5:
                await self._again(lambda session: queue.release(session, escalation, me, now()))
            else:
                await self._again(lambda session: queue.resolve(session, escalation, me, now()))
        except Conflict:  # done by an earlier try whose confirmation was lost
            pass
        self.handled += 1

    async def _again(self, work: Callable[[AsyncSession], Awaitable[Made]]) -> Made:
        """One unit of work, tried until the database says that it is done."""
        while True:
            try:
                async with self.database.begin() as session:
                    return await work(session)
            except SQLAlchemyError:
                await asyncio.sleep(0.5)
