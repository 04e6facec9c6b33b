"""The action server: rasa-sdk's own, with each action given its rooms."""

from __future__ import annotations

from typing import Any, TypeGuard

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rasa_sdk import Tracker
from rasa_sdk.endpoint import create_app
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher
from sanic import HTTPResponse, Request, Sanic, response
from sanic.response import BaseHTTPResponse

from actions import account, answering, dialogue, escalating, forms, help, human
from actions.rooms import Rooms, make
from actions.texts import TEXTS
from actions.turn import Act, Turn, look_up, record
from conversations import turns
from conversations.bodies import Body, Choices, Text
from escalations.queue import handover
from kit import tracing
from kit.clock import now
from kit.database import wait_for_disk
from kit.memory import keep_loaded
from kit.metrics import DECISIONS, ESCALATIONS
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
    "action_greet": human.greet,
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
        metadata = message.get("metadata") or {}
        claims = turns.verify(metadata.get("turn_token") or "", rooms.settings.signing_key)
        ids = {"conversation": claims.conversation_id, "turn": claims.turn_id}
        with (
            structlog.contextvars.bound_contextvars(**ids),
            tracing.stage("action", parent=metadata.get(tracing.HEADER), action=self._name, **ids),
        ):
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
        with tracing.stage("look_up"):
            await look_up(turn)
        bodies = await answering.answer(turn, self._act)
        with tracing.stage("policy"):
            raised = await escalating.consult(turn)
        await record(turn)
        if turn.decision is not None:
            DECISIONS.labels(turn.decision).inc()
        if raised is not None:
            await wait_for_disk(turn.session)  # others act on it at once
            ESCALATIONS.labels(raised.escalation.mode, raised.escalation.rule).inc()
            logger.info(
                "escalation",
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


class Executor(ActionExecutor):  # type: ignore[misc]  # rasa-sdk gives it no types
    """rasa-sdk's, which would refuse a call without a domain: Rasa sends it to the actions alone that read it (domain.yml)."""

    def update_and_return_domain(self, payload: dict[str, Any], action_name: str) -> dict[str, Any]:
        """The domain that came with the call."""
        return payload.get("domain") or {}


def _without_offer(bodies: list[Body]) -> list[Body]:
    """A person is coming: offering one would be odd."""
    return [body for body in bodies if not _offers(body)]


def _offers(body: Body) -> TypeGuard[Choices]:
    return isinstance(body, Choices) and body.choices[0].id == dialogue.HUMAN


async def _say_little(_: Request[Any, Any], answer: BaseHTTPResponse) -> HTTPResponse | None:
    """A failure, without what rasa-sdk sends back with it: the whole request, which Rasa would write into its log."""
    return response.json({"error": "the action failed"}, answer.status) if answer.status >= 500 else None


async def _readyz(request: Request[Any, Any]) -> HTTPResponse:
    """Turns can be answered: 200, or 503."""
    ready: bool = await request.app.ctx.ready()
    return response.json({"ready": ready}, 200 if ready else 503)


async def _metrics(_: Request[Any, Any]) -> HTTPResponse:
    """Prometheus metrics of this process, on loopback as all of it."""
    return response.raw(generate_latest(), content_type=CONTENT_TYPE_LATEST)


async def _ready(holder: dict[str, Rooms]) -> bool:
    """Whether the rooms are open and the database answers."""
    rooms = holder.get("rooms")
    return rooms is not None and await rooms.database.answers()


def create(settings: Settings, url: str) -> Sanic[Any, Any]:
    """The action server's application.

    Args:
        url: of the database.
    """
    holder: dict[str, Rooms] = {}
    executor = Executor()
    for name, act in ACTIONS.items():
        executor.register_function(name, Handler(name, act, holder).run)
    executor.register_action(forms.ValidateCallbackForm())
    executor.register_action(forms.AskEmail())
    app: Sanic[Any, Any] = create_app(executor, cors_origins=None)  # only Rasa calls it, never a browser
    app.ctx.ready = lambda: _ready(holder)
    app.register_middleware(_say_little, "response")
    app.add_route(_readyz, "/readyz")
    app.add_route(_metrics, "/metrics")

    async def open_rooms(*_: object) -> None:
        holder["rooms"] = make(settings, url)
        keep_loaded()

    async def close_rooms(*_: object) -> None:
        rooms = holder.pop("rooms")
        await rooms.knowledge_base.close()
        await rooms.database.close()
        await rooms.accounts.close()
        tracing.close()

    app.register_listener(open_rooms, "before_server_start")
    app.register_listener(close_rooms, "after_server_stop")
    return app
