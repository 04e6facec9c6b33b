"""The tables of the reports, made once for the page and for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from accounts.health import Band
from api.console import charts
from api.console.texts import TEXTS
from conversations import reports as bot
from escalations import reports as people
from kit.company import Company

Cell = str | int | float | None
PRESETS = (7, 30, 90)
"""Periods that are one click away, in days."""
LONGEST = 731
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet; whoever names an account could make an admin's machine run it."""


@dataclass(frozen=True)
class Period:
    """Days of the company, both included."""

    first: date
    last: date
    zone: str

    @property
    def since(self) -> datetime:
        """The moment the first day begins."""
        return datetime.combine(self.first, time.min, ZoneInfo(self.zone)).astimezone(UTC)

    @property
    def until(self) -> datetime:
        """The moment after the last day."""
        return datetime.combine(self.last + timedelta(days=1), time.min, ZoneInfo(self.zone)).astimezone(UTC)

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class Table:
    """One table of a report.

    Attributes:
        key: its name, also of its title among the texts.
        columns: names of their texts.
        picture: the same as a chart; empty where a picture says nothing more.
        line: a sentence above it.
    """

    key: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    picture: Markup = field(default_factory=Markup)
    line: str = ""


def period(first: str | None, last: str | None, company: Company, now: datetime) -> Period:
    """The days that are asked for; the last 30 where nothing that makes sense is."""
    zone = company.support.timezone
    today = now.astimezone(ZoneInfo(zone)).date()
    try:
        end = min(date.fromisoformat(last or ""), today)
    except ValueError:
        end = today
    try:
        begin = date.fromisoformat(first or "")
    except ValueError:
        begin = end - timedelta(days=29)
    begin = max(min(begin, end), end - timedelta(days=LONGEST))
    return Period(begin, end, zone)


async def tables(session: AsyncSession, chosen: Period, lang: str, now: datetime) -> list[Table]:
    """All tables of a period; the last two are of today."""
    since, until = chosen.since, chosen.until
    return [
        _volume(await bot.volume(session, since, until, chosen.zone), chosen),
        _decisions(await bot.turns(session, since, until), lang),
        _service(await people.service(session, since, until, now), lang),
        Table("rules", ("rule", "watch", "takeover"), [(one.rule, one.watch, one.takeover) for one in await people.rules(session, since, until)]),
        Table("csms", ("csm", "taken", "answered_by", "in_time", "first_response"), [(one.name, one.taken, one.answered, one.in_time, minutes(one.first_response)) for one in await people.csms(session, since, until)]),
        _satisfaction(await bot.satisfaction(session, since, until), lang),
        _bands(await timeline.bands(session, now), lang),
        Table("movers", ("account", "health", "change_30"), [(one.name, _whole(one.score), _whole(one.change)) for one in await timeline.movers(session, now)]),
    ]  # fmt: skip


def to_csv(table: Table, lang: str) -> str:
    """A table as CSV, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([safe(TEXTS.say(f"col_{column}", lang)) for column in table.columns])
    writer.writerows([[safe(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def safe(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula. Numbers are numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_RISKY) else cell


def minutes(seconds: float | None) -> float | None:
    """Seconds as minutes with one digit."""
    return None if seconds is None else round(seconds / 60, 1)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _volume(days: Sequence[bot.Day], chosen: Period) -> Table:
    known = {one.day: one for one in days}
    every = [known.get(day, bot.Day(day, 0, 0)) for day in chosen.days]
    return Table(
        "volume",
        ("day", "conversations", "messages"),
        [(one.day.isoformat(), one.conversations, one.messages) for one in every],
        charts.bars([(one.day, one.conversations) for one in every]),
    )


def _decisions(turns: bot.Turns, lang: str) -> Table:
    kinds = {"answered": "k1", "account": "k2", "clarified": "k4", "abstained": "k3", "failed": "k5", "silent": "k6"}
    named = [(TEXTS.say(f"turn_{name}", lang), getattr(turns, name), kind) for name, kind in kinds.items()]
    whole = sum(number for _, number, _ in named)
    rows = [(name, number, round(100 * number / whole, 1) if whole else None) for name, number, _ in named]
    return Table("decisions", ("what", "number", "percent"), rows, charts.shares(named))


def _service(one: people.Service, lang: str) -> Table:
    def share(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 1) if whole else None

    rows: list[tuple[str, Cell, Cell]] = [
        ("conversations", one.conversations, None),
        ("raised", one.raised, share(one.raised, one.conversations)),
        ("answered_by", one.answered, share(one.answered, one.raised)),
        ("in_time", one.in_time, share(one.in_time, one.raised)),
        ("resolved", one.resolved, share(one.resolved, one.raised)),
        ("returned", one.returned, share(one.returned, one.raised)),
        ("lasted", one.lasted, share(one.lasted, one.settled)),
        ("first_response", minutes(one.first_response), None),
        ("first_response_90", minutes(one.first_response_90), None),
        ("resolution", minutes(one.resolution), None),
        ("resolution_90", minutes(one.resolution_90), None),
    ]
    late = one.raised - one.in_time
    picture = charts.shares(
        [(TEXTS.say("col_in_time", lang), one.in_time, "k4"), (TEXTS.say("late", lang), late, "k5")]
    )
    named = [(TEXTS.say(f"col_{name}", lang), number, percent) for name, number, percent in rows]
    return Table("service", ("what", "number", "percent"), named, picture)


def _satisfaction(found: bot.Satisfaction, lang: str) -> Table:
    kinds = ("k5", "k3", "k6", "k2", "k4")
    parts = [
        (str(score), number, kind) for (score, number), kind in zip(sorted(found.scores.items()), kinds, strict=True)
    ]
    line = TEXTS.say("csat_average", lang, average=f"{found.average:.2f}") if found.average is not None else ""
    thumbs = TEXTS.say("thumbs", lang, up=found.helpful, down=found.not_helpful)
    return Table(
        "csat",
        ("score", "number"),
        [(name, number) for name, number, _ in parts],
        charts.shares(parts),
        f"{line} {thumbs}".strip(),
    )


def _bands(found: dict[Band | None, int], lang: str) -> Table:
    kinds = {"healthy": "k4", "neutral": "k2", "at_risk": "k5", "unknown": "k6"}
    number: dict[str, int] = {band or "unknown": accounts for band, accounts in found.items()}
    parts = [(TEXTS.say(f"band_{band}", lang), number.get(band, 0), kind) for band, kind in kinds.items()]
    return Table("bands", ("health", "number"), [(name, accounts) for name, accounts, _ in parts], charts.shares(parts))
