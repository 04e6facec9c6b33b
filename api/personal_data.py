"""What is kept of a person or an account, in every room: handed out as one document, or forgotten for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import erasing as accounts
from accounts import repository as known
from api import audit
from conversations import erasing as conversations
from escalations import erasing as escalations
from escalations.models import Csm
from kit.database import sample_anew
from kit.errors import NotFound
from kit.ids import hash_token

Kind = Literal["person", "account"]


@dataclass(frozen=True)
class Erased:
    """What was removed.

    Attributes:
        conversations: how many, each with its messages, turns, notes, escalations, notifications and Rasa's memory.
        mentions: ids of CSMs' notes about the account that still name the person: free text, for a person to correct.
        articles: ids of articles that were drafted from replies in these conversations: files of the company, for a person to read.
    """

    kind: Kind
    id: str
    conversations: int
    mentions: list[int] = field(default_factory=list)
    articles: list[str] = field(default_factory=list)


async def erase(session: AsyncSession, kind: Kind, id_: str, by: Csm | str, now: datetime) -> Erased:
    """Forgets a person or an account in every room; one transaction, and a line in the audit log.

    The audit log keeps the id as a hash: it can be shown that somebody was erased, not who it was.

    Raises:
        NotFound: nothing is kept of them.
    """
    found = await _conversations(session, kind, id_)
    mentions = await accounts.mentions(session, id_) if kind == "person" else []
    articles = [kept["article"] for kept in await conversations.export_good_replies(session, found) if kept["article"]]
    await remove_conversations(session, found)
    try:
        await (accounts.erase_person if kind == "person" else accounts.erase_account)(session, id_)
    except NotFound:
        if not found:
            raise
    await sample_anew(session)
    await audit.record(session, "erase", by, now, what=kind, subject=_subject(kind, id_), conversations=len(found))
    return Erased(kind, id_, len(found), mentions, articles)


async def remove_conversations(session: AsyncSession, ids: Sequence[str]) -> None:
    """Removes conversations in every room: what was said and decided in them, what was told of them, and what leads to them."""
    await escalations.erase(session, ids)
    await accounts.leave_conversations(session, ids)
    await conversations.erase(session, ids)


async def export(session: AsyncSession, kind: Kind, id_: str, by: Csm | str, now: datetime) -> dict[str, Any]:
    """Everything that is kept of a person or an account, as one document; a line in the audit log says that it was taken.

    Returns:
        `facts` and `conversations` are what the customer has seen or said; `internal` is what the company wrote, worked out or
        remembers of it. That is personal data too: who asks for theirs may have a right to it, so it is all here, apart, for
        somebody to read before it is handed on.
    Raises:
        NotFound: nothing is kept of them.
    """
    found = await _conversations(session, kind, id_)
    rows = await (accounts.export_person if kind == "person" else accounts.export_account)(session, id_, found)
    if not found and not any(rows.values()):
        raise NotFound(f"there is no {kind} {id_}", "check the id")
    internal = {name: rows.pop(name) for name in accounts.INTERNAL if name in rows}
    internal["escalations"] = await escalations.export(session, found)
    internal["turns"] = await conversations.export_facts(session, found)
    internal["notes"] = await conversations.export_notes(session, found)
    internal["good_replies"] = await conversations.export_good_replies(session, found)
    internal["dialogues"] = await conversations.export_dialogues(session, found)
    internal["notifications"] = await escalations.export_notifications(session, found)
    await audit.record(session, "export", by, now, what=kind, subject=_subject(kind, id_), conversations=len(found))
    return {
        "kind": kind,
        "id": id_,
        "exported_at": now.isoformat(),
        "facts": rows,
        "conversations": await conversations.export(session, found),
        "internal": internal,
    }


async def _conversations(session: AsyncSession, kind: Kind, id_: str) -> list[str]:
    """Theirs, and those of visitors who left one of their addresses."""
    if kind == "account":
        emails = await accounts.addresses(session, id_)
        return await conversations.find(session, account_id=id_, emails=emails)
    person = await known.person(session, id_)
    emails = [person.email] if person is not None and person.email else []
    return await conversations.find(session, person_id=id_, emails=emails)


def _subject(kind: Kind, id_: str) -> str:
    """Stands for who it was: whoever knows the id can find the line, and nobody can read the id from it."""
    return hash_token(f"{kind}:{id_}")
