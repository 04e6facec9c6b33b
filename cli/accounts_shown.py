"""What `kotae accounts` prints for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from rich.table import Table

from accounts.backtest import Backtest
from accounts.catalog import Catalog
from accounts.facts import CustomerFacts, InternalFacts, Trend, Usage
from accounts.fitting import FitReport
from accounts.health import Axis, Fact, Indicator, Reason
from accounts.kpi import KpiReport, Kpis, Movements, Rate
from cli.output import notes, screen
from kit.company import in_language

WORST = 5
"""Reasons that are shown where not all are asked for."""
_PERIODS = {1: "a month", 3: "a quarter", 12: "a year"}
_SHARES = ("share", "ratio", "per cent")
"""Units that are printed as a per cent sign."""


def account(known: CustomerFacts, internal: InternalFacts, catalog: Catalog, explain: bool, today: date) -> None:
    """Prints an account.

    Args:
        explain: every indicator with its curve, instead of what costs the most.
    """
    grid = Table.grid(padding=(0, 2))
    for label, value in _lines(known, internal, catalog, today):
        grid.add_row(f"[bold]{label}[/bold]", value)
    screen.print(grid)
    if internal.reasons and internal.health_score is not None:
        screen.print(_reasons(internal.reasons if explain else internal.reasons[:WORST], catalog, explain))
        rest = internal.reasons[WORST:]
        if rest and not explain:
            lost = sum(reason.lost for reason in rest)
            screen.print(f"{len(rest)} more cost {lost:.0f} points together; --explain shows each with its curve.")


def _lines(known: CustomerFacts, internal: InternalFacts, catalog: Catalog, today: date) -> Iterator[tuple[str, str]]:
    yield "Account", f"{known.account_name} ({known.account_id})"
    yield "Plan", _plan(known)
    over = known.cancelled_on is not None and known.cancelled_on <= today
    if not over:
        yield "Stage", known.stage
    used = {name: meter for name, meter in known.meters.items() if meter.used or meter.known}
    told = ", ".join(f"{name.replace('_', ' ')} {_meter(meter)}" for name, meter in used.items())
    yield "Use", told or "nothing is recorded"
    if known.cancelled_on is not None:
        yield "Ended" if over else "Ends", known.cancelled_on.isoformat()
    else:
        yield "Renews", _renewal(known, today)
    if not over:
        yield "Onboarding", _onboarding(known, catalog)
    yield "Health", (f"of an account that has ended: {_health(internal)}" if over else _health(internal))
    if internal.health_groups:
        yield "", ", ".join(f"{group} {score:.0f}" for group, score in internal.health_groups.items())
    signals = [in_language(catalog.health.signals[name].label, "en") for name in internal.signals]
    yield "Signals", "\n".join(signals) or "none"
    value = internal.value
    yield "Value", f"{value.amount:,} {value.currency} over {value.period}: {value.formula}"
    yield "", f"{', '.join(value.assumptions)}; {internal.tier} touch"
    yield "Owner", internal.owner or "nobody"
    if internal.notes:
        latest = internal.notes[0]
        yield "Last note", f"{latest.text} ({latest.author}, {latest.created_at:%Y-%m-%d})"


def _plan(known: CustomerFacts) -> str:
    plan = known.plan
    period = _PERIODS.get(plan.per_months, f"every {plan.per_months} months")
    said = [plan.name]
    said += [f"{plan.price:,} {plan.currency} {period}"] if plan.price is not None else []
    said += [f"{plan.seats} seats"] if plan.seats is not None else []
    return ", ".join(said)


def _meter(meter: Usage) -> str:
    used = f"{meter.used:,}"
    return used if not meter.known else f"{used} of {'unlimited' if meter.limit is None else f'{meter.limit:,}'}"


def _renewal(known: CustomerFacts, today: date) -> str:
    if known.renews_on is None:
        return "unknown"
    itself = {True: ", by itself", False: ", not by itself", None: ""}[known.auto_renew]
    return f"{known.renews_on} (in {(known.renews_on - today).days} days){itself}"


def _onboarding(known: CustomerFacts, catalog: Catalog) -> str:
    if not known.steps:
        return "no steps"
    if catalog.plans.get(known.plan.id) is None and not any(step.done for step in known.steps):
        return "unknown: no step was recorded, and the plan is none of plans.yml"
    said = f"{known.onboarding_percent} %"
    if known.current_step is not None:
        said += f", next: {in_language(known.current_step.title, 'en')} (due {known.current_step.due})"
    overdue = sum(step.overdue for step in known.steps)
    return said + (f", {overdue} overdue" if overdue else "")


def _health(internal: InternalFacts) -> str:
    if internal.health_score is None or internal.band is None:
        return "unknown: nothing is known that it is made of"
    whole = (
        ""
        if internal.coverage >= 1
        else f"; {'only ' if internal.coverage < 0.5 else ''}{internal.coverage:.0%} of what it is made of is known"
    )
    return f"{internal.health_score:.0f} of 100, {internal.band.replace('_', ' ')}{_trend(internal.trend)}{whole}"


def _trend(trend: Trend) -> str:
    given = [(trend.days_7, 7), (trend.days_30, 30)]
    said = [f"{change:+.0f} in {days} days" for change, days in given if change is not None]
    return f" ({', '.join(said)})" if said else ""


def _reasons(reasons: Sequence[Reason], catalog: Catalog, explain: bool) -> Table:
    table = Table(title="Why the health score is what it is")
    table.add_column("what counts")
    table.add_column("is", justify="right")
    table.add_column("points of 100", justify="right")
    table.add_column("weight", justify="right")
    table.add_column("costs", justify="right")
    if explain:
        table.add_column("curve: points at")
    for reason in reasons:
        indicator = catalog.health.indicators[reason.indicator]
        label = in_language(reason.label, "en")
        cells = [f"{label} ({reason.indicator})" if explain and label != reason.indicator else label]
        cells += [fact(reason.fact, reason.unit, indicator.date), f"{reason.points:.0f}", f"{reason.weight:.1%}"]
        table.add_row(*cells, f"{reason.lost:.1f}", *([curve(indicator)] if explain else []))
    return table


def fact(value: Fact, unit: str, form: str = "") -> str:
    """A fact as a person reads it.

    Args:
        form: how its dates are written; empty where it is no date.
    """
    if value is None:
        return "missing"
    if isinstance(value, str):
        return f"{value} {unit}".strip()
    if form:
        return date.fromordinal(int(value)).isoformat()
    if unit in _SHARES:
        return f"{value * (1 if unit == 'per cent' else 100):.0f} %"
    number = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit.removesuffix('s') if value == 1 else unit}".strip()


def curve(indicator: Indicator) -> str:
    """The points an indicator gives: straight between those listed, level outside them."""
    if indicator.grid is not None:
        rows, columns = indicator.grid.rows, indicator.grid.columns
        given = [
            f"{rows.fact} {place}: {_row(columns, points)}" for place, points in _places(rows, indicator.grid.points)
        ]
    elif indicator.curve is not None:
        # The unit is beside the fact already; a share is not itself without its sign.
        unit = indicator.unit if indicator.unit in _SHARES else ""
        given = [f"{points:g} at {fact(x, unit, indicator.date)}" for x, points in indicator.curve]
    else:
        given = [f"{points:g} for {text}" for text, points in (indicator.levels or {}).items()]
    return ", ".join(given + ([f"{indicator.missing:g} where missing"] if indicator.missing is not None else []))


def _places(axis: Axis, values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(fact(place, "", axis.date), value) for place, value in zip(list[Fact](axis.at), values, strict=True)]


def _row(columns: Axis, points: Sequence[float]) -> str:
    return " ".join(f"{value:g} at {columns.fact} {place}" for place, value in _places(columns, points))


def kpis(report: KpiReport) -> None:
    """Prints key figures, a column a segment."""
    table = Table("figure", "all", *report.segments)
    every = [report.total, *report.segments.values()]
    for name, field in Kpis.model_fields.items():
        if field.annotation is Rate:
            table.add_row(name.replace("_", " "), *(_rate(name, getattr(each, name)) for each in every))
    table.add_section()
    for name in Movements.model_fields:
        table.add_row(name.replace("_", " "), *(_number(getattr(each.movements, name), name) for each in every))
    screen.print(table)
    screen.print(f"{report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, money in {report.currency} a month.")
    if report.total.reasons_lost:
        screen.print("Lost for: " + ", ".join(f"{why} ({count})" for why, count in report.total.reasons_lost.items()))
    for left_out in report.left_out:
        notes.print(left_out, markup=False)


def _rate(name: str, rate: Rate) -> str:
    """A rate with its parts: a share in per cent, but for the scores, the minutes and the money."""
    if rate.value is None:
        return "–"
    value = f"{rate.value:+.0f}" if name == "nps" else f"{rate.value:.1f}"
    if name == "lifetime_value":
        return f"{rate.value:,.2f} ({rate.part:,.2f} of {rate.whole:,.0f})"
    if name not in ("nps", "session_minutes"):
        value = f"{rate.value:.1%}"
    return f"{value} ({_number(rate.part, name)} of {_number(rate.whole, name)})"


def _number(value: Decimal | int, name: str) -> str:
    """Money to the cent, all else whole where it is."""
    money = "revenue" in name or name.endswith("mrr")
    return f"{value:,.2f}" if money or value != int(value) else f"{value:,.0f}"


def backtest(report: Backtest) -> None:
    """Prints what the score said of those who then left."""
    whens = ", ".join(f"{when:%Y-%m-%d}" for when in report.moments)
    if whens:
        screen.print(f"Scored on {whens}; left within {report.days} days after: {report.left} of {report.customers}.")
        table = Table("band then", "customers", "left", "share")
        for band, outcome in report.bands.items():
            share = "–" if outcome.rate is None else f"{outcome.rate:.1%}"
            table.add_row(band.replace("_", " "), str(outcome.customers), str(outcome.left), share)
        screen.print(table)
    if report.auc is not None:
        screen.print(
            f"AUC {report.auc:.3f}; the worst tenth left {report.lift_worst_decile:.1f} times as often as all."
        )
    if report.note:
        screen.print(f"No AUC: {report.note}.")


def fit(report: FitReport) -> None:
    """Prints how well a fitted score tells who leaves, what it looks at, and the file."""
    screen.print(
        f"{report.rows:,} customers, {report.left:,} left ({report.outcome} = {report.positive})", markup=False
    )
    screen.print(f"AUC {report.auc:.3f}, Brier {report.brier:.3f} (guessing {report.brier_of_guessing:.3f})")
    screen.print(f"the worst tenth left {report.lift_worst_decile:.1f} times as often as all")
    table = Table("predicted", "observed", "customers")
    for tenth in report.calibration:
        table.add_row(f"{tenth.predicted:.1%}", f"{tenth.observed:.1%}", f"{tenth.customers:,}")
    screen.print(table)
    columns = Table("column", "weight", "direction", "AUC alone")
    for column in report.columns:
        columns.add_row(column.name, f"{column.weight:.2f}", column.direction, f"{column.alone:.3f}")
    screen.print(columns)
    for name, why in report.left_out.items():
        screen.print(f"left out: {name} {why}", markup=False)
    screen.print(report.health_yml, markup=False)
