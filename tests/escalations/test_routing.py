"""Who is offered a conversation, and what a CSM can do with one besides answering."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from escalations import csms, policy, queue, repository, routing
from escalations.csms import CsmEntry
from escalations.models import Csm, Escalation
from escalations.policy import Facts
from escalations.queue import Asker, NoRoom, Raised
from kit.company import Company, Support
from kit.errors import Conflict, Forbidden, UserError
from kit.ids import new_id

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
COMPANY = Company(name="Acme", product="Acme", summary={"en": "", "ja": ""}, support=Support(email="help@acme.example"))
RULES = {rule.id: rule for rule in policy.load(policy.DEFAULT).rules}


EARLY = NOW - timedelta(seconds=1)
"""A second before the owner's share is over."""


@pytest.mark.parametrize(
    ("escalation", "at", "load", "change", "to"),
    [
        ({}, EARLY, {}, {}, {"own", "pool", "ja"}),  # nobody owns it: everybody who speaks English
        ({"owner_id": "own"}, EARLY, {}, {}, {"own"}),
        ({"owner_id": "own"}, NOW, {}, {}, {"own", "pool", "ja"}),  # the owner's share is over
        ({"owner_id": "own"}, EARLY, {"own": 1}, {}, {"own"}),
        ({"owner_id": "own"}, EARLY, {"own": 2}, {}, {"pool", "ja"}),  # the owner has no room
        ({"owner_id": "own"}, EARLY, {}, {"own": {"away": True}}, {"pool", "ja"}),
        ({"owner_id": "own"}, EARLY, {}, {"own": {"seen_at": EARLY - routing.PRESENT_FOR}}, {"own"}),
        ({"owner_id": "own"}, EARLY, {}, {"own": {"seen_at": EARLY - timedelta(seconds=91)}}, {"pool", "ja"}),
        ({"owner_id": "own"}, EARLY, {}, {"own": {"seen_at": None}}, {"pool", "ja"}),
        ({"owner_id": "own"}, EARLY, {}, {"own": {"active": False}}, {"pool", "ja"}),
        ({"lang": "ja"}, EARLY, {}, {}, {"ja"}),
        ({"lang": "ja"}, EARLY, {"ja": 2}, {}, {"own", "pool"}),  # nobody speaks it: better anybody than nobody
        ({"skill": "billing"}, EARLY, {}, {"pool": {"skills": ["billing"]}}, {"pool"}),
        ({"skill": "billing", "lang": "ja"}, EARLY, {}, {"pool": {"skills": ["billing"]}}, {"ja"}),  # language first
        ({}, EARLY, {"own": 2, "pool": 2, "ja": 2}, {}, set()),
    ],
)
@pytest.mark.usefixtures("empty_queue")
async def test_owner_first_then_the_pool(
    session: AsyncSession,
    escalation: dict[str, Any],
    at: datetime,
    load: dict[str, int],
    change: dict[str, Any],
    to: set[str],
) -> None:
    """Below, at and above each limit: those it can be given to are those who get it when they ask."""
    await session.execute(update(Csm).values(away=True))
    team = {
        "own": await new_csm(session, "Own", capacity=2),
        "pool": await new_csm(session, "Pool", capacity=2),
        "ja": await new_csm(session, "Ja", languages=["ja", "en"], capacity=2),
    }
    for name, number in load.items():
        for _ in range(number):
            await queue.claim(session, (await raised(session)).escalation.id, team[name], NOW)
    for name, more in change.items():
        for key, value in more.items():
            setattr(team[name], key, value)
    found = (await raised(session, at=NOW - timedelta(hours=1))).escalation
    given = {"due_at": NOW + timedelta(hours=1)} | escalation
    for key, value in given.items():
        setattr(found, key, team[value].id if key == "owner_id" else value)
    await session.flush()
    first = await repository.first_offered(session, at)
    names = {csm.id: name for name, csm in team.items()}
    assert {names[id_] for id_ in (first[1] if first is not None else [])} == to
    assert {name for name, csm in team.items() if await _gets(session, csm, at)} == to


async def _gets(session: AsyncSession, csm: Csm, at: datetime) -> bool:
    """Whether a CSM who asks gets it; undone afterwards."""
    if csm.seen_at is None or at - csm.seen_at > routing.PRESENT_FOR:
        return False  # asking would be a sign of being there
    undone = await session.begin_nested()
    try:
        return await queue.next_for(session, csm, at) is not None
    except Conflict:
        return False
    finally:
        await undone.rollback()


async def new_csm(session: AsyncSession, name: str, role: str = "csm", **more: Any) -> Csm:
    entry = CsmEntry(email=f"{new_id(name.lower())}@acme.example", name=name, role=role, **more)
    made = await csms.add(session, entry, None, NOW)
    await csms.seen(session, made.id, NOW)
    await session.refresh(made)
    return made


@pytest.fixture
async def empty_queue(session: AsyncSession) -> None:
    """What other tests committed is out of the way, in this test's transaction."""
    await session.execute(update(Escalation).where(Escalation.state == "queued").values(state="returned"))


async def raised(
    session: AsyncSession,
    rule: str = "wish",
    owner: str | None = None,
    conversation: str | None = None,
    at: datetime = NOW,
) -> Raised:
    conversation = conversation or (await log.start(session, lang="en", now=at)).id
    return await queue.raise_(
        session,
        COMPANY,
        conversation_id=conversation,
        rule=RULES[rule],
        facts=Facts(known=True),
        asker=Asker(account_id="acme", account_name="Acme", owner=owner),
        lang="en",
        now=at,
    )


async def kinds(session: AsyncSession, escalation: Escalation) -> list[str]:
    return [event.kind for event in await queue.events(session, escalation.id)]


@pytest.mark.usefixtures("empty_queue")
async def test_next_is_the_owners_then_the_pools_until_there_is_no_room(session: AsyncSession) -> None:
    """A rule that goes to the owner waits for them; one for the pool goes to whoever asks; full is full."""
    owner, other = await new_csm(session, "Owner", capacity=1), await new_csm(session, "Other", capacity=1)
    theirs = await raised(session, "cancel_high_value", owner.email)
    assert theirs.escalation.owner_id == owner.id
    assert await queue.next_for(session, other, NOW) is None
    got = await queue.next_for(session, owner, NOW)
    assert got is not None
    await session.refresh(theirs.escalation)
    assert (got.id, theirs.escalation.csm_id) == (theirs.escalation.id, owner.id)
    pool = await raised(session, "wish", owner.email)
    assert pool.escalation.owner_id is None
    with pytest.raises(NoRoom, match="you hold 1"):
        await queue.next_for(session, owner, NOW)
    mine = await queue.next_for(session, other, NOW)
    assert mine is not None
    assert mine.id == pool.escalation.id


async def test_what_comes_back_within_a_week_goes_to_the_same_csm(session: AsyncSession) -> None:
    """At seven days it still does, after that it is like any other."""
    for late, same in ((timedelta(), True), (timedelta(seconds=1), False)):
        csm = await new_csm(session, "Dana")
        first = (await raised(session)).escalation
        await queue.claim(session, first.id, csm, NOW)
        await queue.resolve(session, first.id, csm, NOW)
        again = await raised(session, conversation=first.conversation_id, at=NOW + queue.REOPENED_WITHIN + late)
        assert again.escalation.id != first.id
        assert (again.escalation.owner_id == csm.id) is same
        assert ("reopened" in await kinds(session, again.escalation)) is same


async def test_a_snoozed_conversation_wakes_in_time_or_when_the_customer_writes(session: AsyncSession) -> None:
    """And is not taken away for silence meanwhile."""
    csm = await new_csm(session, "Dana")
    found = (await raised(session)).escalation
    with pytest.raises(Conflict):
        await queue.snooze(session, found.id, csm, NOW + timedelta(days=1), NOW)
    await queue.claim(session, found.id, csm, NOW)
    for wrong in (NOW, NOW + queue.LONGEST_SNOOZE + timedelta(seconds=1)):
        with pytest.raises(UserError):
            await queue.snooze(session, found.id, csm, wrong, NOW)
    until = NOW + timedelta(days=1)
    await queue.snooze(session, found.id, csm, until, NOW)
    await queue.sweep(session, COMPANY, until - timedelta(seconds=1))
    assert (found.state, found.snoozed_until) == ("claimed", until)
    await queue.heard(session, COMPANY, found.conversation_id, NOW)
    assert found.snoozed_until is None
    await queue.snooze(session, found.id, csm, until, NOW)
    found.answered_at = NOW
    await session.flush()
    await queue.sweep(session, COMPANY, until)
    assert (found.state, found.snoozed_until) == ("claimed", None)
    assert (await kinds(session, found))[-4:] == ["snoozed", "woken", "snoozed", "woken"]


async def test_a_muted_watch_is_heard_of_again_when_it_needs_somebody(session: AsyncSession) -> None:
    """Watching it again changes nothing; a takeover shows it."""
    csm = await new_csm(session, "Dana")
    found = (await raised(session, "watch_at_risk")).escalation
    await queue.mute(session, found.id, csm, NOW)
    await raised(session, "watch_at_risk", conversation=found.conversation_id)
    assert found.muted
    await raised(session, "cancel_at_risk", conversation=found.conversation_id)
    assert not found.muted
    with pytest.raises(Conflict):
        await queue.mute(session, found.id, csm, NOW)


async def test_a_priority_by_hand_has_a_reason(session: AsyncSession) -> None:
    """It changes the order, and colleagues can read why."""
    csm = await new_csm(session, "Dana")
    first, second = (await raised(session)).escalation, (await raised(session)).escalation
    for priority, reason in (("urgent", "  "), ("huge", "because")):
        with pytest.raises(UserError):
            await queue.prioritise(session, second.id, csm, priority, reason, NOW)
    await queue.prioritise(session, second.id, csm, "urgent", "their launch is today", NOW)
    order = [entry.escalation.id for entry in await queue.listing(session, state="queued")]
    assert order.index(second.id) < order.index(first.id)
    event = (await queue.events(session, second.id))[-1]
    assert (event.kind, event.actor, event.detail) == (
        "prioritised",
        csm.id,
        {"before": 3, "after": 1, "reason": "their launch is today"},
    )


async def test_a_follow_up_comes_back_to_who_promised_it(session: AsyncSession) -> None:
    """On its day, once, though it was resolved; only their own may set it, or a lead."""
    csm, other = await new_csm(session, "Dana"), await new_csm(session, "Other")
    found = (await raised(session)).escalation
    await queue.claim(session, found.id, csm, NOW)
    day = (NOW + timedelta(days=20)).date()
    with pytest.raises(Forbidden):
        await queue.follow_up(session, found.id, other, day, NOW)
    with pytest.raises(UserError):
        await queue.follow_up(session, found.id, csm, NOW.date(), NOW)
    await queue.follow_up(session, found.id, csm, day, NOW)
    await queue.resolve(session, found.id, csm, NOW)
    await queue.sweep(session, COMPANY, NOW + timedelta(days=19))
    assert await queue.open_of(session, found.conversation_id) is None
    at = NOW + timedelta(days=20)
    await queue.sweep(session, COMPANY, at)
    again = await queue.open_of(session, found.conversation_id)
    assert again is not None
    assert (again.rule, again.owner_id, found.follow_up_on) == ("follow_up", csm.id, None)
    words = (await log.existing(session, found.conversation_id)).last_seq
    await queue.sweep(session, COMPANY, at + timedelta(days=3))
    assert (await log.existing(session, found.conversation_id)).last_seq == words, (
        "nobody waits: nobody is apologised to"
    )


@pytest.mark.usefixtures("empty_queue")
async def test_a_queue_drains_by_itself_when_somebody_comes_on(session: AsyncSession) -> None:
    """Where the company wants it: to the least busy who is there, up to what they can hold, the most urgent first; who lets it lie is away."""
    push = COMPANY.model_copy(update={"support": COMPANY.support.model_copy(update={"assignment": "push"})})
    low, high = await raised(session, "wish"), await raised(session, "cancel_at_risk")
    away, there = await new_csm(session, "Away", capacity=3), await new_csm(session, "There", capacity=1)
    for csm in await csms.everyone(session):  # nobody else of other tests
        csm.away = csm.id != there.id
    there.seen_at = None
    await session.flush()
    assert await queue.assign(session, push, NOW) == 0, "nobody is there"
    assert await queue.assign(session, COMPANY, NOW) == 0
    await csms.seen(session, there.id, NOW)
    assert await queue.assign(session, COMPANY, NOW) == 0, "only where it is wanted"
    assert await queue.sweep(session, push, NOW) >= 1
    await session.refresh(high.escalation)
    await session.refresh(low.escalation)
    assert (high.escalation.csm_id, low.escalation.state) == (there.id, "queued")
    assert [event.actor for event in await queue.events(session, high.escalation.id)][-1] == "system"
    later = NOW + queue.SILENT_AFTER + timedelta(seconds=1)
    await csms.seen(session, there.id, later)
    await queue.sweep(session, push, later)
    await session.refresh(high.escalation)
    assert (high.escalation.state, (await csms.one(session, there.id)).away) == ("queued", True)
    assert (await csms.one(session, away.id)).away


@pytest.mark.usefixtures("empty_queue")
async def test_the_clock_rests_while_the_customer_has_the_word(session: AsyncSession) -> None:
    """An answer ends it, the customer's next words begin it anew, in business time; one let lie goes back a level up."""
    ana = await new_csm(session, "Ana")
    found = (await raised(session)).escalation
    id_ = found.conversation_id
    await queue.claim(session, found.id, ana, NOW)
    await queue.heard(session, COMPANY, id_, NOW)
    assert found.next_due_at is None, "the first answer is due as it was"
    await queue.reply(session, id_, ana, "hello", NOW)
    assert found.next_due_at is None
    asked = NOW + timedelta(minutes=40)
    await queue.heard(session, COMPANY, id_, asked)
    assert found.next_due_at == asked + timedelta(minutes=found.within_minutes)
    await queue.heard(session, COMPANY, id_, asked + timedelta(minutes=5))
    assert found.next_due_at == asked + timedelta(minutes=found.within_minutes), "more words are no new clock"
    await queue.reply(session, id_, ana, "there", asked + timedelta(minutes=6))
    assert found.next_due_at is None
    await queue.heard(session, COMPANY, id_, asked)
    due = found.next_due_at
    assert due is not None
    await queue.sweep(session, COMPANY, due + queue.SILENT_AFTER)
    await session.refresh(found)
    assert found.state == "claimed"
    await queue.sweep(session, COMPANY, due + queue.SILENT_AFTER + timedelta(seconds=1))
    await session.refresh(found)
    assert (found.state, found.level, found.next_due_at) == ("queued", 2, None)


async def test_who_is_away_is_offered_nothing(session: AsyncSession) -> None:
    """Until they are back."""
    csm = await new_csm(session, "Dana")
    await raised(session)
    await csms.set_away(session, csm, True)
    assert await queue.next_for(session, csm, NOW) is None
    await csms.set_away(session, csm, False)
    assert await queue.next_for(session, csm, NOW) is not None


@pytest.mark.usefixtures("empty_queue")
async def test_the_next_ones_are_those_of_the_queues_order(session: AsyncSession) -> None:
    """What asking for the next one gives, one after another, is what the list shows from the top."""
    await session.execute(update(Csm).values(away=True))
    csm = await new_csm(session, "Dana", capacity=100)
    for priority in range(1, 5):
        for waited, value in ((0, None), (20, 10), (45, 5_000), (200, 90)):
            found = (await raised(session)).escalation
            found.priority, found.created_at = priority, NOW - timedelta(minutes=waited)
            found.value_at_risk = None if value is None else Decimal(value)
            found.breaking = waited == 20
    await session.flush()
    shown = [entry.escalation.id for entry in await queue.listing(session, state="queued")]
    taken = [await queue.next_for(session, csm, NOW) for _ in shown]
    assert [each.id for each in taken if each is not None] == shown
    assert await queue.next_for(session, csm, NOW) is None


SECOND = timedelta(seconds=1)


@pytest.mark.usefixtures("empty_queue")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((3, 0, SECOND), (3, 0, timedelta())),  # who waits longer
        ((2, 0, timedelta()), (3, 0, timedelta(minutes=30) - SECOND)),  # a step of priority is half an hour
        ((3, 0, timedelta(minutes=30) + SECOND), (2, 0, timedelta())),
        ((3, 999, timedelta()), (3, 99, timedelta(minutes=10) - SECOND)),  # a digit of value is ten minutes
        ((3, 99, timedelta(minutes=10) + SECOND), (3, 999, timedelta())),
        ((3, None, SECOND), (3, 0, timedelta())),  # no value is worth nothing
    ],
)
async def test_urgency_value_and_waiting_weigh_against_each_other(
    session: AsyncSession, one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]
) -> None:
    """Just before and just after the head start that each gives."""
    made = []
    for priority, value, waited in (one, other):
        found = (await raised(session)).escalation
        found.priority, found.value_at_risk = priority, value
        found.created_at = NOW - waited
        made.append(found.id)
    await session.flush()
    assert [entry.escalation.id for entry in await queue.listing(session, state="queued")] == made


@pytest.mark.usefixtures("empty_queue")
async def test_what_is_about_to_break_goes_first(session: AsyncSession) -> None:
    """From five minutes before on, as the sweep notes; what is moved up a level has time again."""
    late, urgent = (await raised(session)).escalation, (await raised(session, "cancel_high_value")).escalation
    late.due_at, urgent.due_at = NOW + timedelta(minutes=30), NOW + timedelta(hours=9)
    await session.flush()
    for left, first in ((repository.BREAKING + SECOND, urgent), (repository.BREAKING, late)):
        await queue.sweep(session, COMPANY, late.due_at - left)
        shown = [entry.escalation.id for entry in await queue.listing(session, state="queued")]
        assert shown[0] == first.id
    await queue.sweep(session, COMPANY, late.due_at + SECOND)
    await session.refresh(late)
    assert (late.level, late.breaking) == (2, False)
