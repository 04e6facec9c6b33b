"""The queue: one open escalation a conversation, one CSM a claim, nobody forgotten."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from escalations import csms, policy, queue, repository
from escalations.csms import CsmEntry
from escalations.models import Csm, OutboxItem
from escalations.policy import Facts
from escalations.queue import Asker, Raised
from kit.clock import now
from kit.company import Company, Support
from kit.database import Database
from kit.errors import Conflict, Unauthenticated
from kit.ids import new_id

COMPANY = Company(name="Acme", product="Acme", summary={"en": "", "ja": ""}, support=Support(email="help@acme.example"))
RULES = {rule.id: rule for rule in policy.load(policy.DEFAULT).rules}


async def raise_(
    session: AsyncSession, conversation_id: str, rule: str, value: int | None = None, at: datetime | None = None
) -> Raised:
    return await queue.raise_(
        session,
        COMPANY,
        conversation_id=conversation_id,
        rule=RULES[rule],
        facts=Facts(known=True, band="at_risk"),
        asker=Asker(account_id="acme", account_name="Acme", value=Decimal(value) if value else None, currency="USD"),
        lang="en",
        now=at or now(),
    )


async def new_csm(session: AsyncSession, name: str, role: str = "csm") -> Csm:
    entry = CsmEntry(email=f"{new_id(name.lower())}@acme.example", name=name, role=role)
    return await csms.add(session, entry, "a long password", now())


async def new_conversation(session: AsyncSession) -> str:
    return (await log.start(session, lang="en", now=now())).id


async def test_raising_again_raises_it(session: AsyncSession) -> None:
    """Watch becomes takeover; takeover never becomes watch; there is one."""
    conversation = await new_conversation(session)
    watch = await raise_(session, conversation, "watch_at_risk")
    again = await raise_(session, conversation, "cancel_at_risk")
    down = await raise_(session, conversation, "watch_at_risk")
    assert (watch.created, again.created, down.created) == (True, False, False)
    assert watch.escalation.id == again.escalation.id == down.escalation.id
    assert (down.escalation.mode, down.escalation.rule, down.escalation.priority) == ("takeover", "cancel_at_risk", 1)
    kinds = [event.kind for event in await queue.events(session, watch.escalation.id)]
    assert kinds == ["raised", "heightened"]


async def test_parallel_raises_leave_one(database: Database) -> None:
    """Eight turns at once: one open escalation, with every raise counted in."""
    async with database.begin() as session:
        conversation = await new_conversation(session)

    async def one(number: int) -> Raised:
        async with database.begin() as own:
            return await raise_(own, conversation, "watch_at_risk" if number % 2 else "cancel_at_risk")

    raised = await asyncio.gather(*(one(number) for number in range(8)))
    assert len({done.escalation.id for done in raised}) == 1
    assert sum(done.created for done in raised) == 1
    async with database.begin() as session:
        found = await queue.open_of(session, conversation)
        assert found is not None
        assert found.mode == "takeover"


async def test_a_claim_waits_for_a_turn_that_is_under_way(database: Database) -> None:
    """The bot has the same escalation in hand for a moment: the claim is made after it, and not refused."""
    async with database.begin() as session:
        conversation = await new_conversation(session)
        raised = await raise_(session, conversation, "watch_at_risk")
        csm = await new_csm(session, "Ana")

    async def claim() -> str:
        async with database.begin() as own:
            return (await queue.claim(own, raised.escalation.id, csm, now())).state

    async with database.begin() as turn:
        await repository.lock_open(turn, conversation)
        claiming = asyncio.create_task(claim())
        done, _ = await asyncio.wait({claiming}, timeout=0.3)
        assert not done
    assert await claiming == "claimed"


async def test_two_csms_cannot_both_have_it(database: Database) -> None:
    """Ten claims at once: one succeeds, nine are told."""
    async with database.begin() as session:
        conversation = await new_conversation(session)
        raised = await raise_(session, conversation, "wish")
        rivals = [await new_csm(session, f"Csm{number}") for number in range(10)]

    async def one(csm: Csm) -> str | None:
        async with database.begin() as own:
            try:
                return (await queue.claim(own, raised.escalation.id, csm, now())).csm_id
            except Conflict:
                return None

    winners = [winner for winner in await asyncio.gather(*(one(csm) for csm in rivals)) if winner]
    assert len(winners) == 1
    async with database.begin() as session:
        held = await log.existing(session, conversation)
        assert (held.holder, held.csm_id) == ("csm", winners[0])


async def test_a_whole_case(session: AsyncSession) -> None:
    """Claim, talk, resolve: the customer reads who is there, the answer, and is asked how it was."""
    conversation = await new_conversation(session)
    raised = await raise_(session, conversation, "wish")
    aiko, ben = await new_csm(session, "Aiko"), await new_csm(session, "Ben")
    with pytest.raises(Conflict, match="do not hold"):
        await queue.reply(session, conversation, aiko, "hello", now())
    await queue.claim(session, raised.escalation.id, aiko, now())
    await queue.reply(session, conversation, aiko, "Hello, I am Aiko.", now())
    with pytest.raises(Conflict, match="another CSM"):
        await queue.resolve(session, raised.escalation.id, ben, now())
    await queue.resolve(session, raised.escalation.id, aiko, now(), reason="explained the invoice")
    said = [(message.sender, message.name, message.body.type) for message in await log.history(session, conversation)]
    assert said == [
        ("system", None, "handover"),
        ("csm", "Aiko", "text"),
        ("system", None, "handover"),
        ("system", None, "survey"),
    ]
    assert (await log.existing(session, conversation)).holder == "bot"
    closed = await repository.get(session, raised.escalation.id)
    assert closed is not None
    assert (closed.state, closed.resolution) == ("resolved", "explained the invoice")
    assert (await raise_(session, conversation, "wish")).created


async def test_release_to_the_bot_and_to_the_queue(session: AsyncSession) -> None:
    """To the bot closes it; to the queue leaves it to a colleague."""
    conversation = await new_conversation(session)
    raised = await raise_(session, conversation, "wish")
    aiko = await new_csm(session, "Aiko")
    await queue.claim(session, raised.escalation.id, aiko, now())
    await queue.release(session, raised.escalation.id, aiko, now(), to="queue")
    assert (raised.escalation.state, raised.escalation.csm_id) == ("queued", None)
    await queue.claim(session, raised.escalation.id, aiko, now())
    await queue.release(session, raised.escalation.id, aiko, now(), to="bot")
    assert raised.escalation.state == "returned"
    assert (await log.existing(session, conversation)).holder == "bot"


async def test_a_lead_may_close_what_a_csm_holds(session: AsyncSession) -> None:
    """Somebody is away: the lead resolves."""
    conversation = await new_conversation(session)
    raised = await raise_(session, conversation, "wish")
    await queue.claim(session, raised.escalation.id, await new_csm(session, "Aiko"), now())
    await queue.resolve(session, raised.escalation.id, await new_csm(session, "Lea", "lead"), now())
    assert raised.escalation.state == "resolved"


async def test_the_order_of_help(session: AsyncSession) -> None:
    """About to break first, then priority, then value; long waiting lifts what would starve."""
    moment = now()
    made: dict[str, str] = {}
    for name, rule, value, age in [
        ("cheap", "wish", 10, 0),
        ("dear", "wish", 9000, 0),
        ("urgent", "cancel_at_risk", 5, 0),
        ("breaking", "wish", 1, 29),
        ("watched", "watch_at_risk", 99999, 0),
    ]:
        raised = await raise_(session, await new_conversation(session), rule, value, moment - timedelta(minutes=age))
        made[raised.escalation.id] = name
    await queue.sweep(session, COMPANY, moment)
    listed = [
        made[entry.escalation.id] for entry in await queue.listing(session, limit=1000) if entry.escalation.id in made
    ]
    assert listed == ["breaking", "urgent", "dear", "cheap", "watched"]


async def test_nobody_answers_in_time(session: AsyncSession) -> None:
    """Past its service level it goes one level up, more urgent, and the customer hears so; never past the last level."""
    conversation = await new_conversation(session)
    long_ago = now() - timedelta(hours=5)
    raised = await raise_(session, conversation, "wish", at=long_ago)
    levels = []
    for hour in range(4):
        await queue.sweep(session, COMPANY, long_ago + timedelta(hours=hour + 1))
        levels.append(raised.escalation.level)
    assert levels == [2, 3, 3, 3]
    said = [message.body for message in await log.history(session, conversation)]
    assert [body.status for body in said if body.type == "handover"] == ["queued", "queued"]


async def test_claimed_but_silent_goes_back(session: AsyncSession) -> None:
    """A CSM who says nothing loses the claim; one who answered keeps it."""
    silent, talking = await new_conversation(session), await new_conversation(session)
    aiko = await new_csm(session, "Aiko")
    for conversation in (silent, talking):
        raised = await raise_(session, conversation, "wish")
        await queue.claim(session, raised.escalation.id, aiko, now())
    await queue.reply(session, talking, aiko, "I am looking.", now())
    await queue.sweep(session, COMPANY, now() + queue.SILENT_AFTER + timedelta(seconds=1))
    assert (await log.existing(session, silent)).holder == "bot"
    assert (await log.existing(session, talking)).holder == "csm"
    back = await queue.open_of(session, silent)
    assert back is not None
    assert (back.state, back.level) == ("queued", 2)


async def test_the_outbox_gets_one_notice_a_level(session: AsyncSession) -> None:
    """Raising a takeover twice announces it once."""
    from sqlalchemy import func, select

    conversation = await new_conversation(session)
    raised = await raise_(session, conversation, "wish")
    await raise_(session, conversation, "wish")
    told = OutboxItem.payload["conversation"].astext == conversation, OutboxItem.kind != "webhook"
    count = await session.scalar(select(func.count()).where(*told))
    assert raised.escalation.mode == "takeover"
    assert count == 2  # Slack and e-mail


async def test_wrong_passwords_lock_the_account(session: AsyncSession) -> None:
    """Five wrong tries lock it for a while, the right password included; then it opens."""
    aiko = await new_csm(session, "Aiko")
    for _ in range(csms.MAX_FAILURES):
        assert await csms.sign_in(session, aiko.email, "wrong", now()) is None
    with pytest.raises(Unauthenticated, match="too many"):
        await csms.sign_in(session, aiko.email, "a long password", now())
    later = now() + csms.LOCKED_FOR + timedelta(seconds=1)
    assert (await csms.sign_in(session, aiko.email, "a long password", later)) is aiko
    assert await csms.sign_in(session, "nobody@acme.example", "a long password", now()) is None
