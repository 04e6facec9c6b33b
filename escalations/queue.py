"""The queue: raise, claim, release, resolve. Each change is one transaction and leaves an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from conversations.bodies import Handover, Survey, Text
from conversations.models import Conversation, MessageRow
from escalations import csms, hours, kept, outbox, repository, routing
from escalations.models import Csm, Escalation, EscalationEvent
from escalations.policy import PRIORITIES, Facts, Rule
from escalations.repository import Claimed
from kit.catalogue import Catalogue
from kit.company import Company, Language
from kit.database import Database, Json
from kit.errors import Conflict, NotFound, UserError
from kit.ids import new_id
from kit.masking import mask
from kit.times import clock_words

TEXTS = Catalogue(Path(__file__).with_name("texts.yml"))
LANGUAGES = get_args(Language)
SILENT_AFTER = timedelta(minutes=15)
"""A CSM who claimed and said nothing for this long, or let a later answer be late by so much, loses the claim."""
SECOND_CHANCE_MINUTES = 15
"""Service level, in business minutes, of a conversation that was let wait."""
FOLLOW_UP_MINUTES = 8 * 60
"""Service level, in business minutes, of a conversation whose follow-up day has come."""
WATCH_IDLE = timedelta(hours=24)
"""A watched conversation without a word for this long needs no watching."""
MAX_LEVEL = 3
REOPENED_WITHIN = timedelta(days=7)
"""A conversation that comes back this soon after it was resolved is offered to the same CSM first."""
GIVEN_AT_ONCE = 100
"""How many conversations are given to CSMs in one go."""
LONGEST_SNOOZE = timedelta(days=30)


class Asker(BaseModel):
    """Who an escalation is about, as the queue shows it. `owner` is the e-mail of the CSM who looks after the account."""

    account_id: str | None = None
    account_name: str | None = None
    owner: str | None = None
    value: Decimal | None = None
    currency: str | None = None


class NoRoom(Conflict):
    """A CSM asked for one more than they take at a time."""

    code = "no_room"


@dataclass(frozen=True)
class Raised:
    """What raising an escalation led to.

    Attributes:
        escalation: the one that is open now.
        created: it is new; False where an open one was raised.
        expected_at: when the customer may expect an answer.
        opens_at: where nobody is on duty, when somebody will be.
        csm: who has claimed it already.
        told: the customer was told of it before.
    """

    escalation: Escalation
    created: bool
    expected_at: datetime
    opens_at: datetime | None
    csm: str | None
    told: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of the queue."""

    escalation: Escalation
    conversation: Conversation
    last: MessageRow | None


async def raise_(
    session: AsyncSession,
    company: Company,
    *,
    conversation_id: str,
    rule: Rule,
    facts: Facts,
    asker: Asker,
    lang: str,
    now: datetime,
) -> Raised:
    """Opens an escalation, or raises the conversation's open one: never a second one.

    Args:
        rule: the one that fired; stored with the facts that fired it.
        asker: whose conversation it is.
        lang: language of the conversation.
    """
    company = await kept.company(session, company)
    due_at = hours.due(company.support, now, rule.within_minutes)
    before = await repository.last_resolved(session, conversation_id, now - REOPENED_WITHIN)
    owner = None
    if before is not None:
        owner = await repository.csm(session, before.csm_id or "")
    elif asker.owner and rule.route == "owner":
        owner = await repository.csm_by_email(session, asker.owner)
    values: dict[str, object] = {
        "id": new_id("esc"),
        "conversation_id": conversation_id,
        "account_id": asker.account_id,
        "account_name": asker.account_name,
        "mode": rule.mode,
        "state": "queued",
        "priority": PRIORITIES[rule.priority],
        "level": 1,
        "rule": rule.id,
        "reason": _texts(rule),
        "facts": facts.model_dump(mode="json"),
        "route": rule.route,
        "skill": rule.skill,
        "owner_id": owner.id if owner is not None else None,
        "lang": lang,
        "value_at_risk": asker.value,
        "currency": asker.currency,
        "created_at": now,
        "due_at": due_at,
        "breaking": _breaking(due_at, now),
        "within_minutes": rule.within_minutes,
    }
    created_id = await repository.insert_unless_open(session, values)
    found = await repository.lock_open(session, conversation_id)
    if found is None:  # the insert above left one open, and this transaction holds it
        raise NotFound("the escalation vanished")
    told = created_id is None and found.mode == "takeover"
    if created_id is not None:
        await _event(session, found, "raised", "policy", now, rule=rule.id)
        if before is not None:
            await _event(session, found, "reopened", "policy", now, of=before.id, csm=before.csm_id)
    else:
        await _heighten(session, found, rule, facts, due_at, now)
    if rule.mode == "takeover" and found.state == "queued":
        await outbox.announce(session, found, company, now)
    csm = await repository.csm(session, found.csm_id) if found.csm_id is not None else None
    opens = None if hours.on_duty(company.support, now) else hours.next_opening(company.support, now)
    return Raised(found, created_id is not None, found.due_at, opens, csm.name if csm else None, told)


async def _heighten(
    session: AsyncSession, found: Escalation, rule: Rule, facts: Facts, due_at: datetime, now: datetime
) -> None:
    """An open escalation only ever gets more urgent by being raised again."""
    more_mode = found.mode == "watch" and rule.mode == "takeover"
    more_urgent = PRIORITIES[rule.priority] < found.priority
    if not (more_mode or (more_urgent and rule.mode == found.mode)):
        return
    found.mode, found.muted = rule.mode, found.muted and not more_mode
    found.priority = min(found.priority, PRIORITIES[rule.priority])
    found.due_at = due_at if more_mode else min(found.due_at, due_at)
    found.breaking = _breaking(found.due_at, now)
    found.within_minutes = rule.within_minutes if more_mode else min(found.within_minutes, rule.within_minutes)
    found.rule, found.reason, found.facts = rule.id, _texts(rule), facts.model_dump(mode="json")
    await _event(session, found, "heightened", "policy", now, rule=rule.id)


def _breaking(due_at: datetime, now: datetime) -> bool:
    return due_at <= now + repository.BREAKING


def _texts(rule: Rule) -> Json:
    return {str(lang): text for lang, text in rule.reason.items()}


async def listing(
    session: AsyncSession, *, state: str | None = None, csm_id: str | None = None, limit: int = 200
) -> list[Entry]:
    """Open escalations, in the order they should be helped.

    Args:
        state: `queued` or `claimed`; None for both.
        csm_id: only this CSM's.
    """
    rows = await repository.listing(session, state=state, csm_id=csm_id, limit=limit)
    return [Entry(escalation, conversation, last) for escalation, conversation, last in rows]


async def existing(session: AsyncSession, id_: str) -> Escalation:
    """An escalation by its id, or the open one of a conversation.

    Raises:
        NotFound: neither.
    """
    found = await repository.get(session, id_)
    if found is None:
        raise NotFound(f"no escalation {id_}", "see `kotae queue list`")
    return found


async def open_of(session: AsyncSession, conversation_id: str) -> Escalation | None:
    """The conversation's open escalation."""
    found = await repository.get(session, conversation_id)
    return found if found is not None and found.state in repository.OPEN else None


@dataclass(frozen=True)
class Promised:
    """What a person waits for.

    Attributes:
        csm: who has it; None where it is still in the queue.
        expected_at: when they were told to expect an answer; None where one was given.
    """

    conversation_id: str
    raised_at: datetime
    csm: str | None
    expected_at: datetime | None


async def waiting(session: AsyncSession, account_id: str, person_id: str) -> Promised | None:
    """What a customer was promised and is not settled yet. What is only watched is no promise, and is never named."""
    found = await repository.waiting_of_person(session, account_id, person_id)
    if found is None:
        return None
    csm = await repository.csm(session, found.csm_id) if found.csm_id is not None else None
    expected = found.due_at if found.answered_at is None else None
    return Promised(found.conversation_id, found.created_at, csm.name if csm else None, expected)


async def claim(session: AsyncSession, id_: str, csm: Csm, now: datetime) -> Escalation:
    """A CSM takes the conversation; the bot falls silent and the customer is told who is there.

    Raises:
        Conflict: somebody else has it, or it is closed.
    """
    found = await existing(session, id_)
    claimed = await repository.claim(session, found.id, _claim_of(csm, now))
    await session.refresh(found)
    if claimed is not None:
        return found
    if found.state == "claimed" and found.csm_id == csm.id:
        return found
    raise Conflict(f"{found.id} is {found.state} already", "choose another from the queue")


def _claim_of(csm: Csm, now: datetime, actor: str | None = None) -> repository.Claim:
    """A claim of theirs: the bot falls silent, the customer hears who is there, an event says who gave it to them."""
    return repository.Claim(csm.id, actor or csm.id, _joins(csm.name), new_id("out"), now)


@lru_cache(maxsize=1024)
def _joins(name: str) -> str:
    """What the customer reads when a CSM of that name takes the conversation: JSON, a body by language."""
    return json.dumps(
        {
            lang: Handover(status="claimed", text=TEXTS.say("claimed", lang, name=name), csm=name).model_dump(
                mode="json"
            )
            for lang in LANGUAGES
        }
    )


async def next_for(at: Database | AsyncSession, csm: Csm, now: datetime) -> Claimed | None:
    """Claims for a CSM what they should help with next: what is offered to them, in the order of the queue. One statement.

    Args:
        at: the database, where nothing else belongs to it: a third of what it costs through a session.
    Returns:
        None where nothing is offered to them now.
    Raises:
        NoRoom: they hold as many conversations as they can.
    """
    if csm.seen_at is None or now - csm.seen_at >= routing.PRESENT_FOR / 3:
        await csms.seen(at, csm.id, now)
    found = await repository.claim_next(at, _claim_of(csm, now))
    if found is None and await repository.holds(at, csm.id) >= csm.capacity:
        if csm.capacity == 0:
            raise NoRoom("you take no conversations", "an admin sets how many you take")
        raise NoRoom(f"you hold {csm.capacity} conversations already", "resolve or hand over one first")
    return found


async def assign(session: AsyncSession, company: Company, now: datetime) -> int:
    """Gives what waits to CSMs who are there and have room, each to the least busy of those it is offered to; the company must want it.

    So a queue that filled while nobody was on duty drains by itself when somebody comes on.

    Returns:
        how many were given to somebody.
    """
    given = 0
    while company.support.assignment == "push" and given < GIVEN_AT_ONCE:
        first = await repository.first_offered(session, now)
        csm = await repository.csm(session, first[1][0]) if first is not None else None
        if first is None or csm is None:
            break
        if await repository.claim(session, first[0], _claim_of(csm, now, actor="system")) is None:
            break  # somebody is just taking it: the next sweep goes on
        given += 1
    return given


async def snooze(session: AsyncSession, id_: str, csm: Csm, until: datetime, now: datetime) -> Escalation:
    """The CSM puts the conversation aside until then, or until the customer writes.

    Raises:
        Conflict: this CSM does not hold it.
        UserError: not a moment ahead, or too far.
    """
    found = await _held(session, id_, csm)
    if not now < until <= now + LONGEST_SNOOZE:
        raise UserError("that is no moment to come back at", f"choose one in the next {LONGEST_SNOOZE.days} days")
    found.snoozed_until = until
    await _event(session, found, "snoozed", csm.id, now, until=until.isoformat())
    return found


async def heard(session: AsyncSession, company: Company, conversation_id: str, now: datetime) -> None:
    """The customer wrote while a person holds the conversation: it is put aside no longer, and an answer is due again."""
    found = await repository.lock_open(session, conversation_id)
    if found is None:
        return
    if found.state == "claimed" and found.answered_at is not None and found.next_due_at is None:
        company = await kept.company(session, company)
        found.next_due_at = hours.due(company.support, now, found.within_minutes)
    if found.snoozed_until is not None:
        found.snoozed_until = None
        await _event(session, found, "woken", "customer", now)


async def mute(session: AsyncSession, id_: str, csm: Csm, now: datetime, *, muted: bool = True) -> Escalation:
    """A watched conversation is no longer shown as such, until it needs somebody to take over.

    Raises:
        Conflict: it is not one that is only watched.
    """
    found = await existing(session, id_)
    locked = await repository.lock_open(session, found.conversation_id)
    if locked is None or locked.mode != "watch" or locked.state != "queued":
        raise Conflict(f"{found.id} is not only watched", "snooze or resolve it instead")
    locked.muted = muted
    await _event(session, locked, "muted" if muted else "unmuted", csm.id, now)
    return locked


async def prioritise(
    session: AsyncSession, id_: str, csm: Csm, priority: str, reason: str, now: datetime
) -> Escalation:
    """Sets the priority by hand.

    Args:
        priority: urgent, high, normal or low.
        reason: why, for the colleagues who find their order changed.
    Raises:
        UserError: no such priority, or no reason.
        Conflict: it is closed.
    """
    if priority not in PRIORITIES:
        raise UserError(f"no priority is called {priority!r}", f"there are {', '.join(PRIORITIES)}")
    if not reason.strip():
        raise UserError("the reason is missing", "say why, for your colleagues")
    found = await existing(session, id_)
    locked = await repository.lock_open(session, found.conversation_id)
    if locked is None or locked.id != found.id:
        raise Conflict(f"{found.id} is closed", "nobody waits in it")
    before, locked.priority = locked.priority, PRIORITIES[priority]
    await _event(
        session, locked, "prioritised", csm.id, now, before=before, after=locked.priority, reason=mask(reason.strip())
    )
    return locked


async def follow_up(session: AsyncSession, id_: str, csm: Csm, day: date | None, now: datetime) -> Escalation:
    """Notes a day on which the matter is to be looked at again; None takes it back. It may be resolved in the meantime.

    Raises:
        Forbidden: another CSM has or had it.
        UserError: a day that has passed.
    """
    found = await existing(session, id_)
    if found.csm_id != csm.id:
        csms.require(csm, "lead")
    if day is not None and day <= now.date():
        raise UserError(f"{day} has come already", "choose a day ahead")
    found.follow_up_on = day
    await _event(session, found, "follow_up", csm.id, now, on=day.isoformat() if day else None)
    return found


async def step_in(session: AsyncSession, conversation_id: str, csm: Csm, now: datetime) -> Escalation:
    """A CSM takes any conversation, asked or not.

    Raises:
        Conflict: somebody else has it.
    """
    found = await open_of(session, conversation_id)
    if found is None:
        conversation = await log.existing(session, conversation_id)
        found = Escalation(
            id=new_id("esc"),
            conversation_id=conversation_id,
            account_id=conversation.account_id,
            mode="takeover",
            state="queued",
            priority=PRIORITIES["normal"],
            level=1,
            rule="step_in",
            reason={"en": f"{csm.name} stepped in", "ja": f"{csm.name}が参加"},
            facts={},
            route="pool",
            lang=conversation.lang,
            created_at=now,
            due_at=now,
        )
        session.add(found)
        await session.flush()
    return await claim(session, found.id, csm, now)


async def release(
    session: AsyncSession, id_: str, csm: Csm, now: datetime, *, to: Literal["bot", "queue"] = "bot"
) -> Escalation:
    """The CSM lets go: the bot goes on, or colleagues find it in the queue again.

    Args:
        to: `bot` hands the conversation back and closes the escalation; `queue` leaves it to another CSM.
    Raises:
        Conflict: this CSM does not hold it.
    """
    found = await _held(session, id_, csm)
    await log.give_back(session, found.conversation_id)
    if to == "queue":
        _unclaim(found)
        await _event(session, found, "requeued", csm.id, now)
    else:
        await _close(session, found, "returned", csm.id, now, "handed back to the bot")
        text = TEXTS.say("returned", found.lang, name=csm.name)
        await log.append(session, found.conversation_id, "system", Handover(status="returned", text=text), now)
    await session.flush()
    return found


async def transfer(session: AsyncSession, id_: str, csm: Csm, to: Csm, now: datetime) -> Escalation:
    """The CSM hands the conversation to a colleague, who has it from now on and has not answered yet.

    Raises:
        Conflict: this CSM does not hold it, or the colleague does already.
        NotFound: the colleague is no longer there.
    """
    found = await _held(session, id_, csm)
    if not to.active:
        raise NotFound("no such CSM", "choose another colleague")
    if found.csm_id == to.id:
        raise Conflict(f"{to.name} holds this conversation already", "choose another colleague")
    found.csm_id, found.claimed_at, found.answered_at, found.next_due_at = to.id, now, None, None
    await _event(session, found, "transferred", csm.id, now, to=to.id)
    body = Handover(status="claimed", text=TEXTS.say("claimed", found.lang, name=to.name), csm=to.name)
    await log.hold(session, found.conversation_id, to.id, now, body)
    return found


async def load(session: AsyncSession) -> dict[str, int]:
    """How many conversations each CSM holds, by id; who holds none is left out."""
    return await repository.claimed_by_each(session)


async def resolve(
    session: AsyncSession, id_: str, csm: Csm, now: datetime, *, reason: str = "", ask: bool = True
) -> Escalation:
    """The matter is settled; the customer is told and asked how it was.

    Args:
        ask: False where they were asked too lately.

    Raises:
        Conflict: this CSM does not hold it.
    """
    found = await _held(session, id_, csm)
    await log.give_back(session, found.conversation_id)
    await _close(session, found, "resolved", csm.id, now, reason)
    text = TEXTS.say("resolved", found.lang)
    await log.append(session, found.conversation_id, "system", Handover(status="resolved", text=text), now)
    if ask:
        survey = Survey(survey="csat", text=TEXTS.say("csat", found.lang), low=1, high=5)
        await log.append(session, found.conversation_id, "system", survey, now)
    return found


async def reply(
    session: AsyncSession, conversation_id: str, csm: Csm, text: str, now: datetime, client_id: str | None = None
) -> int:
    """The CSM's words to the customer.

    Returns:
        the message's `seq`.
    Raises:
        Conflict: this CSM does not hold the conversation.
    """
    found = await repository.lock_open(session, conversation_id)
    if found is None or found.state != "claimed" or found.csm_id != csm.id:
        raise Conflict("you do not hold this conversation", "claim it first")
    found.answered_at, found.next_due_at = found.answered_at or now, None
    return await log.append(
        session, conversation_id, "csm", Text(text=text.strip()), now, name=csm.name, client_id=client_id
    )


async def events(session: AsyncSession, escalation_id: str) -> Sequence[EscalationEvent]:
    """Everything that happened to an escalation, oldest first."""
    return await repository.events(session, escalation_id)


async def sweep(session: AsyncSession, company: Company, now: datetime) -> int:
    """Moves what nobody attended to: late ones one level up, silent claims back into the queue, idle watches away, waiting ones to who is there.

    Returns:
        how many were moved.
    """
    moved, company = 0, await kept.company(session, company)
    await repository.mark_breaking(session, now)
    for found in await repository.overdue(session, now):
        if found.level >= MAX_LEVEL:
            continue
        await _up(session, found, company, now, "late")
        moved += 1
    for found in await repository.woken(session, now):
        found.snoozed_until = None
        await _event(session, found, "woken", "system", now)
        moved += 1
    for found in await repository.to_follow_up(session, now.date()):
        moved += await _followed_up(session, found, company, now)
    for found in await repository.claimed_and_silent(session, now - SILENT_AFTER):
        await log.give_back(session, found.conversation_id)
        silent = await repository.csm(session, found.csm_id or "")
        if silent is not None and company.support.assignment == "push":
            silent.away = True  # or they would be given it again
        _unclaim(found)
        await _up(session, found, company, now, "requeued")
        moved += 1
    for found in await repository.idle_watches(session, now - WATCH_IDLE):
        await _close(session, found, "returned", "system", now, "idle")
        moved += 1
    await session.flush()
    return moved + await assign(session, company, now)


async def _followed_up(session: AsyncSession, found: Escalation, company: Company, now: datetime) -> int:
    """The day of a follow-up has come: an open one wakes, one that was closed is opened again for the same CSM."""
    found.follow_up_on = None
    if found.state in repository.OPEN:
        found.snoozed_until = None
        await _event(session, found, "woken", "system", now, why="follow_up")
        return 1
    rule = Rule(
        id=repository.FOLLOW_UP,
        mode="takeover",
        priority="normal",
        within_minutes=FOLLOW_UP_MINUTES,
        route="owner",
        reason={"en": "To be looked at again today", "ja": "本日フォローアップ予定"},
    )
    holder = await repository.csm(session, found.csm_id) if found.csm_id is not None else None
    raised = await raise_(
        session,
        company,
        conversation_id=found.conversation_id,
        rule=rule,
        facts=Facts(known=found.account_id is not None),
        asker=Asker(
            account_id=found.account_id,
            account_name=found.account_name,
            owner=holder.email if holder is not None else None,
            value=found.value_at_risk,
            currency=found.currency,
        ),
        lang=found.lang,
        now=now,
    )
    return int(raised.created)


def _unclaim(found: Escalation) -> None:
    found.state, found.csm_id, found.claimed_at = "queued", None, None
    found.snoozed_until, found.next_due_at = None, None


async def _up(session: AsyncSession, found: Escalation, company: Company, now: datetime, text: str) -> None:
    found.level = min(found.level + 1, MAX_LEVEL)
    found.priority = max(1, found.priority - 1)
    found.due_at = hours.due(company.support, now, SECOND_CHANCE_MINUTES)
    found.breaking = _breaking(found.due_at, now)
    await _event(session, found, text, "system", now, level=found.level)
    when = clock_words(found.due_at, now, company.support.timezone, found.lang)
    said = Handover(status="queued", text=TEXTS.say(text, found.lang, when=when), expected_at=found.due_at)
    await log.append(session, found.conversation_id, "system", said, now)
    await outbox.announce(session, found, company, now)


async def _held(session: AsyncSession, id_: str, csm: Csm) -> Escalation:
    found = await existing(session, id_)
    locked = await repository.lock_open(session, found.conversation_id)
    if locked is None or locked.id != found.id or locked.state != "claimed":
        raise Conflict(f"{found.id} is not claimed", "claim it first")
    if locked.csm_id != csm.id and csm.role == "csm":
        raise Conflict("another CSM holds this conversation", "ask them, or a lead")
    return locked


async def _close(
    session: AsyncSession, found: Escalation, state: str, actor: str, now: datetime, resolution: str
) -> None:
    resolution = mask(resolution)
    found.state, found.closed_at, found.resolution = state, now, resolution or None
    found.snoozed_until, found.next_due_at = None, None
    await _event(session, found, state, actor, now, reason=resolution)


async def _event(
    session: AsyncSession, found: Escalation, kind: str, actor: str, now: datetime, **detail: object
) -> None:
    await session.flush()
    await outbox.publish(
        session, EscalationEvent(escalation_id=found.id, at=now, kind=kind, actor=actor, detail=detail)
    )


def handover(raised: Raised, company: Company, lang: str, now: datetime) -> Handover:
    """What the customer is told when an escalation was raised: what happens next, and when."""
    zone = company.support.timezone
    when = clock_words(raised.expected_at, now, zone, lang)
    if raised.csm is not None:
        return Handover(status="claimed", text=TEXTS.say("already_claimed", lang, name=raised.csm), csm=raised.csm)
    if raised.told:
        text = TEXTS.say("already_queued", lang, when=when)
    elif raised.opens_at is not None:
        opens = clock_words(raised.opens_at, now, zone, lang)
        text = TEXTS.say("queued_closed", lang, opens=opens, when=when, email=company.support.email)
    else:
        text = TEXTS.say("queued_open", lang, when=when)
    return Handover(status="queued", text=text, expected_at=raised.expected_at)
