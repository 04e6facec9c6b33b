"""The message log loses, doubles and reorders nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log, repository, turns
from conversations.bodies import Answer, Choice, Choices, Citation, Survey, Text
from conversations.models import Conversation
from kit.clock import now
from kit.database import Database
from kit.errors import Conflict, NotFound, UserError


@pytest.fixture
async def conversation(session: AsyncSession) -> Conversation:
    return await log.start(session, lang="en", now=now())


async def test_messages_are_numbered_from_one_without_gaps(session: AsyncSession, conversation: Conversation) -> None:
    """Each accepted message gets the next seq."""
    for number in range(1, 4):
        accepted = await log.accept(session, conversation.id, f"c{number}", f"message {number}", now())
        assert (accepted.seq, accepted.duplicate, accepted.owed) == (number, False, True)
    assert [message.seq for message in await log.history(session, conversation.id)] == [1, 2, 3]
    assert [message.seq for message in await log.history(session, conversation.id, after=2)] == [3]


async def test_the_same_client_id_twice_is_one_message(session: AsyncSession, conversation: Conversation) -> None:
    """A client that is not sure sends again; the log keeps one and owes one answer."""
    first = await log.accept(session, conversation.id, "same", "hello", now())
    again = await log.accept(session, conversation.id, "same", "hello", now())
    assert again == log.Accepted(first.seq, duplicate=True, owed=False)
    assert len(await log.history(session, conversation.id)) == 1


@pytest.mark.parametrize(
    ("client_id", "text", "says"),
    [
        ("a", "   ", "empty"),
        ("a", "\x00", "empty"),
        ("a", "x" * (log.MAX_TEXT + 1), "4001 characters"),
        ("", "hello", "client_id"),
        ("x" * 65, "hello", "client_id"),
    ],
)
async def test_what_cannot_be_a_message_is_refused(
    session: AsyncSession, conversation: Conversation, client_id: str, text: str, says: str
) -> None:
    """Empty, too long, without an id: refused with a reason, nothing stored."""
    with pytest.raises(UserError, match=says):
        await log.accept(session, conversation.id, client_id, text, now())
    assert await log.history(session, conversation.id) == []


async def test_the_longest_message_is_accepted(session: AsyncSession, conversation: Conversation) -> None:
    """The limit itself is allowed."""
    assert (await log.accept(session, conversation.id, "a", "x" * log.MAX_TEXT, now())).seq == 1


async def test_a_button_counts_only_when_it_was_offered(session: AsyncSession, conversation: Conversation) -> None:
    """A client cannot invent a choice."""
    offered = Choices(text="Which?", choices=[Choice(id="article:a", label="A")])
    await log.append(session, conversation.id, "bot", offered, now())
    with pytest.raises(UserError, match="not offered"):
        await log.accept(session, conversation.id, "1", "B", now(), choice="article:b")
    assert (await log.accept(session, conversation.id, "2", "A", now(), choice="article:a")).owed


async def test_parallel_senders_leave_one_order(database: Database) -> None:
    """Twenty messages at once, each sent twice over its own connection: twenty rows, seq 1 to 20."""
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=now())

    lease = timedelta(minutes=1)

    async def send(number: int) -> log.Accepted:
        name, words = f"c{number % 20}", f"m{number % 20}"
        if number % 3:  # by itself, and within a transaction
            return await log.accept(database, made.id, name, words, now(), lease=lease)
        async with database.begin() as own:
            return await log.accept(own, made.id, name, words, now(), lease=lease)

    accepted = await asyncio.gather(*(send(number) for number in range(40)))
    assert sorted(each.seq for each in accepted) == sorted([*range(1, 21), *range(1, 21)])
    assert [each.seq for each in accepted if each.leased is not None] == [1]
    assert [message.seq for message in await log.history(database, made.id)] == list(range(1, 21))


async def test_one_turn_of_a_conversation_is_leased_at_a_time(database: Database) -> None:
    """The second message waits for the first; another conversation does not."""
    async with database.begin() as session:
        await _drain(session)
        one = await log.start(session, lang="en", now=now())
        two = await log.start(session, lang="en", now=now())
        for number in range(2):
            await log.accept(session, one.id, f"a{number}", "hello", now())
        await log.accept(session, two.id, "b", "hello", now())
    leased = []
    for _ in range(4):
        async with database.begin() as session:
            leased.append(await turns.lease(session, now(), timedelta(minutes=1)))
    assert sorted(turn.conversation_id for turn in leased if turn) == sorted([one.id, two.id])
    assert leased[2:] == [None, None]


async def test_parallel_runners_never_lease_the_same_turn(database: Database) -> None:
    """Ten runners, five turns: five leases."""
    async with database.begin() as session:
        await _drain(session)
        for _ in range(5):
            made = await log.start(session, lang="en", now=now())
            await log.accept(session, made.id, "a", "hello", now())

    async def lease() -> str | None:
        async with database.begin() as own:
            turn = await turns.lease(own, now(), timedelta(minutes=1))
            return turn.id if turn else None

    got = [turn for turn in await asyncio.gather(*(lease() for _ in range(10))) if turn]
    assert len(got) == len(set(got)) == 5


async def test_an_expired_lease_is_taken_over(session: AsyncSession, conversation: Conversation) -> None:
    """A runner that died does not keep its turn."""
    await _drain(session)
    await log.accept(session, conversation.id, "a", "hello", now())
    first = await turns.lease(session, now(), timedelta(seconds=10))
    assert first is not None
    assert await turns.lease(session, now() + timedelta(seconds=9), timedelta(seconds=10)) is None
    again = await turns.lease(session, now() + timedelta(seconds=11), timedelta(seconds=10))
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)


async def test_who_accepts_a_message_may_lease_its_turn_at_once(
    session: AsyncSession, conversation: Conversation
) -> None:
    """But only where nothing of the conversation is owed before; what comes meanwhile is for the next to lease."""
    await _drain(session)
    minute = timedelta(minutes=1)
    first = await log.accept(session, conversation.id, "c1", "one", now(), lease=minute)
    second = await log.accept(session, conversation.id, "c2", "two", now(), lease=minute)
    again = await log.accept(session, conversation.id, "c1", "one", now(), lease=minute)
    assert first.leased is not None
    assert (first.leased.text, first.leased.attempts) == ("one", 1)
    assert second.leased is None
    assert again.leased is None
    assert await turns.lease(session, now(), minute) is None
    await log.settle(session, first.leased.id, [Text(text="…")], "answered", now())
    following = await turns.lease(session, now(), minute)
    assert following is not None
    assert following.text == "two"


async def test_what_was_written_is_told_as_it_is_read(database: Database) -> None:
    """Windows of the process that wrote it get it without reading the log: the same to the last field."""
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=now())
    accepted = await log.accept_for_bot(database, made.id, "c1", "いくら？", now(), timedelta(minutes=1))
    assert accepted is not None
    assert accepted.leased is not None
    replies = [
        Choices(text="Which?", choices=[Choice(id="human", label="A person")]),
        Answer(
            quote="So.", citations=[Citation(article_id="a", title="A", url="/a", updated=now().date())], confidence=0.5
        ),
    ]
    settled = await log.settle(database, accepted.leased.id, replies, "answered", now(), lang="ja")
    assert settled is not None
    read = [message.model_dump(mode="json") for message in await log.history(database, made.id)]
    assert [*accepted.said, *settled.said] == read
    assert json.loads(accepted.event) == {"c": made.id, "seq": 1, "by": "customer", "owed": True, "taken": True}
    assert json.loads(settled.event) == {"c": made.id, "seq": 3}
    assert await log.settle(database, accepted.leased.id, replies, "answered", now()) is None
    async with database.begin() as session:
        assert (await log.existing(session, made.id)).lang == "ja"


async def test_what_a_person_is_to_answer_is_not_taken_for_the_bot(database: Database) -> None:
    """More follows from such a message than an answer, so it is taken in a transaction with that, or not at all."""
    async with database.begin() as session:
        made = await log.start(session, lang="en", now=now())
        await log.hold(session, made.id, "csm_1", now(), Text(text="Ana is here."))
    assert await log.accept_for_bot(database, made.id, "c1", "hello", now(), None) is None
    assert [message.sender for message in await log.history(database, made.id)] == ["system"]
    with pytest.raises(NotFound):
        await log.accept_for_bot(database, "cnv_none", "c1", "hello", now(), None)


async def test_a_turn_is_settled_once(session: AsyncSession, conversation: Conversation) -> None:
    """The replies of a second attempt change nothing."""
    turn = await _owed(session, conversation)
    assert await log.settle(session, turn.id, [Text(text="one"), Text(text="two")], "answered", now(), intent="greet")
    assert not await log.settle(session, turn.id, [Text(text="three")], "answered", now())
    said = [message.body for message in await log.history(session, conversation.id) if message.sender == "bot"]
    assert said == [Text(text="one"), Text(text="two")]


async def test_the_bot_is_silent_while_a_csm_holds_the_conversation(
    session: AsyncSession, conversation: Conversation
) -> None:
    """Owed turns are closed, a reply that comes late is dropped, and new messages owe nothing."""
    turn = await _owed(session, conversation)
    await log.hold(session, conversation.id, "csm_1", now(), Text(text="Ana is here."))
    assert not await log.settle(session, turn.id, [Text(text="late")], "answered", now())
    assert not (await log.accept(session, conversation.id, "b", "are you there?", now())).owed
    assert all(message.sender != "bot" for message in await log.history(session, conversation.id))
    await log.give_back(session, conversation.id)
    assert (await log.accept(session, conversation.id, "c", "and now?", now())).owed


async def test_a_token_opens_its_own_conversation_until_it_ends(session: AsyncSession) -> None:
    """Another's token, a made-up one and an old one all say the same: no such conversation."""
    mine = await log.start(session, lang="en", now=now())
    other = await log.start(session, lang="en", now=now())
    token = await log.mint_token(session, mine.id, now() + timedelta(hours=1))
    opened, until = await log.open_by_token(session, mine.id, token, now())
    assert opened.id == mine.id
    assert until is not None
    for conversation_id, secret, moment in [
        (other.id, token, now()),
        (mine.id, "made-up", now()),
        (mine.id, token, now() + timedelta(hours=2)),
    ]:
        with pytest.raises(NotFound, match="no such conversation"):
            await log.open_by_token(session, conversation_id, secret, moment)


async def test_a_conversation_is_bound_to_one_person(session: AsyncSession, conversation: Conversation) -> None:
    """Binding again is harmless; binding to somebody else is refused."""
    await log.bind(session, conversation.id, "acme", "ann")
    await log.bind(session, conversation.id, "acme", "ann")
    with pytest.raises(Conflict):
        await log.bind(session, conversation.id, "acme", "bob")
    with pytest.raises(NotFound):
        await log.open_by_person(session, conversation.id, "acme", "bob")
    assert (await log.open_by_person(session, conversation.id, "acme", "ann")).id == conversation.id


async def test_a_note_is_not_a_message(session: AsyncSession, conversation: Conversation) -> None:
    """What CSMs write for each other has no way into what a customer reads."""
    await log.add_note(session, conversation.id, "csm_1", "likely to leave, be kind", now())
    assert await log.history(session, conversation.id) == []
    assert [note.text for note in await repository.notes(session, conversation.id)] == ["likely to leave, be kind"]


async def test_feedback_is_kept_and_the_last_word_counts(session: AsyncSession, conversation: Conversation) -> None:
    """Thumbs on an answer; a survey takes scores on its scale alone."""
    citation = Citation(article_id="a", title="A", url="https://example.com/a")
    answer = Answer(quote="Yes.", citations=[citation], confidence=0.9)
    seq = await log.append(session, conversation.id, "bot", answer, now())
    await log.give_feedback(session, conversation.id, seq, now(), helpful=True)
    await log.give_feedback(session, conversation.id, seq, now(), helpful=False)
    survey = await log.append(
        session, conversation.id, "system", Survey(survey="csat", text="How was it?", low=1, high=5), now()
    )
    for score in (0, 6):
        with pytest.raises(UserError, match="scale"):
            await log.give_feedback(session, conversation.id, survey, now(), score=score)
    await log.give_feedback(session, conversation.id, survey, now(), score=5)
    with pytest.raises(UserError, match="asks for no score"):
        await log.give_feedback(session, conversation.id, seq, now(), score=5)
    with pytest.raises(NotFound):
        await log.give_feedback(session, conversation.id, 99, now(), helpful=True)


async def test_failures_count_in_a_row(session: AsyncSession, conversation: Conversation) -> None:
    """An answer that helped starts the count anew."""
    for number, (outcome, decision) in enumerate(
        [("answered", "abstain"), ("answered", "answer"), ("failed", None), ("answered", "abstain")]
    ):
        accepted = await log.accept(session, conversation.id, f"f{number}", "?", now())
        assert accepted.owed
        turn = await turns.lease(session, now(), timedelta(minutes=1))
        assert turn is not None
        row = await repository.turn(session, turn.id)
        assert row is not None
        row.decision = decision
        await log.settle(session, turn.id, [Text(text="…")], outcome, now())
    claims = turns.TurnClaims(conversation.id, (await _owed(session, conversation)).id, None, None, "en")
    assert await turns.owed(session, claims) == 2


async def _owed(session: AsyncSession, conversation: Conversation) -> turns.Leased:
    await _drain(session)
    await log.accept(session, conversation.id, "a", "hello", now())
    turn = await turns.lease(session, now(), timedelta(minutes=1))
    assert turn is not None
    assert turn.conversation_id == conversation.id
    return turn


async def _drain(session: AsyncSession) -> None:
    """Settles what other tests left owed."""
    while turn := await turns.lease(session, now() + timedelta(days=1), timedelta(minutes=1)):
        await log.settle(session, turn.id, [], "failed", now())
