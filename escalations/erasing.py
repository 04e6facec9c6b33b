"""Forgetting what was told of conversations, and handing out what was decided about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from escalations import repository


async def erase(session: AsyncSession, conversation_ids: Sequence[str]) -> None:
    """Removes notifications of conversations, sent or not. Their escalations go with the conversations themselves."""
    await repository.delete_notifications(session, conversation_ids)


async def forget_notifications(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes notifications that were sent or given up, made before a moment. Returns how many."""
    return await repository.delete_settled_notifications(session, before, limit)


async def export_notifications(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What was told of conversations, to whom and when, sent or not. Internal."""
    return await repository.notifications_of(session, conversation_ids)


async def export(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The escalations of conversations, each with everything that happened to it. Internal."""
    return await repository.exported(session, conversation_ids)
