"""What must hold afterwards, asked of the database, of the customers and of the receiver."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Database
from tests.chaos.colleagues import Colleague
from tests.chaos.customers import Customer
from tests.chaos.receiver import Receiver

LONGEST_SILENCE_SECONDS = 110.0
"""The most a customer may wait for any word: a database that hangs for 30 s, twice in a row at the worst, a lease of 10 s on the turn of
a process that died just then, one more such lease, and what processes take to come back on a busy machine."""

_TURNS = text(
    """
    SELECT t.conversation_id AS conversation, t.seq, t.id, t.outcome, t.attempts,
           coalesce(array_agg(m.ordinal ORDER BY m.ordinal) FILTER (WHERE m.ordinal IS NOT NULL), '{}') AS ordinals,
           min(m.seq) AS first_reply
    FROM turns t LEFT JOIN messages m ON m.turn_id = t.id
    WHERE t.conversation_id = ANY(:ids) GROUP BY t.id ORDER BY t.conversation_id, t.seq
    """
)
_MESSAGES = text(
    "SELECT conversation_id AS conversation, seq, sender, client_id FROM messages"
    " WHERE conversation_id = ANY(:ids) ORDER BY conversation_id, seq"
)
_ESCALATIONS = text(
    "SELECT id, conversation_id AS conversation, mode FROM escalations WHERE conversation_id = ANY(:ids)"
)
_UNTOLD = text(
    """
    SELECT e.id FROM escalation_events e JOIN escalations s ON s.id = e.escalation_id
    WHERE s.conversation_id = ANY(:ids) AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.dedupe = 'webhook:' || e.id)
    """
)
_REMEMBERED = text(
    """
    SELECT sender_id AS conversation, array_agg(event ->> 'message_id' ORDER BY version, place) AS turns
    FROM (
        SELECT sender_id, 0 AS version, events FROM rasa.rasa_trackers
        UNION ALL SELECT sender_id, version, events FROM rasa.rasa_tracker_turns) AS kept,
    jsonb_array_elements(events::jsonb) WITH ORDINALITY AS each (event, place)
    WHERE sender_id = ANY(:ids) AND event ->> 'event' = 'user' GROUP BY sender_id
    """
)
_OUTBOX = text("SELECT id, kind, state, payload ->> 'conversation' AS conversation FROM outbox")


@dataclass
class Verdict:
    """What was found. No `broken` line: everything was kept.

    Attributes:
        silences: seconds each message waited for a word back, where the bot held the conversation.
        outcomes: how many turns ended how.
        failures: how many turns failed for which reason while what was away.
        worst: what was away during the longest silence.
        back: seconds from being killed to serving again, of each process.
    """

    broken: list[str] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    worst: str = ""
    back: dict[str, list[float]] = field(default_factory=dict)
    messages: int = 0
    escalations: int = 0
    notifications: int = 0
    reconnects: int = 0
    attempts: int = 0

    @property
    def longest(self) -> float:
        """Seconds of the longest silence a customer saw."""
        return max(self.silences, default=0.0)

    def report(self) -> str:
        """A few lines for people."""
        often = statistics.quantiles(self.silences, n=20)[-1] if len(self.silences) > 1 else self.longest
        lines = [
            f"messages accepted {self.messages}, turns {self.outcomes}, most leases of one turn {self.attempts}",
            f"escalations {self.escalations}, notifications delivered {self.notifications}, reconnects {self.reconnects}",
            f"silence: median {statistics.median(self.silences or [0]):.2f} s, 95 % within {often:.1f} s,"
            f" longest {self.longest:.1f} s{self.worst and f' ({self.worst})'}",
            *(f"failed: {count} {why}" for why, count in sorted(self.failures.items(), key=lambda one: -one[1])),
            *(
                f"{name} served again {statistics.median(seconds):.1f} s after being killed, {max(seconds):.1f} s at most"
                for name, seconds in self.back.items()
            ),
            *(f"BROKEN: {line}" for line in self.broken),
        ]
        return "\n".join(lines)


async def judge(
    database: Database, customers: Sequence[Customer], colleagues: Sequence[Colleague], receiver: Receiver
) -> Verdict:
    """Looks at everything once the system is calm again."""
    verdict = Verdict()
    ids = [customer.id for customer in customers]
    async with database.begin() as session:
        turns = await _rows(session, _TURNS, ids)
        messages = await _rows(session, _MESSAGES, ids)
        escalations = await _rows(session, _ESCALATIONS, ids)
        untold = await _rows(session, _UNTOLD, ids)
        remembered = await _rows(session, _REMEMBERED, ids)
        outbox = [dict(row) for row in (await session.execute(_OUTBOX)).mappings()]
    verdict.broken += [f"{customer.id}: {fault}" for customer in customers for fault in customer.faults]
    verdict.broken += _log_kept(customers, colleagues, messages)
    verdict.broken += _turns_settled(turns)
    verdict.broken += _remembered(turns, remembered)
    verdict.broken += _escalated(customers, escalations)
    verdict.broken += [f"event {row['id']} of the queue has no notification" for row in untold]
    verdict.broken += _told(outbox, receiver, [row for row in escalations if row["mode"] == "takeover"])
    verdict.silences = [words.seconds for one in customers for words in one.said if words.seconds is not None]
    if verdict.longest > LONGEST_SILENCE_SECONDS:
        verdict.broken.append(f"somebody waited {verdict.longest:.0f} s for a word")
    for row in turns:
        verdict.outcomes[str(row["outcome"])] = verdict.outcomes.get(str(row["outcome"]), 0) + 1
    verdict.messages = sum(row["sender"] == "customer" for row in messages)
    verdict.escalations = len(escalations)
    verdict.notifications = sum(row["state"] == "sent" for row in outbox)
    verdict.reconnects = sum(customer.reconnects for customer in customers)
    verdict.attempts = max((row["attempts"] for row in turns), default=0)
    return verdict


async def _rows(session: AsyncSession, query: Any, ids: list[str]) -> list[dict[str, Any]]:
    return [dict(row) for row in (await session.execute(query, {"ids": ids})).mappings()]


def _log_kept(
    customers: Sequence[Customer], colleagues: Sequence[Colleague], messages: list[dict[str, Any]]
) -> Iterator[str]:
    """Every accepted message once, in the order it was sent, at the place that was acknowledged; no gap in any log."""
    for customer in customers:
        log = [row for row in messages if row["conversation"] == customer.id]
        if [row["seq"] for row in log] != list(range(1, len(log) + 1)):
            yield f"{customer.id}: the log has gaps: {[row['seq'] for row in log]}"
        if customer.last != len(log):
            yield f"{customer.id}: the window ended at {customer.last} of {len(log)}"
        stored = [(row["client_id"], row["seq"]) for row in log if row["sender"] == "customer"]
        sent = [(words.client_id, words.seq) for words in customer.said]
        if stored != sent:
            yield f"{customer.id}: sent and acknowledged {sent}, stored {stored}"
        if any(words.seq is None for words in customer.said):
            yield f"{customer.id}: not everything was acknowledged"
    stored_ids = [(row["conversation"], row["client_id"]) for row in messages if row["sender"] == "csm"]
    said = sorted(each for colleague in colleagues for each in colleague.said)
    if sorted(stored_ids) != said:
        yield f"answers of CSMs: sent {len(said)}, stored {len(stored_ids)}, or others"


def _turns_settled(turns: list[dict[str, Any]]) -> Iterator[str]:
    """Every owed turn settled, with one whole reply, in order."""
    before: dict[str, int] = {}
    for row in turns:
        where = f"{row['conversation']}: turn {row['id']} at {row['seq']}"
        if row["outcome"] is None:
            yield f"{where} is still owed"
            continue
        if list(row["ordinals"]) != list(range(len(row["ordinals"]))):
            yield f"{where} has replies {row['ordinals']}"
        if (row["outcome"] == "silent") != (not row["ordinals"]):
            yield f"{where} is {row['outcome']} with {len(row['ordinals'])} replies"
        if row["first_reply"] is not None:
            if row["first_reply"] <= max(row["seq"], before.get(row["conversation"], 0)):
                yield f"{where} is answered out of order"
            before[row["conversation"]] = row["first_reply"]


def _remembered(turns: list[dict[str, Any]], remembered: list[dict[str, Any]]) -> Iterator[str]:
    """Rasa remembers every turn that was answered once, in order: also where it was run twice, and though what is kept does not wait for
    the disk."""
    kept = {row["conversation"]: row["turns"] for row in remembered}
    for conversation in {row["conversation"] for row in turns}:
        answered = [row["id"] for row in turns if row["conversation"] == conversation and row["outcome"] == "answered"]
        found = [one for one in kept.get(conversation, []) if one in answered]
        if found != answered:
            yield f"{conversation}: Rasa remembers {len(found)} of {len(answered)} answered turns: {found} of {answered}"


def _escalated(customers: Sequence[Customer], escalations: list[dict[str, Any]]) -> Iterator[str]:
    """Once where a person was wanted or the account is watched, never elsewhere."""
    for customer in customers:
        found = [row for row in escalations if row["conversation"] == customer.id]
        if len(found) != (customer.kind != "asker"):
            yield f"{customer.id} ({customer.kind}) has {len(found)} escalations"
        if customer.kind in ("wisher", "leaver") and not customer.handed_over:
            yield f"{customer.id} ({customer.kind}) was not told that a person comes"


def _told(outbox: list[dict[str, Any]], receiver: Receiver, takeovers: list[dict[str, Any]]) -> Iterator[str]:
    """Every notification arrived, at least once."""
    for item in outbox:
        if item["state"] != "sent":
            yield f"notification {item['id']} ({item['kind']}) is {item['state']}"
        elif item["kind"] == "webhook" and not receiver.webhooks[item["id"]]:
            yield f"webhook {item['id']} counts as sent and did not arrive"
    for row in takeovers:
        if not any(row["conversation"] in words for words in receiver.texts):
            yield f"the team did not hear of {row['conversation']}"
