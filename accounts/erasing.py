"""Forgetting a person or an account, for good."""

from __future__ import annotations

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
