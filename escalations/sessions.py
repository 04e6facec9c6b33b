"""Which browsers CSMs are signed in with. A session is a row here: where it is gone, no copy of its cookie opens anything."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from conversations.repository import notify
from escalations import repository
from escalations.models import Csm, CsmSession
from kit.ids import hash_token, new_token

IDLE = timedelta(hours=12)
"""A session ends after so long without a request."""
_NOTED_EVERY = timedelta(minutes=5)
"""That a session is used is written down so often, and not with each request."""


async def begin(session: AsyncSession, csm: Csm, now: datetime) -> str:
    """A CSM has proved who they are.

    Returns:
        the secret for their browser; only its hash is stored.
    """
    secret = new_token()
    session.add(CsmSession(hash=hash_token(secret), csm_id=csm.id, created_at=now, used_at=now))
    await session.flush()
    return secret


async def csm_of(session: AsyncSession, secret: str, now: datetime) -> Csm | None:
    """The CSM as they are now; None where the session is over or they may not sign in any more."""
    found = await repository.csm_session(session, hash_token(secret), now - IDLE)
    if found is None:
        return None
    csm, used_at = found
    if used_at < now - _NOTED_EVERY:
        await repository.use_csm_session(session, hash_token(secret), now)
    return csm


async def end(session: AsyncSession, secret: str) -> None:
    """Signs one browser out."""
    csm_id = await repository.delete_csm_session(session, hash_token(secret))
    if csm_id is not None:
        await _tell(session, csm_id)


async def end_all(session: AsyncSession, csm_id: str) -> None:
    """Signs a CSM out everywhere: their password changed, or they may not sign in any more."""
    await repository.delete_csm_sessions(session, csm_id)
    await _tell(session, csm_id)


async def forget(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes sessions that were last used before a moment. Returns how many."""
    return await repository.delete_idle_csm_sessions(session, before, limit)


async def _tell(session: AsyncSession, csm_id: str) -> None:
    """Every open page looks who is in front of it."""
    await notify(session, json.dumps({"csm": csm_id}))
