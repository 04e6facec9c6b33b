"""Did the health score know? What it said of customers some time before, against who then left.

At each of several moments in the past every customer is scored from what was known at that moment alone, and it is looked up whether
they ended their last subscription within the days after. Moments lie that many days apart, so no leaving is counted twice; those
before use was recorded, of anybody and without a long gap since, are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.catalog import Catalog
from accounts.facts import all_health_facts
from accounts.health import weigh

FEWEST = 10
"""Leavings under which an AUC says nothing."""
RECORDED = timedelta(days=28)
"""Of recorded use before a moment that can be scored: what the indicators of use look back on."""


GAP = timedelta(weeks=3)
"""Without a usual week, longer than holidays, before which use counts as not recorded."""
USUAL = 1 / 3
"""Of the share of accounts that use the product in a week of the last quarter: a week with less is not a usual one."""


class BandOutcome(BaseModel):
    """Customers of one band, over all moments."""

    model_config = ConfigDict(frozen=True)

    customers: int
    left: int
    rate: float | None


class Backtest(BaseModel):
    """What the score said, and what came of it."""

    model_config = ConfigDict(frozen=True)

    days: int
    moments: list[datetime]
    customers: int
    left: int
    bands: dict[str, BandOutcome]
    auc: float | None
    lift_worst_decile: float | None
    note: str


async def backtest(
    session: AsyncSession, catalog: Catalog, now: datetime, *, days: int = 90, moments: int = 4
) -> Backtest:
    """Scores the past and compares.

    Args:
        days: how long before the score is asked.
        moments: how many times, each `days` before the next.
    """
    begins = recorded_since(await repository.use_by_week(session))
    whens = [now - timedelta(days=days * back) for back in range(moments, 0, -1)]
    # Before use was recorded nobody seems to use anything: the score of such a day would blame them for it.
    whens = [when for when in whens if begins is None or when.date() - begins >= RECORDED]
    if not whens:
        return _compared(days, [], np.array([]), np.array([], dtype=bool), [])
    ends = await repository.last_ends(session)
    scores: list[float] = []
    left: list[bool] = []
    bands: list[str] = []
    for when in whens:
        for account, facts in (await all_health_facts(session, catalog, None, when)).items():
            score = weigh(catalog.health, facts)[2]
            if score is not None:
                end = ends.get(account)
                scores.append(score)
                left.append(end is not None and when < end <= when + timedelta(days=days))
                bands.append(catalog.health.bands.of(score))
    return _compared(days, whens, np.array(scores), np.array(left, dtype=bool), bands)


def recorded_since(weeks: Sequence[Mapping[str, Any]]) -> date | None:
    """The first day since which use has been recorded week by week; None where none is.

    A step of onboarding entered afterwards, or a trial by two customers, is no record of who used the product and who did not.

    Args:
        weeks: of `repository.use_by_week`, oldest first.
    """
    if not weeks:
        return None
    least = USUAL * median(each["share"] for each in weeks[-13:])
    usual: list[date] = [each["week"] for each in weeks if each["share"] >= least]
    breaks = [later for earlier, later in itertools.pairwise(usual) if later - earlier > GAP]
    return breaks[-1] if breaks else usual[0]


def _compared(days: int, whens: list[datetime], scores: np.ndarray, left: np.ndarray, bands: list[str]) -> Backtest:
    enough = FEWEST <= left.sum() <= len(left) - FEWEST
    short = f"fewer than {FEWEST} customers left or stayed: too few to measure the score by"
    if not whens:
        short = f"use was first recorded less than {days + RECORDED.days} days ago: there is no past to ask"
    worst = left[np.argsort(scores, kind="stable")[: max(1, len(scores) // 10)]]
    outcomes: dict[str, BandOutcome] = {}
    for band in ("at_risk", "neutral", "healthy"):
        inside = np.array([each == band for each in bands], dtype=bool)
        count, gone = int(inside.sum()), int(left[inside].sum()) if len(left) else 0
        outcomes[band] = BandOutcome(customers=count, left=gone, rate=round(gone / count, 4) if count else None)
    return Backtest(
        days=days,
        moments=whens,
        customers=len(scores),
        left=int(left.sum()),
        bands=outcomes,
        auc=round(float(roc_auc_score(left, -scores)), 4) if enough else None,
        lift_worst_decile=round(float(worst.mean() / left.mean()), 2) if enough else None,
        note="" if enough else short,
    )
