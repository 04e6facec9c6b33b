"""The only way into Rasa: one turn a request, proved by a turn token, answered as typed bodies."""

from __future__ import annotations

import gc
import inspect
import logging
import os
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Tuple

import jwt
import ujson
from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import (
    ENTITIES,
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    PREDICTED_CONFIDENCE_KEY,
    TEXT,
)
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from bot import language, logs, parts, rasa_patches, spans, tracker_store, turns_first
from kit import signed

logger = logging.getLogger(__name__)

KEY_VARIABLE = "KOTAE_SECRET_KEY"
AUDIENCE = "turn"
PARSE_AUDIENCE = "parse"
"""Of tokens that may only ask how a text is understood: none of them runs a turn, and no turn token is needed to ask."""
SWITCH_LANGUAGE = "switch_language"
CAPABILITIES = "ask_capabilities"
CHOOSE = "choose"
ASK_HUMAN = "ask_human"
HELP_QUESTION = "help_question"
OF_ACCOUNT = frozenset({"ask_plan", "ask_usage", "ask_renewal", "ask_invoice", "ask_onboarding"})
KEPT_BESIDE_A_WISH = frozenset({"cancel", "complain"})
"""Intents that a wish for a person in the same message does not replace: the escalation policy has rules of their own for them."""
WISHED = 0.75
"""Confidence from which one part of a message stands by itself: a sentence as a wish for a person, a noun of several as a question."""

rasa_patches.apply()


class BadTurn(Exception):
    """The request is not a turn. Its text is for the caller."""


class Unproved(Exception):
    """The turn token does not hold."""


class BodyOutput(OutputChannel):
    """Collects what the bot says as message bodies."""

    def __init__(self) -> None:
        self.messages: List[Dict[str, Any]] = []

    @classmethod
    def name(cls) -> str:
        """Name of the channel."""
        return "kotae"

    async def send_response(self, recipient_id: str, message: Dict[str, Any]) -> None:
        """A payload that an action sent is a body already; plain text and buttons become one."""
        if message.get("buttons"):
            choices = [{"id": button["payload"], "label": button["title"]} for button in message["buttons"]]
            self.messages.append({"type": "choices", "text": message.get("text") or "", "choices": choices})
        elif message.get("text"):
            self.messages.append({"type": "text", "text": message["text"]})
        if message.get("custom"):
            self.messages.append(message["custom"])


class KotaeChannel(InputChannel):
    """`POST /webhooks/kotae/turn`.

    Body `{"conversation": str, "text": str, "choice": str|null}`, header `Authorization: Bearer <turn token>`. Answers

    - 200 `{"messages": [body], "intent": {"name", "confidence"}, "lang": str, "failed": bool, "took": {"understand": s, "act": s}}`;
      failed is true where an action failed or nothing was said. Where a header `traceparent` came, also `spans` (see `bot.spans`)
    - 400 the request is not a turn; 401 the token does not hold or is for another conversation
    - 503 the database is away: nothing is lost, ask again
    - 500 `{"error": str}` anything else

    `POST /webhooks/kotae/parse`, body `{"text": str, "lang": str|null}`, a token of the same key for `parse`: how the text is understood,
    `{"intent": {"name", "confidence"}, "ranking": [the same], "mood": object, "lang": str}`. Nothing is answered or kept. Same errors.
    """

    def __init__(self, key: str) -> None:
        """Args:
        key: HS256 key of turn tokens.
        """
        self._key = key

    @classmethod
    def name(cls) -> str:
        """Name of the channel, and its place under `/webhooks`."""
        return "kotae"

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[str, Any]]) -> KotaeChannel:
        """Raises:
        RasaException: `KOTAE_SECRET_KEY` is not set.
        """
        key = os.environ.get(KEY_VARIABLE, "")
        if len(key) < 32:
            raise RasaException(f"{KEY_VARIABLE} must be set, 32 characters or more: it verifies turn tokens.")
        logs.install()
        return cls(key)

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The routes of the channel."""
        routes = Blueprint("kotae", inspect.getmodule(self).__name__)  # type: ignore[union-attr]  # it has a module

        async def turn(app: Any, headers: Mapping[str, str], body: bytes) -> Tuple[int, bytes]:
            return await self._guarded(self._answered(app, headers, body, on_new_message))

        turns_first.serve("/webhooks/kotae/turn", turn)

        @routes.route("/turn", methods=["POST"])
        async def turn_by_sanic(request: Request) -> HTTPResponse:
            return _response(*await turn(request.app, request.headers, request.body))

        @routes.route("/parse", methods=["POST"])
        async def parse(request: Request) -> HTTPResponse:
            return _response(*await self._guarded(self._parsed(request.app, request.headers, request.body)))

        @routes.listener("after_server_start")
        async def keep_loaded(*_: Any) -> None:
            # TensorFlow and the model are hundreds of thousands of objects: the garbage collector would walk through them
            # every so often, which takes as long as several turns.
            gc.collect()
            gc.freeze()

        @routes.route("/readyz", methods=["GET"])
        async def readyz(request: Request) -> HTTPResponse:
            agent = getattr(request.app.ctx, "agent", None)
            ready = agent is not None and agent.is_ready()
            return response.json({"ready": ready}, status=200 if ready else 503)

        return routes

    async def _answered(
        self,
        app: Any,
        headers: Mapping[str, str],
        said: bytes,
        on_new_message: Callable[[UserMessage], Awaitable[Any]],
    ) -> Dict[str, Any]:
        body = _body_of(said)
        claims = self._claims(headers, AUDIENCE)
        if claims.get("conversation") != body["conversation"]:
            raise Unproved("the turn token is for another conversation")
        return await _run(app, headers.get(spans.HEADER), body, claims, on_new_message)

    async def _parsed(self, app: Any, headers: Mapping[str, str], said: bytes) -> Dict[str, Any]:
        body = _json(said)
        if not isinstance(body, dict) or not isinstance(body.get("text"), str):
            raise BadTurn("text must be a text")
        self._claims(headers, PARSE_AUDIENCE)
        logs.turn_ids.set(None)  # a connection is used again, and its context with it
        text = harmless(body["text"])
        lang = body.get("lang") if body.get("lang") in ("en", "ja") else None
        understood = await _understand(app, text, None, {"lang": lang})
        return {
            "intent": _named(understood[INTENT]),
            "ranking": [_named(intent) for intent in understood.get(INTENT_RANKING_KEY) or []],
            "mood": understood.get("mood") or {},
            "lang": _language(text, understood, lang),
        }

    async def _guarded(self, answer: Awaitable[Dict[str, Any]]) -> Tuple[int, bytes]:
        """Status, and the answer or what went wrong as JSON."""
        try:
            return 200, _dumped(await answer)
        except BadTurn as error:
            return 400, _dumped({"error": str(error)})
        except Unproved as error:
            return 401, _dumped({"error": str(error)})
        except tracker_store.DatabaseAway as error:
            logger.warning("the database is away (%s); this turn is to be asked for again", error)
            return 503, _dumped({"error": "the database is away"})
        except Exception as error:  # the boundary: whatever it was, the caller must hear that it failed
            logger.exception("turn failed")
            return 500, _dumped({"error": type(error).__name__})

    def _claims(self, headers: Mapping[str, str], audience: str) -> Dict[str, Any]:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unproved("a turn token is needed")
        ours = signed.read(token, self._key, audience)
        if ours is not None:
            return {**ours, "token": token}
        try:
            claims = jwt.decode(
                token, self._key, algorithms=["HS256"], audience=audience, options={"require": ["exp", "aud"]}
            )
        except jwt.PyJWTError as error:
            raise Unproved(f"the turn token is not valid: {error}") from None
        return {**claims, "token": token}


def _response(status: int, said: bytes) -> HTTPResponse:
    return response.raw(said, status, content_type="application/json")


def _dumped(answer: Dict[str, Any]) -> bytes:
    return bytes(ujson.dumps(answer, escape_forward_slashes=False), "ascii")


def _json(said: bytes) -> Any:
    try:
        return ujson.loads(said)
    except ValueError:
        raise BadTurn("the body must be JSON") from None


def _body_of(said: bytes) -> Dict[str, Any]:
    body = _json(said)
    if not isinstance(body, dict):
        raise BadTurn("the body must be an object")
    if not isinstance(body.get("conversation"), str) or not body["conversation"]:
        raise BadTurn("conversation must be a text")
    if not isinstance(body.get("text"), str):
        raise BadTurn("text must be a text")
    if body.get("choice") is not None and not isinstance(body["choice"], str):
        raise BadTurn("choice must be a text or null")
    return body


async def _run(
    app: Any,
    traceparent: Optional[str],
    body: Dict[str, Any],
    claims: Dict[str, Any],
    on_new_message: Callable[[UserMessage], Awaitable[Any]],
) -> Dict[str, Any]:
    text = harmless(body["text"])
    logs.turn_ids.set({"conversation": body["conversation"], "turn": str(claims.get("turn"))})
    tracker_store.turn_order.set(claims.get("order") or [])
    clock = spans.Clock(traceparent)
    metadata = {"turn_token": claims["token"], "lang": claims.get("lang")}
    with clock.stage("understand"):
        understood = await _understand(app, text, body.get("choice"), metadata)
    lang = _language(text, understood, claims.get("lang"))
    metadata["lang"] = lang
    understood[ENTITIES] = [*understood[ENTITIES], {"entity": "lang", "value": lang, "extractor": "KotaeChannel"}]
    output = BodyOutput()
    failed: List[str] = []
    noting = rasa_patches.failed_actions.set(failed)
    try:
        with clock.stage("act") as parent:
            metadata.update(parent)
            await on_new_message(
                UserMessage(text, output, body["conversation"], understood, "kotae", claims.get("turn"), metadata)
            )
    finally:
        rasa_patches.failed_actions.reset(noting)
    if failed or not output.messages:
        logger.error("turn %s", f"failed: {', '.join(failed)}" if failed else "without a word")
    return {
        "messages": output.messages,
        "intent": _named(understood[INTENT]),
        "lang": lang,
        "failed": bool(failed) or not output.messages,
        **clock.reported(),
    }


def _named(intent: Dict[str, Any]) -> Dict[str, Any]:
    return {"name": intent.get(INTENT_NAME_KEY), "confidence": intent.get(PREDICTED_CONFIDENCE_KEY)}


def harmless(text: str) -> str:
    """The text such that Rasa never reads an intent out of it: a first "/" becomes its full-width form.

    Rasa takes `/intent{"entity": …}` for what it says, from anyone. The features of both forms are the same.
    """
    stripped = text.strip()
    return f"／{stripped[1:]}" if stripped.startswith("/") else stripped


async def _understand(app: Any, text: str, choice: Optional[str], metadata: Dict[str, Any]) -> Dict[str, Any]:
    """What Rasa makes of the text; a click needs no understanding."""
    if choice is not None:
        intent = {INTENT_NAME_KEY: CHOOSE, PREDICTED_CONFIDENCE_KEY: 1.0}
        clicked = {"entity": "choice", "value": choice, "extractor": "KotaeChannel"}
        return {TEXT: text, INTENT: intent, INTENT_RANKING_KEY: [intent], ENTITIES: [clicked]}
    agent = getattr(app.ctx, "agent", None)
    if agent is None or not agent.is_ready():
        raise RasaException("no model is loaded")

    known: Dict[str, Dict[str, Any]] = {}

    async def parse(words: str) -> Dict[str, Any]:
        if words not in known:
            known[words] = await agent.processor.parse_message(UserMessage(words, metadata=metadata))
        return known[words]

    meant = parts.corrected(text)
    if meant is not None:
        return {**await parse(meant), TEXT: meant}
    found = await parse(text)
    if found[INTENT][INTENT_NAME_KEY] == SWITCH_LANGUAGE and language.asked_for(text) is None:
        return {**found, INTENT: {**found[INTENT], INTENT_NAME_KEY: CAPABILITIES}}  # which says what is spoken here
    wish = await _wish(parse, text) if found[INTENT][INTENT_NAME_KEY] != ASK_HUMAN else None
    if wish is not None:
        kept = found[INTENT][INTENT_NAME_KEY] in KEPT_BESIDE_A_WISH
        return {**found, "wish": True, INTENT: found[INTENT] if kept else wish}
    read = [await parse(one) for one in parts.questions(text)]
    if read and all(_asks(one) for one in read):
        return {**found, INTENT: read[0][INTENT], "parts": _parts(read)}
    read = [] if read else [await parse(one) for one in parts.listed(text)]
    if _each_for_itself(read):
        return {**found, INTENT: read[0][INTENT], "parts": _parts(read), "listed": True}
    return found


def _parts(read: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    return [{TEXT: one[TEXT], INTENT: one[INTENT]} for one in read]


def _each_for_itself(read: List[Dict[str, Any]]) -> bool:
    """Whether nouns that share a request ask of different facts of the account, or each surely of the product; else they are asked
    about together ("seats and runs" is one question about usage)."""
    names = [one[INTENT][INTENT_NAME_KEY] for one in read]
    if set(names) <= {HELP_QUESTION}:
        return bool(read) and all(one[INTENT][PREDICTED_CONFIDENCE_KEY] >= WISHED for one in read)
    return len(set(names)) > 1 and set(names) <= OF_ACCOUNT


async def _wish(parse: Callable[[str], Awaitable[Dict[str, Any]]], text: str) -> Optional[Dict[str, Any]]:
    """The intent of that sentence of several which asks for a person ("My sync is broken. I want to talk to someone"), or None."""
    for one in parts.sentences(text):
        heard = (await parse(one))[INTENT]
        if heard[INTENT_NAME_KEY] == ASK_HUMAN and heard[PREDICTED_CONFIDENCE_KEY] >= WISHED:
            return heard
    return None


def _asks(understood: Dict[str, Any]) -> bool:
    name = understood[INTENT][INTENT_NAME_KEY]
    return bool(name == HELP_QUESTION or name.startswith("ask_")) and name not in ("ask_human", "ask_capabilities")


def _language(text: str, understood: Dict[str, Any], kept: Optional[str]) -> str:
    """The language asked for, else the one written in, else the one of the conversation so far."""
    wished = language.asked_for(text) if understood[INTENT][INTENT_NAME_KEY] == SWITCH_LANGUAGE else None
    return wished or language.written_in(text) or kept or "en"
