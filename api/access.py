"""Which conversation a caller may open: one accessor, where forbidden and missing look alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from api.identity import Customer
from api.origins import host
from api.services import Services
from conversations import log
from conversations.models import Conversation
from kit.clock import now
from kit.errors import Forbidden, Unauthenticated
from kit.settings import Settings

SUBPROTOCOL = "kotae"
"""A browser's socket cannot send headers: it names this protocol and, after it, its token."""


@dataclass(frozen=True)
class Opened:
    """A conversation somebody proved to be theirs, and until when the proof holds."""

    conversation: Conversation
    until: datetime | None


def bearer(connection: HTTPConnection) -> str | None:
    """The caller's token: from the Authorization header, or from a socket's subprotocols."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offered = [part.strip() for part in connection.headers.get("sec-websocket-protocol", "").split(",")]
    if len(offered) == 2 and offered[0] == SUBPROTOCOL:
        return offered[1]
    return None


def open_to_all(settings: Settings) -> bool:
    """Whether any website may embed the widget: only in development, where none was named."""
    return not settings.allowed_origins and settings.mode == "development"


def check_origin(connection: HTTPConnection, settings: Settings) -> None:
    """Lets pages of allowed websites in, this server's own, and callers that are no page at all.

    A browser keeps other websites from reading what REST answers, but not from opening a socket or sending.

    Raises:
        Forbidden: a page of a website that may not embed the widget.
    """
    origin = connection.headers.get("origin")
    if origin is None or open_to_all(settings) or origin in settings.allowed_origins:
        return
    if host(origin) not in (connection.headers.get("host"), host(settings.site_url)):
        raise Forbidden("this website may not use the chat", "name its origin in KOTAE_ALLOWED_ORIGINS")


async def customer(connection: HTTPConnection, services: Services) -> Customer | None:
    """The customer asking, None for a visitor.

    Raises:
        Unauthenticated: a token was given and is not valid.
    """
    token = bearer(connection)
    return None if token is None else await services.identities.verify(token, now())


async def opened(connection: HTTPConnection, services: Services, session: AsyncSession, conversation_id: str) -> Opened:
    """The conversation, for the bearer of its token or the customer it belongs to.

    Raises:
        Unauthenticated: no token.
        NotFound: no such conversation, or not this caller's.
    """
    token = bearer(connection)
    if token is None:
        raise Unauthenticated("no token", "send the conversation's token: Authorization: Bearer …")
    if token.count(".") == 2:  # a JWT: conversation tokens have no dots
        who = await services.identities.verify(token, now())
        conversation = await log.open_by_person(session, conversation_id, who.account_id, who.person_id)
        return Opened(conversation, who.expires_at)
    conversation, until = await log.open_by_token(session, conversation_id, token, now())
    return Opened(conversation, until)
