"""Questions that were not answered, and labels, as the log has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log, questions, repository
from conversations.bodies import Answer, Body, Choice, Choices, Citation, Text

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
PERIOD = (NOW - timedelta(days=1), NOW + timedelta(days=1))
ANSWER = Answer(
    quote="So.", citations=[Citation(article_id="en/a", title="A", url="https://help.example/en/a")], confidence=0.9
)
CHOICES = Choices(text="Which?", choices=[Choice(id="article:en/b", label="B"), Choice(id="none", label="None")])


class Talk:
    """One conversation, turn by turn."""

    def __init__(self, session: AsyncSession, id: str) -> None:
        self.session, self.id, self.number = session, id, 0

    @classmethod
    async def begin(cls, session: AsyncSession, account: str | None = None) -> Talk:
        made = await log.start(session, lang="en", now=NOW, account_id=account, person_id="p" if account else None)
        return cls(session, made.id)

    async def turn(self, text: str, decision: str | None, reply: Body, choice: str | None = None) -> int:
        """A settled turn; returns the place of the reply."""
        self.number += 1
        moment = NOW + timedelta(seconds=self.number)
        await log.accept(self.session, self.id, f"{self.id}-{self.number}", text, moment, choice)
        leased = await repository.lease_turn(self.session, moment, moment + timedelta(minutes=1))
        assert leased is not None
        owed = await repository.turn(self.session, leased["id"])
        assert owed is not None
        owed.decision = decision
        owed.article_id = "en/a" if decision == "answer" else None
        await log.settle(self.session, owed.id, [reply], "answered", moment)
        return (await log.transcript(self.session, self.id))[-1].seq


async def test_what_was_not_answered_is_found_with_its_reason(session: AsyncSession) -> None:
    talk = await Talk.begin(session, "acme")
    await talk.turn("is there an app", "abstain", Text(text="I do not know."))
    await talk.turn("how many runs", "answer", ANSWER)
    await talk.turn("my limit", "clarify", CHOICES)
    await talk.turn("B", "answer", ANSWER, choice="article:en/b")
    await talk.turn("webhook fails", "clarify", CHOICES)
    await talk.turn("None", "abstain", Text(text="Then I do not know."), choice="none")
    place = await talk.turn("delete my data", "answer", ANSWER)
    await log.give_feedback(session, talk.id, place, NOW, helpful=False)
    await talk.turn("hello", None, Text(text="Hello!"))
    found = [(one.text, one.why, one.account_id) for one in await questions.unanswered(session, *PERIOD)]
    assert found == [
        ("delete my data", "not_helpful", "acme"),
        ("webhook fails", "none_of_these", "acme"),
        ("is there an app", "abstained", "acme"),
    ]
    assert await questions.unanswered(session, NOW - timedelta(days=9), NOW - timedelta(days=1)) == []


async def test_thumbs_choices_and_links_of_csms_are_labels(session: AsyncSession) -> None:
    talk = await Talk.begin(session)
    good = await talk.turn("how many runs", "answer", ANSWER)
    await log.give_feedback(session, talk.id, good, NOW + timedelta(minutes=1), helpful=True)
    bad = await talk.turn("is there an app", "answer", ANSWER)
    await log.give_feedback(session, talk.id, bad, NOW + timedelta(minutes=2), helpful=False)
    await talk.turn("my limit", "clarify", CHOICES)
    await talk.turn("B", "answer", ANSWER, choice="article:en/b")
    await talk.turn("reset my key", "abstain", Text(text="I do not know."))
    reply = Text(text="Here: https://help.example/en/keys. And https://elsewhere.example/x")
    await log.append(session, talk.id, "csm", reply, NOW + timedelta(minutes=3))
    found = await questions.labels(session, *PERIOD, "https://help.example/")
    assert {(one.text, one.article, one.answers, one.source) for one in found} == {
        ("how many runs", "en/a", True, "thumb"),
        ("is there an app", "en/a", False, "thumb"),
        ("my limit", "en/b", True, "choice"),
        ("reset my key", "https://help.example/en/keys", True, "csm"),
    }
    assert "csm" not in {one.source for one in await questions.labels(session, *PERIOD)}
