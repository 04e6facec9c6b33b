"""`kotae accounts`: customers' data from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress

from accounts import backtest as past
from accounts import facts, fitting
from accounts import kpi as key_figures
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts, InternalFacts
from accounts.importing import ImportReport, import_csv
from accounts.kpi import KpiReport
from accounts.scoring import score_accounts
from cli import accounts_shown, pictures, prepare
from cli.output import notes, print_json, screen, with_database
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import KotaeError, UserError
from kit.settings import load_settings

app = typer.Typer(
    help="Accounts: import, look at, measure.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
SCORED_AT_ONCE = 10_000
"""Accounts of an import that are scored with it; the health of more is worked out in the night."""
Kind = Literal["accounts", "changes", "people", "tickets", "invoices", "surveys", "trainings"]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header")],
    mapping: Annotated[Path | None, typer.Option("--mapping", help="what its columns are; see demo/mappings")] = None,
    kind: Annotated[Kind, typer.Option("--kind", help="of the rows, without a mapping")] = "accounts",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything, write nothing")] = False,
    json: Json = False,
) -> None:
    """Import a CSV: all rows or none, with every wrong row named."""
    if not file.is_file():
        raise UserError(f"{file} is not there", "name a CSV with a header")  # before a database is started for it
    settings = load_settings()
    company = load_company(settings.company)
    catalog, currency = load_catalog(company), company.currency

    async def work(database: Database, show: Progress) -> ImportReport:
        task = show.add_task(f"Import of {file.name}", total=None, detail="")

        def tell(done: int, total: int) -> None:
            show.update(task, completed=done, total=total, detail=f"{done * 100 // total} %")

        async with database.begin() as session:
            report = await import_csv(
                session, file, mapping, now=now(), dry_run=dry_run, progress=tell, kind=kind, currency=currency
            )
        if report.written and len(report.accounts) <= SCORED_AT_ONCE:
            show.update(task, description="Health of the accounts", detail="")
            async with database.begin() as session:
                await score_accounts(session, catalog, now(), ids=report.accounts)
        return report

    with prepare.progress() as show:
        report = with_database(settings, lambda database: work(database, show))
    if json:
        print_json(report)
    else:
        _print_report(report)
    if report.wrong_count:
        rows = "one wrong row" if report.wrong_count == 1 else f"{report.wrong_count} wrong rows"
        raise KotaeError(f"{file}: {rows}, nothing was imported", "correct and try again")


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
        accounts_shown.account(known, internal, catalog, explain, now().date())


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
    accounts_shown.kpis(report)


@app.command()
def backtest(
    days: Annotated[int, typer.Option("--days", min=7, max=366, help="how long before the score is asked")] = 90,
    moments: Annotated[int, typer.Option("--moments", min=1, max=40, help="how many times, so far apart")] = 4,
    json: Json = False,
) -> None:
    """What the health score said some time before of those who then left, from the company's own history."""
    settings = load_settings()
    catalog = load_catalog(load_company(settings.company))

    async def work(database: Database) -> past.Backtest:
        async with database.begin() as session:
            return await past.backtest(session, catalog, now(), days=days, moments=moments)

    report = with_database(settings, work)
    if json:
        print_json(report)
        return
    accounts_shown.backtest(report)


@app.command("fit-health")
def fit_health(
    file: Annotated[Path, typer.Argument(help="CSV of customers, with a header")],
    outcome: Annotated[str, typer.Option("--outcome", help="the column that says who left")],
    positive: Annotated[str | None, typer.Option("--positive", help="its value for having left")] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="use this column although it looks like a leak")
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option("--leave-out", help="do not use this column")] = None,
    monotone: Annotated[
        bool, typer.Option("--monotone", help="simpler rules: curves rise or fall all along, no pairs of columns")
    ] = False,
    write: Annotated[Path | None, typer.Option("--write", help="write the health.yml to this file")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="draw predicted against observed: .png, .svg")] = None,
    json: Json = False,
) -> None:
    """Fit a health score to who really left; print how well it tells them apart, cross-validated."""
    with prepare.progress() as show:
        task = show.add_task("Fitting", total=None, detail="")

        def tell(done: int, total: int) -> None:
            show.update(task, completed=done, total=total, detail=f"part {done} of {total}")

        report = fitting.fit_health(
            file,
            outcome,
            positive=positive,
            keep=keep or (),
            leave_out=leave_out or (),
            monotone=monotone,
            progress=tell,
        )
    for warning in report.warnings:
        notes.print(warning, style="yellow", markup=False)
    if write is not None:
        write.write_text(report.health_yml, encoding="utf-8")
    if plot is not None:
        pictures.calibration(report, plot)
    if json:
        print_json(report)
        return
    accounts_shown.fit(report)
