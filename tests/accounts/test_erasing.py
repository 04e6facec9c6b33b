"""Forgetting, for good."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.erasing import erase_account, erase_person
from accounts.ingestion import ingest
from accounts.models import Account
from accounts.records import add_note, put_account, put_person, put_records
from accounts.schemas import PutAccount, PutPerson, PutSurvey, PutTicket
from kit.errors import NotFound


async def everything(session: AsyncSession, now: datetime) -> None:
    """An account with a person who is in every table."""
    await put_account(session, "a", PutAccount(plan="pro"), now)
    await put_person(session, "pat-id", PutPerson(account_id="a", email="pat@x", name="Pat"), now)
    await ingest(session, [{"type": "track", "userId": "pat-id", "event": "e", "properties": {"who": "Pat"}}], now)
    survey = {"id": "s", "account_id": "a", "person_id": "pat-id", "kind": "nps", "score": 9, "comment": "Pat here"}
    await put_records(session, [PutSurvey.model_validate(survey | {"asked_at": now, "answered_at": now})])
    await put_records(
        session, [PutTicket(id="t", account_id="a", person_id="pat-id", subject="Pat asks", opened_at=now)]
    )
    await add_note(session, "a", "csm@x", "a note", now)


async def dump(session: AsyncSession) -> str:
    """Every row of every table of this room, as text."""
    tables = [name for name, table in Account.metadata.tables.items() if table.schema is None]
    mine = [name for name in tables if name.split("_")[0] in {"accounts", "people", "events", "surveys", "tickets"}]
    mine += ["account_events", "account_notes", "daily_people", "daily_events", "subscriptions"]
    mine += ["subscription_changes", "health_scores", "greetings", "trainings", "invoices"]
    parts = [(await session.execute(text(f"SELECT t::text FROM {name} AS t"))).scalars().all() for name in mine]  # noqa: S608
    return "\n".join(row for part in parts for row in part)


async def test_a_person_is_gone_and_the_figures_stay(session: AsyncSession, now: datetime) -> None:
    """Neither id nor name nor words are anywhere; the day still had one person."""
    await everything(session, now)
    await erase_person(session, "pat-id")
    rest = await dump(session)
    assert "pat" not in rest.lower()
    assert (await session.execute(text("SELECT count(*) FROM daily_people"))).scalar_one() == 1
    assert (await session.execute(text("SELECT score FROM surveys"))).scalar_one() == 9
    with pytest.raises(NotFound):
        await erase_person(session, "pat-id")


async def test_an_account_is_gone_with_all_that_is_its(session: AsyncSession, now: datetime) -> None:
    """No row is left."""
    await everything(session, now)
    await erase_account(session, "a")
    assert await dump(session) == ""
    with pytest.raises(NotFound):
        await erase_account(session, "a")
