"""Why turns failed: what the front doors logged of each, beside what was broken at that moment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from kit.database import Database
from tests.chaos.customers import Customer
from tests.chaos.faults import Struck

AFTERMATH = timedelta(seconds=5)
"""After a process serves again: a load balancer looks once a second, a circuit breaker rests for two, and what waited is worked off."""
_FAILED = text(
    "SELECT id, created_at, settled_at FROM turns WHERE outcome = 'failed' AND conversation_id = ANY(:ids) ORDER BY created_at"
)


async def of_failures(
    database: Database, logs: Path, struck: Sequence[Struck], conversations: Sequence[str]
) -> dict[str, int]:
    """How many turns failed for each reason.

    Args:
        logs: folder of the front doors' logs, in JSON.
    Returns:
        counts by a few words: the problem, and what was away between the message and the apology.
    """
    problems = {line["turn"]: line["problem"] for line in _lines(logs) if line.get("event") == "turn"}
    async with database.begin() as session:
        rows = (await session.execute(_FAILED, {"ids": conversations})).all()
    found = Counter(f"{problems.get(id_, 'unknown')}, {away(struck, since, until)}" for id_, since, until in rows)
    return dict(found)


def away(struck: Sequence[Struck], since: datetime, until: datetime) -> str:
    """What was broken at any time between two moments, or had just come back."""
    names = {
        f"{one.fault.service} {'killed' if one.fault.how == 'kill' else 'stopped'}"
        for one in struck
        if one.at <= until and (one.back is None or since <= one.back + AFTERMATH)
    }
    return f"{' and '.join(sorted(names))}" if names else "nothing was away"


def of_the_longest_silence(struck: Sequence[Struck], customers: Sequence[Customer]) -> str:
    """What was away while somebody waited longest for a word."""
    waited = [(words.seconds, words.at) for one in customers for words in one.said if words.seconds is not None]
    if not waited:
        return ""
    seconds, at = max(waited)
    return away(struck, at, at + timedelta(seconds=seconds))


def times_to_return(struck: Sequence[Struck]) -> dict[str, list[float]]:
    """Seconds from being killed to serving again, by service."""
    found: dict[str, list[float]] = {}
    for one in struck:
        if one.fault.how == "kill":
            found.setdefault(one.fault.service, []).append(one.seconds)
    return found


def _lines(logs: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(logs.glob("api-*.log")):
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except ValueError:  # cut off where the process was killed
                    continue
