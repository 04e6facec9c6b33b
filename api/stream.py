"""The socket: what is in the log reaches every open window, in order, once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from api import access
from api.chat import accept, csm_name, take
from api.errors import AWAY_TEXT, RETRY_AFTER, reason
from api.hub import Event
from api.schemas import FRAME, Frame, MessageFrame, PingFrame
from api.services import Services
from conversations import log, repository
from conversations.models import Conversation
from kit.clock import now
from kit.database import AWAY
from kit.errors import Forbidden, KotaeError, NotFound, TooMany, Unauthenticated
from kit.metrics import WINDOWS

router = APIRouter(tags=["chat"])
logger = structlog.get_logger()
NOT_YOURS = 4404
NO_LONGER_VALID = 4401
NOT_WELCOME = 4403
_CLOSES = {NotFound: NOT_YOURS, Unauthenticated: NO_LONGER_VALID, Forbidden: NOT_WELCOME}
TRY_LATER = 1013
MAX_FRAME = 64 * 1024


@router.websocket("/v1/conversations/{conversation_id}/stream")
async def stream(socket: WebSocket, conversation_id: str, after: int = 0) -> None:
    """Delivers the log after `after` and whatever follows; takes messages, typing, read marks and feedback."""
    services: Services = socket.app.state.services
    subprotocol = access.SUBPROTOCOL if "sec-websocket-protocol" in socket.headers else None
    try:
        services.limits.check("refusals", socket)
        access.check_origin(socket, services.settings)
        async with services.database.begin() as session:
            opened = await access.opened(socket, services, session, conversation_id)
    except TooMany:
        await socket.close(TRY_LATER, "too many refusals")  # before it is accepted: the client gets 403
        return
    except (NotFound, Unauthenticated, Forbidden) as refused:
        with contextlib.suppress(TooMany):
            services.limits.take("refusals", socket)
        await socket.accept(subprotocol)
        await socket.close(_CLOSES[type(refused)], refused.message)
        return
    except AWAY as error:
        logger.warning("database_away", conversation=conversation_id, reason=reason(error))
        await socket.close(TRY_LATER, AWAY_TEXT)
        return
    window = Window(socket, services, opened.conversation, max(after, 0))
    try:
        with services.limits.window(socket, conversation_id), services.hub.conversation(conversation_id) as events:
            await socket.accept(subprotocol)
            await window.run(events, opened.until)
    except TooMany as refused:
        await socket.close(TRY_LATER, refused.message)


class Window:
    """One open window on a conversation.

    Args:
        after: the last `seq` it has already.
    """

    def __init__(self, socket: WebSocket, services: Services, conversation: Conversation, after: int) -> None:
        self._socket = socket
        self._services = services
        self._conversation = conversation
        self._id = conversation.id
        self._sent = after
        self._writing = asyncio.Lock()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, events: asyncio.Queue[Event], until: datetime | None) -> None:
        """Until the window closes or its proof ends: when that is over, or sooner where it is taken back."""
        with structlog.contextvars.bound_contextvars(conversation=self._id), WINDOWS.track_inprogress():
            await self._run(events, until)

    async def _run(self, events: asyncio.Queue[Event], until: datetime | None) -> None:
        tasks = [asyncio.create_task(self._write(events)), asyncio.create_task(self._read())]
        self._holds(until)
        done, pending = await asyncio.wait([*tasks, self._over], return_when=asyncio.FIRST_COMPLETED)
        over = self._over in done
        self._holds(None)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, WebSocketDisconnect | RuntimeError):
                logger.error("window_failed", exc_info=error)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await (
                self._socket.close(NO_LONGER_VALID, "the token is no longer valid") if over else self._socket.close()
            )

    def _holds(self, until: datetime | None) -> None:
        """Until when the proof holds, None: there is no end to it."""
        if self._timer is not None:
            self._timer.cancel()
        left = None if until is None else max(0.0, (until - now()).total_seconds())
        self._timer = None if left is None else asyncio.get_running_loop().call_later(left, self._end)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def _prove(self) -> None:
        """Whether what the window was opened with still opens the conversation: it may have been taken back, or have got an end."""
        try:
            async with self._services.database.begin() as session:
                self._holds((await access.opened(self._socket, self._services, session, self._id)).until)
        except (NotFound, Unauthenticated):
            self._end()

    async def _write(self, events: asyncio.Queue[Event]) -> None:
        await self._patiently(self._catch_up)
        while True:
            event = await events.get()
            if "read" in event:
                if event["by"] == "csm":
                    await self._send({"type": "read", "seq": event["read"]})
            elif "typing" in event:
                if event["typing"] != "customer":
                    await self._send({"type": "typing", "who": event["typing"], "name": event.get("name")})
            else:
                await self._patiently(functools.partial(self._follow, event))

    async def _patiently(self, read: Callable[[], Awaitable[None]]) -> None:
        """Reads what is new, later where the database is away: all windows coming back at once would not help it."""
        while True:
            try:
                return await read()
            except AWAY as error:
                logger.warning("database_away", conversation=self._id, reason=reason(error))
                await asyncio.sleep(RETRY_AFTER * random.uniform(0.5, 1.5))  # noqa: S311  # no secret

    async def _follow(self, event: Event) -> None:
        """Something is new in the log: send it; say who holds the conversation now, and that the bot is at it."""
        if "proof" in event or "resync" in event:
            await self._prove()
        for message in event.get("said", ()):
            if message["seq"] == self._sent + 1:
                await self._deliver(message)
        if event.get("seq", self._sent + 1) > self._sent:
            await self._catch_up()
        if "holder" in event or "resync" in event:
            await self._tell_holder()
        elif event.get("owed") and event.get("by") == "customer":
            await self._send({"type": "typing", "who": "bot", "name": None})

    async def _catch_up(self) -> None:
        while True:
            messages = await log.history(self._services.database, self._id, self._sent)
            for message in messages:
                await self._deliver(message.model_dump(mode="json"))
            if len(messages) < repository.PAGE:
                return

    async def _deliver(self, message: log.Said) -> None:
        await self._send({"type": "message", **message})
        self._sent = message["seq"]

    async def _tell_holder(self) -> None:
        async with self._services.database.read() as session:
            found = await log.existing(session, self._id)
        await self._send({"type": "holder", "holder": found.holder, "csm": await csm_name(self._services, found)})

    async def _read(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except KeyError:  # bytes
                await self._error("invalid", "a frame is text")
                continue
            if len(text) > MAX_FRAME:
                await self._error("too_large", "a frame may have 64 KiB")
                continue
            try:
                frame = FRAME.validate_json(text)
            except ValidationError as error:
                await self._error("invalid", error.errors()[0]["msg"].lower(), _client_id(text))
                continue
            try:
                await self._take(frame)
            except KotaeError as error:
                after = getattr(error, "retry_after", None)
                await self._error(error.code, str(error), getattr(frame, "client_id", None), after)
            except AWAY as error:  # the window stays: its client sends again
                logger.warning("database_away", conversation=self._id, reason=reason(error))
                await self._error("unavailable", AWAY_TEXT, getattr(frame, "client_id", None), RETRY_AFTER)

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, PingFrame):
            self._services.limits.sign(self._socket, self._id)
            async with self._services.database.read() as session:
                last = (await log.existing(session, self._id)).last_seq
            await self._send({"type": "pong", "seq": last})
        elif isinstance(frame, MessageFrame):
            accepted = await accept(self._services, self._conversation, frame, self._socket)
            await self._send({"type": "ack", "client_id": frame.client_id, "seq": accepted.seq})
        else:
            self._services.limits.sign(self._socket, self._id)
            async with self._services.database.begin() as session:
                changed = await take(session, self._id, frame)
            self._services.rescoring.changed(changed)

    async def _error(
        self, code: str, message: str, client_id: str | None = None, retry_after: int | None = None
    ) -> None:
        frame = {"type": "error", "code": code, "message": message, "client_id": client_id}
        await self._send(frame if retry_after is None else {**frame, "retry_after": retry_after})

    async def _send(self, frame: dict[str, Any]) -> None:
        async with self._writing:
            await self._socket.send_text(orjson.dumps(frame).decode())


def _client_id(text: str) -> str | None:
    """The message an unusable frame was about, so that its sender need not wait for it."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        return str(orjson.loads(text)["client_id"])
    return None
