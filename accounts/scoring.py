"""Health scores worked out for many accounts at once, and kept: nightly for all, and for one when its facts change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from accounts.catalog import Catalog
from accounts.facts import all_health_facts
from accounts.health import Band, Fact, Health, weigh

REASONS = 3
"""Reasons that are kept with a score of the past; those of today are worked out in full when somebody looks."""


async def score_accounts(
    session: AsyncSession, catalog: Catalog, now: datetime, *, ids: Sequence[str] | None = None
) -> int:
    """Works out and keeps the health of accounts. A second run on a day replaces the first.

    Args:
        ids: these accounts, or None for all that have a running subscription.
    Returns:
        How many were scored.
    """
    facts = await all_health_facts(session, catalog, ids, now)
    before = await repository.bands_before(session, ids, now.date())
    rows = [
        # In the order of ids: two that score the same accounts at once wait for each other, never in a circle.
        score_row(catalog.health, key, known, now, cast("Band | None", before.get(key)))
        for key, known in sorted(facts.items(), key=lambda each: each[0])
    ]
    await repository.upsert(session, m.HealthScore, rows, on=["account_id", "day"])
    return len(rows)


def score_row(
    health: Health, account_id: str, facts: Mapping[str, Fact], now: datetime, before: Band | None
) -> dict[str, Any]:
    """The line of history that an account's facts make."""
    profile, coverage, score, known = weigh(health, facts)
    lost = sorted(((weight * (100 - points), name) for name, (points, weight) in known.items()), reverse=True)
    return {
        "account_id": account_id,
        "day": now.date(),
        "at": now,
        "score": None if score is None else Decimal(str(score)),
        "band": None if score is None else health.bands.of(score, before),
        "coverage": Decimal(str(coverage)),
        "profile": profile.id,
        "reasons": [
            {"indicator": name, "lost": round(points, 2), "fact": health.indicators[name].given(name, facts)}
            for points, name in lost[:REASONS]
            if points > 0
        ],
        "signals": health.signals_of(facts),
    }
