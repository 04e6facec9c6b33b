"""How far a long task is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a task.

    Attributes:
        stage: what is being done, in a word or two.
        done, total: of its items.
        rate: items a second so far.
        seconds_left: at that rate; None while it cannot be known.
    """

    stage: str
    done: int
    total: int
    rate: float
    seconds_left: float | None


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """For who does not watch."""


class Meter:
    """Counts one stage of a task and reports it.

    Args:
        report: who is told.
        stage: its name.
        total: items.
    """

    def __init__(self, report: Report, stage: str, total: int) -> None:
        self._report = report
        self._stage = stage
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self.advance(0)

    def advance(self, items: int) -> None:
        """Some more are done."""
        self._done += items
        seconds = time.monotonic() - self._began
        rate = self._done / seconds if seconds > 0 else 0.0
        left = (self._total - self._done) / rate if rate > 0 else None
        self._report(Progress(self._stage, self._done, self._total, rate, left))
