"""Runs the turns still owed: leases one, asks Rasa, appends what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import psycopg
import structlog
from circuitbreaker import CircuitBreaker, CircuitBreakerError
from pydantic import ValidationError

from api.hub import Hub
from api.texts import TEXTS
from conversations import log, repository, turns
from conversations.bodies import BODY, Body, Choice, Choices
from conversations.turns import Leased
from kit import tracing
from kit.clock import now
from kit.database import Database
from kit.errors import Unavailable
from kit.http import Answer, Http
from kit.metrics import TURN_PROBLEMS, TURN_SECONDS, TURNS
from kit.settings import Settings

logger = structlog.get_logger()
_MARGIN = timedelta(seconds=5)
"""Beyond the budget, before another runner may take a leased turn."""
_RETRY_SECONDS = 0.2
_SETTLING_SECONDS = 3.0
"""Beyond the budget, for writing down what was under way when the process was told to stop."""
_COMING_BACK = (502, 503, 504)
"""What a load balancer answers while no Rasa is there, and a Rasa without its database. Asked again within the budget, as after a refused
connection."""
_FAILURES, _REST_SECONDS = 5, 2
"""So many turns in a row without an answer, and for so many seconds nobody is kept waiting for one: the customer is told at once.
Then one turn tries. A Rasa that hangs would otherwise hold every hand for the whole budget, turn after turn."""
_BACKLOG_RETRY_SECONDS = 5
_COUNT_SECONDS = 1.0
"""How often it is counted what is owed: an idle runner then looks for turns whose runner died."""
MAX_ATTEMPTS = 3
"""Leases of one turn before it is given up: a turn that kills its runner must not do so for ever."""


@dataclass(frozen=True)
class Reply:
    """What came back for a turn.

    Attributes:
        took: seconds of each stage within Rasa.
        spans: what it did when, where it was told of a trace.
    """

    bodies: list[Body] = field(default_factory=list)
    intent: str | None = None
    confidence: float | None = None
    lang: str | None = None
    problem: str | None = None
    took: dict[str, float] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)


class _NoAnswer(Exception):
    """Rasa did not answer the turn.

    Args:
        reply: with what went wrong.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.problem)
        self.reply = reply


class TurnRunner:
    """Answers owed turns, several at a time.

    A turn comes here in one of two ways: whoever accepts a message leases its turn in the same transaction and hands
    it over with `answer`; what is left, because all hands were full or a runner died, is leased one after the other.

    Args:
        database: where turns are.
        settings: budget, number of workers, signing key.
        rasa: to talk with it.
        hub: says when a turn may be owed that nobody has leased, and is told of what was answered.
    """

    def __init__(self, database: Database, settings: Settings, rasa: Http, hub: Hub) -> None:
        self._database = database
        self._settings = settings
        self._rasa = rasa
        self._hub = hub
        self._lease = timedelta(seconds=settings.turn_budget_seconds) + _MARGIN
        self._working: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()
        self._full = False
        breaker = CircuitBreaker(_FAILURES, _REST_SECONDS, _NoAnswer, "rasa")
        self._guarded: Callable[[Leased], Awaitable[Reply]] = breaker(self._ask)

    def admit(self) -> None:
        """Makes sure that another message can be answered in reasonable time.

        Raises:
            Unavailable: more is owed than `turn_backlog`. Nothing was taken; to be tried again in some seconds.
        """
        if self._full:
            raise Unavailable("too many are writing at this moment", "try again", retry_after=_BACKLOG_RETRY_SECONDS)

    @property
    def lease(self) -> timedelta | None:
        """How long one who accepts a message may lease its turn for this runner; None where all hands are full."""
        return self._lease if len(self._working) < self._settings.turn_workers else None

    def answer(self, turn: Leased) -> None:
        """Answers a leased turn, beside whatever else is being done."""
        task = asyncio.create_task(self._answer(turn))
        self._working.add(task)
        task.add_done_callback(self._done)

    async def run(self) -> None:
        """Leases and answers what is owed until cancelled, then finishes what is under way."""
        stopped = asyncio.Event()
        counting = asyncio.create_task(self._count(stopped))
        try:
            while True:
                while self.lease is None:
                    self._finished.clear()
                    await self._finished.wait()
                self._hub.owed.clear()
                turn = await self._next()
                if turn is not None:
                    self.answer(turn)
                else:
                    await self._hub.owed.wait()
        finally:
            stopped.set()
            under_way = {counting, *self._working}
            await asyncio.wait(under_way, timeout=self._settings.turn_budget_seconds + _SETTLING_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._finished.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("turn_crashed", exc_info=task.exception())

    async def _count(self, stopped: asyncio.Event) -> None:
        """Knows whether something is owed, and whether too much. While the database is away nothing can be taken anyway."""
        most = self._settings.turn_backlog
        while not stopped.is_set():
            with contextlib.suppress(psycopg.Error):
                owed = await repository.owed_turns(self._database, most)
                if owed:
                    self._hub.owed.set()
                full = owed >= most
                if full != self._full:
                    logger.warning("backlog_full" if full else "backlog_over", owed_at_most=most)
                self._full = full
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _COUNT_SECONDS)

    async def _next(self) -> Leased | None:
        try:
            return await turns.lease(self._database, now(), self._lease)
        except psycopg.Error as error:
            logger.warning("database_away", reason=type(error).__name__)
            return None

    async def _answer(self, turn: Leased) -> None:
        ids = {"conversation": turn.conversation_id, "turn": turn.id}
        with structlog.contextvars.bound_contextvars(**ids), tracing.span("turn", since=turn.created_at, **ids):
            await self._answered(turn)

    async def _answered(self, turn: Leased) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._lease.total_seconds()
        TURN_SECONDS.labels("wait").observe(max(0.0, (now() - turn.created_at).total_seconds()))
        with tracing.stage("rasa"):
            reply = await self._reply(turn) if turn.attempts <= MAX_ATTEMPTS else Reply(problem="attempts")
            for stage, seconds in reply.took.items():
                TURN_SECONDS.labels(stage).observe(seconds)
            tracing.report("rasa", reply.spans)
        while True:
            try:
                with tracing.stage("settle"):
                    return await self._settle(turn, reply)
            except psycopg.Error as error:
                if clock() > until:  # another runner has it by now
                    raise
                logger.warning("database_away", reason=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _reply(self, turn: Leased) -> Reply:
        """Rasa's answer, or what went wrong; at once where Rasa has not answered for a while."""
        try:
            return await self._guarded(turn)
        except _NoAnswer as nothing:
            return nothing.reply
        except CircuitBreakerError:
            return Reply(problem="resting")

    async def _ask(self, turn: Leased) -> Reply:
        """Rasa's answer within the budget. A refused connection is tried again: the process may be coming back.

        Raises:
            _NoAnswer: none came, or none that can be used.
        """
        clock = asyncio.get_running_loop().time
        deadline, asked = clock() + self._settings.turn_budget_seconds, 0
        body = orjson.dumps({"conversation": turn.conversation_id, "text": turn.text, "choice": turn.choice})
        while (left := deadline - clock()) > 0:
            token = turns.sign(turn, self._settings.signing_key, now(), asked)
            headers = tracing.headers() | {"Authorization": f"Bearer {token}"}
            try:
                answer = await self._rasa.request("POST", "/webhooks/kotae/turn", body, seconds=left, headers=headers)
                if answer.status not in _COMING_BACK:
                    return _read(answer)
            except TimeoutError:
                raise _NoAnswer(Reply(problem="slow")) from None
            except OSError:
                pass
            asked += 1
            await asyncio.sleep(_RETRY_SECONDS)
        raise _NoAnswer(Reply(problem="silent"))

    async def _settle(self, turn: Leased, reply: Reply) -> None:
        outcome = "answered" if reply.problem is None else "failed"
        bodies = reply.bodies if reply.problem is None else failed(turn.lang)
        settled = await log.settle(
            self._database,
            turn.id,
            bodies,
            outcome,
            now(),
            intent=reply.intent,
            intent_confidence=reply.confidence,
            lang=reply.lang,
        )
        if settled is not None:
            self._hub.tell(settled.event, settled.said)
        seconds = (now() - turn.created_at).total_seconds()
        TURNS.labels(outcome if settled else "late").inc()
        TURN_SECONDS.labels("whole").observe(max(0.0, seconds))
        if reply.problem is not None:
            TURN_PROBLEMS.labels(reply.problem).inc()
        line = logger.info if reply.problem is None else logger.warning
        line(
            "turn",
            outcome=outcome,
            problem=reply.problem,
            intent=reply.intent,
            confidence=reply.confidence,
            ms=round(seconds * 1000),
        )


def _read(answer: Answer) -> Reply:
    """Rasa's answer, distrusted: anything but well-formed bodies is a failure. An action that failed fails this turn alone.

    Raises:
        _NoAnswer: it cannot be read.
    """
    if answer.status != 200:
        raise _NoAnswer(Reply(problem=f"status {answer.status}"))
    try:
        data: dict[str, Any] = answer.json()
        bodies = [BODY.validate_python(message) for message in data["messages"]]
        intent = data.get("intent") or {}
        name, confidence = intent.get("name"), intent.get("confidence")
        lang = data.get("lang") if data.get("lang") in ("en", "ja") else None
        took = {stage: float(data.get("took", {}).get(stage, 0)) for stage in ("understand", "act")}
        spans = list(data.get("spans") or [])
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        raise _NoAnswer(Reply(problem="garbage")) from None
    if not bodies or data.get("failed"):
        return Reply([], name, confidence, lang, "empty", took, spans)
    return Reply(bodies, name, confidence, lang, None, took, spans)


def failed(lang: str) -> list[Body]:
    """What the customer reads when the bot could not answer: the plain truth, and a person."""
    human = Choice(id="human", label=TEXTS.say("talk_to_person", lang))
    return [Choices(text=TEXTS.say("failed", lang), choices=[human])]
