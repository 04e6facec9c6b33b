"""Forgetting a person or an account, for good; and handing out all that is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
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


async def leave_conversations(session: AsyncSession, conversation_ids: Sequence[str]) -> None:
    """Lets go of conversations that are removed: no greeting and no survey leads to them any more, and what a visitor wrote goes with them."""
    await repository.leave_conversations(session, conversation_ids)


INTERNAL = ("health_scores", "account_notes", "greetings")
"""Tables of which the customer was never told."""


async def export_account(
    session: AsyncSession, account_id: str, conversation_ids: Sequence[str]
) -> dict[str, list[Any]]:
    """Every row that is kept of an account, of its people and of these conversations, by table."""
    people = [person.id for person in await repository.people_of(session, account_id)]
    return await repository.rows_of(session, accounts=[account_id], people=people, conversations=conversation_ids)


async def export_person(session: AsyncSession, person_id: str, conversation_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Every row that is kept of a person and of these conversations, by table, and the notes of their account that name them."""
    rows = await repository.rows_of(session, people=[person_id], conversations=conversation_ids)
    return {**rows, "account_notes": await _naming(session, person_id)}


async def mentions(session: AsyncSession, person_id: str) -> list[int]:
    """Notes of CSMs about the account of a person that name that person. They are the CSMs' own text: a person must correct them."""
    return [note["id"] for note in await _naming(session, person_id)]


async def _naming(session: AsyncSession, person_id: str) -> list[Any]:
    person = await repository.person(session, person_id)
    if person is None or person.account_id is None:
        return []
    names = [person_id, *filter(None, (person.email, person.name))]
    return list(await repository.notes_with(session, person.account_id, names))


async def addresses(session: AsyncSession, account_id: str) -> list[str]:
    """E-mail addresses of an account's people."""
    return [person.email for person in await repository.people_of(session, account_id) if person.email]
