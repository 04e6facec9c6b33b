"""Where Rasa keeps its conversations, in PostgreSQL: a row each, and a row for what each turn added.

A turn writes what is new of it, and works on with the conversation that this process has in mind, where nobody else has written to it:
reading and writing the whole took as long as understanding a message, and longer the longer the conversation was.

A save does not wait for the disk. The answer that follows it is committed by the front door, durably and in the same server, which
makes everything written before it durable as well; and a turn whose answer was lost in a crash is run again.

Each turn is remembered once, in its place, whoever runs it how late and how often. A row knows the order of the last turn that was written,
takes nothing of an earlier one, and gives way to a later one (a fencing token: M. Kleppmann, "How to do distributed locking", 2016). So a
Rasa that was frozen in the middle of a turn, and goes on when others have been answered since, changes nothing, even where it reads
only then; one whose turn was given up, and which writes while the next is being answered, does not make that one forgotten; and a
turn that is run again begins where it began before, not behind its own first answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import time
from collections import OrderedDict
from contextvars import ContextVar
from itertools import islice
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Protocol, Tuple

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import ConnectionException, RasaException

logger = logging.getLogger(__name__)

URL_VARIABLE = "KOTAE_TRACKER_URL"
_RETURN_SECONDS, _RETRY_SECONDS = 2.0, 0.05
"""PostgreSQL takes about a second to be there again after a crash."""
HANGS_SECONDS = 5.0
"""As long as a turn has: a server that leaves a statement unanswered for so long hangs, or the line to it is dead without having been closed."""

KEPT_IN_MIND = 200
"""Conversations that a process has in mind, those of the latest turns; one of ten turns takes about 200 kB."""

_SET_UP = """
SELECT pg_advisory_xact_lock(hashtext('rasa_trackers'));
CREATE SCHEMA IF NOT EXISTS rasa;
CREATE TABLE IF NOT EXISTS rasa.rasa_trackers (
    sender_id text PRIMARY KEY,
    events text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS rasa.rasa_tracker_turns (
    sender_id text NOT NULL REFERENCES rasa.rasa_trackers ON DELETE CASCADE,
    version integer NOT NULL,
    events text NOT NULL,
    PRIMARY KEY (sender_id, version)
);
DO $$ BEGIN -- asked before, as ALTER waits for all who read, a backup for instance, and all who come after wait for it, even where it has nothing to do
    IF (SELECT count(*) FROM pg_attribute WHERE attname IN ('version', 'turn')
        AND attrelid IN ('rasa.rasa_trackers'::regclass, 'rasa.rasa_tracker_turns'::regclass)) < 4 THEN
        ALTER TABLE rasa.rasa_trackers ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 0;
        ALTER TABLE rasa.rasa_trackers ADD COLUMN IF NOT EXISTS turn integer[] NOT NULL DEFAULT '{}';
        ALTER TABLE rasa.rasa_tracker_turns ADD COLUMN IF NOT EXISTS turn integer[] NOT NULL DEFAULT '{}';
    END IF;
END $$;
"""

_PREPARED = """
PREPARE last (text) AS SELECT version, turn FROM rasa.rasa_trackers WHERE sender_id = $1;
PREPARE whole (text) AS
    SELECT version, turn, events, 0 AS place FROM rasa.rasa_trackers WHERE sender_id = $1
    UNION ALL SELECT version, turn, events, version FROM rasa.rasa_tracker_turns WHERE sender_id = $1 ORDER BY place;
PREPARE begin (text, text, integer[]) AS
    WITH begun AS (
        INSERT INTO rasa.rasa_trackers (sender_id, events, version, turn) VALUES ($1, '[]', 1, $3)
        ON CONFLICT DO NOTHING RETURNING sender_id, version, turn)
    INSERT INTO rasa.rasa_tracker_turns (sender_id, version, turn, events)
    SELECT sender_id, version, turn, $2 FROM begun RETURNING version;
PREPARE add (text, text, integer[], integer) AS
    WITH kept AS (
        UPDATE rasa.rasa_trackers SET version = $4 + 1, turn = greatest(turn, $3), updated_at = now()
        WHERE sender_id = $1 AND version = $4 AND (turn <= $3 OR $3 = '{}')
        RETURNING sender_id, version)
    INSERT INTO rasa.rasa_tracker_turns (sender_id, version, turn, events)
    SELECT sender_id, version, $3, $2 FROM kept RETURNING version;
PREPARE replace (text, text, integer[], integer) AS
    WITH kept AS (
        UPDATE rasa.rasa_trackers SET version = version + 1, turn = $3, updated_at = now() WHERE sender_id = $1 AND turn < $3
        RETURNING sender_id, version),
    gone AS (
        DELETE FROM rasa.rasa_tracker_turns AS turns USING kept
        WHERE turns.sender_id = kept.sender_id AND turns.version > $4 AND turns.version < kept.version)
    INSERT INTO rasa.rasa_tracker_turns (sender_id, version, turn, events)
    SELECT sender_id, version, $3, $2 FROM kept RETURNING version;
PREPARE take_back (text, integer[]) AS
    WITH kept AS (
        UPDATE rasa.rasa_trackers SET version = version + 1, turn = $2 WHERE sender_id = $1 AND turn <= $2
        RETURNING sender_id)
    DELETE FROM rasa.rasa_tracker_turns AS turns USING kept
    WHERE turns.sender_id = kept.sender_id AND turns.turn[1] = ($2)[1];
"""

Order = List[int]
"""Where a turn stands in its conversation: the number of its message, the lease, the try. What is later is greater; [] is of no turn."""

turn_order: ContextVar[Order] = ContextVar("turn_order", default=[])  # noqa: B039  # nobody changes a list of it
"""Of the turn that is being answered; none of Rasa's own commands has one."""


class DatabaseAway(RasaException):
    """PostgreSQL could not be asked. Nothing was lost: the turn is to be run again."""


class Whole(NamedTuple):
    """A conversation as it is stored.

    Attributes:
        version: each change gives it the next one.
        turn: the last that was written.
        parts: events as JSON, in the parts in which they were written.
    """

    version: int
    turn: Order
    parts: List[str]


class Rows(Protocol):
    """What a conversation is made of, by its id."""

    def last(self, sender_id: str) -> Optional[Tuple[int, Order]]:
        """Version and last turn, or None where there is no such conversation."""

    def whole(self, sender_id: str) -> Optional[Whole]:
        """All of it; None where there is no such conversation."""

    def begin(self, sender_id: str, events: str, turn: Order) -> Optional[int]:
        """Begins a conversation with these events.

        Returns:
            its version; None, and nothing is written, where there is one.
        """

    def add(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        """Adds the events of a turn to a conversation of that version.

        Returns:
            its version; None, and nothing is added, where it is of another version or of a later turn by now.
        """

    def replace(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        """Writes the events of a turn in place of what came after that version.

        Returns:
            its version; None, and nothing is written, where the last turn is not an earlier one, or the conversation is gone.
        """

    def take_back(self, sender_id: str, turn: Order) -> None:
        """Removes what the same message has added before, unless that was a later try or another message is the last."""

    def keys(self) -> List[str]:
        """The ids of all conversations."""


class MemoryRows:
    """Rows that end with the process."""

    def __init__(self) -> None:
        self._last: Dict[str, Tuple[int, Order]] = {}
        self._parts: Dict[str, List[Tuple[int, Order, str]]] = {}

    def last(self, sender_id: str) -> Optional[Tuple[int, Order]]:
        return self._last.get(sender_id)

    def whole(self, sender_id: str) -> Optional[Whole]:
        last = self.last(sender_id)
        return Whole(*last, [events for _, _, events in self._parts[sender_id]]) if last is not None else None

    def begin(self, sender_id: str, events: str, turn: Order) -> Optional[int]:
        return self._keep(sender_id, 1, turn, [(1, turn, events)]) if sender_id not in self._last else None

    def add(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        there, before = self._last.get(sender_id, (0, []))
        if there != version or (turn and before > turn):
            return None
        return self._keep(sender_id, there + 1, max(turn, before), [*self._parts[sender_id], (there + 1, turn, events)])

    def replace(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        there, before = self._last.get(sender_id, (0, turn))
        if before >= turn:
            return None
        kept = [part for part in self._parts[sender_id] if part[0] <= version]
        return self._keep(sender_id, there + 1, turn, [*kept, (there + 1, turn, events)])

    def take_back(self, sender_id: str, turn: Order) -> None:
        there, before = self._last[sender_id]
        if before <= turn:
            self._keep(sender_id, there + 1, turn, [one for one in self._parts[sender_id] if one[1][:1] != turn[:1]])

    def _keep(self, sender_id: str, version: int, turn: Order, parts: List[Tuple[int, Order, str]]) -> int:
        self._last[sender_id], self._parts[sender_id] = (version, turn), parts
        return version

    def keys(self) -> List[str]:
        return list(self._last)


def _wait(connection: Any) -> None:
    """Waits for the server in the way psycopg2 does, but not for ever; it closes a connection whose wait fails.

    Raises:
        psycopg2.OperationalError: nothing has come for `HANGS_SECONDS`.
    """
    until = time.monotonic() + HANGS_SECONDS
    while True:
        state = connection.poll()
        if state == POLL_OK:
            return
        line = select.poll()
        line.register(connection, select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not line.poll(max(0.0, until - time.monotonic()) * 1000):
            raise psycopg2.OperationalError("the server hangs")


class PostgresRows:
    """Rows of `rasa.rasa_trackers` and `rasa.rasa_tracker_turns`, which are made where they are missing. Each call is its own transaction."""

    def __init__(self, url: str) -> None:
        """Args:
            url: libpq URL.
        Raises:
            ConnectionException: the server cannot be reached.
        """
        self._url = url
        psycopg2.extensions.set_wait_callback(_wait)
        try:
            with contextlib.closing(self._opened()) as connection, connection, connection.cursor() as cursor:
                cursor.execute(_SET_UP)
            self._connection = self._connect()
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            line = str(error).strip().splitlines()[0]
            raise ConnectionException(f"{URL_VARIABLE} cannot be reached ({line}). Start it or correct it.") from None

    def last(self, sender_id: str) -> Optional[Tuple[int, Order]]:
        found = self._run("EXECUTE last (%s)", [sender_id])
        return (found[0][0], found[0][1]) if found else None

    def whole(self, sender_id: str) -> Optional[Whole]:
        found = self._run("EXECUTE whole (%s)", [sender_id])
        return Whole(found[0][0], found[0][1], [row[2] for row in found]) if found else None

    def begin(self, sender_id: str, events: str, turn: Order) -> Optional[int]:
        return self._version("EXECUTE begin (%s, %s, %s)", [sender_id, events, turn])

    def add(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        return self._version("EXECUTE add (%s, %s, %s, %s)", [sender_id, events, turn, version])

    def replace(self, sender_id: str, events: str, turn: Order, version: int) -> Optional[int]:
        return self._version("EXECUTE replace (%s, %s, %s, %s)", [sender_id, events, turn, version])

    def take_back(self, sender_id: str, turn: Order) -> None:
        self._run("EXECUTE take_back (%s, %s)", [sender_id, turn])

    def keys(self) -> List[str]:
        return [row[0] for row in self._run("SELECT sender_id FROM rasa.rasa_trackers", [])]

    def _version(self, query: str, values: List[Any]) -> Optional[int]:
        found = self._run(query, values)
        return found[0][0] if found else None

    def _connect(self) -> Any:
        connection = self._opened()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_PREPARED)
        return connection

    def _opened(self) -> Any:
        return psycopg2.connect(self._url, application_name="kotae-rasa", options="-c synchronous_commit=off")

    def _run(self, query: str, values: List[Any]) -> List[Any]:
        """Runs one statement, on a new connection where the server has dropped the old one.

        A server that is being started again is waited for a while, all turns with it: none could do without.

        Raises:
            DatabaseAway: it did not come back in that time.
        """
        until = time.monotonic() + _RETURN_SECONDS
        while True:
            try:
                if self._connection.closed:
                    self._connection = self._connect()
                return self._once(query, values)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                self._connection.close()
                if time.monotonic() > until:
                    raise DatabaseAway(type(error).__name__) from error
                logger.warning("the connection for conversations was lost (%s); connecting again", type(error).__name__)
            time.sleep(_RETRY_SECONDS)

    def _once(self, query: str, values: List[str]) -> List[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []


class OneRowTrackerStore(TrackerStore):
    """Keeps each conversation in a row and what its turns added: a short read and a short write a turn, where Rasa's SQL store needs a row
    an event and reads them all.

    Without `KOTAE_TRACKER_URL` conversations are kept in memory. A turn token is never stored.
    """

    def __init__(
        self,
        domain: Optional[Domain] = None,
        event_broker: Optional[EventBroker] = None,
        host: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        """Args:
        domain: its slots are what a conversation remembers.
        event_broker: where events go as well, if anywhere.
        host: libpq URL; by default that of `KOTAE_TRACKER_URL`.
        """
        url = host or os.environ.get(URL_VARIABLE)
        self._rows: Rows = PostgresRows(url) if url else MemoryRows()
        self._in_mind: OrderedDict[str, DialogueStateTracker] = OrderedDict()
        super().__init__(domain, event_broker, **kwargs)

    @property
    def domain(self) -> Domain:
        """The domain whose slots conversations have."""
        return self._domain

    @domain.setter
    def domain(self, domain: Optional[Domain]) -> None:
        self._in_mind.clear()  # they have the slots of another
        self._domain = domain or Domain.empty()

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Keeps what is new of the conversation, unless a later turn has been written; one of which nothing is known yet is none.

        Raises:
            DatabaseAway: it could not be written, or nobody knows whether it was.
        """
        if not tracker.events:
            return
        await self.stream_events(tracker)
        sender_id, turn, read = tracker.sender_id, turn_order.get(), tracker.__dict__.get(_WRITTEN)
        events = _dump(tracker, read.events if read else 0)
        if read is None:
            version = self._rows.begin(sender_id, events, turn)
        else:
            version = self._rows.add(sender_id, events, turn, read.version)
        if version is None:
            # What an earlier turn has put in since it was read goes: that one was given up before this one began.
            version = self._rows.replace(sender_id, events, turn, read.version if read else 0)
        if version is None:
            logger.error("conversation %s went on elsewhere; this turn is not kept", sender_id)
            return
        tracker.__dict__[_WRITTEN] = Written(version, len(tracker.events))
        self._in_mind[sender_id] = tracker
        if len(self._in_mind) > KEPT_IN_MIND:
            self._in_mind.popitem(last=False)

    async def retrieve(self, sender_id: str) -> Optional[DialogueStateTracker]:
        """The conversation before the turn that is being answered, or None. Sessions are off in `domain.yml`, so it is always the whole.

        Raises:
            DatabaseAway: it could not be read.
        """
        # Whoever works with it has it alone, and gives it back by saving: one that a failed turn has left half-way is not used again.
        known, turn = self._in_mind.pop(sender_id, None), turn_order.get()
        if known is not None:
            last = self._rows.last(sender_id)
            if last is not None and last[0] == known.__dict__[_WRITTEN].version and not _same_message(last[1], turn):
                return known
        found = self._rows.whole(sender_id)
        if found is not None and _same_message(found.turn, turn):
            self._rows.take_back(sender_id, turn)
            found = self._rows.whole(sender_id)
        if found is None:
            return None
        events = [event for part in found.parts for event in json.loads(part)]
        tracker = DialogueStateTracker.from_dict(sender_id, events, self.domain.slots)
        tracker.__dict__[_WRITTEN] = Written(found.version, len(events))
        return tracker

    async def keys(self) -> Iterable[str]:
        """The ids of all conversations."""
        return self._rows.keys()


class Written(NamedTuple):
    """How much of a conversation is stored.

    Attributes:
        version: of what is stored.
        events: as many of the first events.
    """

    version: int
    events: int


_WRITTEN = "_kotae_written"
_PASSING = frozenset({"turn_token", "traceparent"})


def _same_message(one: Order, other: Order) -> bool:
    return bool(other) and one[:1] == other[:1]


def _dump(tracker: DialogueStateTracker, first: int) -> str:
    """The events from that place on, as JSON."""
    events = [_lasting(event.as_dict()) for event in islice(tracker.events, first, None)]
    return json.dumps(events, ensure_ascii=False)


def _lasting(event: Dict[str, Any]) -> Dict[str, Any]:
    """An event without what proves a turn, which Rasa copies into the message, its understanding and the session's slot."""
    kept = _without_passing(_without_passing(event, "metadata"), "value")
    return {**kept, "parse_data": _without_passing(kept["parse_data"], "metadata")} if kept.get("parse_data") else kept


def _without_passing(holder: Dict[str, Any], name: str) -> Dict[str, Any]:
    held = holder.get(name)
    if not isinstance(held, dict) or _PASSING.isdisjoint(held):
        return holder
    return {**holder, name: {key: value for key, value in held.items() if key not in _PASSING}}
