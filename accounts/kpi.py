"""Key figures of a period, worked out from the history of subscriptions.

A period goes from `start` up to but without `end`. What there was at a moment is what the lines of history before it say; so the
end of one period is the beginning of the next.

    opening, closing      customers with a running subscription, and what they pay a month (MRR), at the two ends
    new, returned, lost   customers whose first subscription begins; who come back; who end their last one; each moment counts
    expansion, contraction  what running customers come to pay more, or less, a month; each moment counts
        closing = opening + new + returned + expansion - contraction - lost, in customers and in money (exact; each is rounded to the cent)
    customer churn        customers of the opening who are not there at the closing / customers of the opening
    gross revenue churn   of the customers of the opening: what each pays less at the closing / opening MRR
    net revenue churn     1 - net revenue retention
    net revenue retention of the customers of the opening: closing MRR / opening MRR
    up-sell rate          customers of the opening with a subscription that at the closing is a higher plan or pays more / customers of the opening
    cross-sell rate       customers of the opening with one more subscription at the closing than at the opening / customers of the opening
    onboarding completion of the accounts that began in the period: those with every step of their plan done by its end / all of them
    NPS                   of each person's latest answer in the period: (9 and 10 less 0 to 6) / answers, in points
    CSAT                  answers of 4 and 5 / answers
    active users          people who used the product in the last 28 days of the period / people who belong to running customers
    session length        minutes / sessions
    lifetime value        what the customers of the closing are worth from then on, each as `accounts.value` has it / customers of the closing

Movements, and both parts of every rate, add up over segments. Movements also add up over periods that follow each other; rates do
not, as each has its own opening. A rate whose lower part is nothing is None. A price that is not known counts as a customer and as no
money; prices in other currencies count at the rates of value.yml, and without a rate are left out and named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.catalog import Catalog
from accounts.facts import onboarding_done
from accounts.plans import Plans
from accounts.value import Payment, lifetime_value
from kit.errors import UserError

ACTIVE_DAYS = 28


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Rate(_Frozen):
    """A rate with both its parts, so that it can be checked and added up."""

    value: float | None
    part: Decimal
    whole: Decimal


class Movements(_Frozen):
    """Customers and money a month that came and went."""

    opening_customers: int
    new_customers: int
    returned_customers: int
    lost_customers: int
    closing_customers: int
    opening_mrr: Decimal
    new_mrr: Decimal
    returned_mrr: Decimal
    expansion_mrr: Decimal
    contraction_mrr: Decimal
    lost_mrr: Decimal
    closing_mrr: Decimal


class Kpis(_Frozen):
    """The key figures of one segment, or of all."""

    movements: Movements
    customer_churn: Rate
    gross_revenue_churn: Rate
    net_revenue_churn: Rate
    net_revenue_retention: Rate
    upsell: Rate
    cross_sell: Rate
    onboarding_completion: Rate
    nps: Rate
    csat: Rate
    active_users: Rate
    session_minutes: Rate
    lifetime_value: Rate
    reasons_lost: dict[str, int]


class KpiReport(_Frozen):
    """The key figures of a period."""

    start: datetime
    end: datetime
    currency: str
    total: Kpis
    segments: dict[str, Kpis]
    left_out: list[str]


class Line(_Frozen):
    """One line of a subscription's history. `mrr` is exact, and 0 from its end on."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    account: str
    subscription: str
    at: datetime
    runs: bool
    plan: str | None
    mrr: Fraction
    reason: str | None = None


class _Sums:
    """What one segment adds up to; exact until it is shown."""

    def __init__(self) -> None:
        self.parts: dict[str, Fraction] = defaultdict(Fraction)
        self.reasons: dict[str, int] = defaultdict(int)

    def add(self, name: str, amount: Fraction | int = 1) -> None:
        self.parts[name] += amount

    def rate(self, name: str, whole: str, factor: int = 1) -> Rate:
        part, total = self.parts[name], self.parts[whole]
        value = round(float(part / total) * factor, 4) if total else None
        return Rate(value=value, part=_decimal(part), whole=_decimal(total))

    def shown(self) -> Kpis:
        lost = self.parts["opening_mrr"] - self.parts["kept_mrr"]
        self.parts["net_lost"] = lost
        counts = ("opening", "new", "returned", "lost", "closing")
        money = ("opening", "new", "returned", "expansion", "contraction", "lost", "closing")
        return Kpis(
            movements=Movements.model_validate(
                {f"{name}_customers": int(self.parts[f"{name}_customers"]) for name in counts}
                | {f"{name}_mrr": _decimal(self.parts[f"{name}_mrr"]) for name in money}
            ),
            customer_churn=self.rate("gone", "opening_customers"),
            gross_revenue_churn=self.rate("less_mrr", "opening_mrr"),
            net_revenue_churn=self.rate("net_lost", "opening_mrr"),
            net_revenue_retention=self.rate("kept_mrr", "opening_mrr"),
            upsell=self.rate("upsold", "opening_customers"),
            cross_sell=self.rate("cross_sold", "opening_customers"),
            onboarding_completion=self.rate("onboarded", "began"),
            nps=self.rate("nps", "nps_answers", 100),
            csat=self.rate("csat", "csat_answers"),
            active_users=self.rate("active", "people"),
            session_minutes=self.rate("minutes", "sessions"),
            lifetime_value=self.rate("worth", "closing_customers"),
            reasons_lost=dict(sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
        )


def _decimal(amount: Fraction) -> Decimal:
    """To the cent, half to even."""
    return Decimal(round(amount * 100)) / 100


def add_history(
    sums: Mapping[str, _Sums],
    lines: Iterable[Line],
    segment: Mapping[str, str],
    plans: Plans,
    start: datetime,
    end: datetime,
) -> None:
    """Adds what happened to subscriptions in a period. Pure but for the sums.

    Args:
        sums: by segment.
        lines: every line before `end`, by account and then time.
        segment: of each account.
    """
    for account, own in groupby(lines, key=lambda line: line.account):
        _add_account(sums[segment[account]], list(own), plans, start, end)


def _add_account(sums: _Sums, lines: list[Line], plans: Plans, start: datetime, end: datetime) -> None:
    state: dict[str, Line] = {}
    opening: dict[str, Line] = {}
    opened, ever = False, False
    for at, together in groupby(lines, key=lambda line: line.at):
        if at >= end:
            break
        if at >= start and not opened:
            opening, opened = dict(state), True
        before, ran = _mrr(state), _running(state)
        now = list(together)
        state |= {line.subscription: line for line in now}
        if at >= start:
            _move(sums, before, ran, state, ever, now)
        ever = ever or _running(state) > 0
    if not opened:
        opening = dict(state)
    _compare(sums, opening, state, plans)


def _mrr(state: Mapping[str, Line]) -> Fraction:
    return sum((line.mrr for line in state.values() if line.runs), Fraction())


def _running(state: Mapping[str, Line]) -> int:
    return sum(line.runs for line in state.values())


def _move(
    sums: _Sums, before: Fraction, ran: int, state: Mapping[str, Line], ever: bool, lines: Sequence[Line]
) -> None:
    """One moment of one account."""
    after, runs = _mrr(state), _running(state)
    if not ran and runs:
        kind = "returned" if ever else "new"
        sums.add(f"{kind}_customers")
        sums.add(f"{kind}_mrr", after)
    elif ran and not runs:
        sums.add("lost_customers")
        sums.add("lost_mrr", before)
        sums.reasons[next((line.reason for line in lines if line.reason), None) or "not said"] += 1
    elif after > before:
        sums.add("expansion_mrr", after - before)
    else:
        sums.add("contraction_mrr", before - after)


def _compare(sums: _Sums, opening: Mapping[str, Line], closing: Mapping[str, Line], plans: Plans) -> None:
    """The two ends of one account."""
    before, after = _mrr(opening), _mrr(closing)
    sums.add("closing_customers", int(_running(closing) > 0))
    sums.add("closing_mrr", after)
    if not _running(opening):
        return
    sums.add("opening_customers")
    sums.add("opening_mrr", before)
    sums.add("kept_mrr", after)
    sums.add("less_mrr", max(before - after, Fraction()))
    sums.add("gone", int(_running(closing) == 0))
    pairs = [(line, closing[key]) for key, line in opening.items() if line.runs and closing[key].runs]
    sums.add("upsold", int(any(_is_more(old, new, plans) for old, new in pairs)))
    added = [key for key, line in closing.items() if line.runs and not (key in opening and opening[key].runs)]
    sums.add("cross_sold", int(bool(added) and _running(closing) > _running(opening)))


def _is_more(old: Line, new: Line, plans: Plans) -> bool:
    ranks = plans.rank(old.plan), plans.rank(new.plan)
    higher = ranks[0] is not None and ranks[1] is not None and ranks[1] > ranks[0]
    return higher or new.mrr > old.mrr


async def kpis(
    session: AsyncSession, catalog: Catalog, start: datetime, end: datetime, *, by: str | None = None
) -> KpiReport:
    """The key figures of a period, of all accounts and of each segment.

    Args:
        by: `plan` or `currency` (of the account's last line of history before the period, else of its first), `owner`, or the name of an
            attribute.
    Raises:
        UserError: the period does not end after it starts.
    """
    if end <= start:
        raise UserError("the period ends before it starts", "give a later end")
    rows = await repository.history(session, end)
    lines, left_out = _lines(rows, catalog)
    segment = await _segments(session, rows, start, by)
    sums: dict[str, _Sums] = defaultdict(_Sums)
    add_history(sums, lines, segment, catalog.plans, start, end)
    began = await onboarding_done(session, catalog, start, end)
    for account, done in began.items():
        sums[segment[account]].add("began")
        sums[segment[account]].add("onboarded", int(done))
    running = {account for account, own in _last(lines).items() if any(line.runs for line in own.values())}
    for name, found in (
        await repository.period_figures(session, start, end, end - timedelta(days=ACTIVE_DAYS))
    ).items():
        for account, amount in found.items():
            if name not in ("people", "active") or account in running:
                sums[segment[account]].add(name, Fraction(amount))
    for account, payments in _paid(rows).items():
        worth = lifetime_value(catalog.value, payments, catalog.company.currency).amount
        sums[segment[account]].add("worth", Fraction(worth))
    total = _Sums()
    for each in sums.values():
        for name, part in each.parts.items():
            total.add(name, part)
        for reason, count in each.reasons.items():
            total.reasons[reason] += count
    return KpiReport(
        start=start,
        end=end,
        currency=catalog.company.currency,
        total=total.shown(),
        segments={name: sums[name].shown() for name in sorted(sums)} if by else {},
        left_out=left_out,
    )


def _last(lines: Iterable[Line]) -> dict[str, dict[str, Line]]:
    state: dict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        state[line.account][line.subscription] = line
    return state


def _paid(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Payment]]:
    """What each account pays after the last line of its history."""
    paid: dict[str, list[Payment]] = defaultdict(list)
    for row in {row["subscription_id"]: row for row in rows}.values():
        if row["kind"] != "cancel":
            paid[row["account_id"]].append(
                Payment(amount=row["amount"], currency=row["currency"], per_months=row["per_months"])
            )
    return paid


def _lines(rows: Sequence[Mapping[str, Any]], catalog: Catalog) -> tuple[list[Line], list[str]]:
    """The history in the company's currency, and what could not be counted."""
    own = catalog.company.currency
    rates = {key: Fraction(rate) for key, rate in catalog.value.rates.items()} | {own: Fraction(1)}
    unknown = {row["currency"] for row in rows if row["currency"] not in rates and row["amount"] is not None}
    unpriced = len({row["subscription_id"] for row in rows if row["amount"] is None})
    left_out = [f"prices in {currency}: value.yml has no rate" for currency in sorted(unknown)]
    if unpriced:
        left_out.append(f"the money of {unpriced} subscriptions whose price is not known")
    lines = [
        Line.model_construct(
            account=row["account_id"],
            subscription=row["subscription_id"],
            at=row["at"],
            runs=row["kind"] != "cancel",
            plan=row["plan"],
            mrr=Fraction(row["amount"] or 0) / row["per_months"] * rates.get(row["currency"], Fraction()),
            reason=row["reason"],
        )
        for row in rows
    ]
    return lines, left_out


async def _segments(
    session: AsyncSession, rows: Sequence[Mapping[str, Any]], start: datetime, by: str | None
) -> dict[str, str]:
    """The segment of every account."""
    accounts = await repository.account_traits(session, None if by in (None, "plan", "currency") else by)
    if by not in ("plan", "currency"):
        return {
            key: "all" if by is None else str(value) if value is not None else "none" for key, value in accounts.items()
        }
    # Rows are in the order of time: the last before the start counts, else the first.
    chosen: dict[str, str] = {}
    for row in rows:
        if row["at"] < start or row["account_id"] not in chosen:
            chosen[row["account_id"]] = str(row[by] or "none")
    return {key: chosen.get(key, "none") for key in accounts}
