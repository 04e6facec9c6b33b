"""What is known of the account that asks, as types that cannot be taken for each other.

`CustomerFacts` is what the customer may read. `InternalFacts` is what a CSM reads, and `Standing` the part of it that the
escalation policy decides by. The first has no field in common with the others, and a body for a customer is built from it alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from accounts.catalog import Catalog
from accounts.health import Assessment, Band, Fact, Group, Reason, Stage, assess
from accounts.onboarding import Progress, StepState, progress
from accounts.plans import Meter
from accounts.value import Payment, Tier, Value, lifetime_value, tier
from kit.database import Database
from kit.errors import NotFound

WINDOW = 84
"""Days of use that are looked at."""
SCORE_HOLDS = timedelta(days=2)
"""How old a kept health score may be to decide about a turn; accounts are scored each night."""
KNOWN = frozenset(
    [
        "plan",
        "seats",
        "tenure_days",
        "days_to_renewal",
        "champions_here",
        "term_months",
        "auto_renew",
        "auto_renew_on",
        "invoice_days_late",
        "paid_late_share",
        "onboarding_percent",
        "onboarding_overdue",
        "trainings_attended",
        "nps",
        "csat",
        "active_share",
        "active_days",
        "sessions_per_person",
        "minutes_per_person",
        "breadth",
        "use_trend",
        "week_trend",
        "days_since_use",
        "complaints_90d",
        "tickets_rise",
    ]
)
"""The facts that Kotae works out itself; all others are looked for among the account's attributes."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanFacts(_Facts):
    """The plan, and what the account pays for it."""

    id: str
    name: str
    price: Decimal | None = Field(description="charged every `per_months`; None where it is not known")
    currency: str
    per_months: int
    seats: int | None


class Usage(_Facts):
    """How much of one limit is used. A limit of None is unlimited where `known`."""

    used: int | float = Field(description="whole where it is; a share of a gigabyte is not nothing")
    limit: int | None
    known: bool = Field(description="whether the plan says anything of a limit")
    per: Literal["day", "month", "now"]


class InvoiceFacts(_Facts):
    """One bill."""

    id: str
    issued_on: date
    due_on: date
    paid_on: date | None
    amount: Decimal
    refunded: Decimal
    currency: str
    status: Literal["paid", "open", "overdue"]


class CustomerFacts(_Facts):
    """What a customer may know of their own account."""

    account_id: str
    account_name: str
    person_name: str | None
    person_role: str | None
    person_lang: str | None
    stage: Stage
    plan: PlanFacts
    limits: dict[str, int | None] = Field(description="by name; None is unlimited, a name that is missing is not known")
    features: list[str]
    usage: dict[str, int | float] = Field(description="what articles may speak of: seats_used, runs, api_calls …")
    meters: dict[str, Usage] = Field(description="the same by the name of the limit, with the limit")
    renews_on: date | None
    auto_renew: bool | None
    cancelled_on: date | None
    invoices: list[InvoiceFacts] = Field(description="the last five, newest first")
    steps: list[StepState]
    onboarding_percent: int

    @property
    def current_step(self) -> StepState | None:
        """The next onboarding step."""
        return next((step for step in self.steps if step.current), None)

    def values(self) -> dict[str, Any]:
        """What a template in an article may use."""
        return {
            "account": {"name": self.account_name},
            "plan": {"name": self.plan.name},
            "limits": dict(self.limits),
            "usage": dict(self.usage),
            "renewal": {"date": self.renews_on.isoformat() if self.renews_on else None},
        }


class Trend(_Facts):
    """How the score changed. None where there is no score that old."""

    days_7: float | None = None
    days_30: float | None = None


class NoteFacts(_Facts):
    """A note of a CSM."""

    author: str
    text: str
    created_at: datetime


class InternalFacts(_Facts):
    """What only the company may know of an account. Never shown to a customer, in whole or in part."""

    account: str
    owner: str | None
    health_score: float | None
    band: Band | None
    coverage: float
    profile: Stage
    reasons: list[Reason]
    health_groups: dict[Group, float]
    trend: Trend
    value: Value
    tier: Tier
    signals: list[str]
    complaints_90d: int
    days_to_renewal: int | None
    notes: list[NoteFacts]

    @property
    def lifetime_value(self) -> Decimal:
        return self.value.amount

    @property
    def currency(self) -> str:
        return self.value.currency


class Standing(_Facts):
    """What decides about a turn and is never said in it: the score that stands, and what the account is worth."""

    account: str
    owner: str | None
    health_score: float | None
    band: Band | None
    tier: Tier
    lifetime_value: Decimal
    currency: str
    complaints_90d: int
    days_to_renewal: int | None


class Subscribed(BaseModel):
    """A subscription, as far as the asker's facts need it."""

    plan: str | None
    seats: int | None
    amount: Decimal | None
    currency: str
    per_months: int
    started_at: datetime
    cancelled_at: datetime | None
    renews_on: date | None
    auto_renew: bool | None


class Billed(BaseModel):
    """An invoice, as far as the asker's facts need it."""

    id: str
    issued_on: date
    due_on: date
    paid_on: date | None
    amount: Decimal
    refunded: Decimal
    currency: str


class Metered(BaseModel):
    """How much of something was used on a day."""

    name: str
    day: date
    quantity: Decimal


class Scored(BaseModel):
    """The newest health score that is kept."""

    score: float | None
    band: Band | None


class Asker(BaseModel):
    """Everything that is stored of the account that asks and that a turn may need, read at once."""

    id: str
    name: str
    created_at: datetime
    attributes: dict[str, Any]
    owner: str | None
    potential_seats: int | None
    person_name: str | None
    person_role: str | None
    person_lang: str | None
    members: int
    subscriptions: list[Subscribed]
    invoices: list[Billed]
    firsts: dict[str, datetime]
    marks: dict[str, datetime]
    used: list[Metered]
    complaints: int
    scored: Scored | None


async def customer_facts(
    session: AsyncSession, catalog: Catalog, account_id: str, person_id: str | None, now: datetime
) -> CustomerFacts:
    """What the asking customer may know of their account.

    Args:
        account_id: from the proof of who is asking, and from nowhere else.
        person_id: whose role and language count; someone of another account counts as nobody.
    Raises:
        NotFound: there is no such account.
    """
    return _customer(catalog, await _asker(session, catalog, account_id, person_id, now), now)


async def facts_of_turn(
    at: Database | AsyncSession, catalog: Catalog, account_id: str, person_id: str | None, now: datetime
) -> tuple[CustomerFacts, Standing]:
    """What may be said in a turn, and what decides about it. One round trip to the database.

    The health is that of the last scoring: every account is scored nightly, and again soon after its facts changed. One that was not
    scored yet is scored on the spot.

    Args:
        account_id: from the proof of who is asking, and from nowhere else.
        person_id: whose role and language count; someone of another account counts as nobody.
    Raises:
        NotFound: there is no such account.
    """
    asker = await _asker(at, catalog, account_id, person_id, now)
    scored = asker.scored or await _scored_now(at, catalog, account_id, now)
    running = [each for each in asker.subscriptions if _runs(each, now)]
    worth, touch = _worth(catalog, running, asker.potential_seats)
    renews_on = _renewal(asker.subscriptions, now)
    standing = Standing(
        account=asker.id,
        owner=asker.owner,
        health_score=scored.score,
        band=scored.band,
        tier=touch,
        lifetime_value=worth.amount,
        currency=worth.currency,
        complaints_90d=asker.complaints,
        days_to_renewal=(renews_on - now.date()).days if renews_on else None,
    )
    return _customer(catalog, asker, now), standing


async def _scored_now(at: Database | AsyncSession, catalog: Catalog, account_id: str, now: datetime) -> Scored:
    if isinstance(at, Database):
        async with at.read() as session:
            return await _scored_now(session, catalog, account_id, now)
    known = await internal_facts(at, catalog, account_id, now)
    return Scored(score=known.health_score, band=known.band)


async def _asker(
    at: Database | AsyncSession, catalog: Catalog, account_id: str, person_id: str | None, now: datetime
) -> Asker:
    today = now.date()
    row = await repository.asker(
        at,
        account=account_id,
        person=person_id,
        now=now,
        day=today,
        since=today.replace(day=1),
        scored_since=today - SCORE_HOLDS,
        steps=sorted({step.event for step in catalog.onboarding.steps if step.event}),
        metered=sorted({meter.event for meter in catalog.plans.meters.values() if meter.event}),
    )
    if row is None:
        raise NotFound(f"there is no account {account_id}", "check the id, or put the account first")
    return Asker.model_validate(row)


def _customer(catalog: Catalog, asker: Asker, now: datetime) -> CustomerFacts:
    main = _main(asker.subscriptions, now)
    renews_on = _renewal(asker.subscriptions, now)
    plan = catalog.plans.named(main.plan if main else None)
    done = _done(catalog, asker.firsts, asker.marks)
    steps = progress(catalog.onboarding, plan=main.plan if main else None, since=asker.created_at, done=done, now=now)
    meters = _meters(catalog, asker, plan.limits, now)
    return CustomerFacts(
        account_id=asker.id,
        account_name=asker.name,
        person_name=asker.person_name,
        person_role=asker.person_role,
        person_lang=asker.person_lang,
        stage=_stage(catalog, asker.created_at, renews_on, steps, now),
        plan=PlanFacts(
            id=plan.id,
            name=plan.name,
            price=main.amount if main else None,
            currency=main.currency if main else catalog.company.currency,
            per_months=main.per_months if main else 1,
            seats=main.seats if main else None,
        ),
        limits=plan.limits,
        features=plan.features,
        usage={("seats_used" if name == "seats" else name): meter.used for name, meter in meters.items()},
        meters=meters,
        renews_on=renews_on,
        auto_renew=main.auto_renew if main else None,
        cancelled_on=main.cancelled_at.date() if main and main.cancelled_at else None,
        invoices=[_invoice(invoice, now) for invoice in asker.invoices],
        steps=steps.steps,
        onboarding_percent=steps.percent,
    )


def _worth(
    catalog: Catalog, running: Sequence[Subscribed | m.Subscription], potential_seats: int | None
) -> tuple[Value, Tier]:
    """What the running subscriptions are worth, and the touch tier that follows."""
    value = lifetime_value(
        catalog.value,
        [Payment(amount=each.amount, currency=each.currency, per_months=each.per_months) for each in running],
        catalog.company.currency,
    )
    seats = [each.seats for each in running if each.seats is not None]
    bought = sum(seats) if seats else None
    return value, tier(catalog.value, value=value.amount, seats=bought, potential_seats=potential_seats)


def _runs(subscription: Subscribed | m.Subscription, now: datetime) -> bool:
    over = subscription.cancelled_at is not None and subscription.cancelled_at <= now
    return subscription.started_at <= now and not over


def _main(every: Sequence[Subscribed], now: datetime) -> Subscribed | None:
    """The subscription that stands for the account: the dearest that runs, or, where none does, the one that ended last."""
    running = [each for each in every if _runs(each, now)]
    if running:
        return max(running, key=lambda each: ((each.amount or Decimal(0)) / each.per_months, each.started_at))
    return max(every, key=lambda each: each.cancelled_at or each.started_at, default=None)


def _renewal(every: Sequence[Subscribed], now: datetime) -> date | None:
    """The next renewal of anything that runs."""
    dates = [each.renews_on for each in every if _runs(each, now) and each.renews_on and each.renews_on >= now.date()]
    return min(dates, default=None)


def _done(catalog: Catalog, firsts: Mapping[str, Any], marks: Mapping[str, Any]) -> dict[str, datetime]:
    """When each step was done: by its event or by hand, whichever was first."""
    done: dict[str, datetime] = {}
    for step in catalog.onboarding.steps:
        times = [time for time in (firsts.get(step.event or ""), marks.get(step.id)) if time is not None]
        if times:
            done[step.id] = min(_moment(time) for time in times)
    return done


def _moment(value: datetime | str) -> datetime:
    # Times inside jsonb come as text.
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _stage(catalog: Catalog, created_at: datetime, renews_on: date | None, steps: Progress, now: datetime) -> Stage:
    """The stage, from what the customer can see as well: it tells them nothing they may not know."""
    facts: dict[str, Fact] = {
        "tenure_days": (now - created_at).days,
        "days_to_renewal": (renews_on - now.date()).days if renews_on else None,
        "onboarding_percent": steps.percent,
        "onboarding_overdue": steps.overdue,
    }
    return catalog.health.profile(facts).id


def _meters(catalog: Catalog, asker: Asker, limits: Mapping[str, int | None], now: datetime) -> dict[str, Usage]:
    """How much is used of what the plans meter; seats are counted from the people."""
    found: dict[str, Usage] = {}
    for name, used, per in [
        ("seats", asker.members, "now"),
        *((name, _metered(meter, asker, now.date()), _per(meter)) for name, meter in catalog.plans.meters.items()),
    ]:
        if used is not None and (used or name in limits or name == "seats"):
            found[name] = Usage(used=used, limit=limits.get(name), known=name in limits, per=per)
    return found


def _per(meter: Meter) -> Literal["day", "month", "now"]:
    return "now" if meter.attribute else meter.per


def _metered(meter: Meter, asker: Asker, today: date) -> int | float | None:
    if meter.attribute:
        value = asker.attributes.get(meter.attribute)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            return None
        return _plain(value)
    days = (today,) if meter.per == "day" else None
    mine = (each for each in asker.used if each.name == meter.event and (days is None or each.day in days))
    return _plain(sum((each.quantity for each in mine), Decimal(0)))


def _plain(used: Decimal | float) -> int | float:
    """A whole number where it is one to two decimals, which is as fine as a person reads it."""
    fine = round(float(used), 2)
    return int(fine) if fine.is_integer() else fine


def _invoice(invoice: Billed, now: datetime) -> InvoiceFacts:
    paid = invoice.paid_on is not None and invoice.paid_on <= now.date()
    late = not paid and invoice.due_on < now.date()
    return InvoiceFacts(
        id=invoice.id,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        paid_on=invoice.paid_on if paid else None,
        amount=invoice.amount,
        refunded=invoice.refunded,
        currency=invoice.currency,
        status="paid" if paid else "overdue" if late else "open",
    )


async def internal_facts(session: AsyncSession, catalog: Catalog, account_id: str, now: datetime) -> InternalFacts:
    """What only the company may know of an account. The score is worked out from the facts of this moment.

    Raises:
        NotFound: there is no such account.
    """
    account = await repository.account(session, account_id)
    rows = await _rows(session, catalog, [account_id], now) if account else []
    if account is None or not rows:
        raise NotFound(f"there is no account {account_id}", "check the id, or put the account first")
    facts = health_facts(rows[0], catalog, now)
    history = await repository.scores_between(session, account_id, now.date() - timedelta(days=37), now.date())
    assessment = assess(catalog.health, facts, now=now, before=_band(history))
    running = [each for each in await repository.subscriptions(session, [account_id]) if _runs(each, now)]
    value, touch = _worth(catalog, running, account.potential_seats)
    return InternalFacts(
        account=account_id,
        owner=account.owner,
        health_score=assessment.score,
        band=assessment.band,
        coverage=assessment.coverage,
        profile=assessment.profile,
        reasons=assessment.reasons,
        health_groups=assessment.groups,
        trend=trend(assessment, history),
        value=value,
        tier=touch,
        signals=assessment.signals,
        complaints_90d=rows[0]["complaints"] or 0,
        days_to_renewal=(rows[0]["renews_on"] - now.date()).days if rows[0]["renews_on"] else None,
        notes=[
            NoteFacts(author=note.author, text=note.text, created_at=note.created_at)
            for note in await repository.notes(session, account_id)
        ],
    )


async def values(session: AsyncSession, catalog: Catalog, ids: Collection[str], now: datetime) -> dict[str, Decimal]:
    """Lifetime value of accounts in the company's currency, by id, as `internal_facts` has it. Internal."""
    running: dict[str, list[Payment]] = {id: [] for id in ids}
    for each in await repository.subscriptions(session, ids):
        if _runs(each, now):
            running[each.account_id].append(
                Payment(amount=each.amount, currency=each.currency, per_months=each.per_months)
            )
    currency = catalog.company.currency
    return {id: lifetime_value(catalog.value, payments, currency).amount for id, payments in running.items()}


def _band(history: Sequence[m.HealthScore]) -> Band | None:
    return history[-1].band if history else None  # type: ignore[return-value]  # held to the bands by the table


def trend(assessment: Assessment, history: Sequence[m.HealthScore]) -> Trend:
    """The change against the last score that is at least 7, and at least 30, days old, and at most a week older than that."""

    def change(days: int) -> float | None:
        until = assessment.at.date() - timedelta(days=days)
        then = [each.score for each in history if until - timedelta(days=7) <= each.day <= until]
        known = [score for score in then if score is not None]
        return round(assessment.score - float(known[-1]), 2) if known and assessment.score is not None else None

    return Trend(days_7=change(7), days_30=change(30))


async def _rows(
    session: AsyncSession, catalog: Catalog, ids: Sequence[str] | None, at: datetime
) -> list[repository.Row]:
    own = not catalog.health.facts_read() <= KNOWN
    return await repository.health_rows(session, ids, step_events(catalog), at, with_attributes=own)


async def all_health_facts(
    session: AsyncSession, catalog: Catalog, ids: Sequence[str] | None, at: datetime
) -> dict[str, dict[str, Fact]]:
    """The facts of accounts that have a running subscription, as they were known at a time; those of one without are left out, as there is nobody to keep.

    Args:
        ids: these accounts, or None for all.
    """
    rows = await _rows(session, catalog, ids, at)
    return {row["id"]: health_facts(row, catalog, at) for row in rows if row["subscribed"]}


def step_events(catalog: Catalog) -> list[str]:
    """The events that do an onboarding step."""
    return sorted({step.event for step in catalog.onboarding.steps if step.event})


async def onboarding_done(session: AsyncSession, catalog: Catalog, start: datetime, end: datetime) -> dict[str, bool]:
    """Of the accounts that began in a period, whether each had done all steps of its plan by the end. Those without steps are left out."""
    done: dict[str, bool] = {}
    for row in await repository.health_rows(session, None, step_events(catalog), end):
        if start <= row["created_at"] < end:
            steps = _row_progress(catalog, row, end)
            if steps.steps and _onboards(catalog, row):
                done[row["id"]] = steps.percent == 100
    return done


def _row_progress(catalog: Catalog, row: Mapping[str, Any], now: datetime) -> Progress:
    done = _done(catalog, row["firsts"] or {}, row["marks"] or {})
    return progress(catalog.onboarding, plan=row["plan"], since=row["created_at"], done=done, now=now)


def _onboards(catalog: Catalog, row: Mapping[str, Any]) -> bool:
    """Whether anything can be known of an account's onboarding: it has used the product, or its plan is one that is sold."""
    return bool(row["ever_used"] or row["marks"] or catalog.plans.get(row["plan"]))


def health_facts(row: Mapping[str, Any], catalog: Catalog, now: datetime) -> dict[str, Fact]:
    """The facts a health score is made of. A fact that is not known is None, and never 0.

    Use is known once the account has used the product at all; onboarding then too, or where its plan is one that is sold; tickets
    and trainings once the company records any.

    Args:
        row: of `repository.health_rows`.
    """
    tenure = (now - row["created_at"]).days
    seats = row["seats"] or row["members"]
    weeks = min(28, tenure + 1) / 7
    steps = _row_progress(catalog, row, now)
    onboards = steps.steps and _onboards(catalog, row)
    facts: dict[str, Fact] = dict(_own(row["attributes"] or {}))
    facts |= {
        "plan": row["plan"],
        "seats": row["seats"],
        "tenure_days": tenure,
        "days_to_renewal": (row["renews_on"] - now.date()).days if row["renews_on"] else None,
        "champions_here": row["champions_here"] if row["champions"] else None,
        "term_months": row["term_months"],
        "auto_renew": None if row["auto_renew"] is None else "Yes" if row["auto_renew"] else "No",
        "auto_renew_on": None if row["auto_renew"] is None else int(row["auto_renew"]),
        "invoice_days_late": row["days_late"],
        "paid_late_share": _float(row["late_share"]),
        "onboarding_percent": steps.percent if onboards else None,
        "onboarding_overdue": steps.overdue if onboards else None,
        "trainings_attended": row["attended"] or 0 if row["any_trainings"] else None,
        "nps": _float(row["nps"]),
        "csat": _float(row["csat"]),
    }
    if row["ever_used"]:
        active = row["active"] or 0
        facts |= {
            "active_share": min(active / seats, 1) if seats else None,
            "active_days": (row["days"] or 0) / weeks * 4,
            "sessions_per_person": (row["sessions"] or 0) / weeks / active if active else 0,
            "minutes_per_person": (row["minutes"] or 0) / weeks / active if active else 0,
            "breadth": row["kinds"] or 0,
            "use_trend": _use_trend(row, tenure),
            "week_trend": _week_trend(row, tenure),
            "days_since_use": (now.date() - row["last_day"]).days if row["last_day"] else WINDOW,
        }
    if row["any_tickets"]:
        facts |= {
            "complaints_90d": row["complaints"] or 0,
            "tickets_rise": max((row["tickets"] or 0) - (row["tickets_before"] or 0) / 3, 0),
        }
    return facts


def _own(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Fact]]:
    """The company's own attributes, of which a health.yml may speak by name."""
    for name, value in attributes.items():
        if isinstance(value, bool):
            yield name, "Yes" if value else "No"
        elif isinstance(value, int | float | str) and value != "":
            yield name, value


def _week_trend(row: Mapping[str, Any], tenure: int) -> float | None:
    """Events in the last week against the mean week of the four before; None for an account younger than those."""
    if tenure < 35 or not row["four_weeks_before"]:
        return None
    return float((row["week"] or 0) / (row["four_weeks_before"] / 4))


def _use_trend(row: Mapping[str, Any], tenure: int) -> float | None:
    """Events a day in the last 28 days against the 56 before, or what of them the account has been there for; None under two weeks of those."""
    days = min(tenure - 27, 56)
    if days < 14 or not row["past"]:
        return None
    return float((row["recent"] or 0) / 28 / (row["past"] / days))


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
