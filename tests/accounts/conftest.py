"""The sample company's catalogue, and a fixed moment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts.catalog import Catalog, load_catalog
from kit.company import load_company


@pytest.fixture(scope="session")
def catalog(root: Path) -> Catalog:
    """What the sample company writes."""
    return load_catalog(load_company(root / "demo"))


@pytest.fixture
def now() -> datetime:
    """A Wednesday at noon."""
    return datetime(2026, 11, 18, 12, tzinfo=UTC)
