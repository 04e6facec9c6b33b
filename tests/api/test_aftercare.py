"""Greetings counted, surveys asked and fed to health: what lies between the log and the accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import facts
from accounts import repository as known
from accounts.catalog import Catalog, load_catalog
from accounts.greetings import Greetings, load_greetings
from accounts.records import mark_step, put_account, put_person
from accounts.schemas import PutAccount, PutPerson
from accounts.surveys import SurveyRules
from api import aftercare, greeting
from conversations import log, repository
from conversations.bodies import Checklist, Step, Text
from conversations.models import Conversation
from escalations import csms, outbox, policy, queue
from escalations.csms import CsmEntry
from escalations.models import Csm
from escalations.policy import Facts
from escalations.queue import Asker
from kit.company import Company, load_company
from kit.errors import Conflict, UserError
from kit.ids import new_id

NOW = datetime(2033, 11, 16, 12, tzinfo=UTC)
"""Far from the present, where other tests of the same database have greetings counted."""
RULES = SurveyRules()
WISH = next(rule for rule in policy.load(policy.DEFAULT).rules if rule.id == "wish")


@dataclass(frozen=True)
class Front:
    """What greeting needs of the front door's services."""

    company: Company
    catalog: Catalog
    greetings: Greetings


@pytest.fixture(scope="module")
def front(root: Path) -> Any:
    company = load_company(root / "demo")
    return cast("Any", Front(company, load_catalog(company), load_greetings(company)))


async def customer(session: AsyncSession, front: Front, age: int) -> None:
    """Pat of an account that came so many days ago."""
    account = PutAccount(name="A", plan="pro", created_at=NOW - timedelta(days=age))
    await put_account(session, "a", account, NOW, plans=front.catalog.plans)
    await put_person(session, "p", PutPerson(account_id="a", name="Pat", created_at=NOW - timedelta(days=age)), NOW)


async def begin(
    session: AsyncSession, front: Any, at: datetime = NOW, *, page: str = "", first: bool = False, lang: str = "en"
) -> Conversation:
    made = await log.start(session, lang=lang, now=at, account_id="a", person_id="p", page_url=page)
    who = await facts.customer_facts(session, front.catalog, "a", "p", at)
    await greeting.greet(session, front, made, who, at, first_visit=first)
    return made


async def body(session: AsyncSession, conversation: Conversation, seq: int = 1) -> dict[str, Any]:
    row = await repository.message(session, conversation.id, seq)
    assert row is not None
    return row.body


async def counted(session: AsyncSession) -> dict[str, tuple[int, int, int]]:
    rows = await known.greeting_counts(session, NOW - timedelta(days=1), NOW + timedelta(days=30))
    return {row["rule"]: (row["shown"], row["clicked"], row["resolved"]) for row in rows}


async def test_a_greeting_is_shown_clicked_and_resolved(session: AsyncSession, front: Any) -> None:
    """Each is counted once; a second conversation soon after begins plainly."""
    await customer(session, front, age=2)
    conversation = await begin(session, front, first=True)
    said = await body(session, conversation)
    assert "Welcome" in said["text"]
    assert [choice["id"] for choice in said["choices"]] == ["onboarding"]
    assert await counted(session) == {"welcome": (1, 0, 0)}
    for client_id in ("c1", "c1"):
        accepted = await log.accept(session, conversation.id, client_id, "Start", NOW, "onboarding")
        await aftercare.accepted(session, front.company, conversation.id, accepted, "onboarding", NOW)
    assert await counted(session) == {"welcome": (1, 1, 0)}
    await aftercare.helped(session, conversation.id, 1, False, NOW)
    assert await counted(session) == {"welcome": (1, 1, 0)}
    await aftercare.helped(session, conversation.id, 1, True, NOW)
    assert await counted(session) == {"welcome": (1, 1, 1)}
    again = await begin(session, front, NOW + timedelta(hours=1))
    assert "Welcome" not in (await body(session, again))["text"]
    assert await counted(session) == {"welcome": (1, 1, 1)}


async def test_what_is_written_instead_of_clicked_is_no_click(session: AsyncSession, front: Any) -> None:
    """Nor is a button of a later answer."""
    await customer(session, front, age=2)
    conversation = await begin(session, front, first=True)
    accepted = await log.accept(session, conversation.id, "c1", "hello", NOW)
    await aftercare.accepted(session, front.company, conversation.id, accepted, None, NOW)
    later = await log.accept(session, conversation.id, "c2", "Start", NOW, "onboarding")
    await aftercare.accepted(session, front.company, conversation.id, later, "onboarding", NOW)
    assert await counted(session) == {"welcome": (1, 0, 0)}


async def test_nothing_of_an_upgrade_for_an_account_that_is_not_healthy(session: AsyncSession, front: Any) -> None:
    """On the page of prices an account of which nothing good is known is greeted plainly."""
    await customer(session, front, age=300)
    internal = await facts.internal_facts(session, front.catalog, "a", NOW)
    assert internal.band != "healthy"
    conversation = await begin(session, front, page="https://acme.example/pricing")
    assert "pricing_customer" not in await counted(session)
    assert "choices" not in await body(session, conversation) or "plan" not in str(
        (await body(session, conversation))["choices"]
    )


async def held(session: AsyncSession, conversation: Conversation, at: datetime) -> tuple[str, Csm]:
    """A conversation that a CSM has claimed."""
    csm = await csms.add(session, CsmEntry(email=f"{new_id('dana')}@acme.example", name="Dana"), None, at)
    company = Company(name="A", product="A", summary={"en": ""}, support={"email": "help@acme.example"})
    raised = await queue.raise_(
        session,
        company,
        conversation_id=conversation.id,
        rule=WISH,
        facts=Facts(known=True),
        asker=Asker(account_id="a", account_name="A"),
        lang="en",
        now=at,
    )
    await queue.claim(session, raised.escalation.id, csm, at)
    return raised.escalation.id, csm


async def test_the_answer_to_csat_reaches_health(session: AsyncSession, front: Any) -> None:
    """Asked when a CSM resolves, kept in the account's history, and again only after the rest."""
    await customer(session, front, age=300)
    conversation = await begin(session, front)
    escalation, csm = await held(session, conversation, NOW)
    await aftercare.resolve(session, escalation, csm, NOW, RULES)
    assert (await body(session, conversation, conversation.last_seq))["survey"] == "csat"
    asked = conversation.last_seq
    assert (await facts.all_health_facts(session, front.catalog, ["a"], NOW))["a"]["csat"] is None
    with pytest.raises(UserError, match="scale"):
        await aftercare.answered(session, conversation.id, asked, 6, None, NOW)
    await aftercare.answered(session, conversation.id, asked, 2, "slow", NOW)
    assert (await facts.all_health_facts(session, front.catalog, ["a"], NOW))["a"]["csat"] == 2
    with pytest.raises(Conflict):
        await aftercare.answered(session, conversation.id, asked, 5, None, NOW)
    for days, due in ((13, False), (14, True)):
        at = NOW + timedelta(days=days)
        other = await begin(session, front, at)
        escalation, csm = await held(session, other, at)
        await aftercare.resolve(session, escalation, csm, at, RULES)
        assert ("survey" in await body(session, other, other.last_seq)) is due


async def spoken(session: AsyncSession, front: Any, at: datetime) -> Conversation:
    """A conversation that ends with the bot's answer at that time."""
    conversation = await begin(session, front, at)
    accepted = await log.accept(session, conversation.id, "c1", "Which plan am I on?", at, lease=timedelta(seconds=30))
    assert accepted.leased is not None
    assert await log.settle(session, accepted.leased.id, [Text(text="Pro.")], "answered", at)
    return conversation


async def test_nps_is_asked_once_a_conversation_rests(session: AsyncSession, front: Any) -> None:
    """Not while they talk, nor when they are long gone; once in its period; the answer reaches health."""
    await customer(session, front, age=300)
    conversation = await spoken(session, front, NOW)
    assert (await aftercare.ask_nps(session, NOW + aftercare.QUIET, RULES))[0] == 0
    assert (await aftercare.ask_nps(session, NOW + aftercare.FORGOTTEN + timedelta(seconds=1), RULES))[0] == 0
    later = NOW + aftercare.QUIET + timedelta(seconds=1)
    assert (await aftercare.ask_nps(session, later, RULES))[0] == 1
    assert (await body(session, conversation, conversation.last_seq))["survey"] == "nps"
    assert (await aftercare.ask_nps(session, later, RULES))[0] == 0
    await aftercare.answered(session, conversation.id, conversation.last_seq, 9, None, later)
    assert (await facts.all_health_facts(session, front.catalog, ["a"], later))["a"]["nps"] == 9
    for days, asked in ((89, 0), (91, 1)):
        at = NOW + timedelta(days=days)
        await spoken(session, front, at)
        assert (await aftercare.ask_nps(session, at + timedelta(minutes=4), RULES))[0] == asked


async def test_a_conversation_at_rest_is_looked_at_once(session: AsyncSession, front: Any) -> None:
    """What came to rest since is, and where there are more than one transaction should lock, the rest the next time."""
    await customer(session, front, age=300)
    await spoken(session, front, NOW)
    later = NOW + aftercare.QUIET + timedelta(seconds=1)
    assert await aftercare.ask_nps(session, later, RULES, NOW + timedelta(seconds=1)) == (0, later - aftercare.QUIET)
    for number in range(aftercare.AT_ONCE):
        await spoken(session, front, NOW + timedelta(milliseconds=number))
    asked, until = await aftercare.ask_nps(session, later, RULES, NOW)
    assert (asked, until) == (1, NOW + timedelta(milliseconds=aftercare.AT_ONCE - 2))
    assert await aftercare.ask_nps(session, later, RULES, until) == (0, later - aftercare.QUIET)


async def shown_steps(session: AsyncSession, front: Any, at: datetime, lang: str = "en") -> Conversation:
    """A conversation in which the bot has just said what is next."""
    conversation = await begin(session, front, at, lang=lang)
    accepted = await log.accept(session, conversation.id, "c1", "What is next?", at, lease=timedelta(seconds=30))
    assert accepted.leased is not None
    who = await facts.customer_facts(session, front.catalog, "a", "p", at)
    steps = [Step(id=step.id, title=step.title[lang], done=step.done, current=step.current) for step in who.steps]
    said = Checklist(text="Next.", steps=steps, percent=who.onboarding_percent)
    assert await log.settle(session, accepted.leased.id, [said], "answered", at)
    return conversation


async def test_a_step_that_is_done_is_noticed(session: AsyncSession, front: Any) -> None:
    """Told once, with the next; each of several; the last with all of them; nobody else, and not when they are long gone."""
    await customer(session, front, age=2)
    conversation = await shown_steps(session, front, NOW)
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 0
    steps = [step.id for step in front.catalog.onboarding.for_plan("pro")]
    await mark_step(session, "a", steps[0], NOW)
    gone = NOW + aftercare.FORGOTTEN + timedelta(seconds=1)
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], gone) == 0
    assert await aftercare.tell_of_steps(session, front.catalog, ["another"], NOW) == 0
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 1
    said = await body(session, conversation, conversation.last_seq)
    assert said["text"] == "“Invite your team” is done: 16 % so far. Next: Connect your first app."
    assert [step["id"] for step in said["steps"] if step["current"]] == [steps[1]]
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 0
    for step in steps[1:]:
        await mark_step(session, "a", step, NOW)
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 1
    said = await body(session, conversation, conversation.last_seq)
    assert ("every step" in said["text"], said["percent"]) == (True, 100)


async def test_a_step_is_noticed_in_the_persons_language_and_not_over_a_csm(session: AsyncSession, front: Any) -> None:
    """In Japanese; where a CSM holds the conversation, nothing."""
    await customer(session, front, age=2)
    conversation = await shown_steps(session, front, NOW, lang="ja")
    await held(session, conversation, NOW)
    await mark_step(session, "a", "invite_team", NOW)
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 0
    other = await shown_steps(session, front, NOW, lang="ja")
    await mark_step(session, "a", "connect_app", NOW)
    assert await aftercare.tell_of_steps(session, front.catalog, ["a"], NOW) == 1
    assert "完了しました" in (await body(session, other, other.last_seq))["text"]


async def test_nps_leaves_alone_who_waits_for_a_person(session: AsyncSession, front: Any) -> None:
    """An open escalation is no moment to ask."""
    await customer(session, front, age=300)
    conversation = await spoken(session, front, NOW)
    await held(session, conversation, NOW)
    assert (await aftercare.ask_nps(session, NOW + timedelta(minutes=4), RULES))[0] == 0


async def test_a_reply_goes_by_email_to_who_has_left(session: AsyncSession, front: Any) -> None:
    """Not before two minutes, not where it was read; once until they have been back; to the address they left, else their own."""
    company = Company(name="A", product="A", summary={"en": ""}, support={"email": "help@acme.example"})
    await customer(session, front, age=300)
    conversation = await begin(session, front)
    _, csm = await held(session, conversation, NOW)
    seq = await queue.reply(session, conversation.id, csm, "Here you are.", NOW)

    async def told(minutes: float) -> int:
        await aftercare.write_to_who_left(session, company, NOW + timedelta(minutes=minutes))
        found = await outbox.listing(session)
        return sum(item.kind == "customer_email" and item.payload["conversation"] == conversation.id for item in found)

    assert await told(3) == 0  # nobody knows an address
    await put_person(session, "p", PutPerson(email="pat@mail.example"), NOW + timedelta(seconds=1))
    assert await told(2) == 0
    assert await told(2.1) == 1
    await queue.reply(session, conversation.id, csm, "And this.", NOW + timedelta(minutes=3))
    assert await told(6) == 1
    await log.mark_read(session, conversation.id, seq + 1, "customer")
    assert await told(7) == 1
    await log.leave_email(session, conversation.id, "left@mail.example")
    await queue.reply(session, conversation.id, csm, "One more thing.", NOW + timedelta(minutes=8))
    assert await told(11) == 2
    newest = next(item for item in await outbox.listing(session) if item.payload.get("to") == "left@mail.example")
    assert "One more thing." in newest.payload["text"]
