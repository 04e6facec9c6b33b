"""The audit log: who signed in, took data out or changed a setting. It is only ever added to, until its lines have had their time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.models import AuditEntry
from escalations.models import Csm

Action = Literal["sign_in", "sign_in_refused", "sign_out", "export", "settings", "erase"]


async def record(
    session: AsyncSession, action: Action, by: Csm | str, now: datetime, **detail: str | int | None
) -> None:
    """Writes one entry.

    Args:
        by: the CSM; else who it was in words, a CSM's address, or `nobody`.
        detail: what it was about; no passwords, keys or customers' words.
    """
    if isinstance(by, Csm):
        entry = AuditEntry(at=now, action=action, csm_id=by.id, actor=by.name, detail={"email": by.email, **detail})
    else:
        entry = AuditEntry(at=now, action=action, csm_id=None, actor=by[:320], detail=dict(detail))
    session.add(entry)
    await session.flush()


def nobody(given: str, key: str) -> str:
    """Stands for what was given as an address and is no CSM's: a customer's perhaps, or a password in the wrong field. The same is the same each time.

    Args:
        key: of the installation; without it nobody can try out what it was.
    """
    return "#" + hmac.digest(key.encode(), given.encode(), "sha256").hex()[:16]


async def refusals(session: AsyncSession, actor: str) -> tuple[int, datetime | None]:
    """How often nobody could be signed in under this name, and when last."""
    query = select(func.count(), func.max(AuditEntry.at)).where(
        AuditEntry.action == "sign_in_refused", AuditEntry.actor == actor[:320]
    )
    number, last = (await session.execute(query)).one()
    return int(number), last


async def forget(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes entries from before a moment, the one way in which the log gets shorter. Returns how many."""
    old = select(AuditEntry.id).where(AuditEntry.at < before).order_by(AuditEntry.at).limit(limit)
    gone = await session.execute(delete(AuditEntry).where(AuditEntry.id.in_(old)).returning(AuditEntry.id))
    return len(gone.all())


async def recent(session: AsyncSession, limit: int = 200) -> Sequence[AuditEntry]:
    """The newest entries, newest first."""
    query = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)
    return (await session.execute(query)).scalars().all()
