"""The action server: rasa-sdk's own, with each action given its rooms."""

from __future__ import annotations

from typing import Any, TypeGuard

import structlog
from rasa_sdk import Tracker
from rasa_sdk.endpoint import create_app
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher
from sanic import Sanic

from actions import account, answering, dialogue, escalating, forms, help, human
from actions.rooms import Rooms, make
from actions.texts import TEXTS
from actions.turn import Act, Turn, look_up, record
from conversations import turns
from conversations.bodies import Body, Choices, Text
from escalations.queue import handover
from kit.clock import now
from kit.metrics import TURN_SECONDS
from kit.settings import Settings

logger = structlog.get_logger()

ACTIONS: dict[str, Act] = {
    "action_answer": help.answer,
    "action_choose": help.choose,
    "action_plan": account.plan,
    "action_usage": account.usage,
    "action_renewal": account.renewal,
    "action_invoice": account.invoice,
    "action_onboarding": account.onboarding,
    "action_human": human.wish,
    "action_complaint": human.complaint,
    "action_decline": human.decline,
    "action_need_help": human.need_help,
    "action_cancel": human.cancel,
    "action_callback": human.callback,
}


class Handler:
    """Runs one action as rasa-sdk wants it: verifies who asks, answers, consults the policy, all in one transaction."""

    def __init__(self, name: str, act: Act, holder: dict[str, Rooms]) -> None:
        self._name = name
        self._act = act
        self._holder = holder

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Answers the turn.

        Raises:
            Unauthenticated: the turn token is missing, forged, too old or used up; Rasa then answers nothing.
        """
        rooms = self._holder["rooms"]
        message = tracker.latest_message
        claims = turns.verify((message.get("metadata") or {}).get("turn_token") or "", rooms.settings.signing_key)
        with TURN_SECONDS.labels("action").time():
            async with rooms.database.begin() as session:
                await turns.owed(session, claims)
                turn = Turn(
                    rooms=rooms,
                    session=session,
                    claims=claims,
                    now=now(),
                    text=message.get("text") or "",
                    intent=(message.get("intent") or {}).get("name") or "",
                    slots=tracker.slots,
                    understood=message,
                )
                bodies = await self._answer(turn)
        for body in bodies:
            dispatcher.utter_message(json_message=body.model_dump(mode="json"))
        return [*turn.events, *dialogue.remember(bodies), dialogue.keep_subject(turn)]

    async def _answer(self, turn: Turn) -> list[Body]:
        await look_up(turn)
        bodies = await answering.answer(turn, self._act)
        raised = await escalating.consult(turn)
        await record(turn)
        if raised is not None:
            logger.info(
                "escalation",
                conversation=turn.claims.conversation_id,
                turn=turn.claims.turn_id,
                rule=raised.escalation.rule,
                mode=raised.escalation.mode,
                created=raised.created,
            )
        if raised is not None and raised.escalation.mode == "takeover":
            return [*_without_offer(bodies), handover(raised, turn.rooms.company, turn.lang, turn.now)]
        waits = await escalating.waiting(turn) if any(map(_offers, bodies)) else None
        if waits is not None:  # a person is coming already: instead of one, their time is said
            plain = [Text(text=body.text) if _offers(body) else body for body in bodies]
            return [*plain, handover(waits, turn.rooms.company, turn.lang, turn.now)]
        if turn.wish:  # nothing was raised: no word may sound as if somebody came
            email = turn.rooms.company.support.email
            return [Text(text=TEXTS.say("no_handover", turn.lang, email=email))]
        return bodies


def _without_offer(bodies: list[Body]) -> list[Body]:
    """A person is coming: offering one would be odd."""
    return [body for body in bodies if not _offers(body)]


def _offers(body: Body) -> TypeGuard[Choices]:
    return isinstance(body, Choices) and body.choices[0].id == dialogue.HUMAN


def create(settings: Settings, url: str) -> Sanic[Any, Any]:
    """The action server's application.

    Args:
        url: of the database.
    """
    holder: dict[str, Rooms] = {}
    executor = ActionExecutor()
    for name, act in ACTIONS.items():
        executor.register_function(name, Handler(name, act, holder).run)
    executor.register_action(forms.ValidateCallbackForm())
    executor.register_action(forms.AskEmail())
    app: Sanic[Any, Any] = create_app(executor)

    async def open_rooms(*_: object) -> None:
        holder["rooms"] = make(settings, url)

    async def close_rooms(*_: object) -> None:
        rooms = holder.pop("rooms")
        await rooms.knowledge_base.close()
        await rooms.database.close()

    app.register_listener(open_rooms, "before_server_start")
    app.register_listener(close_rooms, "after_server_stop")
    return app
