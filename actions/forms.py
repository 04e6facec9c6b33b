"""Asks for and checks what forms collect."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.forms import FormValidationAction

from actions.texts import TEXTS

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
FORM = "callback_form"
NUDGES = 1
"""How often an address is asked for again after something else came in between; then the form waits and says nothing."""
INSISTS = frozenset({"callback", "affirm", "nlu_fallback"})
"""Intents that are about the form itself, so that it answers."""


class AskEmail(Action):  # type: ignore[misc]  # rasa-sdk has no types
    """Asks for the address: at first, once more after another question was answered, and whenever the form is meant."""

    def name(self) -> str:
        return "action_ask_email"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        intent = (tracker.latest_message.get("intent") or {}).get("name")
        if intent in INSISTS or runs_since(tracker.events) <= NUDGES:
            dispatcher.utter_message(json_message={"type": "text", "text": TEXTS.say("ask_email", _language(tracker))})
        return []


def runs_since(events: list[dict[str, Any]]) -> int:
    """How often the form has run after it began. Rasa puts the run that asks among the events before it is over."""
    times = 0
    for event in reversed(events):
        if event["event"] == "active_loop" and event.get("name") == FORM:
            return times
        times += event["event"] == "action" and event.get("name") == FORM
    return 0


class ValidateCallbackForm(FormValidationAction):  # type: ignore[misc]  # rasa-sdk has no types
    """The form in which a visitor leaves an e-mail address."""

    def name(self) -> str:
        return "validate_callback_form"

    def validate_email(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Takes the address out of what was written; asks again where there is none."""
        found = _EMAIL.search(str(value))
        if found is not None:
            return {"email": found.group().rstrip(".")}
        dispatcher.utter_message(json_message={"type": "text", "text": TEXTS.say("email_wrong", _language(tracker))})
        return {"email": None}


def _language(tracker: Tracker) -> str:
    return str((tracker.latest_message.get("metadata") or {}).get("lang", "en"))
