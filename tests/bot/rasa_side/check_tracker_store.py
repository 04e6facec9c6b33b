"""A conversation is kept whole, and never put over a newer one. Run inside `.venv-bot`, on the database of the tests."""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import os
import unittest
import uuid
from unittest import mock

from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.tracker_store import URL_VARIABLE, OneRowTrackerStore


class Versions(unittest.TestCase):
    """Two processes have read the same conversation."""

    def said(self, tracker: DialogueStateTracker) -> list[str]:
        return [event.text for event in tracker.events if isinstance(event, UserUttered)]

    def check(self, one: OneRowTrackerStore, other: OneRowTrackerStore) -> None:
        async def run() -> None:
            name = f"cnv_{uuid.uuid4().hex}"
            fresh = await one.get_or_create_tracker(name)
            late = await other.get_or_create_tracker(name)
            for words in ("a", "b"):  # one process saves as often as it likes
                fresh.update(UserUttered(words))
                await one.save(fresh)
            late.update(UserUttered("x"))
            await other.save(late)  # it read when nothing was there
            read = await other.retrieve(name)
            self.assertEqual(self.said(read), ["a", "b"])
            frozen = await one.retrieve(name)
            read.update(UserUttered("c"))
            await other.save(read)
            frozen.update(UserUttered("x"))
            await one.save(frozen)  # it read before c was said
            self.assertEqual(self.said(await one.retrieve(name)), ["a", "b", "c"])

        asyncio.run(run())

    def test_in_postgresql(self) -> None:
        url = os.environ[URL_VARIABLE]
        self.check(OneRowTrackerStore(Domain.empty(), host=url), OneRowTrackerStore(Domain.empty(), host=url))

    def test_in_memory(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop(URL_VARIABLE, None)
            store = OneRowTrackerStore(Domain.empty())
        self.check(store, store)


if __name__ == "__main__":
    unittest.main()
