"""Fixtures that every test may use: the real, migrated database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from kit import postgres
from kit.database import Database
from kit.settings import Settings, load_settings
from migrations.upgrade import upgrade
from tests.support import Collector, Stack, running_stack


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a home of their own: a test run never touches the developer's state."""
    return load_settings(home=tmp_path_factory.mktemp("kotae"))


@pytest.fixture(scope="session")
def database_url(settings: Settings) -> Iterator[str]:
    """A real PostgreSQL with every migration applied."""
    with postgres.running(settings) as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database as the services get it. What is committed here stays for the other tests: use new ids."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A session whose work is rolled back after the test."""
    async with database.session() as made:
        yield made
        await made.rollback()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the stack sends its traces."""
    with Collector() as made:
        yield made


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    """Everything that `kotae up` starts, with the sample company, on ports of its own: one for all tests."""
    with running_stack(
        tmp_path_factory.mktemp("stack"), KOTAE_TRACE_URL=collector.url, KOTAE_LOG_FORMAT="json"
    ) as made:
        yield made
