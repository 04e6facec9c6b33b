"""The only SQL on the message log."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from conversations.models import Conversation, ConversationToken, Feedback, GoodReply, MessageRow, Note, Turn
from kit.database import Database, rows
from kit.statements import Row, Statement

CHANNEL = "kotae"
"""The PostgreSQL channel every replica listens on."""

PAGE = 500
"""Messages read at once."""

CLOCKS = timedelta(minutes=1)
"""How far the clocks of two machines may be apart. A lease that seems to hold for longer than a lease can, by more than this, is void:
a clock was put back, and the turn would be owed until that clock has caught up."""


async def get(session: AsyncSession, conversation_id: str) -> Conversation | None:
    return await session.get(Conversation, conversation_id)


async def lock(session: AsyncSession, conversation_id: str) -> Conversation | None:
    """The conversation, locked until the end of the transaction: writers of one log take turns."""
    query = (
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def token(session: AsyncSession, token_hash: str, now: datetime) -> ConversationToken | None:
    """A token that still opens its conversation."""
    query = select(ConversationToken).where(
        ConversationToken.hash == token_hash,
        (ConversationToken.expires_at.is_(None)) | (ConversationToken.expires_at > now),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def revoke_token(session: AsyncSession, token_hash: str) -> None:
    await session.execute(delete(ConversationToken).where(ConversationToken.hash == token_hash))


_ACCEPT = Statement(
    """
    SELECT * FROM accept_message(
        :id, :client, CAST(:body AS jsonb), :turn, :choice, CAST(:now AS timestamptz), CAST(:until AS timestamptz), :bot_only)
    """
)


async def accept(
    at: Database | AsyncSession,
    conversation_id: str,
    client_id: str,
    body: bytes,
    turn_id: str,
    now: datetime,
    *,
    choice: str | None,
    until: datetime | None,
    bot_only: bool,
) -> Row | None:
    """Writes a customer's message and the turn that is owed to it, and tells; one way to the server and back (migration `0042_log`).

    Args:
        body: JSON.
        turn_id: of the turn, should one be owed.
        choice: the button; one that was not shown among the newest 50 messages is not taken.
        until: leased so long, if nothing of the conversation is owed before. None: not leased.
        bot_only: takes nothing where a person holds the conversation.
    Returns:
        `account_id, person_id, lang, holder` of the conversation, `seq`, whether the message was `known` and the choice `offered`,
        whether the turn is `taken`, and the `event` that was told, None where nothing was written. None: no such conversation.
    """
    given = {
        "id": conversation_id,
        "client": client_id,
        "body": body.decode(),
        "turn": turn_id,
        "choice": choice,
        "now": now,
        "until": until,
        "bot_only": bot_only,
    }
    found = await rows(at, _ACCEPT, given)
    if not found:
        return None
    if found[0]["event"] is not None:
        _moved(at, conversation_id, last_seq=found[0]["seq"], last_at=now)
    return found[0]


_SETTLE = Statement(
    """
    SELECT * FROM settle_turn(
        :turn, CAST(:bodies AS jsonb), :outcome, CAST(:now AS timestamptz), :intent, CAST(:confidence AS float8), :lang)
    """
)


async def settle(
    at: Database | AsyncSession,
    turn_id: str,
    bodies: bytes,
    now: datetime,
    *,
    outcome: str,
    intent: str | None,
    confidence: float | None,
    lang: str | None,
) -> Row | None:
    """Appends the replies to a turn, unless a person holds the conversation, closes it, and tells; one way to the server and back
    (migration `0042_log`).

    Args:
        bodies: a list, as JSON.
    Returns:
        `conversation_id`, its `last_seq`, whether the bot stayed `silent`, and the `event` that was told. None: no such turn, or it
        was settled before.
    """
    given = {
        "turn": turn_id,
        "bodies": bodies.decode(),
        "outcome": outcome,
        "now": now,
        "intent": intent,
        "confidence": confidence,
        "lang": lang,
    }
    found = await rows(at, _SETTLE, given)
    if not found:
        return None
    row = found[0]
    moved = (
        {"last_seq": row["last_seq"]} | ({} if row["silent"] else {"last_at": now}) | ({"lang": lang} if lang else {})
    )
    _moved(at, row["conversation_id"], **moved)
    return row


def _moved(at: Database | AsyncSession, conversation_id: str, **values: Any) -> None:
    """What was written past the session's own copy."""
    if isinstance(at, AsyncSession):
        copy = at.sync_session.identity_map.get(identity_key(Conversation, conversation_id))
        for name, value in values.items() if copy is not None else ():
            set_committed_value(copy, name, value)


async def latest_of_person(session: AsyncSession, account_id: str, person_id: str) -> Conversation | None:
    query = (
        select(Conversation)
        .where(Conversation.account_id == account_id, Conversation.person_id == person_id)
        .order_by(Conversation.last_at.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def last_question(
    session: AsyncSession,
    account_id: str,
    person_id: str,
    since: datetime,
    aside: Collection[str],
    handed_over: tuple[str, datetime] | None,
) -> str | None:
    """What a person last wrote that was understood as something else than `aside`.

    Args:
        aside: intents that are about nothing; what was out of scope or not understood counts only where it was answered.
        handed_over: a conversation, and since when a person is to take it over: what was asked before they were told so.
            None: in any of theirs.
    """
    query = (
        select(MessageRow.body["text"].astext)
        .join(Conversation, Conversation.id == MessageRow.conversation_id)
        .join(Turn, (Turn.conversation_id == MessageRow.conversation_id) & (Turn.seq == MessageRow.seq))
        .where(
            Conversation.account_id == account_id,
            Conversation.person_id == person_id,
            Turn.created_at >= since,
            Turn.choice.is_(None),
            Turn.intent.not_in(aside),
            Turn.intent.not_in(("out_of_scope", "nlu_fallback")) | (Turn.decision.in_(("answer", "clarify"))),
        )
        .order_by(Turn.created_at.desc())
        .limit(1)
    )
    if handed_over is not None:
        conversation_id, raised_at = handed_over
        told = select(func.min(MessageRow.seq)).where(
            MessageRow.conversation_id == conversation_id,
            MessageRow.body["type"].astext == "handover",
            MessageRow.created_at >= raised_at,
        )
        before = Turn.seq < func.coalesce(told.scalar_subquery(), Conversation.last_seq + 1)
        query = query.where(Conversation.id == conversation_id, before)
    return (await session.execute(query)).scalar_one_or_none()


async def seq_of_client_id(session: AsyncSession, conversation_id: str, client_id: str) -> int | None:
    query = select(MessageRow.seq).where(
        MessageRow.conversation_id == conversation_id, MessageRow.client_id == client_id
    )
    return (await session.execute(query)).scalar_one_or_none()


_AFTER = Statement(
    """
    SELECT seq, sender, name, body, client_id, created_at FROM messages
    WHERE conversation_id = :id AND seq > :after ORDER BY seq LIMIT :limit
    """
)


async def log_after(at: Database | AsyncSession, conversation_id: str, after: int, limit: int = PAGE) -> Sequence[Row]:
    """What a customer reads of the log after a place; read for every window, so without building objects."""
    return await rows(at, _AFTER, {"id": conversation_id, "after": after, "limit": limit})


async def messages_after(
    session: AsyncSession, conversation_id: str, after: int, limit: int = PAGE
) -> Sequence[MessageRow]:
    query = (
        select(MessageRow)
        .where(MessageRow.conversation_id == conversation_id, MessageRow.seq > after)
        .order_by(MessageRow.seq)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def message(session: AsyncSession, conversation_id: str, seq: int) -> MessageRow | None:
    return await session.get(MessageRow, (conversation_id, seq))


async def last_of_type(session: AsyncSession, conversation_id: str, kind: str) -> MessageRow | None:
    """The newest message of that body type."""
    query = (
        select(MessageRow)
        .where(MessageRow.conversation_id == conversation_id, MessageRow.body["type"].astext == kind)
        .order_by(MessageRow.seq.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def with_message(
    session: AsyncSession, account_ids: Collection[str], kind: str, since: datetime
) -> Sequence[Conversation]:
    """Conversations of these accounts' people with the bot, not at rest for longer, in which a body of that type was said; locked."""
    query = (
        select(Conversation)
        .where(
            Conversation.account_id.in_(account_ids),
            Conversation.last_at >= since,
            Conversation.person_id.is_not(None),
            Conversation.holder == "bot",
            exists().where(MessageRow.conversation_id == Conversation.id, MessageRow.body["type"].astext == kind),
        )
        .order_by(Conversation.id)
        .with_for_update()
    )
    return (await session.execute(query)).scalars().all()


async def last_of_sender(session: AsyncSession, conversation_id: str, sender: str) -> MessageRow | None:
    """The newest message of that sender."""
    query = (
        select(MessageRow)
        .where(MessageRow.conversation_id == conversation_id, MessageRow.sender == sender)
        .order_by(MessageRow.seq.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


_LEASE = Statement(
    """
    UPDATE turns AS taken SET leased_until = :until, attempts = taken.attempts + 1
    FROM conversations AS c, messages AS m
    WHERE taken.id = (
        SELECT t.id FROM turns t
        WHERE t.settled_at IS NULL
          AND (t.leased_until IS NULL OR t.leased_until < :now OR t.leased_until > :beyond)
          AND NOT EXISTS (
            SELECT 1 FROM turns e
            WHERE e.conversation_id = t.conversation_id AND e.settled_at IS NULL AND e.seq < t.seq)
        ORDER BY t.created_at LIMIT 1 FOR UPDATE OF t SKIP LOCKED)
      AND c.id = taken.conversation_id AND m.conversation_id = taken.conversation_id AND m.seq = taken.seq
    RETURNING taken.id, taken.conversation_id, taken.seq, c.account_id, c.person_id, c.lang, m.body ->> 'text' AS text,
              taken.choice, taken.attempts, taken.created_at
    """
)


async def lease_turn(at: Database | AsyncSession, now: datetime, until: datetime) -> Row | None:
    """Takes the oldest owed turn whose conversation has no earlier one owed: one at a time per conversation.

    Returns:
        the columns of `turns.Leased`.
    """
    found = await rows(at, _LEASE, {"now": now, "until": until, "beyond": until + CLOCKS})
    return found[0] if found else None


_OWED_TURNS = Statement(
    "SELECT count(*) AS number FROM (SELECT FROM turns WHERE settled_at IS NULL LIMIT :limit) AS owed"
)


async def owed_turns(at: Database | AsyncSession, limit: int) -> int:
    """How many turns are owed in all; counting ends at `limit`."""
    return int((await rows(at, _OWED_TURNS, {"limit": limit}))[0]["number"])


async def turn(session: AsyncSession, turn_id: str) -> Turn | None:
    return await session.get(Turn, turn_id)


_OWED = Statement(
    """
    SELECT settled_at IS NULL AS owed, ARRAY(
        SELECT outcome = 'failed' OR coalesce(decision, '') = 'abstain' FROM turns
        WHERE conversation_id = :conversation AND settled_at IS NOT NULL ORDER BY seq DESC LIMIT :limit) AS failed
    FROM turns WHERE id = :turn AND conversation_id = :conversation
    """
)


async def owed(at: Database | AsyncSession, conversation_id: str, turn_id: str, limit: int) -> tuple[bool, list[bool]]:
    """Whether a turn of a conversation is still owed, and of its newest settled turns, newest first, which did not help."""
    found = await rows(at, _OWED, {"conversation": conversation_id, "turn": turn_id, "limit": limit})
    return (found[0]["owed"], found[0]["failed"]) if found else (False, [])


_NOTE = Statement(
    """
    UPDATE turns SET decision = :decision, confidence = :confidence, article_id = :article, facts = CAST(:facts AS jsonb)
    WHERE id = :turn
    """
)


async def note(
    at: Database | AsyncSession,
    turn_id: str,
    *,
    decision: str | None,
    confidence: float | None,
    article_id: str | None,
    facts: str | None,
) -> None:
    """Writes beside a turn what was decided in it."""
    given = {"turn": turn_id, "decision": decision, "confidence": confidence, "article": article_id, "facts": facts}
    await rows(at, _NOTE, given)


HOLDING = """
    held AS (
        UPDATE conversations
        SET holder = 'csm', csm_id = taking.csm_id, last_seq = last_seq + 1, last_at = taking.at
        FROM taking WHERE conversations.id = taking.conversation_id RETURNING conversations.*, taking.said),
    spoken AS (
        INSERT INTO messages (conversation_id, seq, sender, body, created_at)
        SELECT id, last_seq, 'system', said, last_at FROM held),
    silenced AS (
        UPDATE turns SET settled_at = held.last_at, outcome = 'silent' FROM held
        WHERE turns.conversation_id = held.id AND turns.settled_at IS NULL)
"""
"""Parts of a statement in which people take conversations, as rows of `taking (conversation_id, csm_id, at, said)` before them: who has
it, what the customer reads of it, and the end of what the bot owes. `held` are the conversations as they are then."""
_HOLD = text(
    f"""
    WITH taking (conversation_id, csm_id, at, said) AS (
        VALUES (:id, :csm, CAST(:now AS timestamptz), CAST(:said AS jsonb))), {HOLDING}
    SELECT held.*, pg_notify(:channel, json_build_object('c', id, 'seq', last_seq, 'holder', holder)::text) FROM held
    """  # noqa: S608  # made of constants
)


async def hold(
    session: AsyncSession, conversation_id: str, csm_id: str, said: dict[str, Any], now: datetime
) -> Conversation | None:
    """A person takes the conversation: who, what the customer reads of it, and the end of what the bot owes, in one statement.

    Returns:
        the conversation; None where there is none.
    """
    given = {"id": conversation_id, "csm": csm_id, "now": now, "said": json.dumps(said), "channel": CHANNEL}
    query = select(Conversation).from_statement(_HOLD).execution_options(populate_existing=True)
    return (await session.execute(query, given)).scalar_one_or_none()


async def notes(session: AsyncSession, conversation_id: str) -> Sequence[Note]:
    query = select(Note).where(Note.conversation_id == conversation_id).order_by(Note.created_at)
    return (await session.execute(query)).scalars().all()


async def put_feedback(session: AsyncSession, values: dict[str, object]) -> None:
    """Stores what was said of a message; said again, the last word counts."""
    made = insert(Feedback).values(values)
    await session.execute(
        made.on_conflict_do_update(
            index_elements=["conversation_id", "seq"],
            set_={key: made.excluded[key] for key in ("helpful", "score", "comment", "created_at")},
        )
    )


async def notify(session: AsyncSession, payload: str) -> None:
    """Tells every replica, when this transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, payload)))


async def asked_of_policy(
    session: AsyncSession, since: datetime, until: datetime
) -> Sequence[tuple[str, datetime, dict[str, Any]]]:
    """Conversation, time and facts of every turn on which the policy was asked, in order within each conversation."""
    query = (
        select(Turn.conversation_id, Turn.created_at, Turn.facts)
        .where(Turn.created_at >= since, Turn.created_at < until, Turn.facts.is_not(None))
        .order_by(Turn.conversation_id, Turn.seq)
    )
    return [(one, at, facts or {}) for one, at, facts in (await session.execute(query)).all()]


_VOLUME = text(
    """
    SELECT day, count(*) FILTER (WHERE begun) AS conversations, count(*) FILTER (WHERE NOT begun) AS messages
    FROM (
        SELECT CAST(created_at AT TIME ZONE :zone AS date) AS day, true AS begun
        FROM conversations WHERE created_at >= :since AND created_at < :until
        UNION ALL
        SELECT CAST(created_at AT TIME ZONE :zone AS date), false
        FROM messages WHERE sender = 'customer' AND created_at >= :since AND created_at < :until
    ) AS happened GROUP BY day ORDER BY day
    """
)


async def volume(session: AsyncSession, since: datetime, until: datetime, zone: str) -> Sequence[tuple[date, int, int]]:
    """Conversations begun and customers' messages by day of that time zone."""
    rows = await session.execute(_VOLUME, {"since": since, "until": until, "zone": zone})
    return [(row.day, row.conversations, row.messages) for row in rows]


async def outcomes(session: AsyncSession, since: datetime, until: datetime) -> Sequence[tuple[str, str | None, int]]:
    """Settled turns by outcome and decision."""
    query = (
        select(Turn.outcome, Turn.decision, func.count())
        .where(Turn.created_at >= since, Turn.created_at < until, Turn.outcome.is_not(None))
        .group_by(Turn.outcome, Turn.decision)
    )
    return [(outcome or "", decision, number) for outcome, decision, number in (await session.execute(query)).all()]


async def csat(session: AsyncSession, since: datetime, until: datetime) -> Sequence[tuple[int, int]]:
    """How many gave each score when asked how the help was."""
    query = (
        select(Feedback.score, func.count())
        .join(
            MessageRow,
            (MessageRow.conversation_id == Feedback.conversation_id) & (MessageRow.seq == Feedback.seq),
        )
        .where(
            Feedback.created_at >= since,
            Feedback.created_at < until,
            Feedback.score.is_not(None),
            MessageRow.body["survey"].astext == "csat",
        )
        .group_by(Feedback.score)
    )
    return [(score or 0, number) for score, number in (await session.execute(query)).all()]


async def thumbs(session: AsyncSession, since: datetime, until: datetime) -> tuple[int, int]:
    """How many found a message helpful, and how many did not."""
    query = select(
        func.count().filter(Feedback.helpful.is_(True)), func.count().filter(Feedback.helpful.is_(False))
    ).where(Feedback.created_at >= since, Feedback.created_at < until)
    helpful, not_helpful = (await session.execute(query)).one()
    return helpful, not_helpful


# --- erasure and export

_TRACKERS = "rasa.rasa_trackers"
_TRACKER_TURNS = "rasa.rasa_tracker_turns"
"""Rasa's memory of each conversation, by its id, and what single turns added to it: `bot/tracker_store.py` makes the tables when Rasa first starts."""


async def conversations_of(
    session: AsyncSession, account_id: str | None, person_id: str | None, emails: Sequence[str]
) -> list[str]:
    """Ids of an account's or a person's conversations and of visitors who left one of the addresses; locked."""
    given = [address.lower() for address in emails]
    whose: list[ColumnElement[bool]] = [func.lower(Conversation.email).in_(given) & Conversation.account_id.is_(None)]
    whose += [Conversation.account_id == account_id] if account_id is not None else []
    whose += [Conversation.person_id == person_id] if person_id is not None else []
    query = select(Conversation.id).where(or_(*whose)).order_by(Conversation.id).with_for_update()
    return list((await session.execute(query)).scalars())


async def delete_conversations(session: AsyncSession, ids: Sequence[str]) -> None:
    """Removes conversations; their messages, turns, notes, tokens, feedback and escalations go with them."""
    await session.execute(delete(Conversation).where(Conversation.id.in_(ids)))
    if await _has_trackers(session):
        statement = text(f"DELETE FROM {_TRACKERS} WHERE sender_id = ANY(:ids)")  # noqa: S608  # a constant
        await session.execute(statement, {"ids": list(ids)})


async def conversations_before(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Conversations in which nothing was said since, and which nobody writes in right now."""
    query = select(Conversation.id).where(Conversation.last_at < before).limit(limit)
    return list((await session.execute(query.with_for_update(skip_locked=True))).scalars())


async def limit_tokens(session: AsyncSession, conversation_id: str, until: datetime) -> None:
    """Lets every token of a conversation end at `until`, where it would not end before."""
    longer = (ConversationToken.expires_at.is_(None)) | (ConversationToken.expires_at > until)
    await session.execute(
        update(ConversationToken)
        .where(ConversationToken.conversation_id == conversation_id, longer)
        .values(expires_at=until)
    )


async def delete_expired_tokens(session: AsyncSession, now: datetime) -> int:
    """Removes tokens that open nothing any more."""
    expired = delete(ConversationToken).where(ConversationToken.expires_at < now)
    return len((await session.execute(expired.returning(ConversationToken.hash))).all())


async def delete_orphaned_trackers(session: AsyncSession, within: timedelta) -> int:
    """Removes what Rasa kept, in the time up to now, of conversations that are gone."""
    if not await _has_trackers(session):
        return 0
    statement = text(
        f"DELETE FROM {_TRACKERS} t WHERE t.updated_at > now() - CAST(:within AS interval) "  # noqa: S608  # a constant
        "AND NOT EXISTS (SELECT FROM conversations c WHERE c.id = t.sender_id) RETURNING sender_id"
    )
    return len((await session.execute(statement, {"within": within})).all())


async def _has_trackers(session: AsyncSession) -> bool:
    found = await session.execute(text("SELECT to_regclass(:name)"), {"name": _TRACKERS})
    return found.scalar_one() is not None


_EXPORT = text(
    """
    SELECT to_jsonb(c) || jsonb_build_object(
        'messages', coalesce((SELECT jsonb_agg(to_jsonb(m) - 'conversation_id' ORDER BY m.seq)
                              FROM messages m WHERE m.conversation_id = c.id), '[]'),
        'turns', coalesce((SELECT jsonb_agg(to_jsonb(t) - 'conversation_id' - 'facts' ORDER BY t.seq)
                           FROM turns t WHERE t.conversation_id = c.id), '[]'),
        'feedback', coalesce((SELECT jsonb_agg(to_jsonb(f) - 'conversation_id' ORDER BY f.seq)
                              FROM feedback f WHERE f.conversation_id = c.id), '[]'))
    FROM conversations c WHERE c.id = ANY(:ids) ORDER BY c.created_at, c.id
    """
)


async def exported(session: AsyncSession, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Conversations with all that was said, as plain data."""
    return list((await session.execute(_EXPORT, {"ids": list(ids)})).scalars())


async def facts_of(session: AsyncSession, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What the policy was asked about the turns of these conversations, as plain data. Internal."""
    query = select(Turn.id, Turn.facts).where(Turn.conversation_id.in_(ids), Turn.facts.is_not(None))
    return [{"turn": row.id, "facts": row.facts} for row in await session.execute(query.order_by(Turn.created_at))]


async def notes_of(session: AsyncSession, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The internal notes beside these conversations, as plain data."""
    query = text("SELECT to_jsonb(n) FROM notes n WHERE conversation_id = ANY(:ids) ORDER BY created_at, id")
    return list((await session.execute(query, {"ids": list(ids)})).scalars())


async def kept_replies_of(session: AsyncSession, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The good replies of these conversations, as plain data."""
    query = text("SELECT to_jsonb(g) FROM good_replies g WHERE conversation_id = ANY(:ids) ORDER BY created_at, seq")
    return list((await session.execute(query, {"ids": list(ids)})).scalars())


_DIALOGUES = text(
    f"""
    SELECT jsonb_build_object(
        'conversation', t.sender_id, 'version', t.version, 'updated_at', t.updated_at,
        'events', CAST(t.events AS jsonb) || coalesce(
            (SELECT jsonb_agg(e.event ORDER BY u.version, e.place)
             FROM {_TRACKER_TURNS} u, jsonb_array_elements(CAST(u.events AS jsonb)) WITH ORDINALITY AS e (event, place)
             WHERE u.sender_id = t.sender_id), '[]'))
    FROM {_TRACKERS} t WHERE t.sender_id = ANY(:ids) ORDER BY t.updated_at, t.sender_id
    """  # noqa: S608  # made of constants
)


async def dialogues_of(session: AsyncSession, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What Rasa keeps of these conversations, each with its events in order, as plain data."""
    if not await _has_trackers(session):
        return []
    return list((await session.execute(_DIALOGUES, {"ids": list(ids)})).scalars())


_UNANSWERED = text(
    """
    SELECT m.body->>'text', c.lang, c.account_id, c.id, t.created_at,
      CASE WHEN t.decision = 'abstain' THEN 'abstained' WHEN bad.turn_id IS NOT NULL THEN 'not_helpful'
           ELSE 'none_of_these' END
    FROM turns t
    JOIN conversations c ON c.id = t.conversation_id
    JOIN messages m ON m.conversation_id = t.conversation_id AND m.seq = t.seq
    LEFT JOIN LATERAL (
      SELECT r.turn_id FROM messages r JOIN feedback f ON f.conversation_id = r.conversation_id AND f.seq = r.seq
      WHERE r.turn_id = t.id AND f.helpful IS FALSE LIMIT 1) AS bad ON true
    LEFT JOIN LATERAL (
      SELECT n.choice FROM turns n WHERE n.conversation_id = t.conversation_id AND n.seq > t.seq
      ORDER BY n.seq LIMIT 1) AS next ON true
    WHERE t.created_at >= :since AND t.created_at < :until AND t.settled_at IS NOT NULL
      AND (t.choice IS NULL OR t.choice LIKE 'article:%')
      AND (t.decision = 'abstain' OR bad.turn_id IS NOT NULL OR (t.decision = 'clarify' AND next.choice = :none))
    ORDER BY t.created_at DESC
    """
)


async def unanswered(session: AsyncSession, since: datetime, until: datetime, none: str) -> list[tuple[Any, ...]]:
    """Text, language, account, conversation, moment and reason of each question that was not answered, newest first."""
    given = {"since": since, "until": until, "none": none}
    return [tuple(row) for row in (await session.execute(_UNANSWERED, given)).all()]


# A choice is a turn of its own: the question it belongs to is the turn before it.
_LABELS = text(
    """
    SELECT m.body->>'text', c.lang, t.article_id, f.helpful, 'thumb', f.created_at AS at
    FROM feedback f
    JOIN messages r ON r.conversation_id = f.conversation_id AND r.seq = f.seq
    JOIN turns t ON t.id = r.turn_id
    JOIN messages m ON m.conversation_id = t.conversation_id AND m.seq = t.seq
    JOIN conversations c ON c.id = t.conversation_id
    WHERE f.created_at >= :since AND f.created_at < :until AND f.helpful IS NOT NULL
      AND t.article_id IS NOT NULL AND t.choice IS NULL
    UNION ALL
    SELECT m.body->>'text', c.lang, substr(n.choice, length(CAST(:article AS text)) + 1), true, 'choice', n.created_at
    FROM turns n
    JOIN LATERAL (
      SELECT p.seq, p.decision, p.choice FROM turns p WHERE p.conversation_id = n.conversation_id AND p.seq < n.seq
      ORDER BY p.seq DESC LIMIT 1) AS before ON before.decision IN ('clarify', 'answer') AND before.choice IS NULL
    JOIN messages m ON m.conversation_id = n.conversation_id AND m.seq = before.seq
    JOIN conversations c ON c.id = n.conversation_id
    WHERE n.created_at >= :since AND n.created_at < :until AND starts_with(n.choice, CAST(:article AS text))
    UNION ALL
    SELECT m.body->>'text', c.lang, g.article, true, 'csm', g.created_at
    FROM good_replies g
    JOIN messages m ON m.conversation_id = g.conversation_id AND m.seq = g.question_seq
    JOIN conversations c ON c.id = g.conversation_id
    WHERE g.created_at >= :since AND g.created_at < :until AND g.article IS NOT NULL
    ORDER BY at
    """
)


async def labels(session: AsyncSession, since: datetime, until: datetime, article: str) -> Sequence[tuple[Any, ...]]:
    """Question, language, article, whether it answers, and who said so, oldest first."""
    given = {"since": since, "until": until, "article": article}
    return [tuple(row)[:5] for row in (await session.execute(_LABELS, given)).all()]


_QUESTION_BEFORE = text(
    """
    SELECT m.seq FROM messages m
    WHERE m.conversation_id = :id AND m.seq < :seq AND m.sender = 'customer'
    ORDER BY m.seq > coalesce((SELECT max(r.seq) FROM messages r
                               WHERE r.conversation_id = :id AND r.seq < :seq AND r.sender = 'csm'), 0) DESC,
             length(m.body->>'text') DESC, m.seq DESC
    LIMIT 1
    """
)


async def question_before(session: AsyncSession, conversation_id: str, seq: int) -> int | None:
    """Where the customer asked what a reply answers: the longest they wrote since the reply before, else the longest they wrote at all."""
    return (await session.execute(_QUESTION_BEFORE, {"id": conversation_id, "seq": seq})).scalar_one_or_none()


async def good_reply(session: AsyncSession, conversation_id: str, seq: int) -> GoodReply | None:
    return await session.get(GoodReply, (conversation_id, seq))


async def good_replies_of(session: AsyncSession, conversation_id: str) -> Sequence[GoodReply]:
    query = select(GoodReply).where(GoodReply.conversation_id == conversation_id)
    return (await session.execute(query)).scalars().all()


_GOOD_ANSWERS = text(
    """
    SELECT g.conversation_id, g.seq, q.body->>'text', r.body->>'text', g.article
    FROM good_replies g
    JOIN conversations c ON c.id = g.conversation_id
    JOIN messages q ON q.conversation_id = g.conversation_id AND q.seq = g.question_seq
    JOIN messages r ON r.conversation_id = g.conversation_id AND r.seq = g.seq
    WHERE (CAST(:lang AS text) IS NULL OR c.lang = :lang)
      AND (CAST(:id AS text) IS NULL OR (g.conversation_id = :id AND g.seq = :seq))
    ORDER BY g.created_at DESC LIMIT :limit
    """
)


async def good_answers(
    session: AsyncSession,
    *,
    limit: int,
    lang: str | None = None,
    conversation_id: str | None = None,
    seq: int | None = None,
) -> Sequence[tuple[Any, ...]]:
    """Conversation, place, question, reply and article of good replies, newest first: those of a language, or one."""
    given = {"lang": lang, "id": conversation_id, "seq": seq, "limit": limit}
    return [tuple(row) for row in (await session.execute(_GOOD_ANSWERS, given)).all()]


# The question a CSM answers is the last thing the customer said to the bot before the reply.
_CSM_LINKS = text(
    """
    SELECT m.body->>'text', c.lang, found.link[1]
    FROM messages r
    JOIN conversations c ON c.id = r.conversation_id
    JOIN LATERAL (
      SELECT q.seq FROM turns q WHERE q.conversation_id = r.conversation_id AND q.seq < r.seq AND q.choice IS NULL
      ORDER BY q.seq DESC LIMIT 1) AS asked ON true
    JOIN messages m ON m.conversation_id = r.conversation_id AND m.seq = asked.seq
    CROSS JOIN LATERAL regexp_matches(r.body->>'text', :pattern, 'g') AS found(link)
    WHERE r.sender = 'csm' AND r.created_at >= :since AND r.created_at < :until
    ORDER BY r.created_at
    """
)


async def csm_links(
    session: AsyncSession, since: datetime, until: datetime, url: str
) -> Sequence[tuple[str, str, str]]:
    """Question, language and address, for every link below `url` that a CSM sent."""
    pattern = "(" + re.sub(r"([^\w/:-])", r"\\\1", url) + r"[\w./%-]+)"
    given = {"since": since, "until": until, "pattern": pattern}
    return [(row[0], row[1], row[2].rstrip(".")) for row in (await session.execute(_CSM_LINKS, given)).all()]
