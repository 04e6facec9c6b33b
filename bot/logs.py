"""Rasa's log lines in the form of the other processes: joined by conversation and turn, without secrets."""

from __future__ import annotations

import json
import logging
import os
import re
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, Dict, Optional

FORMAT_VARIABLE = "KOTAE_LOG_FORMAT"
turn_ids: ContextVar[Optional[Dict[str, str]]] = ContextVar("turn_ids", default=None)
"""Conversation and turn that are being worked on."""

HEADER = "x-kotae-turn"
"""Tells the knowledge base which conversation and turn its work is for, as `kit.logging` of the other environment does."""

_SECRETS = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*)*|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Line(logging.Formatter):
    """One line an event, as `kit.logging` of the other environment writes it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line: JSON where `KOTAE_LOG_FORMAT` says so."""
        said: Dict[str, Any] = {"event": _harmless(record.getMessage()).replace("\n", "\\n")}
        said.update(turn_ids.get() or {}, process="rasa", logger=record.name)
        level = record.levelname.lower()
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat().replace("+00:00", "Z")
        trouble = _harmless(self.formatException(record.exc_info)) if record.exc_info else ""
        if os.environ.get(FORMAT_VARIABLE) == "json":
            said.update(level=level, timestamp=at, **({"exception": trouble} if trouble else {}))
            return json.dumps(said, ensure_ascii=False)
        event = said.pop("event")
        joined = " ".join(f"{key}={value}" for key, value in said.items())
        more = "".join(f"\n  {line}" for line in trouble.splitlines())
        return f"{at} [{level:<9}] {event} {joined}{more}"


def headers() -> Dict[str, str]:
    """`HEADER` of what is worked on; nothing where that is no turn."""
    ids = turn_ids.get()
    return {HEADER: f"{ids['conversation']} {ids['turn']}"} if ids else {}


def install() -> None:
    """Puts the form on every handler there is; doing it again changes nothing."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Line())


def _harmless(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), _SECRETS.sub("[hidden]", text))
