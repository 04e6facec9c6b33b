"""What CSMs see of all conversations: lists, filters, search, counts, and colleagues."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from conversations.bodies import Answer, Citation, Text
from escalations import csms, inbox, queue
from escalations.inbox import Counts, Wanted
from escalations.models import Csm
from kit.clock import now
from kit.errors import Conflict, Forbidden, UserError
from tests.escalations.test_queue import new_csm, raise_


@pytest.fixture
async def ana(session: AsyncSession) -> Csm:
    """A CSM in front of an empty desk."""
    await session.execute(text("DELETE FROM conversations"))
    return await new_csm(session, "Ana")


async def said(session: AsyncSession, words: str, lang: str = "en") -> str:
    """A conversation in which a customer said something and the bot quoted an article."""
    conversation = await log.start(session, lang=lang, now=now())
    await log.append(session, conversation.id, "customer", Text(text=words), now())
    cited = Citation(article_id="en/a", title="A", url="https://help.example/a")
    answer = Answer(quote="Choose **Invoices** first", citations=[cited], confidence=0.9)
    await log.append(session, conversation.id, "bot", answer, now())
    return conversation.id


async def look(session: AsyncSession, csm: Csm, **wanted: object) -> list[str]:
    found = await inbox.look(session, csm, Wanted(**wanted))
    assert await inbox.number(session, csm, Wanted(**wanted)) == len(found)
    return [one.conversation.id for one in found]


async def test_each_list_has_its_own(session: AsyncSession, ana: Csm) -> None:
    """Takeovers are queued, watches watched, claims mine; all has them all, newest word first."""
    bot, watched, queued, mine = [await said(session, "hello") for _ in range(4)]
    await raise_(session, watched, "watch_at_risk")
    await raise_(session, queued, "wish")
    held = await raise_(session, mine, "cancel_at_risk")
    await queue.claim(session, held.escalation.id, ana, now())
    assert await look(session, ana, view="queue") == [queued]
    assert await look(session, ana, view="watching") == [watched]
    assert await look(session, ana, view="mine") == [mine]
    assert await look(session, ana) == [mine, queued, watched, bot]
    assert await look(session, ana, state="bot") == [bot]
    assert await look(session, ana, state="claimed") == [mine]
    assert await look(session, ana, view="queue", priority=1) == []
    assert await look(session, ana, priority=2) == [mine]
    assert await inbox.counts(session, ana) == Counts(queued=1, watching=1, mine=1, unread=1)


async def test_what_was_read_is_not_unread(session: AsyncSession, ana: Csm) -> None:
    """The customer's words count until they are read; one's own never."""
    conversation = await said(session, "hello")
    held = await raise_(session, conversation, "wish")
    await queue.claim(session, held.escalation.id, ana, now())
    await queue.reply(session, conversation, ana, "hi", now())
    found = await log.existing(session, conversation)
    await log.mark_read(session, conversation, found.last_seq, "csm")
    assert (await inbox.counts(session, ana)).unread == 0
    await queue.reply(session, conversation, ana, "are you there?", now())
    assert (await inbox.counts(session, ana)).unread == 0
    await log.accept(session, conversation, "c", "yes", now())
    assert (await inbox.counts(session, ana)).unread == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("cancel", True),
        ("canc", True),  # the beginning of a word
        ("CANCEL subscription", True),
        ("cancel elephant", False),  # all of the words
        ("invoices", True),  # what the bot quoted
        ("ancel", False),
        ("'); DROP TABLE messages; --", False),
        ("cancel & ! | <-> :*", True),  # no operator is one
        ("  ", True),  # nothing asked: everything
    ],
)
async def test_words_are_found(session: AsyncSession, ana: Csm, words: str, found: bool) -> None:
    """Every word as the beginning of one, in what people wrote and the bot quoted."""
    conversation = await said(session, "I want to cancel my subscription")
    assert (await look(session, ana, words=words) == [conversation]) is found


async def test_japanese_words_are_found_anywhere(session: AsyncSession, ana: Csm) -> None:
    """Japanese sets no spaces: a word counts in the middle of a sentence, alone or beside English."""
    conversation = await said(session, "来月Proプランを解約したいのですが", lang="ja")
    await said(session, "請求書について", lang="ja")
    assert await look(session, ana, words="解約") == [conversation]
    assert await look(session, ana, words="解約 プラン") == [conversation]
    assert await look(session, ana, words="解約 請求") == []
    assert await look(session, ana, words="100%") == []


async def test_names_are_found_and_the_words_are_shown(session: AsyncSession, ana: Csm) -> None:
    """The account's name and a visitor's address count too; what is shown is the message with the words."""
    first = await said(session, "The webhook fails")
    await log.leave_email(session, first, "kenji@fjord.example")
    second = await said(session, "hello")
    await raise_(session, second, "wish")  # of Acme
    assert await look(session, ana, words="kenji@fj") == [first]
    assert await look(session, ana, words="acme") == [second]
    (shown,) = await inbox.look(session, ana, Wanted(words="webhook"))
    assert shown.said is not None
    assert shown.said.body["text"] == "The webhook fails"


async def test_the_search_uses_its_index(session: AsyncSession, ana: Csm) -> None:
    """Words are looked up, not read through: the query is written as the index is."""
    await session.execute(text("SET LOCAL enable_seqscan = off"))
    condition = "to_tsvector('simple', coalesce(body->>'text', '') || ' ' || coalesce(body->>'quote', ''))"
    plan = await session.execute(
        text(f"EXPLAIN SELECT 1 FROM messages WHERE {condition} @@ to_tsquery('simple', 'a:*')")  # noqa: S608
    )
    assert "ix_messages_words" in "\n".join(row[0] for row in plan)


async def test_a_colleague_takes_over(session: AsyncSession, ana: Csm) -> None:
    """A transfer gives the conversation and its clock to the colleague; only who holds it may, or a lead."""
    ben, lead = await new_csm(session, "Ben"), await new_csm(session, "Lea", "lead")
    conversation = await said(session, "hello")
    raised = await raise_(session, conversation, "wish")
    await queue.claim(session, raised.escalation.id, ana, now() - timedelta(minutes=14))
    await queue.reply(session, conversation, ana, "one moment", now())
    with pytest.raises(Conflict):
        await queue.transfer(session, raised.escalation.id, ben, ben, now())
    with pytest.raises(Conflict):
        await queue.transfer(session, raised.escalation.id, ana, ana, now())
    moved = await queue.transfer(session, raised.escalation.id, ana, ben, now())
    assert (moved.csm_id, moved.answered_at, moved.state) == (ben.id, None, "claimed")
    assert (await log.existing(session, conversation)).csm_id == ben.id
    with pytest.raises(Conflict):
        await queue.reply(session, conversation, ana, "me again", now())
    await queue.transfer(session, raised.escalation.id, lead, ana, now())
    assert await queue.load(session) == {ana.id: 1}
    kinds = [(event.kind, event.actor) for event in await queue.events(session, raised.escalation.id)]
    assert kinds[-2:] == [("transferred", ana.id), ("transferred", lead.id)]


async def test_only_admins_change_csms(session: AsyncSession, ana: Csm) -> None:
    """A lead may not; an admin may, but not leave nobody to do so."""
    await session.execute(text("UPDATE csms SET role = 'csm' WHERE role = 'admin'"))
    lead, admin = await new_csm(session, "Lea", "lead"), await new_csm(session, "Ada", "admin")
    with pytest.raises(Forbidden):
        await csms.change(session, lead, ana.id, role="admin")
    await csms.change(session, admin, ana.id, role="lead", capacity=3, password="another long password")
    assert (ana.role, ana.capacity) == ("lead", 3)
    assert await csms.sign_in(session, ana.email, "another long password", now()) is ana
    with pytest.raises(UserError):
        await csms.change(session, admin, ana.id, password="short")
    with pytest.raises(Conflict):
        await csms.change(session, admin, admin.id, active=False)
