"""How long the stages of a turn took, and what they were of a trace: told to the front door, which passes it on.

Rasa's set of libraries is frozen, and OpenTelemetry is not in it.
"""

from __future__ import annotations

import re
import secrets
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

HEADER = "traceparent"
_FORM = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")


class Clock:
    """Times the stages of one turn.

    Args:
        parent: `traceparent` (W3C Trace Context) of who asked; None or another form: nobody traces.
    """

    def __init__(self, parent: Optional[str]) -> None:
        found = _FORM.match(parent or "")
        self._trace = found[1] if found else None
        self._parent = found[2] if found else ""
        self._flags = found[3] if found else "00"
        self._took: Dict[str, float] = {}
        self._spans: List[Dict[str, Any]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Dict[str, str]]:
        """Times a stage; gives what tells others that their work is part of it."""
        id_ = secrets.token_hex(8)
        start = time.time_ns()
        try:
            yield {HEADER: f"00-{self._trace}-{id_}-{self._flags}"} if self._trace else {}
        finally:
            end = time.time_ns()
            self._took[name] = (end - start) / 1e9
            if self._trace:
                self._spans.append({"name": name, "id": id_, "parent": self._parent, "start": start, "end": end})

    def reported(self) -> Dict[str, Any]:
        """`took`, seconds by stage, and `spans` where somebody traces."""
        return {"took": self._took, **({"spans": self._spans} if self._trace else {})}
