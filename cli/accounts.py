"""`kotae accounts`: customers' data from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import Progress
from rich.table import Table

from accounts import facts, fitting
from accounts import kpi as key_figures
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts, InternalFacts
from accounts.importing import ImportReport, import_csv
from accounts.kpi import KpiReport, Kpis, Movements, Rate
from cli import prepare
from cli.output import notes, print_json, screen, with_database
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import KotaeError
from kit.settings import load_settings

app = typer.Typer(help="Accounts: import, look at, measure.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
Kind = Literal["accounts", "people", "tickets", "invoices", "surveys", "trainings"]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header")],
    mapping: Annotated[Path | None, typer.Option("--mapping", help="what its columns are; see demo/mappings")] = None,
    kind: Annotated[Kind, typer.Option("--kind", help="of the rows, without a mapping")] = "accounts",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything, write nothing")] = False,
    json: Json = False,
) -> None:
    """Import a CSV: all rows or none, with every wrong row named."""
    settings = load_settings()
    currency = load_company(settings.company).currency

    async def work(database: Database, show: Progress) -> ImportReport:
        task = show.add_task(f"Import of {file.name}", total=None, detail="")

        def tell(done: int, total: int) -> None:
            show.update(task, completed=done, total=total, detail=f"{done * 100 // total} %")

        async with database.begin() as session:
            return await import_csv(
                session, file, mapping, now=now(), dry_run=dry_run, progress=tell, kind=kind, currency=currency
            )

    with prepare.progress() as show:
        report = with_database(settings, lambda database: work(database, show))
    if json:
        print_json(report)
    else:
        _print_report(report)
    if report.wrong_count:
        raise KotaeError(f"{file}: {report.wrong_count} wrong rows, nothing was imported", "correct them and try again")


def _print_report(report: ImportReport) -> None:
    for row in report.wrong:
        notes.print(f"line {row.line} ({row.id or 'no id'}): {row.problem}", markup=False)
    if not report.wrong_count:
        done = "imported" if report.written else "fit (dry run, nothing written)"
        screen.print(f"{report.rows} {report.kind} {done}: {report.new} new, {report.updated} updated.")


@app.command()
def show(
    account: Annotated[str, typer.Argument(help="id of the account")],
    explain: Annotated[bool, typer.Option("--explain", help="each indicator's fact and points")] = False,
    json: Json = False,
) -> None:
    """One account: plan, use, health with its reasons, value, tier, onboarding."""
    settings = load_settings()
    catalog = load_catalog(load_company(settings.company))

    async def look(database: Database) -> tuple[CustomerFacts, InternalFacts]:
        async with database.begin() as session:
            return (
                await facts.customer_facts(session, catalog, account, None, now()),
                await facts.internal_facts(session, catalog, account, now()),
            )

    known, internal = with_database(settings, look)
    if json:
        print_json({"account": known, "internal": internal})
    else:
        _print_account(known, internal, explain=explain)


def _print_account(known: CustomerFacts, internal: InternalFacts, *, explain: bool) -> None:
    grid = Table.grid(padding=(0, 2))
    price = f"{known.plan.price} {known.plan.currency} every {known.plan.per_months} months" if known.plan.price else ""
    used = [f"{name} {meter.used}/{_limit(meter)}" for name, meter in known.meters.items()]
    score = "unknown" if internal.health_score is None else f"{internal.health_score:.0f}"
    trend = [f"{internal.trend.days_7:+.0f} in 7 days"] if internal.trend.days_7 is not None else []
    trend += [f"{internal.trend.days_30:+.0f} in 30 days"] if internal.trend.days_30 is not None else []
    lines: list[tuple[str, Any]] = [
        ("Account", f"{known.account_name} ({known.account_id})"),
        ("Plan", f"{known.plan.name}  {price}"),
        ("Stage", known.stage),
        ("Use", ", ".join(used)),
        ("Renews", known.renews_on or "unknown"),
        ("Onboarding", f"{known.onboarding_percent} %"),
        ("Health", f"{score} ({internal.band or 'unknown'}), known to {internal.coverage:.0%}  {', '.join(trend)}"),
        ("Value", f"{internal.lifetime_value} {internal.currency}, {internal.tier} touch"),
        ("Signals", ", ".join(internal.signals) or "none"),
        ("Owner", internal.owner or "nobody"),
    ]
    for label, value in lines:
        grid.add_row(f"[bold]{label}[/bold]", str(value))
    screen.print(grid)
    table = Table("indicator", "group", "fact", "points", "weight", "lost", title="Why the health score is what it is")
    for reason in internal.reasons if explain else internal.reasons[:5]:
        cells = (reason.indicator, reason.group, str(reason.fact), f"{reason.points:.0f}", f"{reason.weight:.2f}")
        table.add_row(*cells, f"{reason.lost:.1f}")
    screen.print(table)


def _limit(meter: Any) -> str:
    return "?" if not meter.known else "unlimited" if meter.limit is None else str(meter.limit)


@app.command()
def kpi(
    start: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="first day, UTC")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="day after the last, UTC")] = None,
    by: Annotated[str | None, typer.Option("--by", help="segment: plan, currency, owner or an attribute")] = None,
    json: Json = False,
) -> None:
    """Key figures of a period, the last 30 days where none is named; each rate with both its parts."""
    settings = load_settings()
    catalog = load_catalog(load_company(settings.company))
    until = end.replace(tzinfo=UTC) if end else now()
    since = start.replace(tzinfo=UTC) if start else until - timedelta(days=30)

    async def work(database: Database) -> KpiReport:
        async with database.begin() as session:
            return await key_figures.kpis(session, catalog, since, until, by=by)

    report = with_database(settings, work)
    if json:
        print_json(report)
        return
    table = Table("figure", "all", *report.segments)
    every = [report.total, *report.segments.values()]
    for name, field in Kpis.model_fields.items():
        if field.annotation is Rate:
            table.add_row(name.replace("_", " "), *(_rate(getattr(each, name)) for each in every))
    for name in Movements.model_fields:
        table.add_row(name.replace("_", " "), *(str(getattr(each.movements, name)) for each in every))
    screen.print(table)
    screen.print(f"{since:%Y-%m-%d} to {until:%Y-%m-%d}, money in {report.currency} a month.")


def _rate(rate: Rate) -> str:
    return "–" if rate.value is None else f"{rate.value:.3g} ({rate.part:.6g} of {rate.whole:.6g})"


@app.command("fit-health")
def fit_health(
    file: Annotated[Path, typer.Argument(help="CSV of customers, with a header")],
    outcome: Annotated[str, typer.Option("--outcome", help="the column that says who left")],
    positive: Annotated[str | None, typer.Option("--positive", help="its value for having left")] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="use this column although it looks like a leak")
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option("--leave-out", help="do not use this column")] = None,
    write: Annotated[Path | None, typer.Option("--write", help="write the health.yml to this file")] = None,
    json: Json = False,
) -> None:
    """Fit a health score to who really left; print how well it tells them apart, cross-validated."""
    with prepare.progress() as show:
        task = show.add_task("Fitting", total=None, detail="")

        def tell(done: int, total: int) -> None:
            show.update(task, completed=done, total=total, detail=f"part {done} of {total}")

        report = fitting.fit_health(
            file, outcome, positive=positive, keep=keep or (), leave_out=leave_out or (), progress=tell
        )
    for warning in report.warnings:
        notes.print(f"[yellow]{warning}[/yellow]")
    if write is not None:
        write.write_text(report.health_yml, encoding="utf-8")
    if json:
        print_json(report)
        return
    screen.print(f"{report.rows} customers, {report.left} left ({report.outcome} = {report.positive})")
    screen.print(f"AUC {report.auc:.3f}, Brier {report.brier:.3f} (guessing {report.brier_of_guessing:.3f})")
    screen.print(f"the worst tenth left {report.lift_worst_decile:.1f} times as often as all")
    table = Table("predicted", "observed", "customers")
    for tenth in report.calibration:
        table.add_row(f"{tenth.predicted:.1%}", f"{tenth.observed:.1%}", str(tenth.customers))
    screen.print(table)
    screen.print(report.health_yml, markup=False)
