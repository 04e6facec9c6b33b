"""Replies of CSMs that are worth keeping: at once an answer to a question that colleagues are offered, and a label for deciding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository
from conversations.models import GoodReply
from kit.errors import NotFound


@dataclass(frozen=True)
class Answered:
    """A question of a customer, and the reply that answered it well.

    Attributes:
        article: id of the article that was drafted from it; None: none was.
    """

    conversation_id: str
    seq: int
    question: str
    answer: str
    article: str | None


async def mark(session: AsyncSession, conversation_id: str, seq: int, csm_id: str, now: datetime) -> GoodReply:
    """Marks a CSM's reply as the answer to what the customer asked before it; marked again, it stays as it is.

    Raises:
        NotFound: no such reply, or nothing was asked before it.
    """
    row = await repository.message(session, conversation_id, seq)
    asked = await repository.question_before(session, conversation_id, seq)
    if row is None or row.sender != "csm" or asked is None:
        raise NotFound("no such reply to a question", "choose a reply of a CSM")
    found = await repository.good_reply(session, conversation_id, seq)
    if found is None:
        found = GoodReply(
            conversation_id=conversation_id, seq=seq, question_seq=asked, csm_id=csm_id, article=None, created_at=now
        )
        session.add(found)
        await session.flush()
        await _tell(session, conversation_id)
    return found


async def unmark(session: AsyncSession, conversation_id: str, seq: int) -> None:
    """Takes the mark away; an article that was drafted stays where it is."""
    found = await repository.good_reply(session, conversation_id, seq)
    if found is not None:
        await session.delete(found)
        await session.flush()
        await _tell(session, conversation_id)


async def drafted(session: AsyncSession, conversation_id: str, seq: int, article: str) -> None:
    """Notes the id an article drafted from a good reply has once it is published: from then on it is a label of that article."""
    found = await repository.good_reply(session, conversation_id, seq)
    if found is None:
        raise NotFound("no such good reply", "mark it first")
    found.article = article
    await session.flush()
    await _tell(session, conversation_id)


async def marked(session: AsyncSession, conversation_id: str) -> Sequence[GoodReply]:
    """The good replies of a conversation."""
    return await repository.good_replies_of(session, conversation_id)


async def one(session: AsyncSession, conversation_id: str, seq: int) -> Answered:
    """A good reply with its question.

    Raises:
        NotFound: there is none.
    """
    rows = await repository.good_answers(session, conversation_id=conversation_id, seq=seq, limit=1)
    if not rows:
        raise NotFound("no such good reply", "mark it first")
    return Answered(*rows[0])


async def answers(session: AsyncSession, lang: str, limit: int = 100) -> list[Answered]:
    """Questions with a good reply, newest first, of conversations in a language."""
    return [Answered(*row) for row in await repository.good_answers(session, lang=lang, limit=limit)]


async def _tell(session: AsyncSession, conversation_id: str) -> None:
    await repository.notify(session, json.dumps({"note": conversation_id}))
