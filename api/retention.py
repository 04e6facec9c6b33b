"""Nothing is kept for ever by default: each kind of data has its days, and goes when they are over.

| kind | setting | what goes |
|---|---|---|
| conversations | `keep_conversations_days` | messages, turns, notes, ratings, escalations, notifications, what Rasa kept of them |
| events of use | `keep_events_days` | single events; the figures of their days stay, which name no page and no property |
| notifications | `keep_notifications_days` | what was sent or given up |
| audit log | `keep_audit_days` | its lines |
| tokens of conversations | none | once they open nothing any more |
| sign-ins of CSMs | none | once they have been idle for twelve hours |
| logs | `keep_logs_days` | closed log files, by `kotae up` |

Accounts and people stay until the company erases them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import erasing as accounts
from api import audit, personal_data
from conversations import erasing as conversations
from escalations import erasing as escalations
from escalations import sessions
from kit.database import Database
from kit.settings import Settings

AT_ONCE = 500
"""Rows of one transaction, so that nobody waits for it."""
Forget = Callable[[AsyncSession, datetime, int], Awaitable[int]]


async def forget(database: Database, settings: Settings, now: datetime) -> Counter[str]:
    """Removes all that has had its time, in many small transactions.

    Returns:
        how much of each kind.
    """
    kinds: dict[str, tuple[int, Forget]] = {
        "conversations": (settings.keep_conversations_days, _conversations),
        "events": (settings.keep_events_days, accounts.forget_events),
        "notifications": (settings.keep_notifications_days, escalations.forget_notifications),
        "audit": (settings.keep_audit_days, audit.forget),
    }
    gone: Counter[str] = Counter()
    for kind, (days, work) in kinds.items():
        if days:
            gone[kind] = await _in_parts(database, work, now - timedelta(days=days))
    gone["sign-ins"] = await _in_parts(database, sessions.forget, now - sessions.IDLE)
    async with database.begin() as session:
        gone["trackers"] = await conversations.sweep(
            session, timedelta(days=2)
        )  # what no front door was there to sweep
        gone["tokens"] = await conversations.forget_tokens(session, now)
    return gone


async def _in_parts(database: Database, work: Forget, before: datetime) -> int:
    whole = 0
    while True:
        async with database.begin() as session:
            number = await work(session, before, AT_ONCE)
        whole += number
        if number < AT_ONCE:
            return whole


async def _conversations(session: AsyncSession, before: datetime, limit: int) -> int:
    found = await conversations.older(session, before, limit)
    await personal_data.remove_conversations(session, found)
    return len(found)
