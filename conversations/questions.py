"""What customers asked and what became of it: for finding gaps in the help content, and as labels for deciding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository

Why = Literal["abstained", "none_of_these", "not_helpful"]
"""Nothing was found; none of the offered articles was meant; the answer did not help."""
NONE_OF_THESE = "none"
ARTICLE = "article:"
"""Ids of the buttons under a clarifying question: this one, or `article:` with the id of an article."""


@dataclass(frozen=True)
class Unanswered:
    """A question the help content did not answer."""

    text: str
    lang: str
    account_id: str | None
    conversation_id: str
    asked_at: datetime
    why: Why


@dataclass(frozen=True)
class Label:
    """A question, and what a person said of an article as its answer.

    Attributes:
        article: id of the article that answers it, or that did not; its address, where a CSM linked to it.
        answers: whether it did.
        source: a thumb under the answer, the alternative that was chosen, or a CSM: the article they sent, or that was made of their reply.
    """

    text: str
    lang: str
    article: str
    answers: bool
    source: Literal["thumb", "choice", "csm"]


async def unanswered(session: AsyncSession, since: datetime, until: datetime) -> list[Unanswered]:
    """Questions of a period that the help content did not answer, newest first; each turn once."""
    return [Unanswered(*row) for row in await repository.unanswered(session, since, until, NONE_OF_THESE)]


async def labels(session: AsyncSession, since: datetime, until: datetime, help_url: str = "") -> list[Label]:
    """What people said of answers in a period, oldest first.

    Args:
        help_url: where the articles are published: a CSM's reply that links to one there says which article answers.
    """
    found = [Label(*row) for row in await repository.labels(session, since, until, ARTICLE)]
    if help_url:
        rows = await repository.csm_links(session, since, until, help_url.rstrip("/") + "/")
        found += [Label(text, lang, link, True, "csm") for text, lang, link in rows]
    return found
