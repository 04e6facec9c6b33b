"""A conversation is kept whole, and never put over a newer one. Run inside `.venv-bot`, on the database of the tests."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import os
import time
import unittest
import uuid
from unittest import mock

import psycopg2
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.tracker_store import URL_VARIABLE, OneRowTrackerStore, PostgresRows


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

    def test_a_server_that_comes_back_is_waited_for(self) -> None:
        rows = PostgresRows(os.environ[URL_VARIABLE])
        name = f"cnv_{uuid.uuid4().hex}"
        version = rows.put(name, "[]", None)
        refused = [psycopg2.OperationalError("refused"), psycopg2.OperationalError("starting up")]
        connect = rows._connect

        def away() -> object:
            if refused:
                raise refused.pop()
            return connect()

        with self.assertLogs("bot.tracker_store", "WARNING"), mock.patch.object(rows, "_connect", away):
            rows._once("SET idle_session_timeout = 1", [])
            time.sleep(0.1)  # the server ends the connection
            self.assertEqual(rows.get(name), ("[]", version))
        self.assertEqual(refused, [])
        with mock.patch.object(rows, "_connect", mock.Mock(side_effect=psycopg2.OperationalError("refused"))):
            rows._connection.close()
            began = time.monotonic()
            with self.assertRaises(psycopg2.OperationalError):
                rows.get(name)
        self.assertLess(time.monotonic() - began, 4)

    def test_in_memory(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop(URL_VARIABLE, None)
            store = OneRowTrackerStore(Domain.empty())
        self.check(store, store)


if __name__ == "__main__":
    unittest.main()
