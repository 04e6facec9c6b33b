"""A health score fitted to who really left: `kotae accounts fit-health`.

From any table of customers with an outcome comes an additive score of the same form as `health.yml`: one curve, or one number of
points for each level, a column, and a small grid for the few pairs of columns that tell something only together. Additive means that
every point lost has one column, or one pair, as its reason; curves mean that an effect may rise, fall, turn or jump, as the data has it.

Two models of the log-odds of leaving are averaged, by shares chosen on customers held back: a ridge logistic regression on piecewise
linear curves (smooth effects), and boosted trees that never look at two columns at once but for the pairs (jumps), several on other
samples. Their sum is again a sum of one function a column and a pair; each is read off at quantiles, simplified to the points that
matter, and scaled to 0-100. What is cross-validated is the score as it would be pasted, made anew from each part of the data with its
pairs, not the models behind it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from accounts import health
from accounts.fit_table import (
    LEAK_AUC,
    Floats,
    Table,
    Texts,
    alone_auc,
    read_columns,
    several_rows,
    typed,
    who_left,
    without_leaks,
)
from accounts.health import Health
from accounts.scorecard import Curve, Grid, Part, Scorecard, fit_scorecard
from kit.errors import UserError

Progress = Callable[[int, int], None]
FOLDS = 5
_GROUPS = {
    "satisfaction": re.compile(r"nps|csat|satisf|complain|ticket|support|rating|feedback|survey", re.IGNORECASE),
    "usage": re.compile(
        r"usage|login|log_?in|minute|call|session|active|visit|hour|stream|data|order|trans|click|event|app|device",
        re.IGNORECASE,
    ),
}


class FittedColumn(BaseModel):
    """What one column says of who leaves, or two columns together beyond what each says."""

    model_config = ConfigDict(frozen=True)

    name: str
    weight: float
    """How far the log-odds of leaving go from its best value to its worst."""
    direction: Literal["more is better", "more is worse", "both ways", "by level", "together"]
    alone: float
    """How well it tells by itself who leaves (AUC)."""
    curve: list[tuple[float, float]] | None = None
    levels: dict[str, float] | None = None
    grid: health.Grid | None = None
    missing: float | None = None


class Bin(BaseModel):
    """A tenth of the customers, by predicted chance."""

    model_config = ConfigDict(frozen=True)

    predicted: float
    observed: float
    customers: int


class FitReport(BaseModel):
    """What came out. All figures are cross-validated: each customer is judged by a score that was made without them."""

    rows: int
    left: int
    outcome: str
    positive: str
    """The value of the outcome that stands for having left."""
    auc: float
    auc_folds: list[float]
    brier: float
    brier_of_guessing: float
    """Of giving everybody the same chance."""
    log_loss: float
    lift_worst_decile: float
    """How many times more often the tenth with the lowest score left than all did."""
    calibration: list[Bin]
    warnings: list[str]
    left_out: dict[str, str]
    columns: list[FittedColumn]
    bands: dict[str, dict[str, float]]
    """Share of customers and share who left, in each band of the file."""
    health_yml: str


def fit_health(
    path: Path,
    outcome: str,
    *,
    positive: str | None = None,
    keep: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    monotone: bool = False,
    progress: Progress | None = None,
) -> FitReport:
    """Fits a health score to a table of customers of whom it is known who left.

    Args:
        path: CSV with a header; columns of numbers and of texts, any of which may have gaps.
        outcome: the column that says who left, with two values.
        positive: the value that stands for having left; by default found from the words.
        keep: columns to use although they look like the outcome or like an id.
        leave_out: columns not to use.
        monotone: simpler rules: every curve rises or falls all along, and no two columns are taken together.
        progress: called with parts done and parts in all.
    Raises:
        UserError: no such column, not two outcomes, too few customers of one, or no column that could be used.
    """
    columns = read_columns(path)
    outcome = _named(columns, outcome, path)
    target, positive, warnings, known = who_left(columns.pop(outcome), outcome, positive)
    columns = {name: [values[row] for row in known] for name, values in columns.items()}
    if not columns:
        raise UserError(f"{path} has no column to tell from", f"it has {outcome} alone")
    id_, once, customers = several_rows(columns)
    if len(once) < len(target):
        warnings.append(f"{len(target) - len(once)} rows are there twice, and counted once")
        columns = {name: [values[row] for row in once] for name, values in columns.items()}
        target = target[once]
    if customers is not None:
        warnings.append(f"{id_} has several rows for a customer: none is judged by a score that saw another of theirs")
    table, left_out = typed(columns, target, set(keep), set(leave_out))
    table, leaks, suspects = without_leaks(replace(table, customers=customers), outcome, set(keep))
    left_out |= leaks
    warnings += [
        f"{name} {why}: left out. Is it known before a customer leaves? If it is, keep it by name (--keep)"
        for name, why in leaks.items()
    ]
    warnings += [
        f"{name} {why}: used. Is it known before a customer leaves? If not, leave it out by name (--leave-out)"
        for name, why in suspects.items()
    ]
    if not table.numbers and not table.texts:
        raise UserError(
            f"{path} has no column to tell from", "; ".join(f"{name}: {why}" for name, why in left_out.items())
        )
    # One thread: the parts are small, and threads that wait for each other on a busy machine take many times longer.
    with threadpool_limits(limits=1):
        odds, folds = _cross_validated(table, monotone, progress)
        card = fit_scorecard(table, monotone=monotone)
    if progress is not None:
        progress(FOLDS + 1, FOLDS + 1)
    return _report(table, card, odds, folds, outcome, positive, warnings, left_out)


def _named(columns: Mapping[str, object], outcome: str, path: Path) -> str:
    """The column that is meant, also where only its case is another."""
    alike = [name for name in columns if name.lower() == outcome.strip().lower()]
    if outcome not in columns and len(alike) != 1:
        raise UserError(f"{path} has no column {outcome!r}", f"it has {', '.join(columns)}")
    return outcome if outcome in columns else alike[0]


def _cross_validated(table: Table, monotone: bool, progress: Progress | None) -> tuple[Floats, list[float]]:
    """Log-odds of each row by a score made without it, and the AUC of each part."""
    odds = np.zeros(len(table.target))
    aucs: list[float] = []
    whole = StratifiedKFold if table.customers is None else StratifiedGroupKFold
    parts = whole(FOLDS, shuffle=True, random_state=0)
    for done, (learn, test) in enumerate(parts.split(odds, table.target, table.customers)):
        if progress is not None:
            progress(done, FOLDS + 1)
        odds[test] = fit_scorecard(table.rows(learn), monotone=monotone).log_odds(table.rows(test))
        aucs.append(float(roc_auc_score(table.target[test], odds[test])))
    return odds, aucs


def _report(
    table: Table,
    card: Scorecard,
    odds: Floats,
    folds: list[float],
    outcome: str,
    positive: str,
    warnings: list[str],
    left_out: dict[str, str],
) -> FitReport:
    chance = 1 / (1 + np.exp(-odds))
    base = float(table.target.mean())
    order = np.argsort(-chance, kind="stable")
    worst = table.target[order[: max(1, len(order) // 10)]]
    columns = _columns(table, card)
    if np.mean(folds) >= LEAK_AUC:
        heaviest = " and ".join(column.name for column in columns[:2])
        asked = f"{heaviest}: known before a customer leaves? If not, leave them out by name (--leave-out)"
        warnings = [*warnings, f"the score as a whole tells nearly everything, most of it by {asked}"]
    bands, text = _file(table, card, columns, odds, outcome, float(np.mean(folds)))
    return FitReport(
        rows=len(table.target),
        left=int(table.target.sum()),
        outcome=outcome,
        positive=positive,
        auc=round(float(np.mean(folds)), 4),
        auc_folds=[round(auc, 4) for auc in folds],
        brier=round(float(brier_score_loss(table.target, chance)), 4),
        brier_of_guessing=round(base * (1 - base), 4),
        log_loss=round(float(log_loss(table.target, chance)), 4),
        lift_worst_decile=round(float(worst.mean()) / base, 2),
        calibration=[
            Bin(
                predicted=round(float(chance[part].mean()), 4),
                observed=round(float(table.target[part].mean()), 4),
                customers=len(part),
            )
            for part in np.array_split(order[::-1], min(10, len(order)))
        ],
        warnings=warnings,
        left_out=left_out,
        columns=columns,
        bands=bands,
        health_yml=text,
    )


def _columns(table: Table, card: Scorecard) -> list[FittedColumn]:
    """Each column in points, 100 where it speaks most for staying; the weightiest first."""
    made: list[FittedColumn] = []
    for name, weight in card.weights.items():
        if weight < 0.01:
            continue
        part = card.parts[name]
        high = max(part.ends)

        def points(value: float, high: float = high, weight: float = weight) -> float:
            return round(100 * (high - value) / weight, 1)

        made.append(
            FittedColumn.model_validate({"name": name, "weight": round(weight, 3)} | _drawn(table, part, name, points))
        )
    return sorted(made, key=lambda column: -column.weight)


def _drawn(table: Table, part: Part, name: str, points: Callable[[float], float]) -> dict[str, Any]:
    """The form of one part of the score, in points."""
    if isinstance(part, Grid):
        rows, columns = (
            {"fact": fact, "at": _written(axis)} | ({"date": table.dates[fact]} if fact in table.dates else {})
            for fact, axis in zip(part.pair, part.axes, strict=True)
        )
        cells = [[points(value) for value in row] for row in part.y.tolist()]
        return {
            "direction": "together",
            "alone": round(float(roc_auc_score(table.target, part.of(table))), 3),
            "grid": {"rows": rows, "columns": columns, "points": cells},
            "missing": points(0.0),
        }
    alone = round(alone_auc(table, name), 3)
    if isinstance(part, Curve):
        curve = [(x, points(y)) for x, y in zip(_written(part.x), part.y.tolist(), strict=True)]
        missing = None if part.missing is None else points(part.missing)
        return {"direction": _direction([y for _, y in curve]), "alone": alone, "curve": curve, "missing": missing}
    levels = {text: points(value) for text, value in part.points.items() if text}
    missing = points(part.points[""]) if "" in part.points else None
    return {"direction": "by level", "alone": alone, "levels": levels, "missing": missing}


def _written(places: Floats | Texts) -> list[Any]:
    """The places of a curve with as few digits as tell them apart, six or more."""
    if places.dtype.kind != "f":
        return [str(text) for text in places.tolist()]
    for digits in range(6, 17):
        short = [float(f"{x:.{digits}g}") for x in places.tolist()]
        if all(later > earlier for earlier, later in itertools.pairwise(short)):
            return short
    return list(places.tolist())


def _direction(points: list[float]) -> str:
    rises = sum(max(later - earlier, 0) for earlier, later in itertools.pairwise(points))
    falls = sum(max(earlier - later, 0) for earlier, later in itertools.pairwise(points))
    if falls <= 0.15 * rises:
        return "more is better"
    return "more is worse" if rises <= 0.15 * falls else "both ways"


def _file(
    table: Table, card: Scorecard, columns: Sequence[FittedColumn], odds: Floats, outcome: str, auc: float
) -> tuple[dict[str, dict[str, float]], str]:
    """The file to paste, and what its bands mean: the worst fifth is at risk, the better half healthy."""
    weights = card.weights
    total = sum(weights.values())
    worst = card.intercept + sum(max(part.ends) for part in card.parts.values())
    scores = 100 * (worst - odds) / total
    at_risk, healthy = (round(float(edge), 1) for edge in np.quantile(scores, [0.2, 0.5]))
    margin = round(min(2.0, (healthy - at_risk) / 3), 2)
    bands = {
        "at_risk": _band(table, scores < at_risk),
        "neutral": _band(table, (scores >= at_risk) & (scores < healthy)),
        "healthy": _band(table, scores >= healthy),
    }
    groups = {column.name: _group(column.name) for column in columns}
    shares = {
        group: round(sum(each.weight for each in columns if groups[each.name] == group), 3) for group in groups.values()
    }
    document: dict[str, Any] = {
        "bands": {"healthy": healthy, "at_risk": at_risk, "margin": margin},
        "profiles": [{"id": "adopting", "groups": shares}],
        "indicators": {column.name: _indicator(column, groups[column.name], table.dates) for column in columns},
    }
    Health.model_validate(document)
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=150)
    share = {
        name: f"{band['customers']:.0%} of customers, of whom {band['left']:.0%} left" for name, band in bands.items()
    }
    head = (
        f"# Fitted to {outcome} of {len(table.target)} customers; cross-validated AUC {auc:.3f}.\n"
        "# Facts are read from an account's attributes by these names.\n"
        + "".join(f"# {name}: {words}\n" for name, words in share.items())
    )
    return bands, head + body


def _band(table: Table, inside: npt.NDArray[np.bool_]) -> dict[str, float]:
    left = float(table.target[inside].mean()) if inside.any() else 0.0
    return {"customers": round(float(inside.mean()), 4), "left": round(left, 4)}


def _group(name: str) -> str:
    return next((group for group, words in _GROUPS.items() if words.search(name)), "relationship")


def _indicator(column: FittedColumn, group: str, dates: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"group": group, "label": column.name, "weight": column.weight}
    if column.name in dates:
        made["date"] = dates[column.name]
    if column.curve is not None:
        made["curve"] = [list(point) for point in column.curve]
    elif column.grid is not None:
        made["grid"] = column.grid.model_dump(exclude_defaults=True)
    else:
        made["levels"] = column.levels
    return made | ({"missing": column.missing} if column.missing is not None else {})
