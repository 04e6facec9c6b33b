"""An account is scored again when its facts changed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sqlalchemy import text

from accounts.catalog import load_catalog
from accounts.erasing import erase_account
from accounts.records import put_account
from accounts.schemas import PutAccount
from api.rescoring import Rescoring
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.ids import new_id


async def scored(database: Database, account: str) -> int:
    async with database.begin() as session:
        found = await session.execute(text("SELECT count(*) FROM health_scores WHERE account_id = :a"), {"a": account})
        return int(found.scalar_one())


async def until_scored(database: Database, account: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if await scored(database, account):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{account} was not scored")


async def test_what_changed_is_scored_and_nothing_else(database: Database, root: Path) -> None:
    """Told many times at once it is scored; one that was erased meanwhile stops nobody; others are left alone."""
    catalog = load_catalog(load_company(root / "demo"))
    changed, other, gone = new_id("acc"), new_id("acc"), new_id("acc")
    async with database.begin() as session:
        for account in (changed, other):
            await put_account(session, account, PutAccount(plan="pro"), now(), plans=catalog.plans)
    rescoring = Rescoring(database, catalog, gather_seconds=0.01)
    task = asyncio.create_task(rescoring.run())
    try:
        for _ in range(100):
            rescoring.changed([changed, None])
        rescoring.changed([gone])
        await until_scored(database, changed)
        assert await scored(database, other) == 0
        rescoring.changed([other])
        await until_scored(database, other)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with database.begin() as session:  # other tests count all accounts
            for account in (changed, other):
                await erase_account(session, account)
