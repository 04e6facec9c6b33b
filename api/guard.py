"""What every request passes first: how large and slow it may be, how often it may be refused, and what its answer carries."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import Limits
from api.origins import host, split
from kit.errors import TooMany
from kit.metrics import REFUSED
from kit.settings import Settings

MAX_BODY = 5 * 1024 * 1024
"""Bytes of one request: ten times what Segment's clients send at once."""
MAX_CHAT_BODY = 64 * 1024
"""Bytes of one request of the chat, where a message has 4,000 characters and an identity token 8,000."""
BODY_SECONDS = 30.0
"""How long a whole body may take to arrive."""
_CHAT = "/v1/conversations"
_CONSOLE = "/console"
_CODES = {403: "forbidden", 413: "too_large", 429: "too_many"}
_REFUSED = (401, 403, 404)
_FILES = ("/console/static/", "/console/_nicegui/")
"""Of the console, what is the same for everybody."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class Guard:
    """The outermost layer of the front door.

    Args:
        app: what is guarded.
        settings: whether this is production.
        limits: counts requests that prove nothing.
    """

    def __init__(self, app: ASGIApp, settings: Settings, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._production = settings.mode == "production"
        self._site = settings.site_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, bounded, or refuses it."""
        if scope["type"] == "websocket":
            if not self._may_open(HTTPConnection(scope)):
                REFUSED.labels("origin").inc()
                await send({"type": "websocket.close", "code": 1008, "reason": "not from this website"})
                return
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        counted = scope["path"].startswith("/v1/")
        allowed = MAX_CHAT_BODY if scope["path"].startswith(_CHAT) else MAX_BODY

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(scope, message)
                _stay(connection, message)
                if counted and message["status"] in _REFUSED:
                    self._count(connection)
            await send(message)

        try:
            if counted:
                self._limits.check("refusals", connection)
            if _length(connection) > allowed:
                raise HTTPException(413, f"the body may have {allowed} bytes")
            if scope["path"].startswith(_CONSOLE) and not self._is_own(connection, connection.headers.get("origin")):
                raise HTTPException(403, "the console is not for pages of others")
        except TooMany as error:
            REFUSED.labels("refusals").inc()
            await _refuse(429, error.message, scope, receive, answer, {"Retry-After": str(error.retry_after)})
        except HTTPException as error:
            REFUSED.labels(_CODES[error.status_code]).inc()
            await _refuse(error.status_code, error.detail, scope, receive, answer, {"Connection": "close"})
        else:
            await self._app(scope, _bounded(receive, allowed), answer)

    def _may_open(self, connection: HTTPConnection) -> bool:
        """Whether a page of this origin may open a socket of the console, with which browsers send its cookie along.

        Sockets of the chat carry no cookie, and say themselves which websites they are for (`access.check_origin`).
        """
        if not connection.scope["path"].startswith(_CONSOLE):
            return True
        origin = connection.headers.get("origin")
        return self._is_own(connection, origin)

    def _is_own(self, connection: HTTPConnection, origin: str | None) -> bool:
        """Whether a request comes from no browser, from the address line of one, or from a page of our own."""
        return origin is None or origin == self._site or host(origin) == connection.headers.get("host")

    def _count(self, connection: HTTPConnection) -> None:
        try:
            self._limits.take("refusals", connection)
        except TooMany:
            return  # this answer is a refusal already; the next request is not heard

    def _add_headers(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if scope["path"].startswith(("/v1/", _CONSOLE)) and not scope["path"].startswith(_FILES):
            # Neither a browser that somebody else uses next nor a cache on the way, whatever it makes of a path that ends in .csv.
            headers.setdefault("Cache-Control", "no-store")
        if self._production and scope.get("scheme") == "https":
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if scope["path"].startswith(_CONSOLE):
            headers.setdefault("X-Frame-Options", "DENY")
            headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'; base-uri 'self'; object-src 'none'")


def _stay(connection: HTTPConnection, message: Message) -> None:
    """A redirect to a page of our own names no host: the one that was asked for may be anybody's word, and a proxy's own name."""
    headers = MutableHeaders(scope=message)
    to = split(headers.get("location", ""))
    if to.netloc and to.netloc == connection.url.netloc:
        headers["location"] = to._replace(scheme="", netloc="").geturl() or "/"


def _length(connection: HTTPConnection) -> int:
    stated = connection.headers.get("content-length", "0")
    return int(stated) if stated.isdecimal() and len(stated) < 20 else 0


def _bounded(receive: Receive, allowed: int) -> Receive:
    """`receive`, until the body is too large or too slow.

    The time begins with the first chunk that was waited for, so that what waits behind others is not punished.
    """
    got, until, done = 0, 0.0, False

    async def bounded() -> Message:
        nonlocal got, until, done
        if done:  # only the end of the connection may still come, whenever it likes
            return await receive()
        until = until or asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body came too slowly", {"Connection": "close"}) from None
        got += len(message.get("body", b""))
        done = message["type"] != "http.request" or not message.get("more_body", False)
        if got > allowed:
            raise HTTPException(413, f"the body may have {allowed} bytes", {"Connection": "close"})
        return message

    return bounded


async def _refuse(
    status: int, message: str, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
) -> None:
    body = {"error": {"code": _CODES[status], "message": message, "hint": ""}}
    await JSONResponse(body, status, headers)(scope, receive, send)
