"""The one place where Rasa's own behaviour is replaced. Importing it does nothing; `apply` does.

1. `RemoteAction._validate_action_result` validates with validators compiled once, an event by the schema of its kind alone. The
   original checks the constant schema itself on every call, which takes about three quarters of a turn.
2. `RemoteAction.run` asks again for some seconds where nobody was there or the connection broke: the action server may be coming
   back, or be two. What an action writes is keyed by the turn or the conversation, so that twice is once. And it notes that an action
   failed: Rasa logs the exception and goes on as if nothing had been to say, so that a caller could not tell a failure from silence.
3. The action call times out within the budget of a turn instead of after 300 s, while the lock ticket lives 60 s.
4. `EndpointConfig.session` gives one session that is kept, with its connections. The original makes one for each call, and
   so a connection for each action.
5. `Event.resolve_by_type` remembers the class of each name. The original walks all subclasses for each event that is read, which
   takes a sixth of a turn in a conversation of ten.
6. `DaskGraphRunner.run` calls the nodes in an order found once for each set of targets. The original asks Dask for a plan, and
   walks the graph for the part of it that is needed, three times a turn.
7. `RulePolicy._get_possible_keys` remembers which rules fit the last few states, as many as the longest rule has. The original goes
   through every rule for every state since the conversation began, though no rule says anything of what was before its first step.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from contextvars import ContextVar
from graphlib import TopologicalSorter
from typing import Any, AsyncIterator, Dict, List, Optional, Set, Tuple, Type

import aiohttp
import rasa
import rasa.core.actions.action as rasa_action
from jsonschema import ValidationError
from jsonschema.validators import validator_for
from rasa.core.actions.action import ActionExecutionRejection, RemoteAction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.engine.exceptions import GraphRunError
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.constants import DOCS_BASE_URL
from rasa.shared.core.events import Event
from rasa.shared.exceptions import RasaException
from rasa.utils.endpoints import ClientResponseError, EndpointConfig

WRITTEN_FOR = "3.6.21"

ACTION_TIMEOUT_SECONDS = 10.0
"""Default of `KOTAE_ACTION_TIMEOUT_SECONDS`; the front door has given up by then (budget 5 s), and the lock ticket holds."""

ACTION_RETURN_SECONDS = 4.0
"""How long an action server that went away is waited for: what the front door's budget leaves after understanding."""
_RETRY_SECONDS = 0.2
_COMING_BACK = (502, 503, 504)
"""What a load balancer answers while no action server is there, or the one that was asked is gone."""

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
    DaskGraphRunner.run = _run_graph
    RulePolicy._get_possible_keys = _get_possible_keys
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


def _run_graph(
    self: DaskGraphRunner, inputs: Optional[Dict[str, Any]] = None, targets: Optional[List[str]] = None
) -> Dict[str, Any]:
    """As the original: the outputs of the targets by name."""
    wanted = tuple(targets or self._graph_schema.target_names)
    plans = self.__dict__.setdefault("_plans", {})
    if wanted not in plans:
        plans[wanted] = _plan(self, wanted)
    plan = plans[wanted]
    found = {name: (name, value) for name, value in (inputs or {}).items()}
    if any(isinstance(value, str) and value in plan for _, value in found.values()):
        raise GraphRunError("An input value is the name of a node.")
    try:
        for name, needs in plan.items():
            if name not in found:  # what nothing provides is handed on as its name, of which the node warns
                found[name] = self._instantiated_nodes[name](*(found.get(need, need) for need in needs))
    except RuntimeError as error:
        raise GraphRunError("Error running runner.") from error
    return dict(found[name] for name in wanted)


def _plan(runner: DaskGraphRunner, targets: Tuple[str, ...]) -> Dict[str, List[str]]:
    """The nodes that these targets need, each behind those that it needs, with their names."""
    nodes = runner._graph_schema.minimal_graph_schema(list(targets)).nodes
    needs = {name: list(node.needs.values()) for name, node in nodes.items()}
    return {name: needs[name] for name in TopologicalSorter(needs).static_order() if name in needs}


def _get_possible_keys(self: RulePolicy, lookup: Dict[str, str], states: List[Any]) -> Set[str]:
    """As the original: the rules that fit the conversation so far."""
    kept = self.__dict__.setdefault("_fitting", {}).get(id(lookup))
    if kept is None or kept.lookup is not lookup or kept.size != len(lookup):
        kept = self.__dict__["_fitting"][id(lookup)] = _Fitting(self, lookup)
    return kept.of(states)


class _Fitting:
    """The rules of one lookup that fit what was said last, remembered by that: conversations differ less than their words."""

    REMEMBERED = 1024

    def __init__(self, policy: RulePolicy, lookup: Dict[str, str]) -> None:
        self._policy = policy
        self.lookup, self.size = lookup, len(lookup)
        self._longest = max((len(policy._rule_key_to_state(key)) for key in lookup), default=0)
        self._found: Dict[str, Set[str]] = {}

    def of(self, states: List[Any]) -> Set[str]:
        """A new set of the keys."""
        last = states[max(0, len(states) - self._longest) :]
        said = repr(last)
        if said not in self._found:
            if len(self._found) >= self.REMEMBERED:
                self._found.clear()
            possible = set(self.lookup)
            for index, state in enumerate(reversed(last)):
                possible = {key for key in possible if self._policy._is_rule_applicable(key, index, state)}
            self._found[said] = possible
        return set(self._found[said])


async def _run(self: RemoteAction, *args: Any, **kwargs: Any) -> Any:
    clock = asyncio.get_running_loop().time
    until = clock() + ACTION_RETURN_SECONDS
    while True:
        try:
            return await _original_run(self, *args, **kwargs)
        except ActionExecutionRejection:
            raise
        except Exception as error:
            if not (_was_away(error) and clock() < until):
                noted = failed_actions.get()
                if noted is not None:
                    noted.append(self.name())
                raise
        await asyncio.sleep(_RETRY_SECONDS)


def _was_away(error: Exception) -> bool:
    """Whether Rasa's exception comes of an action server that was not there, rather than of one that failed."""
    reason = error.__cause__ or error.__context__
    if isinstance(reason, ClientResponseError):
        return reason.status in _COMING_BACK
    return isinstance(reason, aiohttp.ClientConnectionError)


@asynccontextmanager
async def _session(self: EndpointConfig) -> AsyncIterator[aiohttp.ClientSession]:
    """As the original, which closes its session at the end of the block; this one is closed with its event loop."""
    loop = asyncio.get_running_loop()
    kept = self.__dict__.get("_kept_session")
    if kept is None or kept.closed or kept._loop is not loop:
        kept = self.__dict__["_kept_session"] = _original_session(self)
    yield kept


__all__ = ["ACTION_TIMEOUT_SECONDS", "WRITTEN_FOR", "ValidationError", "apply", "failed_actions"]
