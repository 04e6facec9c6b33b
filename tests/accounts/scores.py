"""Health scores of the past, as the nightly run leaves them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from accounts.models import HealthScore


async def keep_score(session: AsyncSession, account_id: str, at: datetime, score: Decimal) -> None:
    """Stores one score."""
    band = "healthy" if score >= 70 else "at_risk" if score < 45 else "neutral"
    row = HealthScore(account_id=account_id, day=at.date(), at=at, score=score, band=band, coverage=Decimal(1))
    row.profile, row.reasons, row.signals = "adopting", [], []
    await session.merge(row)
    await session.flush()
