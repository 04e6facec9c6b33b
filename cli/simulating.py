"""`kotae policy simulate`: policies side by side on the same past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from cli.output import screen, with_database
from escalations import kept, simulation
from escalations.policy import Policy
from escalations.simulation import Outcome, Staffing
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.settings import Settings


class Report(BaseModel):
    """What `--json` prints."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    until: datetime
    timezone: str
    conversations: int
    turns: int
    staffing: Staffing
    policies: list[Outcome]


def simulate(
    settings: Settings, policies: Sequence[tuple[str, Policy]], days: int, csms: int | None, minutes: float | None
) -> Report:
    """Replays the last days under each policy.

    Args:
        policies: name and policy.
        csms, minutes: another team than there is, where given.
    """
    company = load_company(settings.company)
    until = now()
    since = until - timedelta(days=days)

    async def work(database: Database) -> Report:
        async with database.begin() as session:
            support = (await kept.company(session, company)).support
            turns = await simulation.turns(session, since, until)
            staff = await simulation.staffing(session, since, until, csms=csms, minutes=minutes)
        outcomes = [
            simulation.weigh(name, simulation.replay(policy, turns), support, staff, since, until)
            for name, policy in policies
        ]
        return Report(
            since=since,
            until=until,
            timezone=support.timezone,
            conversations=len({turn.conversation for turn in turns}),
            turns=len(turns),
            staffing=staff,
            policies=outcomes,
        )

    return with_database(settings, work)


def show(report: Report) -> None:
    """Prints the report for people."""
    period = f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}"
    screen.print(f"{report.turns} turns of {report.conversations} conversations, {period}.")
    if not report.turns:
        screen.print("Nothing to replay yet: turns are kept with their facts as they are answered.")
        return
    staff = report.staffing
    source = f"the mean of {staff.measured} closed ones" if staff.measured else "given, or taken: too few were closed"
    screen.print(
        f"Answered by {staff.csms} {'CSM' if staff.csms == 1 else 'CSMs'} with room for {staff.slots} conversations at once, "
        f"{staff.handle_minutes:.1f} minutes each ({source})."
    )
    names = [outcome.policy for outcome in report.policies]
    screen.print(_figures(report.policies, names))
    screen.print(_counts("rule", report.policies, names, lambda outcome: outcome.by_rule))
    screen.print(_counts("tier", report.policies, names, lambda outcome: outcome.by_tier))
    screen.print(_hours(report.policies, names, report.timezone))
    screen.print(
        "Load: conversations that are being answered at once, on average (erlangs). Waits and service levels by Erlang C: customers come at "
        "random and are helped in turn; urgent ones wait less than the mean."
    )


def _figures(policies: Sequence[Outcome], names: Sequence[str]) -> Table:
    table = Table("", *names)
    for label, field in (
        ("escalations", "escalations"),
        ("watched", "watched"),
        ("taken over", "takeovers"),
        ("of these outside hours", "outside_hours"),
    ):
        table.add_row(label, *(str(getattr(outcome, field)) for outcome in policies))
    table.add_row("load of the busiest hour", *(f"{outcome.busiest_erlangs:.2f}" for outcome in policies))
    table.add_row("expected wait", *(_wait(outcome.wait_minutes, outcome.takeovers) for outcome in policies))
    table.add_row("service levels met", *("–" if each.met is None else f"{each.met:.1%}" for each in policies))
    needed = f"room needed to meet {simulation.TARGET:.0%}"
    table.add_row(needed, *(str(outcome.slots_needed) for outcome in policies))
    return table


def _counts(
    title: str, policies: Sequence[Outcome], names: Sequence[str], of: Callable[[Outcome], dict[str, int]]
) -> Table:
    table = Table(title, *names)
    for key in dict.fromkeys(key for outcome in policies for key in of(outcome)):
        table.add_row(key, *(str(of(outcome).get(key, 0)) for outcome in policies))
    return table


def _hours(policies: Sequence[Outcome], names: Sequence[str], zone: str) -> Table:
    figures = ("taken over", "load", "wait", "met")
    table = Table(f"hour ({zone})", *(f"{name}\n{figure}" for name in names for figure in figures))
    rows = [{hour.hour: hour for hour in outcome.hours} for outcome in policies]
    for number in sorted({number for row in rows for number in row}):
        cells: list[str] = []
        for row in rows:
            hour = row.get(number)
            cells += (
                [str(hour.takeovers), f"{hour.erlangs:.2f}", _wait(hour.wait_minutes, 1), f"{hour.met:.0%}"]
                if hour
                else ["–"] * len(figures)
            )
        table.add_row(f"{number:02}:00", *cells)
    return table


def _wait(minutes: float | None, takeovers: int) -> str:
    if not takeovers:
        return "–"
    return "grows without end" if minutes is None else f"{minutes:.1f} min"
