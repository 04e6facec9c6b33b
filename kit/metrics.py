"""Prometheus metrics that several rooms write."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

TURN_SECONDS = Histogram("kotae_turn_seconds", "Time of one stage of a turn", ["stage"], buckets=_BUCKETS)
TURNS = Counter("kotae_turns_total", "Turns by how they ended", ["outcome"])
MESSAGES = Counter("kotae_messages_total", "Messages accepted", ["sender"])
"""E-mail, webhook and Slack deliveries count under the outbox, not here."""
