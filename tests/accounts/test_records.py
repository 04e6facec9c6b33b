"""What a company states, and the history that makes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.records import add_note, mark_step, put_account, put_person, put_records
from accounts.schemas import PutAccount, PutInvoice, PutPerson, PutTicket
from kit.errors import NotFound, UserError


async def history(session: AsyncSession) -> list[tuple[Any, ...]]:
    """Every line, in order of time."""
    query = "SELECT kind, plan, seats, amount, reason FROM subscription_changes ORDER BY at, id"
    return [tuple(row) for row in await session.execute(text(query))]


async def test_every_change_of_a_subscription_is_kept(session: AsyncSession, now: datetime) -> None:
    """Start, more seats, another plan, a renewal, an end, and back again."""
    said: list[dict[str, Any]] = [
        {"plan": "pro", "seats": 5, "price": "225.00", "renews_on": date(2026, 12, 1)},
        {"seats": 8, "price": "360.00", "reason": "new team"},
        {"plan": "business", "price": "632.00"},
        {"renews_on": date(2027, 12, 1)},
        {"cancelled_at": now + timedelta(days=5), "reason": "closing"},
        {"cancelled": False},
    ]
    for day, payload in enumerate(said):
        await put_account(session, "a", PutAccount.model_validate(payload), now + timedelta(days=day))
    assert await history(session) == [
        ("start", "pro", 5, Decimal("225.00"), None),
        ("change", "pro", 8, Decimal("360.00"), "new team"),
        ("change", "business", 8, Decimal("632.00"), None),
        ("renew", "business", 8, Decimal("632.00"), None),
        ("cancel", "business", 8, Decimal("632.00"), "closing"),
        ("start", "business", 8, Decimal("632.00"), None),
    ]


async def test_stating_the_same_again_changes_nothing(session: AsyncSession, now: datetime) -> None:
    """The same payload twice is one line of history and one account."""
    payload = PutAccount(name="A", plan="pro", seats=2, price=Decimal("90.00"), attributes={"k": 1})
    await put_account(session, "a", payload, now)
    await put_account(session, "a", payload, now + timedelta(days=1))
    assert len(await history(session)) == 1
    assert (await session.execute(text("SELECT created_at FROM accounts"))).scalar_one() == now


async def test_what_is_not_said_stays(session: AsyncSession, now: datetime) -> None:
    """A second statement about the owner alone leaves name, beginning and attributes."""
    begun = now - timedelta(days=400)
    await put_account(session, "a", PutAccount(name="A", created_at=begun, attributes={"k": 1, "l": 1}), now)
    await put_account(session, "a", PutAccount(owner="h@x", attributes={"l": 2}), now + timedelta(days=1))
    row = (await session.execute(text("SELECT name, created_at, owner, attributes FROM accounts"))).one()
    assert tuple(row) == ("A", begun, "h@x", {"k": 1, "l": 2})


async def test_the_list_price_stands_in_where_none_was_stated(
    session: AsyncSession, catalog: Catalog, now: datetime
) -> None:
    """It follows the seats; a price that was agreed does not."""
    await put_account(session, "a", PutAccount(plan="pro", seats=2), now, plans=catalog.plans)
    await put_account(session, "a", PutAccount(seats=3), now + timedelta(days=1), plans=catalog.plans)
    await put_account(session, "a", PutAccount(price=Decimal("99.00")), now + timedelta(days=2), plans=catalog.plans)
    await put_account(session, "a", PutAccount(seats=4), now + timedelta(days=3), plans=catalog.plans)
    assert [line[3] for line in await history(session)] == [Decimal(x) for x in ("90.00", "135.00", "99.00", "99.00")]


async def test_an_account_may_have_several_subscriptions(session: AsyncSession, now: datetime) -> None:
    """Each has its own history; another account cannot take one."""
    await put_account(session, "a", PutAccount(plan="pro"), now)
    await put_account(session, "a", PutAccount(plan="addon", subscription_id="a-2"), now)
    assert len(await history(session)) == 2
    with pytest.raises(UserError, match="another account's"):
        await put_account(session, "b", PutAccount(plan="addon", subscription_id="a-2"), now)


async def test_an_end_before_the_beginning_is_refused(session: AsyncSession, now: datetime) -> None:
    """In one statement, and against what is known."""
    with pytest.raises(ValidationError):
        PutAccount(started_at=now, cancelled_at=now - timedelta(days=1))
    await put_account(session, "a", PutAccount(plan="pro"), now)
    with pytest.raises(UserError, match="before started_at"):
        await put_account(session, "a", PutAccount(cancelled_at=now - timedelta(days=1)), now)


async def test_older_news_changes_nothing(session: AsyncSession, now: datetime) -> None:
    """What was stated later stays, whatever the order of arrival."""
    await put_account(session, "a", PutAccount(name="Now", plan="pro"), now)
    await put_account(session, "a", PutAccount(name="Then", plan="starter"), now - timedelta(days=1))
    row = (
        await session.execute(text("SELECT name, plan FROM accounts JOIN subscriptions ON account_id = accounts.id"))
    ).one()
    assert tuple(row) == ("Now", "pro")


async def test_people_and_papers_need_their_account(session: AsyncSession, now: datetime) -> None:
    """One line that names the account."""
    with pytest.raises(NotFound, match="there is no account nobody"):
        await put_person(session, "p", PutPerson(account_id="nobody"), now)
    with pytest.raises(NotFound, match="nobody"):
        await put_records(session, [PutTicket(id="t", account_id="nobody", opened_at=now)])
    with pytest.raises(NotFound, match="nobody"):
        await mark_step(session, "nobody", "invite", now)
    with pytest.raises(NotFound, match="nobody"):
        await add_note(session, "nobody", "h@x", "hello", now)


async def test_a_person_may_be_marked_and_unmarked(session: AsyncSession, now: datetime) -> None:
    """Champion and left are taken back when that is said, and only then."""
    await put_account(session, "a", PutAccount(), now)
    for said in ({"champion": True, "left_at": now}, {"name": "P"}, {"left_at": None, "champion": False}):
        await put_person(session, "p", PutPerson.model_validate({"account_id": "a", **said}), now)
        row = (await session.execute(text("SELECT champion, left_at FROM people"))).one()
        assert tuple(row) == ((False, None) if said.get("champion") is False else (True, now))


async def test_a_record_is_replaced_by_id(session: AsyncSession, now: datetime) -> None:
    """An invoice that is paid later."""
    await put_account(session, "a", PutAccount(), now)
    bill = {
        "id": "i",
        "account_id": "a",
        "issued_on": "2026-11-01",
        "due_on": "2026-12-01",
        "amount": "10",
        "currency": "USD",
    }
    await put_records(session, [PutInvoice.model_validate(bill)])
    await put_records(session, [PutInvoice.model_validate(bill | {"paid_on": "2026-11-09"})])
    assert (await session.execute(text("SELECT paid_on FROM invoices"))).scalar_one() == date(2026, 11, 9)
