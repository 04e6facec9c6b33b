"""The tables of the reports, made once for the page and for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from unicodedata import normalize
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import facts, kpi, timeline
from accounts.catalog import Catalog
from accounts.health import Band
from accounts.kpi import KpiReport, Rate
from api.console import charts
from api.console.texts import TEXTS
from conversations import questions
from conversations import reports as bot
from escalations import reports as people
from kit.company import Company
from knowledge_base.schemas import AskedQuestion

if TYPE_CHECKING:
    from knowledge_base.client import KnowledgeBase

Cell = str | int | float | None
PRESETS = (7, 30, 90)
"""Periods that are one click away, in days."""
LONGEST = 731
GROUPED, MOST_GAPS = 400, 25
"""Unanswered questions that are grouped, the newest, and groups that are shown."""
RATES = (
    "customer_churn",
    "gross_revenue_churn",
    "net_revenue_churn",
    "net_revenue_retention",
    "upsell",
    "cross_sell",
    "onboarding_completion",
    "nps",
    "csat",
    "active_users",
    "session_minutes",
    "lifetime_value",
)
MOVES = ("opening", "new", "returned", "expansion", "contraction", "lost", "closing")
"""Key figures of `accounts.kpi`, in the order they are shown."""
_RISKY = ("=", "+", "-", "@")
"""A cell that begins so is a formula to a spreadsheet, to a Japanese one also in full width; whoever names an account could make an admin's machine run it."""


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
        picture: the same as a chart; empty where the table has bars or a picture says nothing more.
        colours: of the rows in the picture, so that they can be told apart.
        bar: the column whose numbers are also drawn as bars beside the table; None: none is.
        line: a sentence above it.
    """

    key: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    picture: Markup = field(default_factory=Markup)
    colours: Sequence[str] = ()
    bar: int | None = None
    line: str = ""

    @property
    def highest(self) -> float:
        """The greatest number of the column with bars, whatever its sign; 1 where there is none."""
        numbers = [abs(cell) for row in self.rows if isinstance(cell := row[self.bar or 0], int | float)]
        return max([*numbers, 0]) or 1


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


async def tables(session: AsyncSession, catalog: Catalog, chosen: Period, lang: str, now: datetime) -> list[Table]:
    """All tables of a period; those of health are of its last moment."""
    since, until = chosen.since, chosen.until
    ended = min(until, now)
    last = min(until - timedelta(seconds=1), now)
    return [
        _volume(await bot.volume(session, since, until, chosen.zone), chosen),
        _decisions(await bot.turns(session, since, until), lang),
        _service(
            await people.alone(session, since, until, now), await people.service(session, since, until, now), lang
        ),
        _speed(await people.service(session, since, until, now), lang),
        _rules(await people.rules(session, since, until), lang),
        _csms(await people.csms(session, since, until)),
        _satisfaction(await bot.satisfaction(session, since, until), lang),
        *_kpis(await kpi.kpis(session, catalog, since, ended), lang),
        _bands(await timeline.bands(session, last), lang),
        _movers(await timeline.movers(session, last)),
    ]


async def gaps(
    session: AsyncSession, knowledge_base: KnowledgeBase, catalog: Catalog, chosen: Period, now: datetime
) -> Table:
    """What customers asked in a period and the help content did not answer, by meaning, with the value behind it.

    Raises:
        Unavailable: the knowledge base does not answer.
    """
    asked = (await questions.unanswered(session, chosen.since, chosen.until))[:GROUPED]
    worth = await facts.values(session, catalog, {one.account_id for one in asked if one.account_id}, now)
    found = await knowledge_base.gaps(
        [
            AskedQuestion(
                text=one.text,
                lang="ja" if one.lang == "ja" else "en",
                account_id=one.account_id,
                asked_at=one.asked_at,
                why=one.why,
            )
            for one in asked
        ]
    )
    rows = [
        (
            each.question,
            each.count,
            len(each.accounts),
            round(sum((worth.get(id_, Decimal(0)) for id_ in each.accounts), Decimal(0))),
            each.nearest_title or "",
            round(100 * each.confidence),
        )
        for each in found[:MOST_GAPS]
    ]
    return Table("gaps", ("question", "asked", "accounts", "value", "nearest", "sure"), rows, bar=1)


def to_csv(table: Table, lang: str) -> str:
    """A table as CSV, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(
        out, quoting=csv.QUOTE_NONNUMERIC
    )  # where a semicolon parts cells, what is behind one would be a cell too
    writer.writerow([safe(TEXTS.say(f"col_{column}", lang)) for column in table.columns])
    writer.writerows([[safe(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def safe(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula. Numbers are numbers."""
    return f"'{cell}" if isinstance(cell, str) and normalize("NFKC", cell).strip().startswith(_RISKY) else cell


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
    return Table("decisions", ("what", "number", "percent"), rows, charts.shares(named), list(kinds.values()))


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _service(bot_alone: people.Alone, one: people.Service, lang: str) -> Table:
    """Who helped, and whether it lasted."""
    rows: list[tuple[str, int, float | None, str]] = [
        ("conversations", bot_alone.conversations, None, ""),
        ("alone", bot_alone.alone, _share(bot_alone.alone, bot_alone.conversations), "k2"),
        ("alone_lasted", bot_alone.lasted, _share(bot_alone.lasted, bot_alone.settled), ""),
        ("raised", one.raised, _share(one.raised, one.conversations), "k1"),
        ("answered_by", one.answered, _share(one.answered, one.raised), ""),
        ("resolved", one.resolved, _share(one.resolved, one.raised), ""),
        ("lasted", one.lasted, _share(one.lasted, one.settled), ""),
        ("returned", one.returned, _share(one.returned, one.raised), ""),
    ]
    named = [(TEXTS.say(f"col_{name}", lang), number, percent) for name, number, percent, _ in rows]
    parts = [(TEXTS.say("col_alone", lang), bot_alone.alone, "k2"), (TEXTS.say("col_raised", lang), one.raised, "k1")]
    return Table("service", ("what", "number", "percent"), named, charts.shares(parts), [each[3] for each in rows])


def _speed(one: people.Service, lang: str) -> Table:
    """How fast, against the service levels."""
    late = one.raised - one.in_time - one.waiting
    rows: list[tuple[str, Cell, Cell, str]] = [
        ("in_time", one.in_time, _share(one.in_time, one.raised), "k4"),
        ("late", late, _share(late, one.raised), "k5"),
        ("open_in_time", one.waiting, _share(one.waiting, one.raised), "k6"),
        ("first_response", minutes(one.first_response), None, ""),
        ("first_response_90", minutes(one.first_response_90), None, ""),
        ("resolution", minutes(one.resolution), None, ""),
        ("resolution_90", minutes(one.resolution_90), None, ""),
    ]
    named = [(TEXTS.say(f"col_{name}", lang), number, percent) for name, number, percent, _ in rows]
    parts = [
        (TEXTS.say("col_in_time", lang), one.in_time, "k4"),
        (TEXTS.say("col_late", lang), late, "k5"),
        (TEXTS.say("col_open_in_time", lang), one.waiting, "k6"),
    ]
    return Table("speed", ("what", "number", "percent"), named, charts.shares(parts), [each[3] for each in rows])


def _rules(found: Sequence[people.RuleCount], lang: str) -> Table:
    rows = [(_reason(one.reason, lang) or one.rule, one.watch, one.takeover, one.watch + one.takeover) for one in found]
    return Table("rules", ("rule", "watch", "takeover", "number"), rows, bar=3)


def _reason(reason: Mapping[str, str], lang: str) -> str:
    return reason.get(lang) or next(iter(reason.values()), "")


def _csms(found: Sequence[people.CsmCount]) -> Table:
    rows = [(one.name, one.taken, one.answered, one.in_time, minutes(one.first_response)) for one in found]
    return Table("csms", ("csm", "taken", "answered_short", "in_time", "first_response_short"), rows, bar=1)


def _movers(found: Sequence[timeline.Standing]) -> Table:
    rows = [(one.name, _whole(one.score), _whole(one.change)) for one in found]
    return Table("movers", ("account", "health", "change_30"), rows, bar=2)


def _kpis(report: KpiReport, lang: str) -> list[Table]:
    """The key figures of the accounts: rates with both their parts, and what came and went."""
    total, moved = report.total, report.total.movements
    rates: list[tuple[Cell, ...]] = []
    levels: list[tuple[str, float]] = []
    for name in RATES:
        rate: Rate = getattr(total, name)
        whole = name in ("nps", "session_minutes", "lifetime_value")
        value = None if rate.value is None else round(rate.value * (1 if whole else 100), 1)
        if value is not None and not whole:
            levels.append((TEXTS.say(f"kpi_{name}", lang), value))
        rates.append((TEXTS.say(f"kpi_{name}", lang), value, _plain(rate.part), _plain(rate.whole)))
    moves = [
        (
            TEXTS.say(f"move_{name}", lang),
            getattr(moved, f"{name}_customers", None),
            _plain(getattr(moved, f"{name}_mrr", Decimal(0))),
        )
        for name in MOVES
    ]
    left = " · ".join(report.left_out)
    line = TEXTS.say("money_in", lang, currency=report.currency) + (f" {left}" if left else "")
    return [
        Table("kpis", ("kpi", "percent_or_number", "part", "whole"), rates, charts.levels(levels)),
        Table("movements", ("what", "customers", "mrr"), moves, bar=2, line=line),
    ]


def _plain(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


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
        kinds,
        line=f"{line} {thumbs}".strip(),
    )


def _bands(found: dict[Band | None, int], lang: str) -> Table:
    kinds = {"healthy": "k4", "neutral": "k2", "at_risk": "k5", "unknown": "k6"}
    number: dict[str, int] = {band or "unknown": accounts for band, accounts in found.items()}
    parts = [(TEXTS.say(f"band_{band}", lang), number.get(band, 0), kind) for band, kind in kinds.items()]
    rows = [(name, accounts) for name, accounts, _ in parts]
    return Table("bands", ("health", "number"), rows, charts.shares(parts), list(kinds.values()))
