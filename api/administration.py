"""What an admin may change, each change with its line in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import catalog, greetings
from accounts.greetings import Greetings
from api import audit, keys
from api.models import ApiKey, AuditEntry
from escalations import csms, kept, outbox, policy
from escalations.csms import CsmEntry
from escalations.models import Csm, OutboxItem
from escalations.policy import Policy
from kit.company import Company
from kit.errors import UserError
from kit.files import read_text, read_yaml

ROLE = "admin"


@dataclass(frozen=True)
class Checked:
    """A file of the company, as it is on the disk now.

    Attributes:
        own: it is the company's; else it is the product's default.
        problem: what is wrong with it, with the line; empty where nothing is.
        text: what is in it.
    """

    name: str
    own: bool
    problem: str
    text: str


async def add_csm(session: AsyncSession, admin: Csm, entry: CsmEntry, password: str | None, now: datetime) -> Csm:
    """Adds a CSM.

    Raises:
        Forbidden: only an admin may.
        UserError, Conflict: as `csms.add`.
    """
    csms.require(admin, ROLE)
    made = await csms.add(session, entry, password, now)
    await audit.record(session, "settings", admin, now, what="csm_added", csm=made.email, role=made.role)
    return made


async def change_csm(
    session: AsyncSession,
    admin: Csm,
    csm_id: str,
    now: datetime,
    *,
    role: str | None = None,
    capacity: int | None = None,
    active: bool | None = None,
    password: str | None = None,
    languages: Sequence[str] | None = None,
    skills: Sequence[str] | None = None,
) -> Csm:
    """Changes a CSM; what is not given stays.

    Raises:
        Forbidden, UserError, Conflict, NotFound: as `csms.change`.
    """
    changed = await csms.change(
        session,
        admin,
        csm_id,
        role=role,
        capacity=capacity,
        active=active,
        password=password,
        languages=languages,
        skills=skills,
    )
    said: dict[str, str | int] = {"role": role} if role else {}
    said |= {} if capacity is None else {"capacity": capacity}
    said |= {} if active is None else {"active": "yes" if active else "no"}
    said |= {"password": "new"} if password else {}
    said |= {"languages": " ".join(languages)} if languages else {}
    said |= {} if skills is None else {"skills": " ".join(skills)}
    await audit.record(session, "settings", admin, now, what="csm_changed", csm=changed.email, **said)
    return changed


async def add_key(session: AsyncSession, admin: Csm, name: str, scopes: Sequence[str], now: datetime) -> str:
    """Makes an API key, which is shown this once.

    Raises:
        Forbidden: only an admin may.
        UserError, Conflict: as `keys.add`.
    """
    csms.require(admin, ROLE)
    made = await keys.add(session, name, scopes, now)
    await audit.record(session, "settings", admin, now, what="key_added", key=name, scopes=" ".join(scopes))
    return made


async def remove_key(session: AsyncSession, admin: Csm, name: str, now: datetime) -> None:
    """Takes an API key away.

    Raises:
        Forbidden: only an admin may.
        NotFound: there is none of that name.
    """
    csms.require(admin, ROLE)
    await keys.remove(session, name)
    await audit.record(session, "settings", admin, now, what="key_removed", key=name)


async def all_keys(session: AsyncSession, admin: Csm) -> Sequence[ApiKey]:
    """The API keys, without what they are.

    Raises:
        Forbidden: only an admin may.
    """
    csms.require(admin, ROLE)
    return await keys.everything(session)


async def audit_log(session: AsyncSession, admin: Csm) -> Sequence[AuditEntry]:
    """The newest lines of the audit log.

    Raises:
        Forbidden: only an admin may.
    """
    csms.require(admin, ROLE)
    return await audit.recent(session)


async def undelivered(session: AsyncSession, admin: Csm) -> Sequence[OutboxItem]:
    """Notifications that were given up, and those that are tried again, the newest first; 200 at most.

    Raises:
        Forbidden: only an admin may.
    """
    csms.require(admin, ROLE)
    waiting = [each for each in await outbox.listing(session, "waiting", 100) if each.attempts]
    return [*await outbox.listing(session, "dead", 100), *waiting]


async def keep(
    session: AsyncSession, admin: Csm, name: str, given: BaseModel, now: datetime, what: str, **said: str | int
) -> None:
    """Changes what a file says, in the console.

    Args:
        name: `kept.HOURS` or `kept.REPLIES`.
        what, said: how the audit log puts it.

    Raises:
        Forbidden: only an admin may.
    """
    csms.require(admin, ROLE)
    await kept.put(session, name, given, admin.id, now)
    await audit.record(session, "settings", admin, now, what=what, **said)


async def take_back(session: AsyncSession, admin: Csm, name: str, now: datetime) -> None:
    """What the file says is in force again.

    Raises:
        Forbidden: only an admin may.
    """
    csms.require(admin, ROLE)
    await kept.take_back(session, name)
    await audit.record(session, "settings", admin, now, what=f"{name}_as_in_the_file")


async def retry(session: AsyncSession, admin: Csm, id_: str, now: datetime) -> OutboxItem:
    """Tries a notification that was given up again.

    Raises:
        Forbidden: only an admin may.
        NotFound, Conflict: as `outbox.retry`.
    """
    csms.require(admin, ROLE)
    found = await outbox.retry(session, id_, now)
    await audit.record(session, "settings", admin, now, what="notification_retried", kind=found.kind, id=found.id)
    return found


def check_files(company: Company, more: Sequence[tuple[Path, type[BaseModel]]] = ()) -> list[Checked]:
    """The company's files, read and checked anew.

    Args:
        more: files beside the policy and those of the accounts.
    """
    policy_file: tuple[Path, type[BaseModel]] = (company.file("escalation.yml", policy.DEFAULT), Policy)
    company_file: tuple[Path, type[BaseModel]] = (company.folder / "company.yml", Company)
    greeting_file: tuple[Path, type[BaseModel]] = (company.file("greetings.yml", greetings.DEFAULT), Greetings)
    files = [company_file, policy_file, *catalog.files(company), greeting_file, *more]
    return [_check(company, path, model) for path, model in files]


def _check(company: Company, path: Path, model: type[BaseModel]) -> Checked:
    own = path.parent == company.folder
    try:
        text = read_text(path)
        read_yaml(path, model)
    except UserError as error:
        return Checked(path.name, own, str(error), "" if not path.exists() else path.read_text(errors="replace"))
    return Checked(path.name, own, "", text)
