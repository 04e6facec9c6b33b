"""Scores an account again soon after its facts changed, and tells whoever is led through its onboarding what is done.

Changes are gathered for a moment, so that an account whose events arrive a thousand to the second is scored once, and no request waits for a
score. What a process that dies had still gathered is scored with all others in the night.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from accounts.catalog import Catalog
from accounts.repository import chunks
from accounts.scoring import score_accounts
from api import aftercare
from kit.clock import now
from kit.database import Database

logger = structlog.get_logger()
GATHER_SECONDS = 5.0
AT_ONCE = 500
"""Accounts of one transaction."""


class Rescoring:
    """The accounts that are to be scored again.

    Args:
        gather_seconds: how long changes are gathered before they are looked at.
    """

    def __init__(self, database: Database, catalog: Catalog, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self._database = database
        self._catalog = catalog
        self._gather = gather_seconds
        self._ids: set[str] = set()
        self._wake = asyncio.Event()

    def changed(self, ids: Iterable[str | None]) -> None:
        """Facts of these accounts changed, and the change is committed. None stands for nobody."""
        self._ids.update(id_ for id_ in ids if id_ is not None)
        if self._ids:
            self._wake.set()

    async def run(self) -> None:
        """Scores what changed, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._gather)
            self._wake.clear()
            ids, self._ids = sorted(self._ids), set()
            for some in chunks(ids, AT_ONCE):
                await self._score(some)

    async def _score(self, ids: list[str]) -> None:
        try:
            async with self._database.begin() as session:
                await score_accounts(session, self._catalog, now(), ids=ids)
                await aftercare.tell_of_steps(session, self._catalog, ids, now())
        except SQLAlchemyError as error:
            # One may have been erased in between, or the server is away: they are looked at again, as they are then.
            logger.warning("rescoring_failed", accounts=len(ids), reason=type(error).__name__)
            self.changed(ids)
