"""Events in, by the Segment HTTP API, and their roll-up to daily figures in the same transaction.

Rules, in full:

- **Twice**: a `messageId` that was taken before is not taken again. A message without one gets one made of its content.
- **When**: the client's `timestamp`, corrected by how far its clock (`sentAt`) is from ours; without one, now.
- **Late and out of order**: an event counts on its own UTC day, however late it comes. `identify` and `group` older than what is
  known of the person or account change nothing.
- **Future**: up to ten minutes ahead counts as now; more is rejected, as is anything before 2000.
- **Whose**: the account is `groupId` or `context.groupId`, else that of the person. Events of a person without an account are kept
  and counted once it is known. An account or person that was never heard of before is created.
- **Use**: `track`, `page` and `screen` are use; `identify` and `group` are not. `alias` is kept and changes nothing: what somebody did before
  they signed in stays a visitor's. Each counts 1, and `properties.quantity` (a number, by
  default 1) is summed by name for the meters of `plans.yml`.
- **Again**: what is answered with 200 is on the disk. A client whose line broke, or who was told 429 or 5xx, sends the same once more.
- One bad message does not stop the others: it is in `rejected`, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from accounts.records import put_accounts, put_people
from accounts.schemas import IngestResult, PutAccount, PutPerson, Rejected, SegmentMessage, clean_all, storable
from kit.database import Database

AHEAD = timedelta(minutes=10)
"""How far a clock may be ahead and still be taken for drift."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_NAMES = {"page": "page_viewed", "screen": "screen_viewed"}
_ACCOUNT_TRAITS = {
    "name": "name",
    "plan": "plan",
    "seats": "seats",
    "owner": "owner",
    "employees": "potential_seats",
    "price": "price",
    "currency": "currency",
    "createdAt": "created_at",
}
_PERSON_TRAITS = {
    "name": "name",
    "email": "email",
    "role": "role",
    "champion": "champion",
    "language": "lang",
    "locale": "lang",
    "lang": "lang",
    "createdAt": "created_at",
}
In = TypeVar("In", PutAccount, PutPerson)
_MESSAGES: TypeAdapter[list[SegmentMessage]] = TypeAdapter(list[SegmentMessage])


@dataclass(frozen=True, slots=True)
class _Message:
    """A message with its time, its id and its name settled.

    Attributes:
        account: the one it names itself.
        person: empty where it names none.
    """

    id: str
    at: datetime
    name: str
    account: str | None
    person: str
    said: SegmentMessage


@dataclass(frozen=True)
class Settled:
    """A batch as far as it is understood without the database."""

    messages: list[_Message]
    rejected: list[Rejected]


async def ingest(
    session: AsyncSession, batch: Sequence[Mapping[str, Any]], now: datetime, *, sent_at: datetime | None = None
) -> IngestResult:
    """Takes a batch of Segment messages; see the rules above.

    Args:
        batch: messages as they came, parsed from JSON.
        now: when they came.
        sent_at: the client's clock when it sent them.
    """
    return (await ingest_together(session, [settle(batch, now, sent_at)], now))[0]


async def ingest_together(session: AsyncSession, batches: Sequence[Settled], now: datetime) -> list[IngestResult]:
    """`ingest` for several batches at once. A message that is in two of them is new in the first.

    Args:
        batches: of `settle`.
        now: when they are written.
    """
    first, unique = _gathered(batches)
    named = {message.account for message in unique if message.account}
    there, known = await repository.hold_accounts(session, named, {message.person for message in unique})
    homes = _homes(unique, known)
    await _introduce(session, unique, homes, there, known)
    homeless = {message.person for message in unique if message.person in known and known[message.person] is None}
    claimed = await repository.claim_events(session, homeless)
    taken = await repository.take_events(session, _rows(unique, homes), now)
    return _results(batches, first, {id_: homes[id_] for id_ in taken}, claimed)


async def ingest_use(database: Database, batches: Sequence[Settled], now: datetime) -> list[IngestResult] | None:
    """`ingest_together` where nothing but use of people and accounts that are known came in, as it nearly always does: in one round trip.

    Returns:
        None where there is more to it, and nothing was written.
    Raises:
        psycopg.Error: it could not be written.
    """
    first, unique = _gathered(batches)
    if len(unique) > repository.CHUNK or not unique or any(message.said.type not in m.USE for message in unique):
        return None
    rows = _rows(unique, {message.id: message.account for message in unique})
    taken = await repository.take_events_of_known(database, rows, now)
    return None if taken is None else _results(batches, first, taken)


def _gathered(batches: Sequence[Settled]) -> tuple[dict[str, int], list[_Message]]:
    """The batch in which each message came first, and every message once, in the order of time."""
    first: dict[str, int] = {}
    latest: dict[str, _Message] = {}
    for place, batch in enumerate(batches):
        for message in batch.messages:
            first.setdefault(message.id, place)
            latest[message.id] = message
    return first, sorted(latest.values(), key=lambda message: (message.at, message.id))


def _results(
    batches: Sequence[Settled], first: Mapping[str, int], taken: Mapping[str, str | None], claimed: Sequence[str] = ()
) -> list[IngestResult]:
    """What became of each batch, of the accounts of the messages that were taken."""
    fresh: list[list[str | None]] = [[] for _ in batches]
    for id_, home in taken.items():
        fresh[first[id_]].append(home)
    return [
        IngestResult(
            accepted=len(new),
            duplicates=len(batch.messages) - len(new),
            rejected=batch.rejected,
            accounts=sorted({home for home in new if home} | set(claimed)),
        )
        for batch, new in zip(batches, fresh, strict=True)
    ]


def settle(batch: Sequence[Mapping[str, Any]], now: datetime, sent_at: datetime | None) -> Settled:
    """Reads a batch: what each message says, when and of whom, or why it is rejected."""
    messages: list[_Message] = []
    rejected: list[Rejected] = []
    drift = timedelta(0) if sent_at is None else now - _aware(sent_at)
    for index, (raw, said) in enumerate(zip(batch, _read(batch), strict=True)):
        if isinstance(said, ValidationError):
            first = said.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "message"
            reason = f"{where}: {first['msg'].lower()}"
            rejected.append(Rejected(index=index, message_id=_raw_id(raw), reason=reason))
            continue
        try:
            messages.append(_settled(said, raw, now, drift))
        except ValueError as error:
            rejected.append(Rejected(index=index, message_id=_raw_id(raw), reason=str(error)))
    return Settled(messages, rejected)


def _read(batch: Sequence[Mapping[str, Any]]) -> Sequence[SegmentMessage | ValidationError]:
    """Each message, or what is wrong with it. All at once where all are well, as they nearly always are."""
    try:
        return _MESSAGES.validate_python(batch)
    except ValidationError:
        return [_read_one(raw) for raw in batch]


def _read_one(raw: Mapping[str, Any]) -> SegmentMessage | ValidationError:
    try:
        return SegmentMessage.model_validate(raw)
    except ValidationError as error:
        return error


def _raw_id(raw: object) -> str | None:
    found = raw.get("messageId") if isinstance(raw, Mapping) else None
    return str(found)[:255] if found is not None else None


def _settled(said: SegmentMessage, raw: Mapping[str, Any], now: datetime, drift: timedelta) -> _Message:
    if said.type == "track" and not said.event:
        raise ValueError("event: a track message needs one")
    if said.type == "group" and not said.group_id:
        raise ValueError("groupId: a group message needs one")
    account = _account(said)
    if not (account or said.user_id or said.anonymous_id):
        raise ValueError("userId: needs a userId, an anonymousId or a groupId")
    name = storable(str(said.event)) if said.type == "track" else _NAMES.get(said.type, said.type)
    return _Message(said.message_id or _made_id(raw), _when(said, now, drift), name, account, said.user_id or "", said)


def _account(said: SegmentMessage) -> str | None:
    named = said.group_id or (said.context.get("groupId") if said.context else None)
    if not named and said.type == "identify" and said.traits:
        company = said.traits.get("company")
        named = company.get("id") if isinstance(company, dict) else None
    return storable(str(named))[:255] if named else None


def _made_id(raw: Mapping[str, Any]) -> str:
    """An id for a message without one: the same content again is the same message, so a retry is not counted twice."""
    content = orjson.dumps(storable(dict(raw)), option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(content).hexdigest()


def _when(said: SegmentMessage, now: datetime, drift: timedelta) -> datetime:
    """Args: drift: how far the clock of the client is behind ours, where the message does not say so itself."""
    if said.timestamp is None:
        return now
    at = _aware(said.timestamp) + (drift if said.sent_at is None else now - _aware(said.sent_at))
    if at > now + AHEAD:
        raise ValueError(f"timestamp: {at.isoformat()} is in the future")
    if at < EARLIEST:
        raise ValueError(f"timestamp: {at.isoformat()} is before {EARLIEST.year}")
    return min(at, now)


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _homes(messages: Sequence[_Message], known: Mapping[str, str | None]) -> dict[str, str | None]:
    """The account of every message, by message id: the one it names, else its person's, also if named later in the batch."""
    people = dict(known)
    for message in messages:
        moves = message.said.type in ("identify", "group")
        if message.account and (moves or people.get(message.person) is None):
            people[message.person] = message.account
    return {
        message.id: message.account or (people.get(message.person) if message.person else None) for message in messages
    }


async def _introduce(
    session: AsyncSession,
    messages: Sequence[_Message],
    homes: Mapping[str, str | None],
    there: Collection[str],
    known: Mapping[str, str | None],
) -> None:
    """Creates accounts and people never heard of, and writes what identify and group say."""
    newest_first = messages[::-1]
    accounts = {account: message.at for message in newest_first if (account := homes[message.id])}
    new = {account: at for account, at in accounts.items() if account not in there}
    await repository.introduce_accounts(session, new, EARLIEST)
    people = {message.person: (homes[message.id], message.at) for message in newest_first if message.person}
    # Also those who are known and had no account until now.
    strangers = {person: home for person, home in people.items() if known.get(person) is None}
    await repository.introduce_people(session, strangers, EARLIEST)
    groups = [message for message in messages if message.said.type == "group" and message.account]
    told = [message for message in messages if message.said.type in ("group", "identify") and message.person]
    await put_accounts(
        session, [(str(message.account), account_traits(message.said.traits or {}), message.at) for message in groups]
    )
    await put_people(session, [(message.person, _told(message), message.at) for message in told])


def _told(message: _Message) -> PutPerson:
    traits = (message.said.traits or {}) if message.said.type == "identify" else {}
    payload = person_traits(traits)
    return payload.model_copy(update={"account_id": message.account}) if message.account else payload


def account_traits(traits: Mapping[str, Any]) -> PutAccount:
    """What `group` says of an account: traits Kotae knows by Segment's names, all others kept as attributes."""
    return _from_traits(PutAccount, _ACCOUNT_TRAITS, traits)


def person_traits(traits: Mapping[str, Any]) -> PutPerson:
    """What `identify` says of a person, likewise."""
    parts = [str(traits[key]) for key in ("firstName", "lastName") if traits.get(key)]
    named = {"name": " ".join(parts)} if parts else {}
    others = {trait: value for trait, value in traits.items() if trait not in ("firstName", "lastName")}
    return _from_traits(PutPerson, _PERSON_TRAITS, named | others)


def _from_traits(model: type[In], known: Mapping[str, str], traits: Mapping[str, Any]) -> In:
    fields: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for trait, value in traits.items():
        name = known.get(trait)
        try:
            if name is None or value is None:
                raise ValueError(trait)
            fields[name] = getattr(model.model_validate({name: value}), name)
        except ValueError:
            # Not one of ours, or not of its kind (a plan that is an object): kept as it came.
            attributes[trait] = value
    return model.model_validate(fields | ({"attributes": attributes} if attributes else {}))


def _rows(messages: Sequence[_Message], homes: Mapping[str, str | None]) -> list[repository.Row]:
    """The raw events, in the order of ids: two batches with the same messages wait for each other, never in a circle."""
    ordered = sorted(messages, key=lambda message: message.id)
    # What identify and group say is on the person and the account, where it can be corrected and erased.
    said = clean_all([(message.said.properties or {}) if message.said.type in m.USE else {} for message in ordered])
    return [
        {
            "message_id": message.id,
            "type": message.said.type,
            "name": message.name,
            "account_id": homes[message.id],
            "person_id": message.person or None,
            "at": message.at,
            "properties": properties,
        }
        for message, properties in zip(ordered, said, strict=True)
    ]
