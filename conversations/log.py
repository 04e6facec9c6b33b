"""The message log: what is accepted here cannot be lost, doubled or reordered."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository
from conversations.bodies import Body, Checklist, Message, Sender, Text
from conversations.models import Conversation, ConversationToken, MessageRow, Note
from conversations.turns import Leased
from kit.database import Database
from kit.errors import Conflict, NotFound, UserError
from kit.ids import hash_token, new_id, new_token
from kit.masking import mask

MAX_TEXT = 4000
"""Characters in one customer message; longer ones are refused with a reason."""

MAX_CLIENT_ID = 64

SMALL_TALK = (
    *("greet", "thanks", "goodbye", "apology", "ask_capabilities", "switch_language", "need_help"),
    *("affirm", "deny", "choose", "ask_human", "callback", "complain"),
)
"""Intents of messages that are about nothing one could come back to."""


Said = dict[str, Any]
"""A message as its customer's windows get it: `Message`, dumped to what JSON has."""


@dataclass(frozen=True)
class Accepted:
    """A message that is in the log.

    Attributes:
        seq: its place.
        duplicate: the same `client_id` was there already.
        owed: the bot owes an answer to it.
        leased: the turn, where the caller asked for it and nothing of the conversation was owed before.
        said: the message; empty where it was there already.
        event: what every process was told of it, as it was told.
    """

    seq: int
    duplicate: bool
    owed: bool
    leased: Leased | None = None
    said: Sequence[Said] = field(default=(), compare=False)
    event: str = field(default="", compare=False)


@dataclass(frozen=True)
class Settled:
    """A turn that is closed.

    Attributes:
        conversation_id: of the turn.
        said: what was appended, in order.
        event: what every process was told of it, as it was told.
    """

    conversation_id: str
    said: Sequence[Said]
    event: str


async def start(
    session: AsyncSession,
    *,
    lang: str,
    now: datetime,
    account_id: str | None = None,
    person_id: str | None = None,
    page_url: str | None = None,
) -> Conversation:
    """Opens a conversation, held by the bot."""
    made = Conversation(
        id=new_id("cnv"),
        account_id=account_id,
        person_id=person_id,
        lang=lang,
        page_url=None if page_url is None else mask(page_url),
        holder="bot",
        last_seq=0,
        created_at=now,
        last_at=now,
    )
    session.add(made)
    await session.flush()
    return made


async def mint_token(session: AsyncSession, conversation_id: str, expires_at: datetime | None) -> str:
    """A new bearer secret for the conversation; only its hash is stored.

    Args:
        expires_at: when it ends, for a customer when their identity token does; None: it does not.
    """
    token = new_token()
    session.add(ConversationToken(hash=hash_token(token), conversation_id=conversation_id, expires_at=expires_at))
    await session.flush()
    return token


async def revoke_token(session: AsyncSession, conversation_id: str, token: str) -> None:
    """Ends a token of the conversation, and the windows that it opened."""
    await repository.revoke_token(session, hash_token(token))
    await _tell_of_proof(session, conversation_id)


async def _tell_of_proof(session: AsyncSession, conversation_id: str) -> None:
    """Open windows look again whether what they were opened with still opens the conversation."""
    await repository.notify(session, json.dumps({"c": conversation_id, "proof": True}))


async def latest(session: AsyncSession, account_id: str, person_id: str) -> Conversation | None:
    """The person's latest conversation, if they ever had one."""
    return await repository.latest_of_person(session, account_id, person_id)


async def last_question(
    session: AsyncSession,
    account_id: str,
    person_id: str,
    since: datetime,
    handed_over: tuple[str, datetime] | None = None,
) -> str | None:
    """What a person last asked about, in their own words: no small talk and no click.

    Args:
        handed_over: a conversation and since when a person is to take it over: what was asked before. None: in any of theirs.
    """
    return await repository.last_question(session, account_id, person_id, since, SMALL_TALK, handed_over)


async def open_by_token(
    session: AsyncSession, conversation_id: str, token: str, now: datetime
) -> tuple[Conversation, datetime | None]:
    """The conversation, for whoever holds its token, and until when the token holds.

    Raises:
        NotFound: no such conversation, or the token is not its.
    """
    found = await repository.token(session, hash_token(token), now)
    if found is None or found.conversation_id != conversation_id:
        raise NotFound("no such conversation", "start a new one")
    return await existing(session, conversation_id), found.expires_at


async def open_by_person(session: AsyncSession, conversation_id: str, account_id: str, person_id: str) -> Conversation:
    """The conversation, for the customer it belongs to.

    Raises:
        NotFound: no such conversation, or it is another's.
    """
    found = await repository.get(session, conversation_id)
    if found is None or (found.account_id, found.person_id) != (account_id, person_id):
        raise NotFound("no such conversation", "start a new one")
    return found


async def existing(session: AsyncSession, conversation_id: str) -> Conversation:
    """The conversation.

    Raises:
        NotFound: there is none.
    """
    found = await repository.get(session, conversation_id)
    if found is None:
        raise NotFound("no such conversation", "start a new one")
    return found


async def accept(
    at: Database | AsyncSession,
    conversation_id: str,
    client_id: str,
    text: str,
    now: datetime,
    choice: str | None = None,
    lease: timedelta | None = None,
) -> Accepted:
    """Takes a customer's message into the log, and owes an answer to it while the bot holds the conversation.

    Args:
        at: a session, or a database: then what is taken is committed.
        client_id: the client's own id of the message; the same one twice is one message.
        choice: id of the button that was clicked; only one that was offered counts.
        lease: how long the caller wants the turn for itself, to answer it as soon as this is committed.
    Raises:
        UserError: empty, too long, or a button that was never offered.
    """
    made = await _accept(at, conversation_id, client_id, text, now, choice, lease)
    assert made is not None
    return made


async def accept_for_bot(
    at: Database, conversation_id: str, client_id: str, text: str, now: datetime, lease: timedelta | None
) -> Accepted | None:
    """`accept` of plain words, where the bot is to answer them: nothing else depends on such a message, so that it is committed by itself.

    Returns:
        None where a person holds the conversation: nothing was taken.
    """
    return await _accept(at, conversation_id, client_id, text, now, None, lease, bot_only=True)


async def _accept(
    at: Database | AsyncSession,
    conversation_id: str,
    client_id: str,
    text: str,
    now: datetime,
    choice: str | None,
    lease: timedelta | None,
    *,
    bot_only: bool = False,
) -> Accepted | None:
    clean = _checked(client_id, text)
    turn_id = new_id("trn")
    body = {"type": "text", "text": clean}
    until = now + lease if lease is not None else None
    row = await repository.accept(
        at, conversation_id, client_id, orjson.dumps(body), turn_id, now, choice=choice, until=until, bot_only=bot_only
    )
    if row is None:
        raise NotFound("no such conversation", "start a new one")
    if row["known"]:
        return Accepted(row["seq"], duplicate=True, owed=False)
    if not row["offered"]:
        raise UserError("that choice was not offered", "choose one of the buttons, or write")
    if row["event"] is None:
        return None
    leased = None
    if row["taken"]:
        asker = (row["account_id"], row["person_id"], row["lang"])
        leased = Leased(turn_id, conversation_id, row["seq"], *asker, clean, choice, attempts=1, created_at=now)
    said = _said(row["seq"], "customer", body, now, client_id)
    return Accepted(row["seq"], False, row["holder"] == "bot", leased, [said], row["event"])


async def append(
    session: AsyncSession,
    conversation_id: str,
    sender: Sender,
    body: Body,
    now: datetime,
    *,
    name: str | None = None,
    client_id: str | None = None,
) -> int:
    """Adds a message that answers no turn: a CSM's reply, a greeting, a notice.

    Returns:
        its `seq`; of the message already there, where `client_id` is known.
    """
    conversation = await _locked(session, conversation_id)
    if client_id is not None:
        known = await repository.seq_of_client_id(session, conversation_id, client_id)
        if known is not None:
            return known
    if sender == "csm" and isinstance(body, Text):
        body = Text(text=mask(_storable(body.text)))
    row = _append(session, conversation, sender, body, now, name=name, client_id=client_id)
    await session.flush()
    await _tell(session, conversation)
    return row.seq


async def settle(
    at: Database | AsyncSession,
    turn_id: str,
    bodies: Sequence[Body],
    outcome: str,
    now: datetime,
    *,
    intent: str | None = None,
    intent_confidence: float | None = None,
    lang: str | None = None,
) -> Settled | None:
    """Appends the replies to a turn and closes it, together or not at all.

    A turn is settled once: a late second attempt changes nothing. Where a CSM has taken the conversation in the
    meantime the bot stays silent.

    Args:
        at: a session, or a database: then it is committed.
        bodies: replies in order.
        outcome: `answered` or `failed`.
        lang: language the customer writes in now; the conversation goes on in it.
    Returns:
        None where this call did not settle it.
    """
    said = [body.model_dump(mode="json") for body in bodies]
    row = await repository.settle(
        at,
        turn_id,
        orjson.dumps(said),
        now,
        outcome=outcome,
        intent=intent,
        confidence=intent_confidence,
        lang=lang,
    )
    if row is None:
        return None
    first = row["last_seq"] - len(said) + 1
    told = [] if row["silent"] else [_said(first + place, "bot", body, now) for place, body in enumerate(said)]
    return Settled(row["conversation_id"], told, row["event"])


async def bind(
    session: AsyncSession, conversation_id: str, account_id: str, person_id: str, until: datetime | None = None
) -> Conversation:
    """Makes an anonymous conversation a known person's.

    Args:
        until: when the proof of who it is ends; tokens of the conversation open it no longer than that.
    Raises:
        Conflict: it is another person's already.
    """
    conversation = await _locked(session, conversation_id)
    bound = (conversation.account_id, conversation.person_id)
    if bound not in ((None, None), (account_id, person_id)):
        raise Conflict("the conversation belongs to somebody else", "start a new one")
    conversation.account_id, conversation.person_id = account_id, person_id
    if until is not None:
        await repository.limit_tokens(session, conversation_id, until)
        await _tell_of_proof(session, conversation_id)
    await session.flush()
    return conversation


async def hold(session: AsyncSession, conversation_id: str, csm_id: str, now: datetime, said: Body) -> Conversation:
    """A CSM takes the conversation: from now on the bot is silent.

    Args:
        said: what the customer reads of it.
    """
    conversation = await repository.hold(session, conversation_id, csm_id, said.model_dump(mode="json"), now)
    if conversation is None:
        raise NotFound("no such conversation", "start a new one")
    return conversation


async def give_back(session: AsyncSession, conversation_id: str) -> Conversation:
    """The bot holds the conversation again."""
    conversation = await _locked(session, conversation_id)
    conversation.holder, conversation.csm_id = "bot", None
    await session.flush()
    await _tell(session, conversation, holder=True)
    return conversation


async def leave_email(session: AsyncSession, conversation_id: str, email: str) -> None:
    """Notes where a visitor can be reached."""
    conversation = await _locked(session, conversation_id)
    conversation.email = email
    await session.flush()


async def add_note(session: AsyncSession, conversation_id: str, csm_id: str, text: str, now: datetime) -> Note:
    """An internal note beside the conversation."""
    conversation = await existing(session, conversation_id)
    note = Note(
        id=new_id("nte"),
        conversation_id=conversation_id,
        after_seq=conversation.last_seq,
        csm_id=csm_id,
        text=mask(_storable(text).strip()),
        created_at=now,
    )
    if not note.text:
        raise UserError("the note is empty", "write something")
    session.add(note)
    await session.flush()
    await repository.notify(session, json.dumps({"note": conversation_id}))
    return note


async def transcript(
    session: AsyncSession, conversation_id: str, after: int = 0, limit: int = repository.PAGE
) -> Sequence[MessageRow]:
    """The log after `after` as it is stored. For CSMs alone."""
    return await repository.messages_after(session, conversation_id, after, limit)


async def last_words(session: AsyncSession, conversation_id: str) -> str:
    """What the customer said last; empty where they said nothing yet."""
    row = await repository.last_of_sender(session, conversation_id, "customer")
    return str(row.body.get("text", "")) if row is not None else ""


async def last_notice(session: AsyncSession, conversation_id: str) -> str:
    """The newest notice of the log; empty where there is none."""
    row = await repository.last_of_sender(session, conversation_id, "system")
    return str(row.body.get("text", "")) if row is not None else ""


async def walks(
    session: AsyncSession, account_ids: Collection[str], since: datetime
) -> list[tuple[Conversation, Checklist]]:
    """Conversations of these accounts that are being led through onboarding and not at rest since, each with the newest checklist; locked."""
    found: list[tuple[Conversation, Checklist]] = []
    for conversation in await repository.with_message(session, account_ids, "checklist", since):
        row = await repository.last_of_type(session, conversation.id, "checklist")
        if row is not None:
            found.append((conversation, Checklist.model_validate(row.body)))
    return found


async def notes(session: AsyncSession, conversation_id: str) -> Sequence[Note]:
    """The internal notes beside a conversation, oldest first. For CSMs alone."""
    return await repository.notes(session, conversation_id)


async def history(at: Database | AsyncSession, conversation_id: str, after: int = 0) -> list[Message]:
    """The log after `after`, as its customer may see it."""
    return [Message.model_validate(row) for row in await repository.log_after(at, conversation_id, after)]


async def mark_read(session: AsyncSession, conversation_id: str, seq: int, by: Sender) -> None:
    """Notes how far one side has read."""
    conversation = await _locked(session, conversation_id)
    field = "csm_read_seq" if by == "csm" else "customer_read_seq"
    if getattr(conversation, field) < seq <= conversation.last_seq:
        setattr(conversation, field, seq)
        await session.flush()
        await repository.notify(session, json.dumps({"c": conversation_id, "read": seq, "by": by}))


async def give_feedback(
    session: AsyncSession,
    conversation_id: str,
    seq: int,
    now: datetime,
    *,
    helpful: bool | None = None,
    score: int | None = None,
    comment: str | None = None,
) -> None:
    """Stores what the customer said of one of the messages they got.

    Raises:
        NotFound: no such message.
        UserError: a score off the scale, or on a message that asks for none.
    """
    row = await repository.message(session, conversation_id, seq)
    if row is None or row.sender == "customer":
        raise NotFound("no such message", "give feedback on an answer")
    if score is not None:
        if row.body["type"] != "survey":
            raise UserError("that message asks for no score", "give it on a survey")
        if not row.body["low"] <= score <= row.body["high"]:
            raise UserError("the score is not on the survey's scale", f"{row.body['low']} to {row.body['high']}")
    await repository.put_feedback(
        session,
        {
            "conversation_id": conversation_id,
            "seq": seq,
            "helpful": helpful,
            "score": score,
            "comment": mask(_storable(comment)[:2000]) if comment else None,
            "created_at": now,
        },
    )


async def survey_kind(session: AsyncSession, conversation_id: str, seq: int) -> str:
    """What a message asks, `csat` or `nps`; empty where it is no survey."""
    row = await repository.message(session, conversation_id, seq)
    return str(row.body.get("survey", "")) if row is not None else ""


def _checked(client_id: str, text: str) -> str:
    clean = mask(_storable(text).strip())
    if not clean:
        raise UserError("the message is empty", "write something")
    if len(clean) > MAX_TEXT:
        raise UserError(f"the message has {len(clean)} characters", f"{MAX_TEXT} is the most; shorten it")
    if not 0 < len(client_id) <= MAX_CLIENT_ID or "\x00" in client_id:
        raise UserError("client_id must have 1 to 64 characters", "use a UUID")
    return clean


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot keep: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


async def _locked(session: AsyncSession, conversation_id: str) -> Conversation:
    found = await repository.lock(session, conversation_id)
    if found is None:
        raise NotFound("no such conversation", "start a new one")
    return found


def _said(seq: int, sender: Sender, body: Said, at: datetime, client_id: str | None = None) -> Said:
    """A message that was just written, as `history` would have it."""
    return {
        "seq": seq,
        "sender": sender,
        "name": None,
        "body": body,
        "client_id": client_id,
        "created_at": at.isoformat().replace("+00:00", "Z"),
    }


def _append(
    session: AsyncSession,
    conversation: Conversation,
    sender: Sender,
    body: Body,
    now: datetime,
    *,
    name: str | None = None,
    client_id: str | None = None,
) -> MessageRow:
    conversation.last_seq += 1
    conversation.last_at = now
    row = MessageRow(
        conversation_id=conversation.id,
        seq=conversation.last_seq,
        sender=sender,
        name=name,
        body=body.model_dump(mode="json"),
        client_id=client_id,
        created_at=now,
    )
    session.add(row)
    return row


async def _tell(session: AsyncSession, conversation: Conversation, *, holder: bool = False) -> None:
    event = {"c": conversation.id, "seq": conversation.last_seq} | ({"holder": conversation.holder} if holder else {})
    await repository.notify(session, json.dumps(event))
