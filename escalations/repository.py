"""The only SQL of the CSM's side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    FromClause,
    Interval,
    Row,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    delete,
    exists,
    extract,
    func,
    join,
    or_,
    outerjoin,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession

from conversations.models import Conversation, MessageRow
from conversations.repository import CHANNEL, CLOCKS, HOLDING
from escalations.models import Csm, CsmSession, Escalation, EscalationEvent, KeptSetting, OutboxItem
from escalations.routing import OWNERS_SHARE, PRESENT_FOR
from kit.database import Database, Json, hint, rows
from kit.statements import Statement

if TYPE_CHECKING:
    from escalations.inbox import Terms, Wanted

OPEN = ("queued", "claimed")
MARKED_AT_ONCE = 5_000
"""How many at most are noted as about to break in one go."""
FOLLOW_UP = "follow_up"
"""The rule of what was opened again because its day had come."""
_OPEN_SQL = text("state IN ('queued', 'claimed')")
"""`OPEN` in words: with parameters PostgreSQL does not find the partial index once the statement is prepared for good."""
BREAKING = timedelta(minutes=5)
"""A service level with less than this left goes before everything else; `breaking` notes that it has come to that."""


async def get(session: AsyncSession, id_: str) -> Escalation | None:
    """An escalation by its own id, or the open one of a conversation by the conversation's."""
    query = select(Escalation).where(
        or_(Escalation.id == id_, (Escalation.conversation_id == id_) & Escalation.state.in_(OPEN))
    )
    return (await session.execute(query)).scalar_one_or_none()


async def lock_open(session: AsyncSession, conversation_id: str) -> Escalation | None:
    query = (
        select(Escalation)
        .where(Escalation.conversation_id == conversation_id, Escalation.state.in_(OPEN))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def waiting_of_person(session: AsyncSession, account_id: str, person_id: str) -> Escalation | None:
    """The newest take-over of a person's conversations that is not settled yet."""
    query = (
        select(Escalation)
        .join(Conversation, Conversation.id == Escalation.conversation_id)
        .where(
            Conversation.account_id == account_id,
            Conversation.person_id == person_id,
            Escalation.mode == "takeover",
            Escalation.state.in_(OPEN),
        )
        .order_by(Escalation.created_at.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def insert_unless_open(session: AsyncSession, values: dict[str, object]) -> str | None:
    """Inserts an escalation; None where the conversation has an open one already."""
    made = (
        insert(Escalation)
        .values(values)
        .on_conflict_do_nothing(index_elements=["conversation_id"], index_where=_OPEN_SQL)
        .returning(Escalation.id)
    )
    return (await session.execute(made)).scalar_one_or_none()


_EVENT = """
    happened AS (
        INSERT INTO escalation_events (escalation_id, at, kind, actor, detail)
        SELECT e.id, :at, :kind, :actor, CAST(:detail AS jsonb) FROM changed AS e RETURNING id),
    leaving AS (
        INSERT INTO outbox (id, kind, payload, dedupe, state, attempts, next_at, created_at)
        SELECT :item, 'webhook', jsonb_build_object(
            'type', 'escalation.' || :kind, 'timestamp', CAST(:at AS timestamptz), 'conversation', e.conversation_id,
            'data', jsonb_build_object(
                'id', e.id, 'conversation', e.conversation_id, 'account', e.account_id, 'mode', e.mode, 'state', e.state,
                'priority', e.priority, 'level', e.level, 'rule', e.rule, 'csm', e.csm_id, 'due_at', e.due_at)),
            'webhook:' || happened.id, 'waiting', 0, :at, :at FROM happened CROSS JOIN changed AS e)
"""
"""What is kept of a change of the escalation that is called `changed`, and what the company's other systems hear of it: no customer's
words, and nothing a CSM wrote."""
_HOLDS = "(SELECT count(*) FROM escalations AS h WHERE h.csm_id = c.id AND h.state = 'claimed')"
_FREE = f"csms AS c WHERE c.active AND NOT c.away AND c.seen_at >= :present_since AND {_HOLDS} < c.capacity"
"""CSMs who are there, take conversations and have room."""
_OFFERED = f"""
    CASE WHEN e.owner_id IS NOT NULL AND :now < e.created_at + (e.due_at - e.created_at) * :owners_share
              AND EXISTS (SELECT FROM {_FREE} AND c.id = e.owner_id)
         THEN e.owner_id = me.id
         WHEN e.lang = ANY(me.languages)
         THEN e.skill IS NULL OR e.skill = ANY(me.skills)
              OR NOT EXISTS (SELECT FROM {_FREE} AND e.lang = ANY(c.languages) AND e.skill = ANY(c.skills))
         ELSE NOT EXISTS (SELECT FROM {_FREE} AND e.lang = ANY(c.languages)) END
"""  # noqa: S608  # made of constants
"""Whether `e` is offered to `me`, who has room: to its owner alone, for the first part of the service level and while they are there and
have room; then to those who speak the language and have the skill; where nobody who has room has both, to those who speak the language;
where nobody does, to anybody. Most often the columns of `e` and `me` decide it; else a colleague is looked for until one is found, which
is cheaper than counting what each of the team holds."""
_FIRST = "state = 'queued' AND mode = 'takeover' ORDER BY breaking DESC, place LIMIT 1"
_CLAIM = """
    WITH {before} changed AS (
        UPDATE escalations SET state = 'claimed', csm_id = :csm, claimed_at = :at, answered_at = NULL
        WHERE id = ({which}) AND state = 'queued' RETURNING *),
    taking AS (
        SELECT conversation_id, csm_id, claimed_at AS at, CAST(:said AS jsonb) -> lang AS said FROM changed),
    {holding}, {event}
    SELECT id, conversation_id FROM changed
"""
_ME = f"""
    me AS MATERIALIZED (
        SELECT id, languages, skills FROM csms AS c WHERE id = :csm AND active AND NOT away AND {_HOLDS} < capacity),
"""  # noqa: S608  # made of constants
_NEXT = f"""
    SELECT e.id FROM escalations AS e CROSS JOIN me WHERE {_OFFERED}
    AND {_FIRST} FOR UPDATE OF e SKIP LOCKED
"""  # noqa: S608  # made of constants


def _claiming(before: str, which: str) -> Statement:
    """A claim as one statement: the escalation, its event, what others hear of it, and the conversation with the line the customer reads."""
    return Statement(_CLAIM.format(before=before, which=which, holding=HOLDING, event=_EVENT))


# Waits for whoever is at the same one: the bot, in the middle of a turn, is no reason to refuse a claim.
_CLAIM_ONE = _claiming("", "SELECT id FROM escalations WHERE id = :id AND state = 'queued' FOR UPDATE")
_CLAIM_NEXT = _claiming(_ME, _NEXT)


@dataclass(frozen=True)
class Claim:
    """Who takes a conversation.

    Attributes:
        csm_id: theirs from now on.
        actor: who gave it to them: themselves, or `system`.
        said: what the customer reads of it: JSON, a body by language.
        item_id: of the notification that tells of it.
    """

    csm_id: str
    actor: str
    said: str
    item_id: str
    at: datetime

    def given(self) -> dict[str, object]:
        """As parameters of a claim."""
        return {
            "csm": self.csm_id,
            "actor": self.actor,
            "said": self.said,
            "item": self.item_id,
            "at": self.at,
            "kind": "claimed",
            "detail": json.dumps({"csm": self.csm_id}),
        }


class Claimed(NamedTuple):
    """What somebody took: no more is read of it, since whoever took it opens the conversation next."""

    id: str
    conversation_id: str


async def claim(at: Database | AsyncSession, id_: str, by: Claim) -> Claimed | None:
    """One conditional write: of two CSMs at once, exactly one gets it.

    Returns:
        None where it is queued no longer.
    """
    return await _claimed(at, _CLAIM_ONE, {**by.given(), "id": id_})


async def claim_next(at: Database | AsyncSession, by: Claim) -> Claimed | None:
    """The same of the first take-over in the queue's order that is offered to this CSM and that nobody is just taking.

    Returns:
        None where there is none, or they have no room.
    """
    return await _claimed(at, _CLAIM_NEXT, {**by.given(), **_offering(by.at)})


async def _claimed(at: Database | AsyncSession, query: Statement, given: Mapping[str, object]) -> Claimed | None:
    taken = await rows(at, query, given)
    if not taken:
        return None
    found = Claimed(**taken[0])
    hint(at, CHANNEL, json.dumps({"c": found.conversation_id, "holder": "csm", "queue": found.id}))
    return found


def _offering(now: datetime) -> dict[str, object]:
    return {"now": now, "present_since": now - PRESENT_FOR, "owners_share": OWNERS_SHARE}


_GIVEN_TO = text(
    f"""
    WITH me AS MATERIALIZED (SELECT c.id, c.languages, c.skills, {_HOLDS}::float8 / c.capacity AS busy FROM {_FREE}),
    e AS (SELECT * FROM escalations WHERE {_FIRST})
    SELECT e.id, array_agg(me.id ORDER BY me.busy, me.id) AS csm_ids FROM e CROSS JOIN me WHERE {_OFFERED} GROUP BY e.id
    """  # noqa: S608  # made of constants
)


async def first_offered(session: AsyncSession, now: datetime) -> tuple[str, list[str]] | None:
    """The first take-over of the queue, and whom it is offered to, the least busy first; None where there is none or nobody is there."""
    row = (await session.execute(_GIVEN_TO, _offering(now))).one_or_none()
    return None if row is None else (row[0], row[1])


async def mark_breaking(session: AsyncSession, now: datetime) -> None:
    """Notes of what waits that its service level is about to break."""
    about_to = (Escalation.state == "queued", ~Escalation.breaking, Escalation.due_at <= now + BREAKING)
    found = select(Escalation.id).where(*about_to).with_for_update(skip_locked=True).limit(MARKED_AT_ONCE)
    await session.execute(
        update(Escalation)
        .where(Escalation.id.in_(found))
        .values(breaking=True)
        .execution_options(synchronize_session=False)
    )


ORDER: tuple[Any, ...] = (
    case((Escalation.mode == "takeover", 0), else_=1),
    Escalation.breaking.desc(),
    Escalation.place,
)
"""What to help with first: take-overs, service levels about to break, then `Escalation.place`. It does not change while time passes, so an
index holds it."""


async def listing(
    session: AsyncSession, *, state: str | None, csm_id: str | None, limit: int
) -> Sequence[Row[Escalation, Conversation, MessageRow]]:
    """Open escalations in the order they should be helped, each with its conversation and last message."""
    query: Select[Escalation, Conversation, MessageRow] = (
        select(Escalation, Conversation, MessageRow)
        .join(Conversation, Conversation.id == Escalation.conversation_id)
        .outerjoin(
            MessageRow,
            (MessageRow.conversation_id == Conversation.id) & (MessageRow.seq == Conversation.last_seq),
        )
        .where(Escalation.state == state if state else Escalation.state.in_(OPEN))
        .order_by(*ORDER)
        .limit(limit)
    )
    if csm_id is not None:
        query = query.where(Escalation.csm_id == csm_id)
    return (await session.execute(query)).all()


_WORDS = text(
    "to_tsvector('simple', coalesce(body->>'text', '') || ' ' || coalesce(body->>'quote', ''))"
    " @@ to_tsquery('simple', :prefixes)"
)
"""As the index `ix_messages_words` has it, or it would not be used."""


def _said(terms: Terms) -> Subquery:
    """Where the words were said last: conversation and `seq`."""
    query = select(MessageRow.conversation_id, func.max(MessageRow.seq).label("seq")).group_by(
        MessageRow.conversation_id
    )
    if terms.prefixes:
        query = query.where(_WORDS.bindparams(prefixes=terms.prefixes))
    for part in terms.parts:
        anywhere = func.coalesce(MessageRow.body["text"].astext, "") + func.coalesce(
            MessageRow.body["quote"].astext, ""
        )
        query = query.where(anywhere.contains(part, autoescape=True))
    return query.subquery()


def _latest() -> ScalarSelect[str]:
    """The latest escalation of a conversation."""
    return (
        select(Escalation.id)
        .where(Escalation.conversation_id == Conversation.id)
        .order_by(Escalation.created_at.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )


def _last_words() -> Any:
    """Where a person spoke last; where none did, the last line of the bot. Notices of what was done say nothing of the matter."""
    newest = (
        select(func.max(MessageRow.seq)).where(MessageRow.conversation_id == Conversation.id).correlate(Conversation)
    )
    people = newest.where(MessageRow.sender.in_(("customer", "csm"))).scalar_subquery()
    return func.coalesce(people, newest.scalar_subquery())


def _conversations(wanted: Wanted, terms: Terms | None, csm_id: str) -> tuple[FromClause, list[Any], Any]:
    """What conversations are read from, which of them, and which message of each is shown."""
    tables: Any = join(Conversation, Escalation, Escalation.conversation_id == Conversation.id)
    conditions: list[Any] = [Conversation.last_seq > 0]
    if wanted.view == "all":
        tables = outerjoin(Conversation, Escalation, Escalation.id == _latest())
    elif wanted.view == "mine":
        conditions += [Escalation.state == "claimed", Escalation.csm_id == csm_id]
    else:
        mode = "takeover" if wanted.view == "queue" else "watch"
        conditions += [Escalation.state == "queued", Escalation.mode == mode, ~Escalation.muted]
    if wanted.lang:
        conditions.append(Conversation.lang == wanted.lang)
    if wanted.priority:
        conditions += [Escalation.priority <= wanted.priority, Escalation.mode == "takeover"]
    if wanted.state == "bot":
        conditions.append(or_(Escalation.id.is_(None), Escalation.state.not_in(OPEN)))
    elif wanted.state:
        conditions.append(Escalation.state == wanted.state)
    if wanted.account_id:
        conditions.append(Conversation.account_id == wanted.account_id)
    seq: Any = _last_words()
    if terms is not None:
        said = _said(terms)
        tables = tables.outerjoin(said, said.c.conversation_id == Conversation.id)
        names = (Escalation.account_name, Conversation.account_id, Conversation.email)
        conditions.append(
            or_(said.c.seq.is_not(None), *(name.icontains(terms.names, autoescape=True) for name in names))
        )
        seq = func.coalesce(said.c.seq, seq)
    return tables, conditions, seq


async def conversations(
    session: AsyncSession, wanted: Wanted, terms: Terms | None, csm_id: str, limit: int
) -> Sequence[Row[Conversation, Escalation | None, MessageRow | None]]:
    """Conversations with their latest escalation and one message."""
    tables, conditions, seq = _conversations(wanted, terms, csm_id)
    query: Select[Conversation, Escalation | None, MessageRow | None] = (
        select(Conversation, Escalation, MessageRow)
        .select_from(
            tables.outerjoin(MessageRow, and_(MessageRow.conversation_id == Conversation.id, MessageRow.seq == seq))
        )
        .where(*conditions)
        .order_by(*([Conversation.last_at.desc()] if wanted.view == "all" else ORDER))
        .limit(limit)
    )
    return (await session.execute(query)).all()


async def number_of_conversations(session: AsyncSession, wanted: Wanted, terms: Terms | None, csm_id: str) -> int:
    tables, conditions, _ = _conversations(wanted, terms, csm_id)
    query = select(func.count()).select_from(tables).where(*conditions)
    return (await session.execute(query)).scalar_one()


async def counts(session: AsyncSession, csm_id: str) -> Row[int, int, int, int]:
    """How many are queued to take over, watched, held by this CSM, and of those with unread words of the customer."""
    mine = and_(Escalation.state == "claimed", Escalation.csm_id == csm_id)
    unread = exists().where(
        MessageRow.conversation_id == Conversation.id,
        MessageRow.seq > Conversation.csm_read_seq,
        MessageRow.sender == "customer",
    )
    query = (
        select(
            func.count().filter(Escalation.state == "queued", Escalation.mode == "takeover"),
            func.count().filter(Escalation.state == "queued", Escalation.mode == "watch", ~Escalation.muted),
            func.count().filter(mine),
            func.count().filter(mine, Conversation.last_seq > Conversation.csm_read_seq, unread),
        )
        .join(Conversation, Conversation.id == Escalation.conversation_id)
        .where(Escalation.state.in_(OPEN))
    )
    return (await session.execute(query)).one()


async def claimed_by_each(session: AsyncSession) -> dict[str, int]:
    """How many conversations each CSM holds."""
    query = select(Escalation.csm_id, func.count()).where(Escalation.state == "claimed").group_by(Escalation.csm_id)
    return {csm_id: number for csm_id, number in (await session.execute(query)).all() if csm_id is not None}


async def overdue(session: AsyncSession, now: datetime) -> Sequence[Escalation]:
    """Queued take-overs past their service level, locked; those another process works on are left out."""
    query = (
        select(Escalation)
        .where(
            Escalation.state == "queued",
            Escalation.mode == "takeover",
            Escalation.due_at < now,
            Escalation.rule != FOLLOW_UP,  # no customer waits there
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
        .limit(100)
    )
    return (await session.execute(query)).scalars().all()


async def claimed_and_silent(session: AsyncSession, before: datetime) -> Sequence[Escalation]:
    """Claimed before that moment and not answered since, or with a later answer that was due before it."""
    query = (
        select(Escalation)
        .where(
            Escalation.state == "claimed",
            or_(
                and_(Escalation.answered_at.is_(None), Escalation.claimed_at < before),
                Escalation.next_due_at < before,
            ),
            Escalation.snoozed_until.is_(None),
        )
        .with_for_update(skip_locked=True)
        .limit(100)
    )
    return (await session.execute(query)).scalars().all()


async def idle_watches(session: AsyncSession, before: datetime) -> Sequence[Escalation]:
    """Watched conversations in which nothing was said since that moment."""
    query = (
        select(Escalation)
        .join(Conversation, Conversation.id == Escalation.conversation_id)
        .where(Escalation.state == "queued", Escalation.mode == "watch", Conversation.last_at < before)
        .with_for_update(of=Escalation, skip_locked=True)
        .limit(100)
    )
    return (await session.execute(query)).scalars().all()


async def at_rest(session: AsyncSession, since: datetime, until: datetime, limit: int) -> Sequence[Conversation]:
    """Conversations of known people that nobody holds or waits for, in which the bot had the last word in that time; the oldest
    first, locked."""
    query = (
        select(Conversation)
        .join(MessageRow, and_(MessageRow.conversation_id == Conversation.id, MessageRow.seq == Conversation.last_seq))
        .where(
            Conversation.last_at >= since,
            Conversation.last_at < until,
            Conversation.person_id.is_not(None),
            Conversation.holder == "bot",
            MessageRow.sender == "bot",
            MessageRow.turn_id.is_not(None),
            ~exists().where(Escalation.conversation_id == Conversation.id, Escalation.state.in_(OPEN)),
        )
        .order_by(Conversation.last_at)
        .limit(limit)
        .with_for_update(of=Conversation, skip_locked=True)
    )
    return (await session.execute(query)).scalars().all()


async def unread_replies(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[Row[Conversation, MessageRow]]:
    """Conversations with a CSM's latest reply, written in that time and not seen by the customer."""
    latest = (
        select(MessageRow.conversation_id, func.max(MessageRow.seq).label("seq"))
        .where(MessageRow.sender == "csm", MessageRow.created_at >= since, MessageRow.created_at < until)
        .group_by(MessageRow.conversation_id)
        .subquery()
    )
    query = (
        select(Conversation, MessageRow)
        .join(latest, latest.c.conversation_id == Conversation.id)
        .join(MessageRow, and_(MessageRow.conversation_id == Conversation.id, MessageRow.seq == latest.c.seq))
        .where(MessageRow.seq > Conversation.customer_read_seq)
        .limit(100)
    )
    return (await session.execute(query)).all()


_ADD_EVENT = text(
    f"WITH changed AS (SELECT * FROM escalations WHERE id = :id), {_EVENT} SELECT pg_notify(:channel, :told)"  # noqa: S608  # constants
)


async def add_event(session: AsyncSession, event: EscalationEvent, item_id: str) -> None:
    """Keeps one change and its webhook, and tells every console when this transaction commits: one statement.

    Args:
        item_id: of the notification.
    """
    given = {"id": event.escalation_id, "at": event.at, "kind": event.kind, "actor": event.actor}
    more = {"detail": json.dumps(event.detail), "item": item_id, "channel": CHANNEL}
    await session.execute(_ADD_EVENT, {**given, **more, "told": json.dumps({"queue": event.escalation_id})})


async def events(session: AsyncSession, escalation_id: str) -> Sequence[EscalationEvent]:
    query = select(EscalationEvent).where(EscalationEvent.escalation_id == escalation_id).order_by(EscalationEvent.id)
    return (await session.execute(query)).scalars().all()


async def csm_by_email(session: AsyncSession, email: str) -> Csm | None:
    return (await session.execute(select(Csm).where(Csm.email == email.lower()))).scalar_one_or_none()


async def csm(session: AsyncSession, csm_id: str) -> Csm | None:
    return await session.get(Csm, csm_id)


async def csm_session(session: AsyncSession, token_hash: str, since: datetime) -> tuple[Csm, datetime] | None:
    """The active CSM of a session that was used since a moment, and when it was."""
    query = (
        select(Csm, CsmSession.used_at)
        .join(CsmSession, CsmSession.csm_id == Csm.id)
        .where(CsmSession.hash == token_hash, CsmSession.used_at > since, Csm.active)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1])


async def use_csm_session(session: AsyncSession, token_hash: str, now: datetime) -> None:
    await session.execute(update(CsmSession).where(CsmSession.hash == token_hash).values(used_at=now))


async def delete_csm_session(session: AsyncSession, token_hash: str) -> str | None:
    """Whose it was."""
    gone = delete(CsmSession).where(CsmSession.hash == token_hash).returning(CsmSession.csm_id)
    return (await session.execute(gone)).scalar_one_or_none()


async def delete_csm_sessions(session: AsyncSession, csm_id: str) -> None:
    await session.execute(delete(CsmSession).where(CsmSession.csm_id == csm_id))


async def delete_idle_csm_sessions(session: AsyncSession, before: datetime, limit: int) -> int:
    some = select(CsmSession.hash).where(CsmSession.used_at < before).limit(limit).with_for_update(skip_locked=True)
    gone = delete(CsmSession).where(CsmSession.hash.in_(some)).returning(CsmSession.hash)
    return len((await session.execute(gone)).all())


_SEEN = Statement(
    "UPDATE csms SET seen_at = :now WHERE id = :csm AND (seen_at IS NULL OR seen_at < :now - interval '20 seconds')"
)


async def seen(at: Database | AsyncSession, csm_id: str, now: datetime) -> None:
    """Moves forward when a CSM was last seen; not for every click."""
    await rows(at, _SEEN, {"csm": csm_id, "now": now})


async def last_resolved(session: AsyncSession, conversation_id: str, since: datetime) -> Escalation | None:
    """The conversation's latest escalation that a CSM resolved since."""
    query = (
        select(Escalation)
        .where(
            Escalation.conversation_id == conversation_id,
            Escalation.state == "resolved",
            Escalation.csm_id.is_not(None),
            Escalation.closed_at >= since,
        )
        .order_by(Escalation.closed_at.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def woken(session: AsyncSession, now: datetime) -> Sequence[Escalation]:
    """Snoozed ones whose time has come, locked."""
    query = select(Escalation).where(Escalation.state.in_(OPEN), Escalation.snoozed_until <= now)
    return (await session.execute(query.with_for_update(skip_locked=True).limit(100))).scalars().all()


async def to_follow_up(session: AsyncSession, today: date) -> Sequence[Escalation]:
    """Those to be looked at again on that day or before, locked."""
    query = select(Escalation).where(Escalation.follow_up_on <= today)
    return (await session.execute(query.with_for_update(skip_locked=True).limit(100))).scalars().all()


_HELD = Statement("SELECT count(*) AS held FROM escalations WHERE csm_id = :csm AND state = 'claimed'")


async def holds(at: Database | AsyncSession, csm_id: str) -> int:
    """How many conversations a CSM holds."""
    return int((await rows(at, _HELD, {"csm": csm_id}))[0]["held"])


async def kept(session: AsyncSession, name: str, *, lock: bool) -> Json | None:
    query = select(KeptSetting.value).where(KeptSetting.name == name)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def keep(session: AsyncSession, name: str, value: Json, by: str, now: datetime) -> None:
    made = insert(KeptSetting).values(name=name, value=value, changed_at=now, changed_by=by)
    new = {key: made.excluded[key] for key in ("value", "changed_at", "changed_by")}
    await session.execute(made.on_conflict_do_update(index_elements=["name"], set_=new))


async def unkeep(session: AsyncSession, name: str) -> None:
    await session.execute(delete(KeptSetting).where(KeptSetting.name == name))


async def csms(session: AsyncSession) -> Sequence[Csm]:
    query = select(Csm).order_by(Csm.name).execution_options(populate_existing=True)
    return (await session.execute(query)).scalars().all()


async def enqueue(session: AsyncSession, values: dict[str, object]) -> None:
    """Puts a notification into the outbox, once for each `dedupe`."""
    await session.execute(insert(OutboxItem).values(values).on_conflict_do_nothing(index_elements=["dedupe"]))


_WAITING = (
    "state = 'waiting' AND kind = :kind AND (next_at <= :now OR next_at > :beyond + :back_off * power(2, attempts - 1))"
)
"""Due, or put off for longer than its attempts explain: a clock was put back since, and it would wait until that clock has caught up."""
_ANY_DUE = Statement(f"SELECT EXISTS (SELECT FROM outbox WHERE {_WAITING}) AS due", back_off=Interval())  # noqa: S608  # a constant


@dataclass(frozen=True)
class Due:
    """Which notifications are due.

    Attributes:
        back_off: how long one was put off after its first attempt; it doubles each time.
    """

    kind: str
    now: datetime
    back_off: timedelta

    @property
    def values(self) -> dict[str, object]:
        """For `_WAITING`."""
        return {"kind": self.kind, "now": self.now, "beyond": self.now + CLOCKS, "back_off": self.back_off}


async def any_notification_due(database: Database, due: Due) -> bool:
    """Asked every few seconds, so without a transaction and objects."""
    return bool((await rows(database, _ANY_DUE, due.values))[0]["due"])


async def due_notifications(session: AsyncSession, due: Due, limit: int) -> Sequence[OutboxItem]:
    query = (
        select(OutboxItem)
        .where(text(_WAITING).bindparams(bindparam("back_off", type_=Interval()), **due.values))
        .order_by(OutboxItem.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalars().all()


async def notifications(session: AsyncSession, state: str | None, limit: int) -> Sequence[OutboxItem]:
    query = select(OutboxItem).order_by(OutboxItem.created_at.desc(), OutboxItem.id).limit(limit)
    if state is not None:
        query = query.where(OutboxItem.state == state)
    return (await session.execute(query)).scalars().all()


async def lock_notification(session: AsyncSession, id_: str) -> OutboxItem | None:
    return await session.get(OutboxItem, id_, with_for_update=True, populate_existing=True)


async def delete_notifications(session: AsyncSession, conversation_ids: Sequence[str]) -> None:
    await session.execute(delete(OutboxItem).where(OutboxItem.payload["conversation"].astext.in_(conversation_ids)))


async def notifications_of(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The notifications of these conversations, as plain data."""
    query = text(
        "SELECT to_jsonb(o) FROM outbox o WHERE o.payload->>'conversation' = ANY(:ids) ORDER BY created_at, id"
    )
    return list((await session.execute(query, {"ids": list(conversation_ids)})).scalars())


async def delete_settled_notifications(session: AsyncSession, before: datetime, limit: int) -> int:
    """Removes notifications that were sent or given up, made before a moment."""
    old = select(OutboxItem.id).where(OutboxItem.state != "waiting", OutboxItem.created_at < before).limit(limit)
    gone = await session.execute(delete(OutboxItem).where(OutboxItem.id.in_(old)).returning(OutboxItem.id))
    return len(gone.all())


async def capacity(session: AsyncSession) -> tuple[int, int]:
    """How many CSMs take conversations, and how many they hold at once, all together."""
    query = select(func.count(), func.coalesce(func.sum(Csm.capacity), 0)).where(Csm.active, Csm.capacity > 0)
    number, slots = (await session.execute(query)).one()
    return int(number), int(slots)


async def handling(session: AsyncSession, since: datetime, until: datetime) -> tuple[int, float | None]:
    """Conversations claimed in a period and closed since, and the mean minutes from the one to the other."""
    minutes = extract("epoch", Escalation.closed_at - Escalation.claimed_at) / 60
    query = select(func.count(), func.avg(minutes)).where(
        Escalation.claimed_at >= since, Escalation.claimed_at < until, Escalation.closed_at.is_not(None)
    )
    number, mean = (await session.execute(query)).one()
    return int(number), None if mean is None else float(mean)


_EXPORT = text(
    """
    SELECT to_jsonb(e) || jsonb_build_object('events', coalesce(
        (SELECT jsonb_agg(to_jsonb(v) - 'escalation_id' ORDER BY v.id) FROM escalation_events v WHERE v.escalation_id = e.id),
        '[]'))
    FROM escalations e WHERE e.conversation_id = ANY(:ids) ORDER BY e.created_at, e.id
    """
)


async def exported(session: AsyncSession, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The escalations of these conversations with their events, as plain data."""
    return list((await session.execute(_EXPORT, {"ids": list(conversation_ids)})).scalars())


_SECONDS = "extract(epoch FROM {} - e.created_at)"
_SERVICE = text(
    f"""
    WITH raised AS (
        SELECT e.*, {_SECONDS.format("e.answered_at")} AS answered_after, {_SECONDS.format("e.closed_at")} AS closed_after,
               e.state = 'resolved' AND e.closed_at < :now - :lasts AS settled,
               EXISTS (
                   SELECT FROM escalations again
                   WHERE again.mode = 'takeover' AND again.id <> e.id
                     AND (again.conversation_id = e.conversation_id OR again.account_id = e.account_id)
                     AND again.created_at > e.closed_at AND again.created_at <= e.closed_at + :lasts) AS came_back
        FROM escalations e WHERE e.mode = 'takeover' AND e.created_at >= :since AND e.created_at < :until
    )
    SELECT (SELECT count(*) FROM conversations WHERE created_at >= :since AND created_at < :until AND last_seq > 0),
           count(*), count(answered_at), count(*) FILTER (WHERE level = 1 AND answered_at <= due_at),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY answered_after), percentile_cont(0.9) WITHIN GROUP (ORDER BY answered_after),
           count(*) FILTER (WHERE state = 'resolved'), count(*) FILTER (WHERE state = 'returned'),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY closed_after) FILTER (WHERE state = 'resolved'),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY closed_after) FILTER (WHERE state = 'resolved'),
           count(*) FILTER (WHERE settled), count(*) FILTER (WHERE settled AND NOT came_back),
           count(*) FILTER (WHERE level = 1 AND answered_at IS NULL AND closed_at IS NULL AND due_at >= :now)
    FROM raised
    """  # noqa: S608  # made of constants
)
"""`level` is above 1 where nobody answered in time and the service level was set anew."""


async def service(
    session: AsyncSession, since: datetime, until: datetime, now: datetime, lasts: timedelta
) -> Sequence[Any]:
    """One line over the takeovers raised in a period."""
    row = (await session.execute(_SERVICE, {"since": since, "until": until, "now": now, "lasts": lasts})).one()
    return [float(value) if isinstance(value, Decimal) else value for value in row]


_ALONE = text(
    """
    WITH had AS (
        SELECT c.id, c.account_id, c.last_at,
               EXISTS (SELECT FROM escalations e WHERE e.conversation_id = c.id AND e.mode = 'takeover'
                         AND e.created_at <= c.last_at) AS needed,
               c.last_at < :now - :lasts AS settled
        FROM conversations c
        WHERE c.created_at >= :since AND c.created_at < :until
          AND EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id AND m.sender = 'customer')
    )
    SELECT count(*), count(*) FILTER (WHERE NOT needed), count(*) FILTER (WHERE NOT needed AND settled),
           count(*) FILTER (WHERE NOT needed AND settled AND NOT EXISTS (
               SELECT FROM escalations e
               WHERE e.mode = 'takeover' AND (e.conversation_id = had.id OR e.account_id = had.account_id)
                 AND e.created_at > had.last_at AND e.created_at <= had.last_at + :lasts))
    FROM had
    """
)


async def alone(
    session: AsyncSession, since: datetime, until: datetime, now: datetime, lasts: timedelta
) -> Sequence[int]:
    """Conversations of a period; those without a takeover; of these those long over; of these those that nobody came back to."""
    given = {"since": since, "until": until, "now": now, "lasts": lasts}
    return list((await session.execute(_ALONE, given)).one())


async def by_rule(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[Row[str, int, int, dict[str, Any]]]:
    """How often each rule fired, with the reason it gave last."""
    query = (
        select(
            Escalation.rule,
            func.count().filter(Escalation.mode == "watch"),
            func.count().filter(Escalation.mode == "takeover"),
            func.array_agg(aggregate_order_by(Escalation.reason, Escalation.created_at.desc()))[1],
        )
        .where(Escalation.created_at >= since, Escalation.created_at < until)
        .group_by(Escalation.rule)
        .order_by(func.count().desc(), Escalation.rule)
    )
    return (await session.execute(query)).all()


async def by_csm(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[tuple[str, int, int, int, float | None]]:
    """What each CSM took."""
    waited = extract("epoch", Escalation.answered_at - Escalation.created_at)
    query = (
        select(
            Csm.name,
            func.count(),
            func.count(Escalation.answered_at),
            func.count().filter(Escalation.level == 1, Escalation.answered_at <= Escalation.due_at),
            func.percentile_cont(0.5).within_group(waited),
        )
        .join(Csm, Csm.id == Escalation.csm_id)
        .where(Escalation.created_at >= since, Escalation.created_at < until)
        .group_by(Csm.id, Csm.name)
        .order_by(func.count().desc(), Csm.name)
    )
    rows = (await session.execute(query)).all()
    return [
        (name, taken, answered, in_time, None if median is None else float(median))
        for name, taken, answered, in_time, median in rows
    ]
