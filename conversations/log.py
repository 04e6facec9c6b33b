"""The message log: what is accepted here cannot be lost, doubled or reordered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository, turns
from conversations.bodies import Body, Message, Sender, Text
from conversations.models import Conversation, ConversationToken, MessageRow, Note, Turn
from conversations.turns import Leased
from kit.errors import Conflict, NotFound, UserError
from kit.ids import hash_token, new_id, new_token
from kit.masking import mask

MAX_TEXT = 4000
"""Characters in one customer message; longer ones are refused with a reason."""

MAX_CLIENT_ID = 64

SMALL_TALK = (
    *("greet", "thanks", "goodbye", "ask_capabilities", "switch_language", "need_help"),
    *("affirm", "deny", "choose", "ask_human", "callback", "complain"),
)
"""Intents of messages that are about nothing one could come back to."""


@dataclass(frozen=True)
class Accepted:
    """A message that is in the log.

    Attributes:
        seq: its place.
        duplicate: the same `client_id` was there already.
        owed: the bot owes an answer to it.
        leased: the turn, where the caller asked for it and nothing of the conversation was owed before.
    """

    seq: int
    duplicate: bool
    owed: bool
    leased: Leased | None = None


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


async def revoke_token(session: AsyncSession, token: str) -> None:
    """Ends a token."""
    await repository.revoke_token(session, hash_token(token))


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
    session: AsyncSession,
    conversation_id: str,
    client_id: str,
    text: str,
    now: datetime,
    choice: str | None = None,
    lease: timedelta | None = None,
) -> Accepted:
    """Takes a customer's message into the log, and owes an answer to it while the bot holds the conversation.

    Args:
        client_id: the client's own id of the message; the same one twice is one message.
        choice: id of the button that was clicked; only one that was offered counts.
        lease: how long the caller wants the turn for itself, to answer it as soon as this is committed.
    Raises:
        UserError: empty, too long, or a button that was never offered.
    """
    clean = _checked(client_id, text)
    conversation = await _locked(session, conversation_id)
    known, owes = await repository.before_accepting(session, conversation_id, client_id)
    if known is not None:
        return Accepted(known, duplicate=True, owed=False)
    if choice is not None:
        await _check_offered(session, conversation_id, choice)
    body = Text(text=clean)
    if conversation.holder != "bot":
        row = _append(session, conversation, "customer", body, now, client_id=client_id)
        await session.flush()
        await _tell(session, conversation, by="customer")
        return Accepted(row.seq, duplicate=False, owed=False)
    taken = lease is not None and not owes
    turn = Turn(
        id=new_id("trn"),
        conversation_id=conversation_id,
        seq=conversation.last_seq + 1,
        choice=choice,
        created_at=now,
        attempts=int(taken),
        leased_until=now + lease if taken and lease is not None else None,
    )
    event = _event(conversation_id, turn.seq, owed=True, taken=taken, by="customer")
    await repository.owe(session, conversation, turn, client_id, body.model_dump(mode="json"), event)
    return Accepted(turn.seq, False, True, turns.leased(conversation, turn, clean) if taken else None)


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
    session: AsyncSession,
    turn_id: str,
    bodies: Sequence[Body],
    outcome: str,
    now: datetime,
    *,
    intent: str | None = None,
    intent_confidence: float | None = None,
    lang: str | None = None,
) -> bool:
    """Appends the replies to a turn and closes it, together or not at all.

    A turn is settled once: a late second attempt changes nothing. Where a CSM has taken the conversation in the
    meantime the bot stays silent.

    Args:
        bodies: replies in order.
        outcome: `answered` or `failed`.
        lang: language the customer writes in now; the conversation goes on in it.
    Returns:
        whether this call settled it.
    """
    found = await repository.lock_turn(session, turn_id)
    if found is None or found[1].settled_at is not None:
        return False
    conversation, turn = found
    more = conversation.last_seq > turn.seq
    silent = conversation.holder != "bot"
    said = [] if silent else [body.model_dump(mode="json") for body in bodies]
    await repository.settle(
        session,
        conversation,
        turn,
        said,
        now,
        outcome="silent" if silent else outcome,
        intent=intent,
        confidence=intent_confidence,
        lang=lang or conversation.lang,
        event=_event(conversation.id, conversation.last_seq + len(said), owed=more),
    )
    return True


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


async def notes(session: AsyncSession, conversation_id: str) -> Sequence[Note]:
    """The internal notes beside a conversation, oldest first. For CSMs alone."""
    return await repository.notes(session, conversation_id)


async def history(session: AsyncSession, conversation_id: str, after: int = 0) -> list[Message]:
    """The log after `after`, as its customer may see it."""
    return [Message.model_validate(row) for row in await repository.log_after(session, conversation_id, after)]


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
    if score is not None and not (row.body.get("low", 1) <= score <= row.body.get("high", 0)):
        raise UserError("the score is not on the survey's scale", f"{row.body.get('low')} to {row.body.get('high')}")
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


async def _check_offered(session: AsyncSession, conversation_id: str, choice: str) -> None:
    offered = await repository.offered(session, conversation_id)
    if choice not in offered:
        raise UserError("that choice was not offered", "choose one of the buttons, or write")


async def _locked(session: AsyncSession, conversation_id: str) -> Conversation:
    found = await repository.lock(session, conversation_id)
    if found is None:
        raise NotFound("no such conversation", "start a new one")
    return found


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


async def _tell(session: AsyncSession, conversation: Conversation, *, holder: bool = False, by: str = "") -> None:
    held = conversation.holder if holder else ""
    await repository.notify(session, _event(conversation.id, conversation.last_seq, holder=held, by=by))


def _event(
    conversation_id: str, seq: int, *, owed: bool = False, taken: bool = False, holder: str = "", by: str = ""
) -> str:
    """What is told of a change of the log; what does not hold is left out."""
    said: dict[str, object] = {"by": by, "owed": owed, "taken": taken, "holder": holder}
    return json.dumps({"c": conversation_id, "seq": seq} | {name: value for name, value in said.items() if value})
