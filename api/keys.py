"""API keys of the company's backend: stored hashed, with scopes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.models import ApiKey
from kit.database import Database, rows
from kit.errors import Conflict, NotFound, Unauthenticated, UserError
from kit.ids import hash_token, new_token
from kit.statements import Statement

SCOPES = ("accounts", "events", "export", "erase")
PREFIX = "ktk_"
"""Keys begin so: whoever finds one in a log knows what it is."""
_FIND = Statement("SELECT name, scopes FROM api_keys WHERE hash = :hash")


async def add(session: AsyncSession, name: str, scopes: Sequence[str], now: datetime) -> str:
    """Makes a key.

    Returns:
        the key: it is shown once and stored as its hash.
    Raises:
        UserError: no name, or a scope that there is not.
        Conflict: there is a key of that name.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UserError(
            f"no scope is called {unknown[0]!r}" if unknown else "no scope given", f"there are {', '.join(SCOPES)}"
        )
    if not name.strip():
        raise UserError("the key has no name", "say what it is for")
    if (await session.execute(select(ApiKey).where(ApiKey.name == name))).scalar_one_or_none() is not None:
        raise Conflict(f"there is a key called {name!r}", "choose another name, or remove it first")
    key = PREFIX + new_token()
    session.add(ApiKey(hash=hash_token(key), name=name, scopes=list(scopes), created_at=now))
    await session.flush()
    return key


async def remove(session: AsyncSession, name: str) -> None:
    """Takes a key away; it opens nothing from now on.

    Raises:
        NotFound: there is none of that name.
    """
    found = (await session.execute(delete(ApiKey).where(ApiKey.name == name).returning(ApiKey.name))).all()
    if not found:
        raise NotFound(f"no key is called {name!r}", "see kotae key list")


async def everything(session: AsyncSession) -> Sequence[ApiKey]:
    """All keys by name, without what they are."""
    return (await session.execute(select(ApiKey).order_by(ApiKey.name))).scalars().all()


async def check(at: Database | AsyncSession, key: str | None, scope: str) -> str:
    """The name of the key, if it may do this. It is looked up each time, so that one that was taken away opens nothing.

    Raises:
        Unauthenticated: no key, none of ours, or without the scope; the three look alike.
    """
    found = await rows(at, _FIND, {"hash": hash_token(key)}) if key else []
    if not found or scope not in found[0]["scopes"]:
        raise Unauthenticated("no API key that may do this", "see kotae key add")
    return str(found[0]["name"])
