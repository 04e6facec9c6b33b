"""What the escalation policy was told of each turn, kept so that another policy can be tried on the past. Internal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository


async def between(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[tuple[str, datetime, dict[str, Any]]]:
    """Conversation, time and facts of every such turn of a period, in order within each conversation."""
    return await repository.asked_of_policy(session, since, until)
