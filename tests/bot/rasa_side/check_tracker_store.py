"""Conversations are kept whole, whoever wrote the last turn. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import json
import os
import random
import time
import unittest
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from unittest import mock

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn
from rasa.core.tracker_store import FailSafeTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionReverted,
    ActiveLoop,
    BotUttered,
    DefinePrevUserUtteredFeaturization,
    Event,
    FollowupAction,
    LoopInterrupted,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker, EventVerbosity

from bot import rasa_patches, tracker_store
from bot.tracker_store import DatabaseAway, MemoryRows, OneRowTrackerStore, PostgresRows
from tests.chaos.silence import line

URL = os.environ.get("KOTAE_TEST_TRACKER_URL", "")
DOMAIN = Domain.from_dict(
    {
        "intents": ["greet", "ask"],
        "actions": ["action_a", "action_b"],
        "entities": ["lang"],
        "slots": {
            "offer": {"type": "categorical", "values": ["human", "passed"], "mappings": [{"type": "custom"}]},
            "subject": {"type": "any", "mappings": [{"type": "custom"}]},
        },
        "forms": {"form_c": {"required_slots": []}},
    }
)
ORIGINAL_COPY = DialogueStateTracker.copy
ORIGINAL_STATES = Domain.states_for_tracker_history


def event(draw: random.Random) -> Event:
    """Any event that happens in a conversation, those that take back what was before them too."""
    kinds: list[Callable[[], Event]] = [
        lambda: ActionExecuted(draw.choice(["action_listen", "action_a", "action_b", "form_c"])),
        lambda: UserUttered(
            draw.choice(["hello", "how much?"]),
            {"name": draw.choice(["greet", "ask"]), "confidence": 0.5},
            [{"entity": "lang", "value": "en"}],
            metadata={"turn_token": "secret", "lang": "en"},
        ),
        lambda: SlotSet("offer", draw.choice([None, "human", "passed"])),
        lambda: SlotSet("subject", {"question": "how much?", "left": draw.randint(0, 3)}),
        lambda: BotUttered("hi", {"custom": {"type": "text", "text": "hi"}}),
        lambda: DefinePrevUserUtteredFeaturization(draw.random() < 0.3),
        lambda: ActiveLoop(draw.choice(["form_c", None])),
        lambda: FollowupAction("action_b"),
    ]
    rare: list[Callable[[], Event]] = [UserUtteranceReverted, ActionReverted, Restarted, SessionStarted]
    return draw.choice(rare if draw.random() < 0.08 else kinds)()


def turn(draw: random.Random) -> list[Event]:
    """Some events in a row."""
    return [event(draw) for _ in range(draw.randint(1, 8))]


def state(tracker: DialogueStateTracker | None) -> Any:
    """Everything a tracker knows, as it comes back from JSON, without what is never stored."""
    assert tracker is not None
    known = json.loads(json.dumps(tracker.current_state(EventVerbosity.ALL)))
    return json.loads(json.dumps(known).replace(', "turn_token": "secret"', "").replace('"turn_token": "secret", ', ""))


def hear(
    store: OneRowTrackerStore,
    sender_id: str,
    text: str,
    order: list[int],
    meanwhile: Callable[[], object] | None = None,
) -> list[str]:
    """One turn of that order in the conversation.

    Args:
        meanwhile: happens between reading and writing.
    Returns:
        what it found said before.
    """

    async def turn() -> list[str]:
        tracker_store.turn_order.set(order)
        tracker = await store.get_or_create_tracker(sender_id, append_action_listen=False)
        before = said(tracker)
        tracker.update(UserUttered(text, {}, [], {"text": text}))
        if meanwhile is not None:
            await asyncio.to_thread(meanwhile)
        await store.save(tracker)
        return before

    return asyncio.run(turn())


def said(tracker: DialogueStateTracker | None) -> list[str]:
    """What the customer said, as far as it is remembered."""
    return [each.text for each in tracker.events if isinstance(each, UserUttered)] if tracker is not None else []


class Conversations(unittest.TestCase):
    """In memory; see below for PostgreSQL."""

    def setUp(self) -> None:
        rasa_patches.apply()
        self.rows: Any = MemoryRows()

    def store(self) -> OneRowTrackerStore:
        """The store of a process of its own."""
        with mock.patch.dict(os.environ):
            os.environ.pop(tracker_store.URL_VARIABLE, None)
            made = OneRowTrackerStore(DOMAIN)
        made._rows = self.rows
        return made

    def test_a_conversation_in_mind_is_the_one_that_is_stored(self) -> None:
        async def talk(draw: random.Random, sender_id: str) -> None:
            store = self.store()
            for number in range(draw.randint(1, 8)):
                tracker = await store.get_or_create_tracker(sender_id, append_action_listen=False)
                for each in turn(draw):
                    tracker.update(each)
                told = DialogueStateTracker.from_events(sender_id, list(tracker.events), DOMAIN.slots)
                for unset in (False, True):
                    states = DOMAIN.states_for_tracker_history(tracker, omit_unset_slots=unset)
                    self.assertEqual(ORIGINAL_STATES(DOMAIN, told, omit_unset_slots=unset), states)
                self.same(ORIGINAL_COPY(tracker), tracker.copy())
                await store.save(tracker)
                fresh = await self.store().retrieve(sender_id)
                self.assertEqual(state(fresh), state(tracker), f"turn {number}")
                kept = await store.retrieve(sender_id)
                self.assertIs(kept, tracker)
                await store.save(kept)

        for seed in range(60):
            asyncio.run(talk(random.Random(seed), f"talk {seed}"))

    def same(self, one: DialogueStateTracker, other: DialogueStateTracker) -> None:
        """Both know the same, and neither shares what changes."""
        self.assertEqual(state(one), state(other))
        self.assertEqual(set(vars(one)), set(vars(other)))
        for name in sorted(set(vars(one)) - {"events", "slots", "active_loop"}):
            self.assertEqual(vars(one)[name], vars(other)[name], name)
        before = state(one)
        for each in (SlotSet("subject", "changed"), ActiveLoop("form_c"), ActionExecuted("action_a")):
            other.update(each)
        self.assertEqual(before, state(one))

    def test_a_copy_is_a_conversation_of_its_own(self) -> None:
        tracker = DialogueStateTracker.from_events(
            "copied", [ActiveLoop("form_c"), SlotSet("subject", 1)], DOMAIN.slots
        )
        before = state(tracker)
        copied = tracker.copy()
        for each in (SlotSet("subject", 2), LoopInterrupted(True), ActionExecuted("action_a")):
            copied.update(each)
        self.assertEqual(before, state(tracker))
        self.assertNotEqual(before, state(copied))

    def test_what_another_process_wrote_is_noticed(self) -> None:
        async def talk() -> None:
            one, other = self.store(), self.store()
            for number in range(6):
                store = (one, one, other)[number % 3]
                tracker = await store.get_or_create_tracker("shared", append_action_listen=False)
                self.assertEqual(number, len(tracker.events))
                tracker.update(SlotSet("subject", number))
                await store.save(tracker)

        asyncio.run(talk())

    def test_no_old_conversation_is_put_over_a_newer_one(self) -> None:
        async def talk() -> None:
            one, other = self.store(), self.store()
            new = DialogueStateTracker("at once", DOMAIN.slots)
            first = await one.get_or_create_tracker("at once", append_action_listen=False)
            first.update(SlotSet("subject", 1))
            await one.save(first)
            new.update(SlotSet("subject", 9))
            await other.save(new)  # it began when nothing was there
            mine, theirs = await one.retrieve("at once"), await other.retrieve("at once")
            assert mine is not None
            assert theirs is not None
            for number in (2, 3):  # one process saves as often as it likes
                theirs.update(SlotSet("subject", number))
                await other.save(theirs)
            mine.update(SlotSet("subject", 4))
            await one.save(mine)  # it was frozen since it read
            for store in (one, other):
                found = await store.retrieve("at once")
                assert found is not None
                self.assertEqual([1, 2, 3], [each.value for each in found.events])

        asyncio.run(talk())

    def remembered(self, sender_id: str) -> list[str]:
        """What the customer said, as a new process reads it."""
        return said(asyncio.run(self.store().retrieve(sender_id)))

    def test_a_turn_that_goes_on_late_is_not_kept_behind_later_ones(self) -> None:
        """Frozen before it read the conversation, which it then reads as it is by now; a later lease of the same turn is a later one."""
        frozen, other = self.store(), self.store()
        for text, order in (("one", [1, 1, 0]), ("two", [3, 1, 0]), ("three", [5, 2, 0])):
            hear(other, "late", text, order)
        for text, order in (("two", [3, 1, 0]), ("three, leased before", [5, 1, 7])):
            with self.assertLogs("bot.tracker_store", "ERROR"):
                hear(frozen, "late", text, order)
            self.assertEqual(["one", "two", "three"], self.remembered("late"))
        self.assertEqual(["one", "two", "three"], hear(frozen, "late", "four", [7, 1, 0]))
        self.assertEqual(["one", "two", "three", "four"], hear(other, "late", "five", [9, 1, 0]))

    def test_a_turn_is_kept_where_one_that_was_given_up_wrote_while_it_was_answered(self) -> None:
        for known in ([], ["one"]):
            conversation = f"between {len(known)}"
            late, store = self.store(), self.store()
            for text in known:
                hear(store, conversation, text, [1, 1, 0])
            hear(store, conversation, "three", [5, 1, 0], partial(hear, late, conversation, "two", [3, 1, 0]))
            self.assertEqual([*known, "three"], self.remembered(conversation))
            self.assertEqual([*known, "three"], hear(late, conversation, "four", [7, 1, 0]))

    def test_a_turn_that_is_run_again_begins_where_it_began(self) -> None:
        """Its first answer was lost on the way; whoever runs it again has not heard it yet, and it is remembered once."""
        for known in ([], ["one", "two"]):
            conversation = f"again {len(known)}"
            stores = [self.store(), self.store()]
            for number, text in enumerate(known):
                hear(stores[0], conversation, text, [number, 1, 0])
            for number, order in enumerate(([9, 1, 0], [9, 1, 1], [9, 2, 0], [9, 3, 0])):
                store = stores[number % 2]
                self.assertEqual(known, hear(store, conversation, f"{order}", order))
                self.assertEqual([*known, f"{order}"], self.remembered(conversation))
            with self.assertLogs("bot.tracker_store", "ERROR"):
                hear(stores[0], conversation, "an earlier try", [9, 2, 5])
            self.assertEqual([*known, "[9, 3, 0]"], self.remembered(conversation))

    def test_what_comes_without_a_turn_is_kept(self) -> None:
        store = self.store()
        for text, order in (("one", [1, 1, 0]), ("two", []), ("three", []), ("four", [3, 1, 0])):
            hear(store, "without", text, order)
        self.assertEqual(["one", "two", "three", "four"], self.remembered("without"))

    def test_an_erased_conversation_does_not_come_back(self) -> None:
        for turn in ([], [9, 1, 0]):
            self.assertIsNone(self.rows.add("erased", "[1]", turn, 4))
            self.assertIsNone(self.rows.replace("erased", "[1]", turn, 4))
            self.assertIsNone(self.rows.whole("erased"))

    def test_what_a_failed_turn_left_is_forgotten(self) -> None:
        async def talk() -> None:
            store = self.store()
            tracker = await store.get_or_create_tracker("failed", append_action_listen=False)
            tracker.update(SlotSet("subject", 1))
            await store.save(tracker)
            left = await store.retrieve("failed")
            assert left is not None
            left.update(SlotSet("subject", 2))  # and the turn fails
            again = await store.retrieve("failed")
            assert again is not None
            self.assertEqual(1, again.get_slot("subject"))

        asyncio.run(talk())

    def test_what_proves_a_turn_is_never_stored(self) -> None:
        async def talk() -> None:
            store = self.store()
            tracker = await store.get_or_create_tracker("proof", append_action_listen=False)
            passing = {"turn_token": "secret-a", "traceparent": "secret-b", "lang": "en"}
            tracker.slots["session_started_metadata"] = tracker.slots["subject"]
            tracker.update(SlotSet("session_started_metadata", passing))
            tracker.update(UserUttered("x", {}, [], {"metadata": passing, "text": "x"}, metadata=passing))
            await store.save(tracker)
            parts = self.rows.whole("proof").parts
            self.assertNotIn("secret", "".join(parts))
            self.assertEqual(3, "".join(parts).count('"lang": "en"'))

        asyncio.run(talk())

    def test_only_the_latest_are_in_mind_and_all_are_kept(self) -> None:
        async def talk() -> None:
            store = self.store()
            with mock.patch.object(tracker_store, "KEPT_IN_MIND", 3):
                for number in range(5):
                    tracker = await store.get_or_create_tracker(f"many {number}", append_action_listen=False)
                    tracker.update(SlotSet("subject", number))
                    await store.save(tracker)
            self.assertEqual(["many 2", "many 3", "many 4"], list(store._in_mind))
            self.assertLessEqual({f"many {number}" for number in range(5)}, set(await store.keys()))
            found = await store.retrieve("many 0")
            assert found is not None
            self.assertEqual(0, found.get_slot("subject"))

        asyncio.run(talk())


@unittest.skipUnless(URL, "a server is needed: test_rasa_side.py gives one")
class ConversationsInPostgres(Conversations):
    """The same in the database, and what only it can do."""

    connection: ClassVar[Any]

    def setUp(self) -> None:
        super().setUp()
        self.rows = PostgresRows(URL)
        self.other = psycopg2.connect(URL)
        self.other.autocommit = True

    def tearDown(self) -> None:
        self.rows._connection.close()
        self.other.close()

    def run_sql(self, query: str) -> Any:
        """On another connection."""
        with self.other.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else None

    def test_a_lost_connection_is_made_again(self) -> None:
        self.rows.begin("lost", "[1]", [])
        self.run_sql(f"SELECT pg_terminate_backend({self.rows._connection.info.backend_pid}, 5000)")
        self.assertEqual((1, [], ["[]", "[1]"]), self.rows.whole("lost"))

    def test_a_server_that_comes_back_is_waited_for(self) -> None:
        self.rows.begin("waited", "[1]", [])
        refused = [psycopg2.OperationalError("refused"), psycopg2.OperationalError("starting up")]
        connect = self.rows._connect

        def away() -> object:
            if refused:
                raise refused.pop()
            return connect()

        with self.assertLogs("bot.tracker_store", "WARNING"), mock.patch.object(self.rows, "_connect", away):
            self.run_sql(f"SELECT pg_terminate_backend({self.rows._connection.info.backend_pid}, 5000)")
            self.assertEqual((1, [], ["[]", "[1]"]), self.rows.whole("waited"))
        self.assertEqual([], refused)
        with mock.patch.object(self.rows, "_connect", mock.Mock(side_effect=psycopg2.OperationalError("refused"))):
            self.rows._connection.close()
            began = time.monotonic()
            with self.assertRaises(DatabaseAway):
                self.rows.whole("waited")
        self.assertLess(time.monotonic() - began, 4)

    def test_a_line_that_falls_silent_is_given_up(self) -> None:
        """Its connection is not closed, and is of no use: whoever waits hears so in time, and the next one gets a new connection."""
        self.rows.begin("silent", "[1]", [])
        with line(f"{parse_dsn(URL)['host']}/.s.PGSQL.5432") as wire:
            rows = PostgresRows(make_dsn(URL, host="127.0.0.1", port=wire.port))
            self.assertEqual((1, [], ["[]", "[1]"]), rows.whole("silent"))
            wire.fall_silent()
            began = time.monotonic()
            with (
                mock.patch.object(tracker_store, "HANGS_SECONDS", 0.5),
                self.assertLogs("bot.tracker_store", "WARNING"),
            ):
                self.assertEqual((1, [], ["[]", "[1]"]), rows.whole("silent"))
            self.assertLess(time.monotonic() - began, 2)
            rows._connection.close()

    def test_what_cannot_be_read_or_kept_fails_the_turn(self) -> None:
        """Through what Rasa puts around a store: answered without what was said before, and then forgotten, is not answered."""
        known = self.store()
        hear(known, "away", "one", [])
        store = FailSafeTrackerStore(known)
        tracker = asyncio.run(store.retrieve("away"))
        assert tracker is not None
        tracker.update(UserUttered("two", {}, [], {"text": "two"}))
        refuses = mock.Mock(side_effect=psycopg2.OperationalError("refused"))
        with mock.patch.object(self.rows, "_connect", refuses), mock.patch.object(tracker_store, "_RETURN_SECONDS", 0):
            self.rows._connection.close()
            with self.assertRaises(DatabaseAway):
                asyncio.run(store.retrieve("away"))
            with self.assertRaises(DatabaseAway):
                asyncio.run(store.save(tracker))
        self.assertEqual(["one"], self.remembered("away"))

    def test_it_begins_beside_whoever_reads_for_long(self) -> None:
        """A backup for instance: it waits for nobody, and nobody for it."""
        with psycopg2.connect(URL) as reading, reading.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM rasa.rasa_trackers")
            PostgresRows(URL)._connection.close()
        reading.close()

    def test_a_conversation_of_an_older_kotae_goes_on(self) -> None:
        self.run_sql("INSERT INTO rasa.rasa_trackers (sender_id, events) VALUES ('old', '[1, 2]')")
        self.assertEqual((0, [], ["[1, 2]"]), self.rows.whole("old"))
        self.assertEqual(1, self.rows.add("old", "[3]", [3, 1, 0], 0))
        self.assertEqual((1, [3, 1, 0], ["[1, 2]", "[3]"]), self.rows.whole("old"))

    def test_a_conversation_that_is_erased_is_gone_with_its_turns(self) -> None:
        self.rows.begin("gone", "[1]", [])
        self.rows.add("gone", "[2]", [], 1)
        self.run_sql("DELETE FROM rasa.rasa_trackers WHERE sender_id = 'gone'")
        self.assertIsNone(self.rows.whole("gone"))
        self.assertEqual([(0,)], self.run_sql("SELECT count(*) FROM rasa.rasa_tracker_turns WHERE sender_id = 'gone'"))


if __name__ == "__main__":
    unittest.main()
