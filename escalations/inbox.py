"""What a CSM sees of all conversations: which there are, how many, and where some words were said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from conversations.models import Conversation, MessageRow
from escalations import repository
from escalations.models import Csm, Escalation

View = Literal["queue", "watching", "mine", "all"]
State = Literal["bot", "queued", "claimed", "resolved", "returned"]
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
"""Kana and kanji: words in them are not set apart, so they are looked for anywhere in a text."""


@dataclass(frozen=True)
class Wanted:
    """Which conversations.

    Attributes:
        view: `queue` waits to be taken over, `watching` is watched, `mine` is held by the CSM, `all` is all.
        words: all of which were said in the conversation, or are part of its account's name or address.
        lang: of the conversation.
        priority: this urgent or more, 1 is the most.
        state: of the latest escalation; `bot` where none is open.
        account_id: of this account.
    """

    view: View = "all"
    words: str = ""
    lang: str | None = None
    priority: int | None = None
    state: State | None = None
    account_id: str | None = None


@dataclass(frozen=True)
class Found:
    """A conversation.

    Attributes:
        escalation: its latest, open or closed.
        said: the message in which the words are; where none were looked for, the last of a customer or a CSM.
    """

    conversation: Conversation
    escalation: Escalation | None
    said: MessageRow | None


@dataclass(frozen=True)
class Counts:
    """How much there is to do: to take over, to watch, one's own, and of those with words of the customer not read yet."""

    queued: int = 0
    watching: int = 0
    mine: int = 0
    unread: int = 0


async def look(session: AsyncSession, csm: Csm, wanted: Wanted, limit: int = 100) -> list[Found]:
    """Conversations in the order to work through them: open escalations as the queue has them, others newest word first."""
    rows = await repository.conversations(session, wanted, terms(wanted.words), csm.id, limit)
    return [Found(*row) for row in rows]


async def number(session: AsyncSession, csm: Csm, wanted: Wanted) -> int:
    """How many there are."""
    return await repository.number_of_conversations(session, wanted, terms(wanted.words), csm.id)


async def counts(session: AsyncSession, csm: Csm) -> Counts:
    """How much there is to do, for one CSM."""
    return Counts(*await repository.counts(session, csm.id))


async def at_rest(session: AsyncSession, since: datetime, until: datetime, limit: int) -> Sequence[Conversation]:
    """Conversations of known people in which the bot had the last word in that time and nobody is waited for, the oldest first; locked."""
    return await repository.at_rest(session, since, until, limit)


async def unread_replies(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[tuple[Conversation, MessageRow]]:
    """Conversations with a CSM's latest reply, written in that time and not seen by the customer."""
    return [(row[0], row[1]) for row in await repository.unread_replies(session, since, until)]


@dataclass(frozen=True)
class Terms:
    """Words to look for.

    Attributes:
        prefixes: a query of PostgreSQL's text search, every word as the beginning of one; empty where there is none.
        parts: what is looked for anywhere in a text.
        names: what is looked for in names and addresses.
    """

    prefixes: str
    parts: Sequence[str]
    names: str


def terms(words: str) -> Terms | None:
    """What to look for; None where nothing is asked. Nothing of it is an operator of the search's own language."""
    every = re.findall(r"\w+", words.replace("_", " "))[:10]
    if not every:
        return None
    spaced = [word for word in every if not _WITHOUT_SPACES.search(word)]
    return Terms(
        prefixes=" & ".join(f"{word}:*" for word in spaced),
        parts=[word for word in every if _WITHOUT_SPACES.search(word)],
        names=" ".join(words.split()),
    )
