"""Prometheus metrics that several rooms write. Each process serves its own under `/metrics`."""

from __future__ import annotations

from itertools import product

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

TURN_SECONDS = Histogram("kotae_turn_seconds", "Time of one stage of a turn", ["stage"], buckets=_BUCKETS)
"""The stages, in order, those further in being parts of those before them:

- api: `accept` (a message into the log), `wait` (until its turn is begun), `rasa` (the whole call), `settle`, `whole` (from the message to its answer)
- rasa, counted by api: `understand`, `act`
- actions: `action`, and in it `look_up` (the account), `knowledge` (the knowledge base), `policy` (escalation)
"""
TURNS = Counter("kotae_turns_total", "Turns by how they ended", ["outcome"])
TURN_PROBLEMS = Counter("kotae_turn_problems_total", "Failed turns by what was wrong", ["problem"])
MESSAGES = Counter("kotae_messages_total", "Messages accepted", ["sender"])
"""E-mail, webhook and Slack deliveries count under the outbox, not here."""
ESCALATIONS = Counter("kotae_escalations_total", "Escalations raised by turns", ["mode", "rule"])
DECISIONS = Counter("kotae_decisions_total", "What the knowledge base decided", ["decision"])
REFUSED = Counter("kotae_refused_total", "Requests refused", ["reason"])
WINDOWS = Gauge("kotae_windows", "Open sockets of customers")
OUTBOX = Counter("kotae_outbox_total", "Notifications by kind and how they went", ["kind", "outcome"])
FORGOTTEN = Counter("kotae_forgotten_total", "What has had its time and was removed", ["kind"])

_BEGUN: tuple[tuple[Counter, tuple[tuple[str, ...], ...]], ...] = (
    (TURNS, (("answered", "failed", "late"),)),
    (TURN_PROBLEMS, (("attempts", "resting", "silent", "slow", "empty", "garbage", "status 500"),)),
    (MESSAGES, (("customer",),)),
    (DECISIONS, (("answer", "clarify", "abstain"),)),
    (OUTBOX, (("slack", "webhook", "email", "customer_email"), ("sent", "failed", "dead"))),
)
for _counter, _labels in _BEGUN:
    for _values in product(*_labels):
        _counter.labels(*_values)
"""Begun at nought: Prometheus sees what a counter gains, so of one that comes with its first event it never sees that, and no alarm goes off."""
