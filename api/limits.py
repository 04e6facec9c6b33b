"""How much one conversation, one person and one address may ask for.

Each has an allowance that fills evenly over a minute and may be used at once (the generic cell rate algorithm, ITU-T I.371, with
a tolerance of a minute less one cell). It is kept in the database, one row and one conditional write each, so that all replicas
count together.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from api.models import Allowance
from api.services import Services
from api.texts import TEXTS
from conversations.models import Conversation
from kit.clock import now
from kit.errors import TooMany
from kit.settings import Settings

WINDOW = timedelta(minutes=1)


def address(connection: HTTPConnection) -> str | None:
    """Who calls, as far as a limit cares: an IPv4 address, or the /64 an IPv6 customer owns.

    Returns:
        None for this machine itself: a proxy here that does not say whom it speaks for would have all its customers
        share one allowance.
    """
    try:
        host = ipaddress.ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return None
    if host.is_loopback:
        return None
    return str(host) if host.version == 4 else str(ipaddress.ip_network((host, 64), strict=False))


async def message(session: AsyncSession, services: Services, conversation: Conversation, caller: str | None) -> None:
    """Uses one message of every allowance it counts against.

    Args:
        caller: `address` of whoever sent it.
    Raises:
        TooMany: one of them is used up; says in the conversation's language when to try again.
    """
    settings = services.settings
    await _use(session, settings, f"conversation:{conversation.id}", settings.limit_conversation, conversation.lang)
    if conversation.person_id is not None:
        who = f"person:{conversation.account_id}/{conversation.person_id}"
        await _use(session, settings, who, settings.limit_person, conversation.lang)
    await request(session, services, caller, conversation.lang)


async def request(session: AsyncSession, services: Services, caller: str | None, lang: str) -> None:
    """Uses one request of an address's allowance.

    Raises:
        TooMany: it is used up.
    """
    if caller is not None:
        await _use(session, services.settings, f"address:{caller}", services.settings.limit_address, lang)


async def sweep(session: AsyncSession) -> None:
    """Forgets whoever has their whole allowance again."""
    await session.execute(delete(Allowance).where(Allowance.whole_at < now()))


async def _use(session: AsyncSession, settings: Settings, name: str, limit: int, lang: str) -> None:
    if limit == 0:
        return
    moment, cell = now(), WINDOW / limit
    # Hashed: an address is personal, and nobody needs to read it here.
    key = hmac.digest(settings.signing_key.encode(), name.encode(), "sha256").hex()
    used = insert(Allowance).values(key=key, whole_at=moment + cell)
    filled = func.greatest(Allowance.whole_at, moment) + cell
    used = used.on_conflict_do_update(
        index_elements=[Allowance.key], set_={"whole_at": filled}, where=filled <= moment + WINDOW
    )
    if (await session.execute(used.returning(Allowance.key))).first() is not None:
        return
    whole_at = (await session.execute(select(Allowance.whole_at).where(Allowance.key == key))).scalar_one()
    seconds = max(1, math.ceil((whole_at + cell - WINDOW - moment).total_seconds()))
    raise TooMany(TEXTS.say("too_fast", lang, seconds=seconds), retry_after=seconds)
