"""CSMs and how they sign in with a password."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from escalations import repository, sessions
from escalations.models import Csm
from kit.database import Database
from kit.errors import Conflict, Forbidden, NotFound, Unauthenticated, UserError
from kit.ids import new_id

ROLES = ("csm", "lead", "admin")
MIN_PASSWORD = 10
MAX_CAPACITY = 100
MAX_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
_HASHER = PasswordHasher()
_NO_PASSWORD = _HASHER.hash("nobody has this password")
"""Verified against where there is no such CSM, so that the answer takes as long."""


class CsmEntry(BaseModel):
    """One CSM of `csms.yml`."""

    model_config = ConfigDict(extra="ignore")

    email: str
    name: str
    role: str = "csm"
    languages: list[str] = Field(default_factory=lambda: ["en"])
    skills: list[str] = Field(default_factory=list)
    capacity: int = 5


class CsmFile(BaseModel):
    """`csms.yml` of a company's folder."""

    csms: list[CsmEntry] = Field(default_factory=list)


async def add(session: AsyncSession, entry: CsmEntry, password: str | None, now: datetime) -> Csm:
    """Adds a CSM.

    Args:
        password: None where only the company's OpenID provider signs them in.
    Raises:
        UserError: no address, role or password that can be used.
        Conflict: there is one with that address.
    """
    email = entry.email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise UserError(f"{entry.email!r} is not an e-mail address", "write name@example.com")
    if entry.role not in ROLES:
        raise UserError(f"no role is called {entry.role!r}", f"there are {', '.join(ROLES)}")
    hashed = _hashed(password) if password is not None else None
    if await repository.csm_by_email(session, email) is not None:
        raise Conflict(f"{email} is a CSM already", "choose another address")
    made = Csm(
        id=new_id("csm"),
        email=email,
        name=entry.name.strip() or email,
        role=entry.role,
        languages=entry.languages,
        skills=entry.skills,
        capacity=entry.capacity,
        password_hash=hashed,
        failures=0,
        active=True,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    return made


def require(csm: Csm, role: str) -> None:
    """Makes sure that a CSM has a role, or one above it.

    Raises:
        Forbidden: they have not.
    """
    if ROLES.index(csm.role) < ROLES.index(role):
        raise Forbidden(f"this takes the role {role}", "ask an admin")


async def change(
    session: AsyncSession,
    admin: Csm,
    csm_id: str,
    *,
    role: str | None = None,
    capacity: int | None = None,
    active: bool | None = None,
    password: str | None = None,
    languages: Sequence[str] | None = None,
    skills: Sequence[str] | None = None,
) -> Csm:
    """Changes a CSM; what is not given stays. A CSM with a new password, another role or none any more is signed out everywhere.

    Raises:
        Forbidden: only an admin may.
        UserError: no role, capacity or password that can be used.
        Conflict: nobody would be left who is an admin.
    """
    require(admin, "admin")
    found = await repository.csm(session, csm_id)
    if found is None:
        raise NotFound("no such CSM")
    if role is not None and role not in ROLES:
        raise UserError(f"no role is called {role!r}", f"there are {', '.join(ROLES)}")
    if capacity is not None and not 0 <= capacity <= MAX_CAPACITY:
        raise UserError(f"capacity {capacity} cannot be", f"choose 0 to {MAX_CAPACITY}")
    if password is not None:
        found.password_hash = _hashed(password)
        found.failures, found.locked_until = 0, None
    if password is not None or active is False or role not in (None, found.role):
        await sessions.end_all(session, found.id)
    found.role = role or found.role
    found.capacity = found.capacity if capacity is None else capacity
    found.active = found.active if active is None else active
    found.languages = found.languages if not languages else list(languages)
    found.skills = found.skills if skills is None else list(skills)
    await session.flush()
    if not any(each.active and each.role == "admin" for each in await repository.csms(session)):
        raise Conflict("nobody would be left who is an admin", "make somebody else an admin first")
    return found


async def seen(at: Database | AsyncSession, csm_id: str, now: datetime) -> None:
    """A CSM's console gave a sign."""
    await repository.seen(at, csm_id, now)


async def set_away(session: AsyncSession, csm: Csm, away: bool) -> None:
    """A CSM is offered no new conversations for a while, or is again."""
    found = await one(session, csm.id)
    found.away = away
    await session.flush()


async def sign_in(session: AsyncSession, email: str, password: str, now: datetime) -> Csm | None:
    """The CSM whose password this is; None where it is not, counted. Commit either way.

    Raises:
        Unauthenticated: locked after too many wrong tries.
    """
    found = await repository.csm_by_email(session, email)
    if found is not None and found.locked_until is not None and found.locked_until > now:
        raise Unauthenticated("too many wrong passwords", "wait a quarter of an hour, or ask an admin")
    right = _matches(found.password_hash if found is not None else None, password)
    if found is None or not found.active:
        return None
    if right:
        found.failures, found.locked_until = 0, None
        return found
    found.failures += 1
    if found.failures >= MAX_FAILURES:
        found.failures, found.locked_until = 0, now + LOCKED_FOR
    return None


async def one(session: AsyncSession, csm_id: str) -> Csm:
    """A CSM by id.

    Raises:
        NotFound: none, or no longer active.
    """
    found = await repository.csm(session, csm_id)
    if found is None or not found.active:
        raise NotFound("no such CSM")
    return found


async def by_email(session: AsyncSession, email: str) -> Csm:
    """A CSM by address.

    Raises:
        NotFound: none, or no longer active.
    """
    found = await repository.csm_by_email(session, email)
    if found is None or not found.active:
        raise NotFound(f"{email} is not a CSM", "see `kotae csm add`")
    return found


async def everyone(session: AsyncSession) -> Sequence[Csm]:
    """All CSMs by name."""
    return await repository.csms(session)


def _hashed(password: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise UserError("the password is too short", f"use {MIN_PASSWORD} characters or more")
    return _HASHER.hash(password)


def _matches(hashed: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(hashed or _NO_PASSWORD, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
