"""Scores for many, kept over time, and whether they knew."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from accounts.backtest import backtest, recorded_since
from accounts.catalog import Catalog
from accounts.facts import internal_facts
from accounts.ingestion import ingest
from accounts.records import put_account, put_person, put_records
from accounts.sample import load_sample
from accounts.schemas import PutAccount, PutPerson, PutSurvey, PutTicket
from accounts.scoring import score_accounts


async def an_account(session: AsyncSession, account: str, begun: datetime, **more: Any) -> None:
    """One that began then."""
    payload = {"plan": "pro", "seats": 2, "price": "90", "created_at": begun, "started_at": begun}
    await put_account(session, account, PutAccount.model_validate(payload | more), begun)


def visits(account: str, now: datetime, days: range) -> list[dict[str, Any]]:
    """A person of an account who came on these days before now."""
    return [
        {"type": "track", "userId": f"{account}-p", "event": "e", "timestamp": now - timedelta(days=back)}
        | {"context": {"groupId": account}}
        for back in days
    ]


async def test_one_line_a_day_and_an_account(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """A second run on the day replaces the first; those without a subscription are not scored."""
    for account in "ab":
        await an_account(session, account, now - timedelta(days=300))
    await put_account(session, "b", PutAccount(cancelled=True), now - timedelta(hours=12))
    await put_account(session, "c", PutAccount(name="never subscribed"), now)
    assert await score_accounts(session, catalog, now - timedelta(days=1)) == 2
    assert await score_accounts(session, catalog, now) == 1
    assert await score_accounts(session, catalog, now + timedelta(hours=1), ids=["a"]) == 1
    rows = await session.execute(text("SELECT account_id, count(*) FROM health_scores GROUP BY 1 ORDER BY 1"))
    assert [tuple(row) for row in rows] == [("a", 2), ("b", 1)]


async def test_many_at_once_are_scored_as_each_alone(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Set-based and one by one agree."""
    for number in range(6):
        await an_account(session, f"a{number}", now - timedelta(days=40 * number + 1))
        await ingest(session, visits(f"a{number}", now, range(0, 50, number + 1)), now)
    tickets = [
        PutTicket(id=f"t{n}", account_id="a2", opened_at=now - timedelta(days=n), kind="complaint") for n in range(3)
    ]
    await put_records(session, tickets)
    await score_accounts(session, catalog, now)
    rows = await session.execute(text("SELECT account_id, score FROM health_scores"))
    for account, score in rows.all():
        assert (await internal_facts(session, catalog, account, now)).health_score == float(score)


async def test_the_past_is_scored_from_what_was_known_then(
    session: AsyncSession, catalog: Catalog, now: datetime
) -> None:
    """What happens afterwards changes no score of before: use, seats, renewal, tickets, answers, people who leave."""
    then = now - timedelta(days=60)
    await an_account(session, "a", now - timedelta(days=400), renews_on=(then + timedelta(days=30)).date())
    await put_person(session, "a-p", PutPerson(account_id="a", champion=True), now - timedelta(days=400))
    await ingest(session, visits("a", then, range(0, 40, 3)), now)
    await score_accounts(session, catalog, then)
    before = (await session.execute(text("SELECT score, reasons, signals FROM health_scores"))).one()
    await ingest(session, visits("a", now, range(0, 59, 2)), now)
    renewed = PutAccount(seats=50, renews_on=(now + timedelta(days=300)).date(), auto_renew=True)
    await put_account(session, "a", renewed, now)
    await put_records(session, [PutTicket(id="t", account_id="a", opened_at=now, kind="complaint")])
    answer = {"kind": "nps", "score": 0, "asked_at": now, "answered_at": now}
    await put_records(session, [PutSurvey.model_validate({"id": "s", "account_id": "a", **answer})])
    await put_person(session, "a-p", PutPerson(left_at=now), now)
    await score_accounts(session, catalog, then)
    after = (await session.execute(text("SELECT score, reasons FROM health_scores"))).one()
    # Tickets are known from the day the company records any, so they add an indicator with all its points.
    names = {reason["indicator"] for reason in before.reasons}
    assert {reason["indicator"]: reason["fact"] for reason in after.reasons if reason["indicator"] in names} == {
        reason["indicator"]: reason["fact"] for reason in before.reasons
    }


async def test_a_champion_who_leaves_is_a_signal(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Present: none. Left: one."""
    await an_account(session, "a", now - timedelta(days=400))
    await put_person(session, "a-p", PutPerson(account_id="a", champion=True), now - timedelta(days=400))
    await ingest(session, visits("a", now, range(60)), now)
    assert (await internal_facts(session, catalog, "a", now)).signals == []
    await put_person(session, "a-p", PutPerson(left_at=now), now)
    assert (await internal_facts(session, catalog, "a", now)).signals == ["champion_gone"]


async def test_use_that_falls_or_stops_is_a_signal(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Every day and then one day in the last two weeks; every day and then nothing."""
    for account, days in (("a", [*range(10, 80), 2]), ("b", [*range(14, 80)])):
        await an_account(session, account, now - timedelta(days=400))
        await ingest(session, [event for day in days for event in visits(account, now, range(day, day + 1))], now)
    assert (await internal_facts(session, catalog, "a", now)).signals == ["use_falling"]
    assert "use_stopped" in (await internal_facts(session, catalog, "b", now)).signals


async def test_tickets_surge_against_their_own_past(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Four in a month where there were none; four a month as ever."""
    for account in "ab":
        await an_account(session, account, now - timedelta(days=400))
    days = [("a", n) for n in range(4)] + [("b", n) for n in range(0, 119, 8)]
    await put_records(
        session, [PutTicket(id=f"{a}{n}", account_id=a, opened_at=now - timedelta(days=n)) for a, n in days]
    )
    assert (await internal_facts(session, catalog, "a", now)).signals == ["tickets_surging"]
    assert (await internal_facts(session, catalog, "b", now)).signals == []


async def test_backtest_says_what_the_score_knew(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Twelve who stop coming and leave, twelve who come and stay: the score tells them apart 90 days before."""
    events: list[dict[str, Any]] = []
    for number in range(12):
        for kind, last in (("stays", 0), ("leaves", 110)):
            await an_account(session, f"{kind}{number}", now - timedelta(days=400))
            events += visits(f"{kind}{number}", now, range(last, 180, 2))
        await put_account(session, f"leaves{number}", PutAccount(cancelled=True), now - timedelta(days=20 + number))
    await ingest(session, events, now)
    report = await backtest(session, catalog, now, moments=1)
    assert (report.customers, report.left) == (24, 12)
    assert report.auc == 1.0
    assert report.lift_worst_decile == 2.0
    assert sum(band.customers for band in report.bands.values()) == 24
    few = await backtest(session, catalog, now - timedelta(days=60), moments=1)
    assert (few.customers, few.left, few.auc) == (24, 0, None)
    assert "too few" in few.note
    before = await backtest(session, catalog, now - timedelta(days=70), moments=3)
    assert (before.moments, before.customers, before.bands["at_risk"].rate) == ([], 0, None)
    assert "no past to ask" in before.note


def test_use_is_recorded_since_it_is_usual() -> None:
    """Steps entered for long ago and a trial by few are no record; holidays are no gap; nothing at all is none."""
    monday = date(2026, 11, 16)
    shares = dict.fromkeys(range(40), 0.6) | {50: 0.6, 45: 0.1, 44: 0.1, 43: 0.1, 12: 0.05, 13: 0.05}
    weeks = [{"week": monday - timedelta(weeks=back), "share": shares[back]} for back in sorted(shares, reverse=True)]
    assert recorded_since(weeks) == monday - timedelta(weeks=39)
    assert recorded_since([]) is None


async def test_the_sample_company_has_a_past_to_ask(
    session: AsyncSession, catalog: Catalog, root: Path, now: datetime
) -> None:
    """Several left in it: most of those whom the score called at risk before, and one or two it had no inkling of."""
    await load_sample(session, root / "demo" / "accounts.yml", now)
    report = await backtest(session, catalog, now)
    assert len(report.moments) == 2
    assert report.left >= 10
    assert report.auc is not None
    assert 0.7 < report.auc < 0.99
    rates = [report.bands[band].rate or 0 for band in ("at_risk", "neutral", "healthy")]
    assert rates == sorted(rates, reverse=True)


async def test_an_attribute_can_be_an_indicator(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """What a company imports beside the fields, by its name in a health.yml of its own."""
    indicator = {"group": "usage", "label": "Streams", "levels": {"Yes": 100, "No": 0}}
    own = catalog.health.model_validate(
        {"profiles": [{"id": "all", "groups": {"usage": 1}}], "indicators": {"Streaming": indicator}}
    )
    catalog = Catalog(catalog.company, catalog.plans, catalog.onboarding, own, catalog.value)
    for account, value in (("a", "Yes"), ("b", False), ("c", None)):
        await an_account(session, account, now, attributes={"Streaming": value})
    assert await score_accounts(session, catalog, now) == 3
    listed = await timeline.standings(session, now)
    assert [(row.account_id, row.score, row.band) for row in listed] == [
        ("b", 0, "at_risk"),
        ("a", 100, "healthy"),
        ("c", None, None),
    ]


@pytest.mark.parametrize("plan", ["pro", None])
async def test_an_account_of_today_has_a_score_without_errors(
    session: AsyncSession, catalog: Catalog, now: datetime, plan: str | None
) -> None:
    """No history at all."""
    await put_account(session, "a", PutAccount(plan=plan), now)
    facts = await internal_facts(session, catalog, "a", now)
    assert facts.trend.days_7 is None
    assert 0 <= facts.coverage < 1
