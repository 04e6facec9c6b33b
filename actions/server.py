"""The action server: the addresses and the protocol of rasa-sdk, with each action given its rooms.

rasa-sdk runs the actions of forms. The others are run by themselves, as they read the message and the slots alone: sanic, and the tracker
that rasa-sdk builds, took longer than many an action.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeGuard

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection, ActionNotFoundException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from actions import account, answering, dialogue, escalating, forms, help, human
from actions.rooms import Rooms, make
from actions.texts import TEXTS
from actions.turn import Act, Turn, look_up, record
from conversations import turns
from conversations.bodies import Body, Choices, Text
from escalations.queue import handover
from kit import asgi, tracing
from kit.clock import now
from kit.database import Json, wait_for_disk
from kit.errors import Unavailable
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
    "action_go_on": human.go_on,
    "action_need_help": human.need_help,
    "action_greet": human.greet,
    "action_cancel": human.cancel,
    "action_callback": human.callback,
}


class Handler:
    """Runs one action: verifies who asks, answers, consults the policy; what it changes is one transaction."""

    def __init__(self, name: str, act: Act) -> None:
        self._name = name
        self._act = act

    async def run(self, rooms: Rooms, tracker: Json) -> Json:
        """Answers the turn.

        Args:
            tracker: of Rasa; what is read are `latest_message` and `slots`.
        Returns:
            `events` and `responses`, as Rasa takes them.
        Raises:
            Unauthenticated: the turn token is missing, forged, too old or used up; Rasa then answers nothing.
        """
        message = tracker.get("latest_message") or {}
        metadata = message.get("metadata") or {}
        claims = turns.verify(metadata.get("turn_token") or "", rooms.settings.signing_key)
        ids = {"conversation": claims.conversation_id, "turn": claims.turn_id}
        with (
            structlog.contextvars.bound_contextvars(**ids),
            tracing.stage("action", parent=metadata.get(tracing.HEADER), action=self._name, **ids),
        ):
            turn = Turn(
                rooms=rooms,
                claims=claims,
                now=now(),
                failures=await turns.owed(rooms.database, claims),
                text=message.get("text") or "",
                intent=(message.get("intent") or {}).get("name") or "",
                slots=tracker.get("slots") or {},
                understood=message,
                wish=bool(message.get("wish")),
            )
            async with turn:
                bodies = await self._answer(turn)
        return {
            "events": [*dialogue.remember(bodies), *turn.events, dialogue.keep_subject(turn)],
            "responses": [{"custom": body.model_dump(mode="json")} for body in bodies],
        }

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
            await wait_for_disk(await turn.session())  # others act on it at once
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


def _without_offer(bodies: list[Body]) -> list[Body]:
    """A person is coming: offering one would be odd."""
    return [body for body in bodies if not _offers(body)]


def _offers(body: Body) -> TypeGuard[Choices]:
    return isinstance(body, Choices) and body.choices[0].id == dialogue.HUMAN


class Server:
    """What the addresses of the action server do."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._settings, self._url = settings, url
        self._rooms: Rooms | None = None
        self._handlers = {name: Handler(name, act) for name, act in ACTIONS.items()}
        self._forms = ActionExecutor()
        self._forms.register_action(forms.ValidateCallbackForm())
        self._forms.register_action(forms.AskEmail())

    @asynccontextmanager
    async def open(self, _: object) -> AsyncIterator[None]:
        """The rooms, while the server runs."""
        self._rooms = rooms = make(self._settings, self._url)
        watching = [asyncio.create_task(each.watch()) for each in (rooms.database, rooms.accounts)]
        keep_loaded()
        try:
            yield
        finally:
            self._rooms = None
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await rooms.knowledge_base.close()
            await rooms.database.close()
            await rooms.accounts.close()
            tracing.close()

    async def call(self, body: bytes) -> tuple[int, Json | None]:
        """An action call of Rasa: status and answer. What failed is told without what rasa-sdk sends back with it, the whole request."""
        try:
            call = orjson.loads(body)
            name = call.get("next_action")
        except (ValueError, AttributeError):
            return 400, {"error": "Invalid body request"}
        try:
            return 200, await self._run(name, call)
        except ActionExecutionRejection as refused:
            return 400, {"error": refused.message, "action_name": refused.action_name}
        except ActionNotFoundException as unknown:
            logger.error("no_such_action", action=unknown.action_name)
            return 404, {"error": unknown.message, "action_name": unknown.action_name}
        except Exception:  # the boundary: whatever it was, Rasa must hear that it failed
            logger.exception("action_failed", action=name)
            return 500, {"error": "the action failed"}

    async def _run(self, name: Any, call: Json) -> Json | None:
        handler = self._handlers.get(name)
        if handler is not None:
            if self._rooms is None:
                raise Unavailable("the action server is starting or ending")
            return await handler.run(self._rooms, call["tracker"])
        done = await self._forms.run(call)
        return None if done is None else done.model_dump()

    async def health(self, _: Request) -> Response:
        """The server runs."""
        return JSONResponse({"status": "ok"})

    async def actions(self, _: Request) -> Response:
        """Every action there is."""
        return JSONResponse([{"name": name} for name in (*self._handlers, *self._forms.actions)])

    async def readyz(self, _: Request) -> Response:
        """Turns can be answered, as the rooms are open and the database answers: 200, or 503."""
        ready = self._rooms is not None and await self._rooms.database.answers()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        """Prometheus metrics of this process, on loopback as all of it."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class Webhook:
    """Takes action calls before the framework's machinery, which is as long as a statement; hands on the rest."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"] != "/webhook" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await asgi.body_of(receive)
        if (b"content-encoding", b"deflate") in scope["headers"]:
            body = zlib.decompress(body)
        status, answer = await self._server.call(body)
        await asgi.answer(send, status, orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS))


def create(settings: Settings, url: str) -> ASGIApp:
    """The action server's application.

    Args:
        url: of the database.
    """
    server = Server(settings, url)
    routes = [
        Route(f"/{each.__name__}", each) for each in (server.health, server.actions, server.readyz, server.metrics)
    ]
    return Webhook(Starlette(routes=routes, lifespan=server.open), server)
