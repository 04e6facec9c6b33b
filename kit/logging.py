"""Structured logs: one line an event, joined by ids, without the customer's words and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from kit.settings import Settings

_HIDDEN = "[hidden]"
_SECRETS = re.compile(
    r"""eyJ[\w-]{8,}(?:\.[\w-]*)*                        # a JWT: identity, turn and parse tokens
      | ktk_[\w-]{8,}                                    # an API key
      | whsec_[\w+/=-]{8,}                               # a secret of webhooks
      | \$argon2[\w$=,+/-]+                              # a password's hash
      | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)                  # user and password of an address
      | (?i:(?<=bearer\s)|(?<=basic\s))[\w.~+/=-]{8,}    # what proves a caller
    """,
    re.VERBOSE,
)
_DATA = re.compile(r"^(?:DETAIL|CONTEXT|unnamed portal parameter).*$", re.MULTILINE)
"""Lines with which PostgreSQL tells what it was given, customers' words among it."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_IN_TRACEBACK = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def hide(text: str) -> str:
    """The text without anything that opens a door. Names of things stay; whoever reads logs need not be able to act as others."""
    return _SECRETS.sub(_HIDDEN, text)


HEADER = "x-kotae-turn"
"""Tells one of our processes which conversation and turn its work is for."""


def headers() -> dict[str, str]:
    """`HEADER` of what is worked on; nothing where that is no turn."""
    known = structlog.contextvars.get_contextvars()
    return {HEADER: f"{known['conversation']} {known['turn']}"} if {"conversation", "turn"} <= known.keys() else {}


def join(header: str | None) -> None:
    """Puts the conversation and the turn of a `HEADER` on every line from here on in this task."""
    conversation, _, turn = (header or "").partition(" ")
    if turn:
        structlog.contextvars.bind_contextvars(conversation=conversation, turn=turn)


def configure(settings: Settings, process: str) -> None:
    """Sets up logging for this process.

    Args:
        settings: format and level.
        process: its name, on every line.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )

    def named(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"process": process, **event}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        named,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, harmless, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    logging.captureWarnings(True)
    root.setLevel(settings.log_level.upper())
    # httpx tells of every request, uvicorn of every socket with its whole address: noise, and addresses may hold tokens.
    for noisy in ("httpx", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def harmless(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Takes secrets out of a line, and what could end it, begin another or steer the terminal that shows it."""
    return {key: _harmless(key, value) for key, value in event.items()}


def _harmless(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = hide(str(value))
    if key == "exception":
        text = _DATA.sub(_HIDDEN, text)
        # Its lines are indented: none of them looks like a line of its own.
        return _IN_TRACEBACK.sub(_escaped, text).replace("\n", "\n  ")
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
