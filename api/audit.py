"""The audit log: who signed in, took data out or changed a setting. It is only ever added to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.models import AuditEntry
from escalations.models import Csm

Action = Literal["sign_in", "sign_in_refused", "sign_out", "export", "settings", "erase"]


async def record(
    session: AsyncSession, action: Action, by: Csm | str, now: datetime, **detail: str | int | None
) -> None:
    """Writes one entry.

    Args:
        by: the CSM, or the address that was given where nobody is known.
        detail: what it was about; no passwords, keys or customers' words.
    """
    if isinstance(by, Csm):
        entry = AuditEntry(at=now, action=action, csm_id=by.id, actor=by.name, detail={"email": by.email, **detail})
    else:
        entry = AuditEntry(at=now, action=action, csm_id=None, actor=by[:320], detail=dict(detail))
    session.add(entry)
    await session.flush()


async def recent(session: AsyncSession, limit: int = 200) -> Sequence[AuditEntry]:
    """The newest entries, newest first."""
    query = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)
    return (await session.execute(query)).scalars().all()
