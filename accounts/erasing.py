"""Forgetting a person or an account, for good; and handing out all that is kept of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from kit.errors import NotFound
from kit.ids import new_id


async def erase_person(session: AsyncSession, person_id: str) -> None:
    """Erases a person. The account's figures stay as they were: their days are kept under a name that leads nowhere.

    Raises:
        NotFound: there is no such person.
    """
    if await repository.person(session, person_id) is None:
        raise NotFound(f"there is no person {person_id}", "check the id")
    await repository.erase_person(session, person_id, new_id("erased"))


async def erase_account(session: AsyncSession, account_id: str) -> None:
    """Erases an account with its people and all that is theirs.

    Raises:
        NotFound: there is no such account.
    """
    for person in await repository.people_of(session, account_id):
        await repository.erase_person(session, person.id, new_id("erased"))
    if not await repository.delete_accounts(session, [account_id]):
        raise NotFound(f"there is no account {account_id}", "check the id")


async def forget_events(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes single events of use that came in before a moment; the figures of their days stay. Returns how many."""
    return await repository.delete_events(session, before, limit)


INTERNAL = ("health_scores", "account_notes", "greetings")
"""Tables of which the customer was never told."""


async def export(
    session: AsyncSession, *, account_id: str | None = None, person_id: str | None = None
) -> dict[str, list[Any]]:
    """Every row that is kept of an account or of a person, by table."""
    column, id_ = ("account_id", account_id) if account_id is not None else ("person_id", person_id)
    return dict(await repository.rows_of(session, column, id_ or ""))


async def mentions(session: AsyncSession, account_id: str, words: list[str]) -> list[int]:
    """Notes of CSMs about an account that hold one of these words. They are the CSMs' own text: a person must correct them."""
    return await repository.notes_with(session, account_id, words)


async def addresses(session: AsyncSession, account_id: str) -> list[str]:
    """E-mail addresses of an account's people."""
    return [person.email for person in await repository.people_of(session, account_id) if person.email]
