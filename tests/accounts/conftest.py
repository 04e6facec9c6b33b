"""The sample company's catalogue, and a fixed moment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog, load_catalog
from kit.company import load_company
from kit.database import Database


@pytest.fixture(scope="session")
def catalog(root: Path) -> Catalog:
    """What the sample company writes."""
    return load_catalog(load_company(root / "demo"))


@pytest.fixture(scope="package")
async def emptied(database: Database) -> None:
    """Figures here are of all accounts there are: what other folders' tests left is no part of them."""
    async with database.begin() as session:
        tables = await session.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        )
        await session.execute(text(f"TRUNCATE {', '.join(tables)} CASCADE"))


@pytest.fixture
def session(emptied: None, session: AsyncSession) -> AsyncSession:
    """A session over nothing but what the test itself makes."""
    return session


@pytest.fixture
def now() -> datetime:
    """A Wednesday at noon."""
    return datetime(2026, 11, 18, 12, tzinfo=UTC)
