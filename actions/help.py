"""Answers from the help content."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from actions import arbitration, dialogue, escalating, human
from actions.texts import TEXTS
from actions.turn import Act, Turn
from conversations.bodies import Answer, Body, Choice, Choices, Citation, Text
from kit import tracing
from kit.errors import Unavailable
from knowledge_base.schemas import AnswerReply, Asker, Values

ARTICLE = "article:"
"""Choice ids that name an article begin so."""
NONE_OF_THESE = "none"
QUICK_REPLIES = ("onboarding", "plan", "usage", "renewal", "invoice")
"""Ids of greetings' buttons that ask for a fact of the account: each is the function of `actions/account.py` that answers it."""
MOST_QUOTES = 3
"""Answers to one letter."""
OFFERS_AFTER = 3
"""Failures in a row after which a person is offered in so many words, once."""


async def answer(turn: Turn) -> list[Body]:
    """Answers a question from the help content, asks which article was meant, or says that it does not know."""
    if dialogue.wordless(turn.text):
        turn.substantive = False
        return [Text(text=TEXTS.say("wordless", turn.lang))]
    kept = turn.slots.get("subject")
    if kept and dialogue.follows(turn.text):
        return await _follow_up(turn, kept)
    return await answer_text(turn, turn.text)


async def _follow_up(turn: Turn, kept: Mapping[str, Any]) -> list[Body]:
    """A question that leans on what was talked about: asked together with that, unless its own words are answered better."""
    if kept["intent"] in arbitration.OWN and dialogue.asks_price(turn.text):
        from actions import account  # which answers visitors from here

        return await account.plan(turn)
    together = f"{kept['question']} {turn.text}"
    both, alone = await asyncio.gather(look(turn, together), look(turn, turn.text))
    if both is None or alone is None:
        return [_cannot_look_up(turn)]
    if _stands_alone(turn.text, alone, both):
        return await show(turn, turn.text, alone)
    bodies = await show(turn, together, both)
    turn.subject = {"question": kept["question"], "intent": kept["intent"]} if turn.subject else None
    return bodies


def _stands_alone(text: str, alone: AnswerReply, both: AnswerReply) -> bool:
    """Whether a follow-up is answered by its own words: surely and better than with the subject, or at all where the subject adds
    no answer; "what about webhooks?" needs no "better", since it names its own subject."""
    named = not dialogue.points_back(text)
    if alone.decision != "answer":
        return named and alone.decision == "clarify" and both.decision != "answer"
    better = alone.confidence > both.confidence
    return (alone.confidence >= arbitration.SURE and (better or named)) or (named and both.decision != "answer")


async def answer_text(turn: Turn, text: str, article_id: str | None = None) -> list[Body]:
    """Answers some words from the help content.

    Args:
        text: the question.
        article_id: the article the customer chose, where they did.
    """
    try:
        with tracing.stage("knowledge"):
            found = await turn.rooms.knowledge_base.answer(
                text, lang=turn.lang, asker=_asker(turn), values=_values(turn), article_id=article_id
            )
    except Unavailable:
        return [_cannot_look_up(turn)]
    return await show(turn, text, found)


async def letter(turn: Turn, sentences: Sequence[str]) -> list[Body]:
    """Answers a letter by those of its sentences that the help content surely answers.

    Returns:
        one quote an article, in the letter's order; nothing where no sentence is answered more surely than the whole.
    """
    whole, *each = await asyncio.gather(look(turn, turn.text), *(look(turn, one) for one in sentences))
    said: list[Body] = []
    articles: set[str] = set()
    for sentence, found in zip(sentences, each, strict=True):
        if found is None or whole is None or found.decision != "answer" or found.citation is None:
            continue
        better = found.confidence >= arbitration.SURE and found.confidence > whole.confidence
        if better and found.citation.article_id not in articles and len(articles) < MOST_QUOTES:
            articles.add(found.citation.article_id)
            said += _quoted(turn, sentence, found)
    return said


async def look(turn: Turn, text: str) -> AnswerReply | None:
    """What the help content has to some words; None while it is away. Says nothing and decides nothing."""
    try:
        with tracing.stage("knowledge"):
            return await turn.rooms.knowledge_base.answer(
                text, lang=turn.lang, asker=_asker(turn), values=_values(turn)
            )
    except Unavailable:
        return None


async def show(turn: Turn, text: str, found: AnswerReply) -> list[Body]:
    """What the help content has, as the customer reads it.

    Args:
        text: the question.
        found: what the knowledge base made of it.
    """
    turn.decision, turn.confidence = found.decision, found.confidence
    how = arbitration.asks_how(text)
    chosen = turn.intent == "choose"
    route = arbitration.decide(turn.intent, turn.confidence_of_intent, how, found.decision, found.confidence)
    if route == "unknown" and not chosen:
        turn.decision = "abstain"
    if turn.decision == "abstain":
        return [await _abstain(turn)]
    if turn.decision == "clarify":
        turn.subject = {"question": text, "intent": "help_question"}
        return [_clarify(turn, found)]
    return _quoted(turn, text, found)


def _quoted(turn: Turn, text: str, found: AnswerReply) -> list[Body]:
    turn.decision, turn.confidence = "answer", found.confidence
    turn.subject = {"question": text, "intent": "help_question"}
    turn.article_id = found.citation.article_id if found.citation else None
    return [_quote(turn, found)]


def _cannot_look_up(turn: Turn) -> Body:
    turn.decision = "unavailable"
    return human.offer(turn, TEXTS.say("cannot_look_up", turn.lang))


async def choose(turn: Turn) -> list[Body]:
    """Does what the clicked or named button says. The front door has checked that it was offered."""
    choice = dialogue.chosen(turn.understood, turn.slots)
    if choice is None:
        return await _chosen_of_nothing(turn)
    if choice.startswith(ARTICLE):
        kept = turn.slots.get("subject") or {}
        return await answer_text(turn, kept.get("question") or turn.text, choice.removeprefix(ARTICLE))
    if choice == dialogue.HUMAN:
        return await human.wish(turn)
    if choice in QUICK_REPLIES:
        from actions import account  # which answers visitors from here

        act: Act = getattr(account, choice)
        return await act(turn)
    turn.decision = "abstain"
    return [human.offer(turn, TEXTS.say("none_of_these", turn.lang))]


async def _chosen_of_nothing(turn: Turn) -> list[Body]:
    """ "The first one", and nothing to choose from stands there: the words may still be a question that is answered."""
    found = None if dialogue.wordless(turn.text) else await look(turn, turn.text)
    if found is not None and found.decision == "answer" and found.confidence >= arbitration.SURE:
        return await show(turn, turn.text, found)
    turn.substantive = False
    return [Text(text=TEXTS.say("nothing_to_choose", turn.lang))]


async def _abstain(turn: Turn) -> Body:
    """Says that it does not know. Of failures in a row the first and the third offer a person, the others do not."""
    strange = turn.intent == "out_of_scope" and turn.confidence_of_intent >= arbitration.SURE
    first = TEXTS.say("off_topic" if strange else "abstain", turn.lang, product=turn.rooms.company.product)
    if turn.failures == 0:
        return human.offer(turn, first)
    if turn.failures == OFFERS_AFTER - 1 and await escalating.waiting(turn) is None:
        return human.offer(turn, TEXTS.say("three_failures", turn.lang))
    return Text(text=first if strange else TEXTS.say("abstain_again", turn.lang))


def _clarify(turn: Turn, found: AnswerReply) -> Choices:
    choices = [Choice(id=f"{ARTICLE}{one.article_id}", label=one.title) for one in found.choices]
    choices.append(Choice(id=NONE_OF_THESE, label=TEXTS.say("none_label", turn.lang)))
    return Choices(text=TEXTS.say("clarify", turn.lang), choices=choices)


def _quote(turn: Turn, found: AnswerReply) -> Body:
    if found.quote is None or found.citation is None:
        return Text(text=TEXTS.say("abstain", turn.lang))
    return Answer(
        quote=found.quote,
        citations=[Citation.model_validate(found.citation.model_dump())],
        confidence=found.confidence,
        note=_note(turn, found),
        alternatives=[Citation.model_validate(one.model_dump()) for one in found.alternatives],
    )


def _note(turn: Turn, found: AnswerReply) -> str | None:
    """What must be said before the quote: another language, or a feature outside the asker's plan."""
    said: list[str] = []
    if found.other_language:
        said.append(TEXTS.say("other_language", turn.lang))
    if found.restricted is not None and turn.customer is not None:
        plans = turn.rooms.catalog.plans
        names = [plans.named(plan).name for plan in found.restricted.plans]
        feature = found.restricted.feature
        what = plans.feature_name(feature, turn.lang) if feature else TEXTS.say("this_feature", turn.lang)
        listed = ("、" if turn.lang == "ja" else ", ").join(names)
        said.append(TEXTS.say("not_in_plan", turn.lang, feature=what, plan=turn.customer.plan.name, plans=listed))
        # An upgrade is offered to the content alone: to an account in trouble it would be an insult.
        if turn.internal is not None and turn.internal.band == "healthy":
            said.append(TEXTS.say("upgrade", turn.lang))
    return " ".join(said) or None


def _asker(turn: Turn) -> Asker | None:
    known = turn.customer
    return None if known is None else Asker(plan=known.plan.id, role=known.person_role, stage=known.stage)


def _values(turn: Turn) -> Values | None:
    return None if turn.customer is None else Values.model_validate(turn.customer.values())
