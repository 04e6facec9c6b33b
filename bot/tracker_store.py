"""Where Rasa keeps its conversations, in PostgreSQL: a row each, and a row for what each turn added.

A turn writes what is new of it, and works on with the conversation that this process has in mind, where nobody else has written to it:
reading and writing the whole took as long as understanding a message, and longer the longer the conversation was.

A save does not wait for the disk. The answer that follows it is committed by the front door, durably and in the same server, which
makes everything written before it durable as well; and a turn whose answer was lost in a crash is run again.

Turns of a conversation are kept in their order, whoever runs them how late: a row knows the order of the last turn that was written, takes
nothing of an earlier one, and gives way to a later one. A Rasa that was frozen in the middle of a turn, and goes on when others have been
answered since, changes nothing, even where it reads only then; one whose turn was given up, and which writes while the next is being
answered, does not make that one forgotten. (A fencing token: M. Kleppmann, "How to do distributed locking", 2016.)
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import time
from collections import OrderedDict
from itertools import islice
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Protocol, Tuple

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import ConnectionException

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
DO $$ BEGIN -- asked before, as ALTER waits for all who read, a backup for instance, and all who come after wait for it, even where it has nothing to do
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = 'rasa.rasa_trackers'::regclass AND attname IN ('version', 'turn')) < 2 THEN
        ALTER TABLE rasa.rasa_trackers ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 0;
        ALTER TABLE rasa.rasa_trackers ADD COLUMN IF NOT EXISTS turn integer[] NOT NULL DEFAULT '{}';
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS rasa.rasa_tracker_turns (
    sender_id text NOT NULL REFERENCES rasa.rasa_trackers ON DELETE CASCADE,
    version integer NOT NULL,
    events text NOT NULL,
    PRIMARY KEY (sender_id, version)
);
"""

_PREPARED = """
PREPARE version_of (text) AS SELECT version FROM rasa.rasa_trackers WHERE sender_id = $1;
PREPARE whole (text) AS
    SELECT version, events, 0 AS place FROM rasa.rasa_trackers WHERE sender_id = $1
    UNION ALL SELECT version, events, version FROM rasa.rasa_tracker_turns WHERE sender_id = $1 ORDER BY place;
PREPARE add (text, text, integer, integer[]) AS
    WITH kept AS (
        UPDATE rasa.rasa_trackers SET version = $3 + 1, turn = coalesce($4, turn), updated_at = now()
        WHERE sender_id = $1 AND version = $3 AND turn <= coalesce($4, turn)
        RETURNING sender_id, version)
    INSERT INTO rasa.rasa_tracker_turns (sender_id, version, events) SELECT sender_id, version, $2 FROM kept RETURNING version;
PREPARE put (text, text, integer, integer[]) AS
    WITH kept AS (
        INSERT INTO rasa.rasa_trackers AS there (sender_id, events, version, turn)
        SELECT $1, $2, 1, coalesce($4, '{}') WHERE $3 IS NULL OR EXISTS (SELECT FROM rasa.rasa_trackers WHERE sender_id = $1)
        ON CONFLICT (sender_id) DO UPDATE
        SET events = EXCLUDED.events, version = there.version + 1, turn = coalesce($4, there.turn), updated_at = now()
        WHERE there.turn < $4 OR there.version = $3 AND there.turn <= coalesce($4, there.turn) RETURNING sender_id, version),
    gone AS (DELETE FROM rasa.rasa_tracker_turns AS turns USING kept WHERE turns.sender_id = kept.sender_id)
    SELECT version FROM kept;
"""


Order = List[int]
"""Where a turn stands: the number of its message in the conversation, and which attempt to answer it this is. Later ones are greater."""


class Rows(Protocol):
    """What a conversation is made of, by its id. Each change gives it the next version, and the order of the turn that made it."""

    def version(self, sender_id: str) -> Optional[int]:
        """The version, or None where there is no such conversation."""

    def whole(self, sender_id: str) -> Optional[Tuple[int, List[str]]]:
        """Version and events, in the parts in which they were written; None where there is no such conversation."""

    def add(self, sender_id: str, events: str, version: int, turn: Optional[Order]) -> Optional[int]:
        """Adds events to a conversation of that version.

        Args:
            turn: whose events they are; None: of no turn, and any may have been before.
        Returns:
            its version; None, and nothing is added, where it is of another version or of a later turn by now.
        """

    def put(self, sender_id: str, events: str, version: Optional[int], turn: Optional[Order]) -> Optional[int]:
        """Writes all events of a conversation in place of those that are there.

        Args:
            version: that it is of, unless what is there is of an earlier turn; None: it is new.
            turn: as for `add`.
        Returns:
            its version; None, and nothing is written, where it is of another version, of a later turn or gone by now.
        """

    def keys(self) -> List[str]:
        """The ids of all conversations."""


class MemoryRows:
    """Rows that end with the process."""

    def __init__(self) -> None:
        self._rows: Dict[str, Tuple[int, List[str]]] = {}
        self._turns: Dict[str, Order] = {}

    def version(self, sender_id: str) -> Optional[int]:
        found = self._rows.get(sender_id)
        return found[0] if found else None

    def whole(self, sender_id: str) -> Optional[Tuple[int, List[str]]]:
        return self._rows.get(sender_id)

    def add(self, sender_id: str, events: str, version: int, turn: Optional[Order]) -> Optional[int]:
        found, last = self._rows.get(sender_id), self._turns.get(sender_id, [])
        if found is None or found[0] != version or last > (turn or last):
            return None
        return self._keep(sender_id, version + 1, [*found[1], events], turn or last)

    def put(self, sender_id: str, events: str, version: Optional[int], turn: Optional[Order]) -> Optional[int]:
        there, last = self.version(sender_id), self._turns.get(sender_id, [])
        gone = there is None and version is not None
        if gone or last > (turn or last) or (there != version and last >= (turn or last)):
            return None
        return self._keep(sender_id, (there or 0) + 1, [events], turn or last)

    def _keep(self, sender_id: str, version: int, parts: List[str], turn: Order) -> int:
        self._rows[sender_id], self._turns[sender_id] = (version, parts), turn
        return version

    def keys(self) -> List[str]:
        return list(self._rows)


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

    def version(self, sender_id: str) -> Optional[int]:
        found = self._run("EXECUTE version_of (%s)", [sender_id])
        return found[0][0] if found else None

    def whole(self, sender_id: str) -> Optional[Tuple[int, List[str]]]:
        found = self._run("EXECUTE whole (%s)", [sender_id])
        return (found[0][0], [row[1] for row in found]) if found else None

    def add(self, sender_id: str, events: str, version: int, turn: Optional[Order]) -> Optional[int]:
        found = self._run("EXECUTE add (%s, %s, %s, %s)", [sender_id, events, version, turn])
        return found[0][0] if found else None

    def put(self, sender_id: str, events: str, version: Optional[int], turn: Optional[Order]) -> Optional[int]:
        found = self._run("EXECUTE put (%s, %s, %s, %s)", [sender_id, events, version, turn])
        return found[0][0] if found else None

    def keys(self) -> List[str]:
        return [row[0] for row in self._run("SELECT sender_id FROM rasa.rasa_trackers", [])]

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

        A server that is being started again is waited for, all turns with it: none could do without. An error fails the turn.
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
                    raise
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
        """Keeps the conversation as it is now, unless a later turn has been written; one of which nothing is known yet is none."""
        if not tracker.events:
            return
        await self.stream_events(tracker)
        sender_id, written, turn = tracker.sender_id, _written(tracker), _order(tracker)
        version = None
        if written is not None and written.events <= len(tracker.events):
            version = self._rows.add(sender_id, _dump(tracker, written.events), written.version, turn)
        if version is None:
            # What an earlier turn has put in since it was read goes: that one was given up before this one began.
            version = self._rows.put(sender_id, _dump(tracker, 0), written.version if written else None, turn)
        if version is None:
            logger.error("conversation %s went on elsewhere; this turn is not kept", sender_id)
            return
        tracker.__dict__[_WRITTEN] = Written(version, len(tracker.events))
        self._in_mind[sender_id] = tracker
        if len(self._in_mind) > KEPT_IN_MIND:
            self._in_mind.popitem(last=False)

    async def retrieve(self, sender_id: str) -> Optional[DialogueStateTracker]:
        """The conversation, or None. Sessions are off in `domain.yml`, so it is always the whole."""
        # Whoever works with it has it alone, and gives it back by saving: one that a failed turn has left half-way is not used again.
        known = self._in_mind.pop(sender_id, None)
        if known is not None and self._rows.version(sender_id) == known.__dict__[_WRITTEN].version:
            return known
        found = self._rows.whole(sender_id)
        if found is None:
            return None
        version, parts = found
        events = [event for part in parts for event in json.loads(part)]
        tracker = DialogueStateTracker.from_dict(sender_id, events, self.domain.slots)
        tracker.__dict__[_WRITTEN] = Written(version, len(events))
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
_PASSING = frozenset({"turn_token", "traceparent", "order"})


def _written(tracker: DialogueStateTracker) -> Optional[Written]:
    return tracker.__dict__.get(_WRITTEN)


def _order(tracker: DialogueStateTracker) -> Optional[Order]:
    """Of the turn whose message is the last; None where it came without one, as from Rasa's own commands."""
    said = tracker.latest_message
    return (said.metadata or {}).get("order") if said is not None else None


def _dump(tracker: DialogueStateTracker, first: int) -> str:
    """The events from that place on, as JSON."""
    events = [_lasting(event.as_dict()) for event in islice(tracker.events, first, None)]
    return json.dumps(events, ensure_ascii=False)


def _lasting(event: Dict[str, Any]) -> Dict[str, Any]:
    """An event without what is of one turn alone, which Rasa copies into the message, its understanding and the session's slot."""
    kept = _without_passing(_without_passing(event, "metadata"), "value")
    return {**kept, "parse_data": _without_passing(kept["parse_data"], "metadata")} if kept.get("parse_data") else kept


def _without_passing(holder: Dict[str, Any], name: str) -> Dict[str, Any]:
    held = holder.get(name)
    if not isinstance(held, dict) or _PASSING.isdisjoint(held):
        return holder
    return {**holder, name: {key: value for key, value in held.items() if key not in _PASSING}}
