"""Forgetting whole conversations, and handing them out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository


async def find(
    session: AsyncSession, *, account_id: str | None = None, person_id: str | None = None, emails: Sequence[str] = ()
) -> list[str]:
    """The conversations of a person or of an account.

    Args:
        account_id: all of this account.
        person_id: all of this person.
        emails: and those of visitors who left one of these addresses.
    Returns:
        their ids.
    """
    return await repository.conversations_of(session, account_id, person_id, emails)


async def erase(session: AsyncSession, conversation_ids: Sequence[str]) -> None:
    """Removes conversations with every message, note, turn, token, escalation, and what Rasa kept of them."""
    await repository.delete_conversations(session, conversation_ids)


async def older(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Conversations in which nothing was said since `before`, at most so many; locked until the end of the transaction."""
    return await repository.conversations_before(session, before, limit)


async def forget_tokens(session: AsyncSession, now: datetime) -> int:
    """Removes tokens that open nothing any more. Returns how many."""
    return await repository.delete_expired_tokens(session, now)


async def sweep(session: AsyncSession, within: timedelta) -> int:
    """Removes what Rasa kept of conversations that are gone: it may have been answering one while it was erased.

    Args:
        within: how long ago it was kept at most. A turn outlives its conversation by its budget, so that minutes do where this
            is done often; it is looked at every tracker of that time.
    Returns:
        how many were removed.
    """
    return await repository.delete_orphaned_trackers(session, within)


async def export(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Each conversation with its messages, turns and feedback, oldest first; what CSMs noted is left out."""
    return await repository.exported(session, conversation_ids)


async def export_notes(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What CSMs noted beside these conversations. Internal."""
    return await repository.notes_of(session, conversation_ids)


async def export_good_replies(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Which replies in these conversations CSMs kept as good ones, and the articles drafted from them. Internal."""
    return await repository.kept_replies_of(session, conversation_ids)


async def export_dialogues(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What Rasa keeps of these conversations: what it understood and did, event by event. Internal."""
    return await repository.dialogues_of(session, conversation_ids)


async def export_facts(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What the escalation policy was told of each turn. Internal."""
    return await repository.facts_of(session, conversation_ids)
