"""The one place where Rasa's own behaviour is replaced. Importing it does nothing; `apply` does.

What is left out before Rasa is imported is in `without_tensorflow.py`, what is answered before its web server in `turns_first.py`.

1. `RemoteAction._validate_action_result` validates with validators compiled once, an event by the schema of its kind alone. The
   original checks the constant schema itself on every call, which takes about three quarters of a turn.
2. `RemoteAction.run` asks again for some seconds where nobody was there or the connection broke: the action server may be coming
   back, or be two. What an action writes is keyed by the turn or the conversation, so that twice is once. And it notes that an action
   failed: Rasa logs the exception and goes on as if nothing had been to say, so that a caller could not tell a failure from silence.
3. The action call times out within the budget of a turn instead of after 300 s, while the lock ticket lives 60 s.
4. `EndpointConfig.request` calls over connections that are kept, by `kit.calls`. The original opens one for each call, and its aiohttp takes
   longer than what is called.
5. `Event.resolve_by_type` remembers the class of each name. The original walks all subclasses for each event that is read, which
   takes a sixth of a turn in a conversation of ten.
6. `DaskGraphRunner.run` calls the nodes in an order found once for each set of targets. The original asks Dask for a plan, and
   walks the graph for the part of it that is needed, three times a turn.
7. `RulePolicy._get_possible_keys` remembers which rules fit the last few states, as many as the longest rule has. The original goes
   through every rule for every state since the conversation began, though no rule says anything of what was before its first step.
8. `Domain.states_for_tracker_history` goes on where it stopped before, as long as what happened so far is the same. The original tells the
   conversation anew from its beginning, three times a turn.
9. `RemoteAction._action_call_format` leaves out the events of the conversation while no form is active: only actions of forms read them.
10. `Domain.is_empty` is answered once. The original writes the whole domain out for it, each turn.
11. Nothing is copied or put into words for debug lines that nobody writes.
12. `DialogueStateTracker.copy` takes over what is known. The original tells the copy the whole conversation, for each action.
13. `FailSafeTrackerStore` lets a conversation that cannot be read or kept fail its turn. The original goes on as if it had just begun, answers
    without what was said before, and keeps that in memory, where nobody reads it and no erasing reaches it.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
from contextvars import ContextVar
from graphlib import TopologicalSorter
from http import HTTPStatus
from operator import is_
from typing import Any, Dict, List, Optional, Set, Tuple, Type

import aiohttp
import rasa
import rasa.core.actions.action as rasa_action
import rasa.core.policies.rule_policy as rasa_rule_policy
import rasa.core.processor as rasa_processor
import ujson
from jsonschema import ValidationError
from jsonschema.validators import validator_for
from rasa.core.actions.action import ActionExecutionRejection, RemoteAction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.core.tracker_store import FailSafeTrackerStore
from rasa.engine.exceptions import GraphRunError
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.constants import DEFAULT_SENDER_ID, DOCS_BASE_URL
from rasa.shared.core.constants import USER
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, FollowupAction
from rasa.shared.core.trackers import AnySlotDict, DialogueStateTracker, EventVerbosity
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import TEXT
from rasa.utils.endpoints import ClientResponseError, EndpointConfig, concat_url

from kit.calls import Lines, Place

WRITTEN_FOR = "3.6.21"

ACTION_TIMEOUT_SECONDS = 10.0
"""Default of `KOTAE_ACTION_TIMEOUT_SECONDS`; the front door has given up by then (budget 5 s), and the lock ticket holds."""

ACTION_RETURN_SECONDS = 4.0
"""How long an action server that went away is waited for: what the front door's budget leaves after understanding."""
_RETRY_SECONDS = 0.2
KEPT_SECONDS = 15.0
"""How long an idle connection to the actions is used again: less than they keep theirs."""
_COMING_BACK = (502, 503, 504)
"""What a load balancer answers while no action server is there, or the one that was asked is gone."""

failed_actions: ContextVar[Optional[List[str]]] = ContextVar("failed_actions", default=None)
"""Where the names of actions that failed in this turn are put, if the caller has set a list."""

_original_run = RemoteAction.run
_original_request = EndpointConfig.request
_original_states = Domain.states_for_tracker_history
_original_is_empty = Domain.is_empty
_original_copy = DialogueStateTracker.copy
_original_format = RulePolicy.format_tracker_states
_original_call_format = RemoteAction._action_call_format
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
    EndpointConfig.request = _request
    Event.resolve_by_type = staticmethod(_resolve_by_type)
    DaskGraphRunner.run = _run_graph
    RulePolicy._get_possible_keys = _get_possible_keys
    Domain.states_for_tracker_history = _states_for_tracker_history
    Domain.is_empty = _is_empty
    RemoteAction._action_call_format = _action_call_format
    rasa_processor.copy = rasa_rule_policy.copy = _ForDebugLines
    RulePolicy.format_tracker_states = staticmethod(_format_tracker_states)
    DialogueStateTracker.copy = _copy_tracker
    FailSafeTrackerStore.on_tracker_store_error = FailSafeTrackerStore.on_tracker_store_retrieve_error = _fail
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
_SLOT = frozenset({"event", "name", "value", "timestamp"})


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
    if (
        name == "slot"
        and event.keys() <= _SLOT
        and isinstance(event.get("name"), str)
        and event.get("timestamp") is None
    ):
        return "value" in event  # what nearly every event is, said without the schema
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
        rules = [policy._rule_key_to_state(key) for key in lookup]
        self._longest = max(map(len, rules), default=0)
        self._reads_text = any(TEXT in state.get(USER, {}) for rule in rules for state in rule)
        self._found: Dict[str, Set[str]] = {}

    def of(self, states: List[Any]) -> Set[str]:
        """A new set of the keys."""
        last = states[max(0, len(states) - self._longest) :]
        said = repr(last if self._reads_text else [_without_text(state) for state in last])
        if said not in self._found:
            if len(self._found) >= self.REMEMBERED:
                self._found.clear()
            possible = set(self.lookup)
            for index, state in enumerate(reversed(last)):
                possible = {key for key in possible if self._policy._is_rule_applicable(key, index, state)}
            self._found[said] = possible
        return set(self._found[said])


def _without_text(state: Dict[str, Any]) -> Dict[str, Any]:
    said = state.get(USER)
    if not said or TEXT not in said:
        return state
    return {**state, USER: {name: value for name, value in said.items() if name != TEXT}}


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


async def _request(
    self: EndpointConfig,
    method: str = "post",
    subpath: Optional[str] = None,
    content_type: Optional[str] = "application/json",
    compress: bool = False,
    **kwargs: Any,
) -> Any:
    """As the original: what is answered, read as JSON, or None where it is none."""
    plain = method == "post" and content_type == "application/json" and not (compress or self.cafile or self.basic_auth)
    if (
        not plain
        or self.combine_parameters({})
        or set(kwargs) - {"json", "timeout"}
        or not self.url.startswith("http:")
    ):
        return await _original_request(self, method, subpath, content_type, compress, **kwargs)
    body = ujson.dumps(kwargs.get("json"), escape_forward_slashes=False).encode()
    try:
        lines = _lines(self, subpath)
        status, said = await lines.ask(lines.place.request(body), kwargs.get("timeout") or ACTION_TIMEOUT_SECONDS)
    except OSError as error:
        raise aiohttp.ClientConnectionError(str(error)) from error
    if status >= 400:
        raise ClientResponseError(status, HTTPStatus(status).phrase, said)
    try:
        return ujson.loads(said)
    except ValueError:
        return None


def _lines(endpoint: EndpointConfig, subpath: Optional[str]) -> Lines:
    """The connections of this endpoint and event loop."""
    loop = asyncio.get_running_loop()
    kept = endpoint.__dict__.setdefault("_lines", {})
    if (loop, subpath) not in kept:
        kept[loop, subpath] = Lines(Place(concat_url(endpoint.url, subpath), endpoint.headers), KEPT_SECONDS)
    return kept[loop, subpath]


def _action_call_format(self: RemoteAction, tracker: DialogueStateTracker, domain: Domain) -> Dict[str, Any]:
    """As the original, without events where no form is active."""
    if tracker.active_loop is not None:
        return _original_call_format(self, tracker, domain)
    result = {
        "next_action": self._name,
        "sender_id": tracker.sender_id,
        "tracker": {**tracker.current_state(EventVerbosity.NONE), "events": []},
        "version": rasa.__version__,
    }
    if not self._is_selective_domain_enabled() or domain.does_custom_action_explicitly_need_domain(self.name()):
        result["domain"] = domain.as_dict()
    return result


def _is_empty(self: Domain) -> bool:
    """As the original."""
    if "_kotae_empty" not in self.__dict__:
        self.__dict__["_kotae_empty"] = _original_is_empty(self)
    return bool(self.__dict__["_kotae_empty"])


def _states_for_tracker_history(
    self: Domain,
    tracker: DialogueStateTracker,
    omit_unset_slots: bool = False,
    ignore_rule_only_turns: bool = False,
    rule_only_data: Optional[Dict[str, Any]] = None,
) -> List[Any]:
    """As the original: the state before each action, and the one now. They are the caller's own."""
    if ignore_rule_only_turns:
        return _original_states(self, tracker, omit_unset_slots, ignore_rule_only_turns, rule_only_data)
    applied = _applied_events(tracker)
    past = tracker.__dict__.get("_kotae_past")
    if past is None or not past.leads_to(self, omit_unset_slots, applied):
        past = tracker.__dict__["_kotae_past"] = _Past(self, omit_unset_slots, tracker.init_copy())
    return past.states(applied)


def _applied_events(tracker: DialogueStateTracker) -> List[Event]:
    """As the tracker gives them; asked several times between two events."""
    last = tracker.events[-1] if tracker.events else None
    kept = tracker.__dict__.get("_kotae_applied")
    if kept is None or kept[0] is not last or kept[1] != len(tracker.events):
        kept = tracker.__dict__["_kotae_applied"] = (last, len(tracker.events), tracker.applied_events())
    return kept[2]


def _copy_tracker(self: DialogueStateTracker) -> DialogueStateTracker:
    """As the original: a tracker of its own that knows the same."""
    if isinstance(self.slots, AnySlotDict) or any(isinstance(event, FollowupAction) for event in self.events):
        return _original_copy(
            self
        )  # which forgets what was made up, and finds an action again that was followed up already
    made = DialogueStateTracker.__new__(DialogueStateTracker)
    made.__dict__.update({name: value for name, value in self.__dict__.items() if not name.startswith("_kotae")})
    made.sender_id = self.sender_id or DEFAULT_SENDER_ID
    made.events = self.events.copy()
    made.slots = {name: copy.copy(slot) for name, slot in self.slots.items()}
    made.active_loop = copy.copy(self.active_loop)
    made.model_id = made.assistant_id = made.sender_source = None
    return made


class _Past:
    """What a conversation has come through so far."""

    def __init__(self, domain: Domain, omit_unset_slots: bool, beginning: DialogueStateTracker) -> None:
        self._domain, self._omit_unset_slots, self._tracker = domain, omit_unset_slots, beginning
        self._applied: List[Event] = []
        self._states: List[Any] = []

    def leads_to(self, domain: Domain, omit_unset_slots: bool, applied: List[Event]) -> bool:
        """Whether the conversation has only gone on since: nothing that was told is taken back."""
        same = self._domain is domain and self._omit_unset_slots == omit_unset_slots
        return same and len(self._applied) <= len(applied) and all(map(is_, self._applied, applied))

    def states(self, applied: List[Event]) -> List[Any]:
        """The states after these events."""
        for event in applied[len(self._applied) :]:
            if isinstance(event, ActionExecuted):
                self._states.append(self._now())
            self._tracker.update(event)
            self._applied.append(event)
        copied = [{kind: dict(state) for kind, state in states.items()} for states in self._states]
        return [*copied, self._now()]

    def _now(self) -> Any:
        state = self._domain.get_active_state(self._tracker, omit_unset_slots=self._omit_unset_slots)
        return self._domain._clean_state(state)


def _fail(_: FailSafeTrackerStore, error: Exception) -> None:
    raise error


def _format_tracker_states(states: List[Any]) -> Any:
    """The states in words, which only a debug line reads."""
    return _original_format(states) if logging.getLogger("rasa").isEnabledFor(logging.DEBUG) else ""


class _ForDebugLines:
    """In place of `copy` in modules that copy for debug lines alone."""

    @staticmethod
    def deepcopy(thing: Any) -> Any:
        """A copy, where the line may be written."""
        return copy.deepcopy(thing) if logging.getLogger("rasa").isEnabledFor(logging.DEBUG) else thing


__all__ = ["ACTION_TIMEOUT_SECONDS", "WRITTEN_FOR", "ValidationError", "apply", "failed_actions"]
