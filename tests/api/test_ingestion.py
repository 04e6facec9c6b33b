"""What a company's backend states over HTTP, through the real application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from accounts import repository
from api import keys
from api.app import create_app
from kit.clock import now
from kit.database import Database
from kit.settings import Settings

ACCOUNT = "rest-co"


@pytest.fixture
async def http(
    settings: Settings, database: Database, database_url: str, root: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key, and an account to state things of."""
    app = create_app(settings.model_copy(update={"company": root / "demo"}), database_url)
    async with database.begin() as session:
        key = await keys.add(session, f"rest-{now().timestamp()}", ["accounts"], now())
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://kotae.test", headers=headers) as client:
        assert (await client.put(f"/v1/accounts/{ACCOUNT}", json={"name": "Rest"})).status_code == 204
        yield client
    # What is committed stays for the other tests, some of which count everything.
    async with database.begin() as session:
        await repository.delete_accounts(session, [ACCOUNT])
        await session.execute(text("DELETE FROM api_keys WHERE name LIKE 'rest-%'"))


RECORDS: list[tuple[str, dict[str, Any]]] = [
    ("tickets", {"opened_at": "2026-10-01T08:00Z", "kind": "complaint", "subject": "Runs fail"}),
    ("invoices", {"issued_on": "2026-10-01", "due_on": "2026-10-31", "amount": "99.95", "currency": "EUR"}),
    ("surveys", {"kind": "nps", "asked_at": "2026-10-01T08:00Z", "answered_at": "2026-10-02T08:00Z", "score": 9}),
    ("trainings", {"name": "Basics", "held_on": "2026-10-01"}),
]


@pytest.mark.parametrize(("kind", "fields"), RECORDS)
async def test_what_happened_to_an_account_is_put_by_id(
    http: httpx.AsyncClient, database: Database, kind: str, fields: dict[str, Any]
) -> None:
    """Twice is once; one of an account that is not there, and one that is wrong, are refused by name."""
    address = f"/v1/{kind}/rest-{kind}"
    for _ in range(2):
        put = await http.put(address, json=fields | {"account_id": ACCOUNT})
        assert put.status_code == 204, put.text
    async with database.begin() as session:
        found = await session.execute(text(f"SELECT account_id FROM {kind} WHERE id = :id"), {"id": f"rest-{kind}"})  # noqa: S608
        assert found.scalars().all() == [ACCOUNT]
    strange = await http.put(address, json=fields | {"account_id": "nobody-there"})
    assert (strange.status_code, "nobody-there" in strange.text) == (404, True)
    wrong = await http.put(address, json=fields | {"account_id": ACCOUNT, "colour": "red"})
    assert (wrong.status_code, "colour" in wrong.text) == (422, True)
    assert (await http.put(address, json=[], headers={"Authorization": ""})).status_code in (401, 422)
    bare = await http.put(address, json=fields | {"account_id": ACCOUNT}, headers={"Authorization": "Bearer wrong"})
    assert bare.status_code == 401


async def test_the_history_of_a_subscription_is_put_whole(http: httpx.AsyncClient, database: Database) -> None:
    """Start, more seats, end with its reason; again without the end, and it runs."""
    lines = [
        {"at": "2026-05-01T00:00Z", "seats": 5},
        {"at": "2026-01-01T00:00Z", "plan": "pro", "seats": 3, "price": "135"},
        {"at": "2026-09-01T00:00Z", "cancelled": True, "reason": "price"},
    ]
    query = text("SELECT kind, seats, reason FROM subscription_changes WHERE account_id = :a ORDER BY at")
    for given, kinds in ((lines, ["start", "change", "cancel"]), (lines[:2], ["start", "change"])):
        put = await http.put(f"/v1/accounts/{ACCOUNT}/history", json={"changes": given})
        assert put.status_code == 204, put.text
        async with database.begin() as session:
            rows = (await session.execute(query, {"a": ACCOUNT})).all()
        assert [row.kind for row in rows] == kinds
        assert [row.seats for row in rows][:2] == [3, 5]
    wrong = await http.put(f"/v1/accounts/{ACCOUNT}/history", json={"changes": [{"at": "today"}]})
    assert (wrong.status_code, "at:" in wrong.text) == (422, True)
