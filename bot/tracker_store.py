"""Where Rasa keeps its conversations: one row each, in PostgreSQL.

A save does not wait for the disk. The answer that follows it is committed by the front door, durably and in the same server, which
makes everything written before it durable as well; and a turn whose answer was lost in a crash is run again.

A Rasa that was frozen in the middle of a turn, and goes on when another has answered since, does not put its old conversation over the
newer one: a row is replaced only by who has read it as it is.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Dict, Iterable, List, Optional, Protocol, Tuple

import psycopg2
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import ConnectionException

logger = logging.getLogger(__name__)

URL_VARIABLE = "KOTAE_TRACKER_URL"
_RETURN_SECONDS, _RETRY_SECONDS = 2.0, 0.05
"""PostgreSQL takes about a second to be there again after a crash."""

_SET_UP = """
SELECT pg_advisory_xact_lock(hashtext('rasa_trackers'));
CREATE SCHEMA IF NOT EXISTS rasa;
CREATE TABLE IF NOT EXISTS rasa.rasa_trackers (
    sender_id text PRIMARY KEY,
    events text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""

_UPSERT = """
INSERT INTO rasa.rasa_trackers AS kept (sender_id, events) VALUES (%s, %s)
ON CONFLICT (sender_id) DO UPDATE SET events = EXCLUDED.events, updated_at = clock_timestamp()
WHERE kept.updated_at = CAST(%s AS timestamptz) RETURNING updated_at::text
"""


class Rows(Protocol):
    """A text by conversation, with what tells one version of it from another."""

    def get(self, sender_id: str) -> Optional[Tuple[str, str]]:
        """The text and its version."""

    def put(self, sender_id: str, events: str, version: Optional[str]) -> Optional[str]:
        """Replaces the version that was read, or makes the row where None was there.

        Returns:
            The new version; None where another has replaced it since, and nothing was done.
        """

    def keys(self) -> List[str]: ...


class MemoryRows:
    """Rows that end with the process."""

    def __init__(self) -> None:
        self._rows: Dict[str, Tuple[str, str]] = {}

    def get(self, sender_id: str) -> Optional[Tuple[str, str]]:
        return self._rows.get(sender_id)

    def put(self, sender_id: str, events: str, version: Optional[str]) -> Optional[str]:
        found = self._rows.get(sender_id)
        if found is not None and found[1] != version:
            return None
        made = str(int(found[1]) + 1) if found is not None else "1"
        self._rows[sender_id] = (events, made)
        return made

    def keys(self) -> List[str]:
        return list(self._rows)


class PostgresRows:
    """Rows of the table `rasa.rasa_trackers`, which is made where it is missing. Each call is its own transaction."""

    def __init__(self, url: str) -> None:
        """Args:
            url: libpq URL.
        Raises:
            ConnectionException: the server cannot be reached.
        """
        self._url = url
        try:
            self._connection = self._connect()
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(_SET_UP)
            self._connection.autocommit = True
        except psycopg2.OperationalError as error:
            line = str(error).strip().splitlines()[0]
            raise ConnectionException(f"{URL_VARIABLE} cannot be reached ({line}). Start it or correct it.") from None

    def get(self, sender_id: str) -> Optional[Tuple[str, str]]:
        found = self._run("SELECT events, updated_at::text FROM rasa.rasa_trackers WHERE sender_id = %s", [sender_id])
        return (found[0][0], found[0][1]) if found else None

    def put(self, sender_id: str, events: str, version: Optional[str]) -> Optional[str]:
        made = self._run(_UPSERT, [sender_id, events, version])
        return made[0][0] if made else None

    def keys(self) -> List[str]:
        return [row[0] for row in self._run("SELECT sender_id FROM rasa.rasa_trackers", [])]

    def _connect(self) -> Any:
        return psycopg2.connect(
            self._url, connect_timeout=5, application_name="kotae-rasa", options="-c synchronous_commit=off"
        )

    def _run(self, query: str, values: List[Optional[str]]) -> List[Any]:
        """Runs one statement, on a new connection where the server has dropped the old one.

        A server that is being started again is waited for, all turns with it: none could do without. Rasa would take
        an error for a conversation that has just begun.
        """
        until = time.monotonic() + _RETURN_SECONDS
        while True:
            try:
                if self._connection.closed:
                    self._connection = self._connect()
                    self._connection.autocommit = True
                return self._once(query, values)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                self._connection.close()
                if time.monotonic() > until:
                    raise
                logger.warning("the connection for conversations was lost (%s); connecting again", type(error).__name__)
            time.sleep(_RETRY_SECONDS)

    def _once(self, query: str, values: List[Optional[str]]) -> List[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []


class OneRowTrackerStore(TrackerStore):
    """Keeps each conversation whole in one row: one read and one write a turn, where Rasa's SQL store needs a row an event.

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
        super().__init__(domain, event_broker, **kwargs)

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Keeps the conversation as it is now, unless it went on elsewhere since it was read."""
        await self.stream_events(tracker)
        events = [_without_token(event.as_dict()) for event in tracker.events]
        read = getattr(tracker, _VERSION, None)
        made = self._rows.put(tracker.sender_id, json.dumps(events, ensure_ascii=False), read)
        if made is None:
            logger.error("conversation %s went on elsewhere; this turn is not kept", tracker.sender_id)
        else:
            setattr(tracker, _VERSION, made)

    async def retrieve(self, sender_id: str) -> Optional[DialogueStateTracker]:
        """The conversation, or None. Sessions are off in `domain.yml`, so it is always the whole."""
        found = self._rows.get(sender_id)
        if found is None:
            return None
        tracker = DialogueStateTracker.from_dict(sender_id, json.loads(found[0]), self.domain.slots)
        setattr(tracker, _VERSION, found[1])
        return tracker

    async def keys(self) -> Iterable[str]:
        """The ids of all conversations."""
        return self._rows.keys()


_VERSION = "kotae_version"
"""Attribute of a tracker: the version of its row when it was read or last written."""
_PASSING = frozenset({"turn_token", "traceparent"})


def _without_token(event: Dict[str, Any]) -> Dict[str, Any]:
    metadata = event.get("metadata")
    if metadata and not _PASSING.isdisjoint(metadata):
        return {**event, "metadata": {key: value for key, value in metadata.items() if key not in _PASSING}}
    return event
