"""The one place where Rasa's own behaviour is replaced. Importing it does nothing; `apply` does.

1. `RemoteAction._validate_action_result` validates with validators compiled once, an event by the schema of its kind alone. The
   original checks the constant schema itself on every call, which takes about three quarters of a turn.
2. `RemoteAction.run` notes that an action failed. Rasa logs the exception and goes on as if nothing had been to say,
   so that a caller could not tell a failure from silence.
3. The action call times out within the budget of a turn instead of after 300 s, while the lock ticket lives 60 s.
4. `EndpointConfig.session` gives one session that is kept, with its connections. The original makes one for each call, and
   so a connection for each action.
5. `Event.resolve_by_type` remembers the class of each name. The original walks all subclasses for each event that is read, which
   takes a sixth of a turn in a conversation of ten.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, AsyncIterator, Dict, List, Optional, Tuple, Type

import aiohttp
import rasa
import rasa.core.actions.action as rasa_action
from jsonschema import ValidationError
from jsonschema.validators import validator_for
from rasa.core.actions.action import ActionExecutionRejection, RemoteAction
from rasa.shared.constants import DOCS_BASE_URL
from rasa.shared.core.events import Event
from rasa.shared.exceptions import RasaException
from rasa.utils.endpoints import EndpointConfig

WRITTEN_FOR = "3.6.21"

ACTION_TIMEOUT_SECONDS = 10.0
"""Default of `KOTAE_ACTION_TIMEOUT_SECONDS`; the front door has given up by then (budget 5 s), and the lock ticket holds."""

failed_actions: ContextVar[Optional[List[str]]] = ContextVar("failed_actions", default=None)
"""Where the names of actions that failed in this turn are put, if the caller has set a list."""

_original_run = RemoteAction.run
_original_session = EndpointConfig.session
_original_resolve_by_type = Event.resolve_by_type


def apply() -> None:
    """Puts the replacements in place; doing it again changes nothing.

    Raises:
        RasaException: this is another Rasa than they were written for.
    """
    if rasa.__version__ != WRITTEN_FOR:
        raise RasaException(
            f"bot/rasa_patches.py was written for Rasa {WRITTEN_FOR}, and this is {rasa.__version__}. "
            "Install the pinned version, or read the replaced methods again and say so in WRITTEN_FOR."
        )
    RemoteAction._validate_action_result = _validate_action_result
    RemoteAction.run = _run
    EndpointConfig.session = _session
    Event.resolve_by_type = staticmethod(_resolve_by_type)
    rasa_action.DEFAULT_REQUEST_TIMEOUT = float(os.environ.get("KOTAE_ACTION_TIMEOUT_SECONDS", ACTION_TIMEOUT_SECONDS))


def _compiled() -> Tuple[Any, Dict[str, Any]]:
    """The validator of a whole result, and for each kind of event one that decides about it alone."""
    schema = RemoteAction.action_response_format_spec()
    kind = validator_for(schema)
    kind.check_schema(schema)
    item = schema["properties"]["events"]["items"]
    common = {name: value for name, value in item.items() if name != "oneOf"}
    # Of the alternatives each asks for another name, so no event meets more than the one of its own.
    each = {one["properties"]["event"]["const"]: kind({"allOf": [common, one]}) for one in item["oneOf"]}
    return kind(schema), each


_validator, _validators_by_event = _compiled()


def _validate_action_result(self: RemoteAction, result: Dict[str, Any]) -> bool:
    """As the original: True, or the most telling ValidationError with Rasa's hint."""
    from jsonschema.exceptions import best_match

    if _surely_valid(result):
        return True
    error = best_match(_validator.iter_errors(result))
    if error is None:
        return True
    error.message += (
        f". Failed to validate Action server response from API, "
        f"make sure your response from the Action endpoint is valid. "
        f"For more information about the format visit "
        f"{DOCS_BASE_URL}/custom-actions"
    )
    raise error


def _surely_valid(result: Any) -> bool:
    """Whether a result is of the usual form, every event valid for its kind; what is not goes through the whole schema."""
    if not isinstance(result, dict):
        return False
    events, responses = result.get("events", []), result.get("responses", [])
    if not isinstance(events, list) or not isinstance(responses, list):
        return False
    return all(isinstance(one, dict) for one in responses) and all(_surely_valid_event(one) for one in events)


def _surely_valid_event(event: Any) -> bool:
    name = event.get("event") if isinstance(event, dict) else None
    validator = _validators_by_event.get(name) if isinstance(name, str) else None
    return validator is not None and bool(validator.is_valid(event))


_classes: Dict[str, Type[Event]] = {}


def _resolve_by_type(type_name: str, default: Optional[Type[Event]] = None) -> Optional[Type[Event]]:
    """As the original."""
    found = _classes.get(type_name)
    if found is None:
        found = _original_resolve_by_type(type_name, default)
        if found is not None and found.type_name == type_name:
            _classes[type_name] = found
    return found


async def _run(self: RemoteAction, *args: Any, **kwargs: Any) -> Any:
    try:
        return await _original_run(self, *args, **kwargs)
    except ActionExecutionRejection:
        raise
    except Exception:
        noted = failed_actions.get()
        if noted is not None:
            noted.append(self.name())
        raise


@asynccontextmanager
async def _session(self: EndpointConfig) -> AsyncIterator[aiohttp.ClientSession]:
    """As the original, which closes its session at the end of the block; this one is closed with its event loop."""
    loop = asyncio.get_running_loop()
    kept = self.__dict__.get("_kept_session")
    if kept is None or kept.closed or kept._loop is not loop:
        kept = self.__dict__["_kept_session"] = _original_session(self)
    yield kept


__all__ = ["ACTION_TIMEOUT_SECONDS", "WRITTEN_FOR", "ValidationError", "apply", "failed_actions"]
