"""Checks what forms collect."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.forms import FormValidationAction

from actions.texts import TEXTS

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")


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
        lang = (tracker.latest_message.get("metadata") or {}).get("lang", "en")
        dispatcher.utter_message(json_message={"type": "text", "text": TEXTS.say("email_wrong", lang)})
        return {"email": None}
