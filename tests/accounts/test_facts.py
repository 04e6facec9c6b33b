"""What is known of an account, for its customer and for the company."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.facts import CustomerFacts, InternalFacts, Standing, customer_facts, facts_of_turn, internal_facts
from accounts.ingestion import ingest
from accounts.records import add_note, mark_step, put_account, put_people, put_records
from accounts.sample import load_sample
from accounts.schemas import PutAccount, PutInvoice, PutPerson, PutTicket
from accounts.scoring import score_accounts
from kit.errors import Conflict, NotFound


async def a_customer(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """An account on Pro with three people, some use, an unpaid bill and a complaint."""
    begun = now - timedelta(days=200)
    payload = PutAccount(
        name="A",
        created_at=begun,
        plan="pro",
        seats=3,
        renews_on=(now + timedelta(days=30)).date(),
        auto_renew=True,
        owner="hana@x",
        attributes={"flows": 12},
    )
    await put_account(session, "a", payload, now, plans=catalog.plans)
    await put_people(session, [(f"p{n}", PutPerson(account_id="a", role="admin", lang="ja"), now) for n in range(3)])
    events = [
        {"event": "flow_run", "properties": {"quantity": 40}, "timestamp": now - timedelta(hours=1)},
        {"event": "flow_run", "properties": {"quantity": 2}, "timestamp": now.replace(day=1)},
        {"event": "flow_run", "properties": {"quantity": 1000}, "timestamp": now.replace(day=1) - timedelta(days=1)},
        {"event": "api_called", "properties": {"quantity": 7}, "timestamp": now - timedelta(hours=2)},
        {"event": "api_called", "properties": {"quantity": 500}, "timestamp": now - timedelta(days=1)},
        {"event": "member_invited", "timestamp": now - timedelta(days=199)},
    ]
    await ingest(
        session, [{"type": "track", "userId": "p0", "messageId": str(n)} | e for n, e in enumerate(events)], now
    )
    bill = {"account_id": "a", "amount": "135.00", "currency": "USD"}
    month = {"id": "i1", "issued_on": now.date() - timedelta(days=40), "due_on": now.date() - timedelta(days=10)}
    await put_records(session, [PutInvoice.model_validate(bill | month)])
    await put_records(session, [PutTicket(id="t", account_id="a", kind="complaint", opened_at=now - timedelta(days=3))])
    await mark_step(session, "a", "connect_app", now, by="hana@x")
    await add_note(session, "a", "hana@x", "SECRET note", now)


@pytest.mark.parametrize(
    ("stated", "used"), [(0.4, 0.4), (0.456, 0.46), (61, 61), (61.0, 61), (0, 0), (-1, None), ("lots", None)]
)
async def test_a_part_of_a_gigabyte_is_not_nothing(
    session: AsyncSession, catalog: Catalog, now: datetime, stated: object, used: float | None
) -> None:
    """To two decimals, whole where it is; what is no amount is not shown."""
    account = PutAccount(plan="pro", attributes={"storage_gb": stated})
    await put_account(session, "a", account, now, plans=catalog.plans)
    meters = (await customer_facts(session, catalog, "a", None, now)).meters
    assert (meters["storage_gb"].used if "storage_gb" in meters else None) == used
    assert "storage_gb" not in meters or isinstance(meters["storage_gb"].used, type(used))


async def test_a_refund_is_no_lower_price(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """A bill given back, in part and whole, leaves the value as it is, and so does a bill that was never sent; half the price halves it."""
    await a_customer(session, catalog, now)

    async def worth() -> Decimal:
        return (await internal_facts(session, catalog, "a", now)).lifetime_value

    assert await worth() == Decimal("6480.00")
    day = now.date()
    bill = {"id": "i1", "account_id": "a", "issued_on": day - timedelta(days=40), "due_on": day - timedelta(days=10)}
    for refunded in ("35.00", "135.00"):
        paid = {"paid_on": day - timedelta(days=12), "amount": "135.00", "refunded": refunded, "currency": "USD"}
        await put_records(session, [PutInvoice.model_validate(bill | paid)])
        assert await worth() == Decimal("6480.00")
        assert [one.status for one in (await customer_facts(session, catalog, "a", None, now)).invoices] == ["paid"]
    await put_account(session, "a", PutAccount(price=Decimal("67.50")), now)
    assert await worth() == Decimal("3240.00")


async def test_customer_facts(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Plan, limits, use of this month and today, renewal, bills and steps."""
    await a_customer(session, catalog, now)
    facts = await customer_facts(session, catalog, "a", "p1", now)
    assert (facts.account_name, facts.person_role, facts.person_lang, facts.stage) == ("A", "admin", "ja", "renewing")
    assert (facts.plan.name, facts.plan.price, facts.plan.seats) == ("Pro", Decimal("135.00"), 3)
    assert facts.usage == {"seats_used": 3, "runs": 42, "api_calls": 7, "flows": 12}
    assert (facts.meters["runs"].limit, facts.meters["api_calls"].per) == (50_000, "day")
    assert facts.invoices[0].status == "overdue"
    assert [step.id for step in facts.steps if step.done] == ["invite_team", "connect_app"]
    assert facts.current_step is not None
    assert facts.current_step.id == "first_flow"
    values = facts.values()
    assert values["limits"]["runs"] == 50_000
    assert values["renewal"]["date"] == (now + timedelta(days=30)).date().isoformat()
    assert set(values) == {"account", "plan", "limits", "usage", "renewal"}


async def test_internal_facts(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Score with reasons, value: 135 x 12 x 0.8 / 0.15 = 8,640 within five years, and what a CSM wrote."""
    await a_customer(session, catalog, now)
    facts = await internal_facts(session, catalog, "a", now)
    assert facts.health_score is not None
    assert facts.profile == "renewing"
    assert facts.lifetime_value == Decimal("6480.00")  # 1,620 x 0.8 x 5: the five years come first
    assert (facts.currency, facts.tier, facts.complaints_90d, facts.days_to_renewal) == ("USD", "tech", 1, 30)
    assert [note.text for note in facts.notes] == ["SECRET note"]
    known = {reason.indicator: reason.fact for reason in facts.reasons}
    assert known["invoice_days_late"] == 10
    assert known["active_share"] == pytest.approx(1 / 3)
    assert known["onboarding_percent"] == 33


def test_the_two_kinds_of_fact_share_no_field() -> None:
    """So that neither can be built from the other by mistake, and what is internal has no place in the customer's."""
    for internal in (InternalFacts, Standing):
        assert not set(CustomerFacts.model_fields) & set(internal.model_fields)
    assert CustomerFacts.model_config["extra"] == "forbid"


async def test_a_person_of_another_account_counts_as_nobody(
    session: AsyncSession, catalog: Catalog, now: datetime
) -> None:
    """Their role and language say nothing here."""
    await a_customer(session, catalog, now)
    await put_account(session, "b", PutAccount(name="B"), now)
    facts = await customer_facts(session, catalog, "b", "p1", now)
    assert (facts.person_role, facts.plan.name, facts.limits) == (None, "none", {})


async def test_a_plan_that_is_not_sold_still_answers(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Its id is its name, and no limit is known."""
    await put_account(session, "b", PutAccount(plan="Fiber optic"), now)
    facts = await customer_facts(session, catalog, "b", None, now)
    assert (facts.plan.name, facts.limits, facts.meters["seats"].known) == ("Fiber optic", {}, False)
    assert (await internal_facts(session, catalog, "b", now)).lifetime_value == 0


async def test_an_account_that_is_not_there_is_not_found(
    session: AsyncSession, catalog: Catalog, now: datetime
) -> None:
    """From both."""
    with pytest.raises(NotFound, match="nobody"):
        await customer_facts(session, catalog, "nobody", None, now)
    with pytest.raises(NotFound, match="nobody"):
        await internal_facts(session, catalog, "nobody", now)


async def test_the_sample_has_an_account_of_every_kind(
    session: AsyncSession, catalog: Catalog, root: Path, now: datetime
) -> None:
    """Healthy, neutral, at risk, of high value, new and renewing; loading again the same day changes nothing."""
    counts = await load_sample(session, root / "demo" / "accounts.yml", now)
    assert counts["accounts"] >= 24
    assert await load_sample(session, root / "demo" / "accounts.yml", now) == {"accounts": 0, "people": 0, "events": 0}
    demo = {
        key: await internal_facts(session, catalog, key, now)
        for key in ("acme-starter", "borealis-business", "cedar-enterprise", "juniper-retail", "dango-cafe")
    }
    assert demo["acme-starter"].band == "healthy"
    assert (demo["borealis-business"].band, demo["borealis-business"].profile) == ("at_risk", "renewing")
    assert (demo["cedar-enterprise"].band, demo["cedar-enterprise"].tier) == ("healthy", "high")
    assert demo["juniper-retail"].band == "neutral"
    assert demo["borealis-business"].trend.days_30 is not None
    assert demo["borealis-business"].trend.days_30 < -15
    assert {"champion_gone", "payment_late", "tickets_surging"} <= set(demo["borealis-business"].signals)
    assert demo["acme-starter"].signals == []
    assert demo["dango-cafe"].profile == "onboarding"
    facts = await customer_facts(session, catalog, "cedar-enterprise", "cedar-chika", now)
    assert (facts.person_lang, facts.limits["runs"], facts.plan.price) == ("ja", None, Decimal("22500.00"))


async def test_the_sample_leaves_real_accounts_alone(session: AsyncSession, root: Path, now: datetime) -> None:
    """An account of that id that is no sample stops it."""
    await put_account(session, "acme-starter", PutAccount(name="Real"), now)
    with pytest.raises(Conflict, match="acme-starter"):
        await load_sample(session, root / "demo" / "accounts.yml", now)


async def test_what_decides_a_turn_is_what_the_console_shows(
    session: AsyncSession, catalog: Catalog, root: Path, now: datetime
) -> None:
    """Of every sample account, scored or not yet, the two ways of asking agree."""
    await load_sample(session, root / "demo" / "accounts.yml", now)
    ids = ["acme-starter", "borealis-business", "cedar-enterprise"]
    for scored in (False, True):
        if scored:
            await score_accounts(session, catalog, now, ids=ids)
        for id_ in ids:
            customer, standing = await facts_of_turn(session, catalog, id_, None, now)
            known = await internal_facts(session, catalog, id_, now)
            assert customer == await customer_facts(session, catalog, id_, None, now)
            assert standing.health_score == pytest.approx(known.health_score, abs=0.006)
            for name in set(Standing.model_fields) - {"health_score"}:
                assert getattr(standing, name) == getattr(known, name)
