"""Key figures against cases worked out by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.facts import values
from accounts.importing import import_csv
from accounts.ingestion import ingest
from accounts.kpi import Kpis, Line, _Sums, add_history, kpis
from accounts.plans import Plans
from accounts.records import mark_step, put_account, put_person, put_records
from accounts.schemas import PutAccount, PutPerson, PutSurvey
from kit.errors import UserError

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


async def said(session: AsyncSession, account: str, day: int, month: int = 10, **payload: Any) -> None:
    """A statement about an account on a day of 2026."""
    await put_account(session, account, PutAccount.model_validate(payload), datetime(2026, month, day, 9, tzinfo=UTC))


async def five_customers(session: AsyncSession) -> None:
    """a grows, b shrinks, c leaves, d is new, e was gone and returns; f adds a product; g pays yearly in yen."""
    for account, price in (("a", "100"), ("b", "200"), ("c", "300"), ("e", "50"), ("f", "40")):
        await said(session, account, 1, 9, plan="pro", price=price, owner="h@x" if account in "ab" else "d@x")
    await said(session, "g", 1, 9, plan="business", price="120000", currency="JPY", per_months=12)
    await said(session, "e", 15, 9, cancelled=True)
    await said(session, "a", 5, plan="business", price="160")
    await said(session, "b", 6, price="150")
    await said(session, "c", 7, cancelled=True, reason="price")
    await said(session, "d", 8, plan="starter", price="20")
    await said(session, "e", 9, cancelled=False)
    await said(session, "f", 10, plan="addon", price="10", subscription_id="f-2")


async def test_movements_and_rates(session: AsyncSession, catalog: Catalog) -> None:
    """Opening a 100, b 200, c 300, f 40, g 120,000 / 12 x 0.0067 = 67: 707.00. Of these at the closing: 160 + 150 + 0 + 50 + 67 = 427."""
    await five_customers(session)
    made = (await kpis(session, catalog, START, END)).total
    moved = made.movements
    assert (moved.opening_customers, moved.new_customers, moved.returned_customers, moved.lost_customers) == (
        5,
        1,
        1,
        1,
    )
    assert moved.closing_customers == 6
    assert moved.opening_mrr == Decimal("707.00")
    assert (moved.new_mrr, moved.returned_mrr, moved.lost_mrr) == (20, 50, 300)
    assert (moved.expansion_mrr, moved.contraction_mrr, moved.closing_mrr) == (70, 50, Decimal("497.00"))
    assert made.customer_churn.value == 0.2
    assert made.gross_revenue_churn.value == pytest.approx(350 / 707, abs=1e-4)
    assert made.net_revenue_retention.value == pytest.approx(427 / 707, abs=1e-4)
    assert made.net_revenue_churn.value == pytest.approx(280 / 707, abs=1e-4)
    assert (made.upsell.part, made.upsell.whole) == (1, 5)
    assert (made.cross_sell.part, made.cross_sell.whole) == (1, 5)
    assert made.reasons_lost == {"price": 1}


HISTORY = """account_id,at,subscription_id,plan,price,currency,per_months,cancelled,reason
c,2026-10-07T09:00Z,,,,,,true,price
a,2026-09-01T09:00Z,,pro,100,,,,
b,2026-09-01T09:00Z,,pro,200,,,,
c,2026-09-01T09:00Z,,pro,300,,,,
e,2026-10-09T09:00Z,,,,,,false,
e,2026-09-01T09:00Z,,pro,50,,,,
f,2026-09-01T09:00Z,,pro,40,,,,
g,2026-09-01T09:00Z,,business,120000,JPY,12,,
e,2026-09-15T09:00Z,,,,,,true,
a,2026-10-05T09:00Z,,business,160,,,,
b,2026-10-06T09:00Z,,,150,,,,
d,2026-10-08T09:00Z,,starter,20,,,,
f,2026-10-10T09:00Z,f-2,addon,10,,,,
"""


async def test_a_history_that_is_imported_counts_as_one_that_was_told(
    session: AsyncSession, catalog: Catalog, tmp_path: Path
) -> None:
    """In any order of lines, and twice; what no line says is kept as it was stated."""
    await five_customers(session)
    told = await kpis(session, catalog, START, END)
    await session.execute(text("DELETE FROM subscriptions"))
    today = END + timedelta(days=17)
    await put_account(session, "a", PutAccount(plan="starter", price=Decimal(7), renews_on=date(2027, 3, 1)), today)
    (tmp_path / "h.csv").write_text(HISTORY)
    for _ in range(2):
        report = await import_csv(session, tmp_path / "h.csv", None, now=today, kind="changes")
        assert (report.rows, report.wrong, report.written) == (13, [], True)
        assert (await kpis(session, catalog, START, END)).total == told.total
    row = (await session.execute(text("SELECT plan, amount, renews_on FROM subscriptions WHERE id = 'a'"))).one()
    assert tuple(row) == ("business", 160, date(2027, 3, 1))


async def test_a_history_that_makes_no_sense_is_refused(session: AsyncSession, tmp_path: Path, now: datetime) -> None:
    """An end without a beginning, the same line twice, a line of nobody: named, and nothing is written."""
    await put_account(session, "a", PutAccount(name="A"), now)
    file = tmp_path / "h.csv"
    file.write_text("account_id,at,cancelled\na,2026-01-01,true\n")
    with pytest.raises(UserError, match="ends before it began"):
        await import_csv(session, file, None, now=now, kind="changes")
    file.write_text("account_id,at,plan\na,2026-01-01,pro\na,2026-01-01,max\nz,2026-01-01,pro\n,2026-01-01,pro\n")
    report = await import_csv(session, file, None, now=now, kind="changes")
    assert [(row.line, row.problem) for row in report.wrong] == [
        (3, "id: the same as in line 2"),
        (4, "account_id: there is no account 'z'"),
        (5, "account_id or at: is empty"),
    ]
    assert not report.written


async def test_segments_add_up(session: AsyncSession, catalog: Catalog) -> None:
    """By plan at the opening, and by owner."""
    await five_customers(session)
    report = await kpis(session, catalog, START, END, by="plan")
    assert set(report.segments) == {"pro", "business", "starter"}
    assert report.segments["pro"].movements.opening_customers == 4
    owners = (await kpis(session, catalog, START, END, by="owner")).segments
    assert owners["h@x"].net_revenue_retention.value == pytest.approx(310 / 300, abs=1e-4)
    for segments in (report.segments, owners):
        assert sum(each.movements.closing_mrr for each in segments.values()) == report.total.movements.closing_mrr
        assert sum(each.customer_churn.part for each in segments.values()) == report.total.customer_churn.part
        assert sum(each.lifetime_value.part for each in segments.values()) == report.total.lifetime_value.part


async def test_customers_have_a_value_by_segment(session: AsyncSession, catalog: Catalog) -> None:
    """Six who pay 497.00 a month: x 12 x 0.80 / 0.15 held at five years = 48 times; business 10,000 yen of them = 67.00."""
    await five_customers(session)
    report = await kpis(session, catalog, START, END, by="plan")
    worth = report.total.lifetime_value
    assert (worth.part, worth.whole, worth.value) == (Decimal("23856.00"), 6, 3976.0)
    assert report.segments["business"].lifetime_value.part == Decimal("3216.00")
    ids = ["a", "b", "c", "d", "e", "f", "g"]
    assert sum((await values(session, catalog, ids, END)).values()) == worth.part


async def test_what_cannot_be_counted_is_named(session: AsyncSession, catalog: Catalog) -> None:
    """A currency without a rate, a price that is not known; both are customers all the same."""
    await said(session, "a", 1, 9, plan="pro", price="5", currency="EUR")
    await said(session, "b", 1, 9, plan="pro")
    report = await kpis(session, catalog, START, END)
    assert report.total.movements.opening_customers == 2
    assert report.total.movements.opening_mrr == 0
    assert report.total.net_revenue_retention.value is None
    assert report.left_out == [
        "prices in EUR: value.yml has no rate",
        "the money of 1 subscriptions whose price is not known",
    ]


async def test_people_answers_and_onboarding(session: AsyncSession, catalog: Catalog) -> None:
    """Three people of whom two came, 40 minutes in two sessions, NPS of two promoters and one detractor, one of two onboarded."""
    day = datetime(2026, 10, 20, 9, tzinfo=UTC)
    for account in ("a", "b"):
        await said(session, account, 2, plan="starter", price="19")
    for step in catalog.onboarding.for_plan("starter"):
        await mark_step(session, "a", step.id, day)
    for person in "xyz":
        await put_person(session, person, PutPerson(account_id="a", created_at=START), START)
    minutes = [("x", 0), ("x", 5), ("x", 10), ("x", 15), ("y", 0), ("y", 5), ("y", 10), ("y", 15)]
    events = [
        {"type": "track", "userId": who, "event": "e", "timestamp": day + timedelta(minutes=at)} for who, at in minutes
    ]
    await ingest(session, events, END)
    scores = [("x", 3, 1), ("x", 9, 5), ("y", 10, 3), ("z", 6, 4)]
    answers = [
        {"id": f"{who}{n}", "account_id": "a", "person_id": who, "kind": "nps", "score": score}
        | {"asked_at": START, "answered_at": START + timedelta(days=n)}
        for who, score, n in scores
    ]
    answers.append({"id": "c", "account_id": "b", "kind": "csat", "score": 4, "asked_at": START, "answered_at": day})
    await put_records(session, [PutSurvey.model_validate(answer) for answer in answers])
    made = (await kpis(session, catalog, START, END)).total
    assert (made.nps.part, made.nps.whole, made.nps.value) == (1, 3, pytest.approx(33.3333))
    assert made.csat.value == 1
    assert (made.active_users.part, made.active_users.whole) == (2, 3)
    assert (made.session_minutes.part, made.session_minutes.whole, made.session_minutes.value) == (40, 2, 20)
    assert (made.onboarding_completion.part, made.onboarding_completion.whole) == (1, 2)


async def test_an_empty_period_has_no_rates(session: AsyncSession, catalog: Catalog) -> None:
    """Nothing divided by nothing is not 0; and a period goes forward."""
    made = (await kpis(session, catalog, START, END)).total
    assert made.customer_churn.value is None
    assert made.lifetime_value.value is None
    with pytest.raises(UserError, match="ends before"):
        await kpis(session, catalog, END, START)


PLANS = Plans.model_validate({"plans": [{"id": "p", "name": "P"}]})
moments = st.integers(0, 89)
line = st.tuples(st.sampled_from("abc"), st.sampled_from("12"), moments, st.booleans(), st.integers(0, 10_000))


def shown(lines: list[Line], start: int, end: int, segment: dict[str, str] | None = None) -> dict[str, Kpis]:
    """The figures of days of a quarter."""
    sums: dict[str, _Sums] = defaultdict(_Sums)
    add_history(
        sums,
        lines,
        segment or defaultdict(lambda: "all"),
        PLANS,
        START + timedelta(days=start),
        START + timedelta(days=end),
    )
    return {name: each.shown() for name, each in (sums or {"all": _Sums()}).items()}


@given(raw=st.lists(line, max_size=30), cut=st.integers(1, 89))
def test_two_halves_make_the_whole(raw: list[tuple[str, str, int, bool, int]], cut: int) -> None:
    """Movements add up over periods and over segments, the ends chain, and the balance holds to the cent."""
    lines = [
        Line(
            account=account,
            subscription=account + number,
            at=START + timedelta(days=day),
            runs=runs,
            plan="p",
            mrr=Fraction(cents, 1200) if runs else Fraction(),
        )
        for account, number, day, runs, cents in sorted(raw, key=lambda each: (each[0], each[2]))
    ]
    whole = shown(lines, 0, 90)["all"].movements if lines else None
    if whole is None:
        return
    first, second = shown(lines, 0, cut)["all"].movements, shown(lines, cut, 90)["all"].movements
    assert first.closing_customers == second.opening_customers
    assert first.closing_mrr == second.opening_mrr
    for name in ("new_customers", "returned_customers", "lost_customers"):
        assert getattr(first, name) + getattr(second, name) == getattr(whole, name)
    balance = whole.opening_customers + whole.new_customers + whole.returned_customers - whole.lost_customers
    assert balance == whole.closing_customers
    gained = whole.new_mrr + whole.returned_mrr + whole.expansion_mrr
    # Each of the seven is rounded for itself.
    assert abs(whole.opening_mrr + gained - whole.contraction_mrr - whole.lost_mrr - whole.closing_mrr) <= Decimal(
        "0.04"
    )
    parts = shown(lines, 0, 90, {"a": "one", "b": "two", "c": "one"}).values()
    assert sum(each.movements.closing_customers for each in parts) == whole.closing_customers
    assert sum(each.customer_churn.part for each in parts) == shown(lines, 0, 90)["all"].customer_churn.part
