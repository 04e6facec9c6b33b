"""Answers from the help content."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from actions import arbitration, dialogue, escalating, human, plans
from actions.texts import TEXTS
from actions.turn import Act, Turn
from conversations.bodies import Account, Answer, Body, Choice, Choices, Citation, Text
from kit import tracing
from kit.company import in_language
from kit.errors import Unavailable
from knowledge_base.schemas import AnswerReply, Asker, Values
from knowledge_base.schemas import Citation as CitationReply

ARTICLE = "article:"
"""Choice ids that name an article begin so."""
NONE_OF_THESE = "none"
QUICK_REPLIES = ("onboarding", "plan", "usage", "renewal", "invoice")
"""Ids of greetings' buttons that ask for a fact of the account: each is the function of `actions/account.py` that answers it."""
BESIDE_UNSOLVED = 0.9
"""Chance of an answer from which it is shown to words that say that the last one did not help: they hold little else to be looked up."""
BESIDE_LETTERS = 45
"""Letters up to which words may lean on the subject without a word that says so; longer ones name what they are about."""
OUTAGE = 0.5
"""Score of the mood from which words are about a thing that stands still, and no list of articles is any help."""
THERE_IS = 0.9
"""Chance of an answer from which it is shown to words that ask whether there is a thing: an article may have its name and be about something else
("are there apps?": "Connect an app")."""
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
    if kept and kept["intent"] == "ask_onboarding" and kept.get("article") and dialogue.asks_how_alone(turn.text):
        return await answer_text(turn, kept["question"], kept["article"])
    tried = (kept and kept.get("article")) or turn.slots.get("choices") or turn.failures
    if tried and dialogue.says_unsolved(turn.text):
        return await _unsolved(turn)
    if kept and dialogue.follows(turn.text):
        return await _follow_up(turn, kept)
    return await answer_text(turn, turn.text)


async def _unsolved(turn: Turn) -> list[Body]:
    """What was shown did not help: what the help content surely has to these words, else it is regretted."""
    found = await look(turn, turn.text)
    if found is None:
        return [_cannot_look_up(turn)]
    if found.decision == "answer" and found.confidence >= BESIDE_UNSOLVED:
        return await show(turn, turn.text, found)
    turn.decision, turn.confidence = "abstain", found.confidence
    return [await _abstain(turn)]


async def _follow_up(turn: Turn, kept: Mapping[str, Any]) -> list[Body]:
    """A question that leans on what was talked about: asked together with that, unless its own words are answered better."""
    together = f"{kept['question']} {turn.text}"
    on_a_plan = plans.named(turn.rooms.catalog.plans, turn.text)  # a plan's name asks of the same thing on that plan
    if kept["intent"] in arbitration.OWN:
        told = plans.told(turn, together) or plans.priced(turn) if on_a_plan else None
        if told is not None:
            return _told(turn, together, told)
        if dialogue.asks_price(turn.text):
            from actions import account  # which answers visitors from here

            return await account.plan(turn)
        if turn.intent in arbitration.STRANGE:  # a pronoun is no reason to read an article on the account's question
            return await answer_text(turn, turn.text)
    both, alone = await asyncio.gather(look(turn, together), look(turn, turn.text))
    if both is None or alone is None:
        return [_cannot_look_up(turn)]
    if dialogue.asks_price_alone(turn.text) and not dialogue.tells_price(both.quote or ""):
        told = plans.told(
            turn, together
        )  # what was talked about has no price of its own: the plan has that was named, or all have
        return await answer_text(turn, turn.text) if told is None else _told(turn, together, told)
    if not on_a_plan and (_changes_subject(turn.text, kept, alone, both) or _stands_alone(turn.text, alone, both)):
        return await show(turn, turn.text, alone)
    bodies = await show(turn, together, both)
    turn.subject = {**turn.subject, "question": kept["question"], "intent": kept["intent"]} if turn.subject else None
    return bodies


def _stands_alone(text: str, alone: AnswerReply, both: AnswerReply) -> bool:
    """Whether a follow-up is answered by its own words: surely and better than with the subject, or at all where the subject adds
    no answer; "what about webhooks?" needs no "better", since it names its own subject."""
    named = not dialogue.points_back(text)
    if alone.decision != "answer":
        return named and alone.decision == "clarify" and both.decision != "answer"
    better = alone.confidence > both.confidence
    return (alone.confidence >= arbitration.SURE and (better or named)) or (named and both.decision != "answer")


def _changes_subject(text: str, kept: Mapping[str, Any], alone: AnswerReply, both: AnswerReply) -> bool:
    """Whether "what about X?", 「Xは？」 asks of something new: with the subject it finds but the article of before, alone another."""
    if dialogue.points_back(text) or alone.decision == "abstain":
        return False
    before = kept.get("article")
    others = {one.article_id for one in alone.choices} | ({alone.citation.article_id} if alone.citation else set())
    return (
        before is not None and both.citation is not None and both.citation.article_id == before and others != {before}
    )


async def answer_text(turn: Turn, text: str, article_id: str | None = None) -> list[Body]:
    """Answers some words from the help content.

    Args:
        text: the question.
        article_id: the article the customer chose, where they did.
    """
    found = await look(turn, text, article_id)
    if found is not None and article_id is None and text == turn.text:
        found = await _looked_again(turn, found)
        unknown = found.decision == "abstain" or (found.decision == "clarify" and turn.intent in arbitration.STRANGE)
        beside = await _beside_subject(turn) if unknown else []
        if beside:
            return beside
        if dialogue.asks_whether_there_is(text) and found.decision == "answer" and found.confidence < THERE_IS:
            found = _asked_back(found)
    return [_cannot_look_up(turn)] if found is None else await show(turn, text, found)


def _asked_back(found: AnswerReply) -> AnswerReply:
    """The article that would have been quoted, to be asked whether it is meant."""
    return found.model_copy(update={"decision": "clarify", "choices": [found.citation] if found.citation else []})


async def _beside_subject(turn: Turn) -> list[Body]:
    """A few words that name nothing ("can I add two more?", 「増やせますか」) and find nothing alone, asked beside what was talked about.

    Returns:
        nothing where there was nothing, or where they lead to no other passage than that finds by itself: then they are about something else.
    """
    kept = turn.slots.get("subject") or {}
    if not kept.get("question") or len(turn.text) > BESIDE_LETTERS:
        return []
    if turn.intent in arbitration.STRANGE and (turn.intent == "out_of_scope" or not dialogue.names_nothing(turn.text)):
        return []
    together = f"{kept['question']} {turn.text}"
    both, before = await asyncio.gather(look(turn, together), look(turn, kept["question"]))
    if both is None or before is None or both.decision != "answer" or both.confidence < arbitration.SURE:
        return []
    shown = before.citation if kept.get("article") else None
    if both.citation is None or (shown is not None and shown.url == both.citation.url):
        return []
    bodies = await answer_text(turn, dialogue.without_one(turn.text), both.citation.article_id)
    turn.subject = {**turn.subject, "question": kept["question"]} if turn.subject else None
    return bodies


async def answer_beside(turn: Turn, before: str) -> list[Body]:
    """Answers a question that leans on another of the same message ("how many seats are left, and how do I add one?").

    Args:
        before: the other question. Together they find the article, which then answers this one.
    Returns:
        nothing where no article answers both.
    """
    both = await look(turn, f"{before} {turn.text}")
    if both is None or both.decision != "answer" or both.citation is None:
        return []
    return await answer_text(turn, dialogue.without_one(turn.text), both.citation.article_id)


async def _looked_again(turn: Turn, found: AnswerReply) -> AnswerReply:
    """What was not answered, asked in other letters: slips mended where nothing was found, and what is meant by a plan's name."""
    mended = dialogue.mended(turn) if found.decision == "abstain" else None
    if mended:
        found = await look(turn, mended) or found
    clearer = plans.clearer(turn) if found.decision != "answer" else None
    other = await look(turn, clearer) if clearer else None
    return other if other is not None and (other.decision == "answer" or other.confidence > found.confidence) else found


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


async def look(turn: Turn, text: str, article_id: str | None = None) -> AnswerReply | None:
    """What the help content has to some words; None while it is away. Says nothing and decides nothing."""
    try:
        with tracing.stage("knowledge"):
            return await turn.rooms.knowledge_base.answer(
                text, lang=turn.lang, asker=_asker(turn), values=_values(turn), article_id=article_id
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
    how = arbitration.asks_how(text) or arbitration.asks_about(turn.intent, text)
    chosen = turn.intent == "choose"
    route = arbitration.decide(turn.intent, turn.confidence_of_intent, how, found.decision, found.confidence)
    if route == "unknown" and not chosen:
        turn.decision = "abstain"
    of_plans = None if chosen else _of_plans(turn, text)
    if of_plans is not None and (
        turn.decision != "answer" or _leaves_price_open(text, found) or plans.compares(turn, text)
    ):
        return _told(turn, text, of_plans)
    if turn.decision != "answer" and not chosen:
        limits = await _limits(turn, text)
        if limits:
            return limits
        if float((turn.understood.get("mood") or {}).get("outage") or 0.0) >= OUTAGE:
            return await _stands_still(turn, text)
    if turn.decision == "abstain":
        return [await _abstain(turn)]
    if turn.decision == "clarify":
        again = (turn.slots.get("subject") or {}).get("question") == text and bool(turn.slots.get("choices"))
        turn.subject = {"question": text, "intent": "help_question"}
        return [_clarify(turn, found.choices, again)]
    other = of_plans is not None and turn.customer is not None  # whose own plan's values stand in the quote
    return [*_quoted(turn, text, found), *([of_plans] if of_plans is not None and other else [])]


def _of_plans(turn: Turn, text: str) -> Account | None:
    """What the list of plans says to words, or to a price asked after a plan was named: "I want Pro" "how much more is that a month?"."""
    told = plans.told(turn, text)
    kept = (turn.slots.get("subject") or {}).get("question")
    if told is not None or not kept or not dialogue.asks_price(text):
        return told
    return plans.told(turn, f"{kept} {text}")


def _told(turn: Turn, text: str, card: Account) -> list[Body]:
    """The list of plans answers by itself."""
    turn.decision = "answer"
    turn.subject = {"question": text, "intent": "help_question"}
    return [card]


async def _limits(turn: Turn, text: str) -> list[Body]:
    """What no article answers and asks how much there is of something that plans limit: the account's own, or each plan's."""
    card = plans.limits(turn, text)
    if card is None:
        return []
    if turn.customer is None:
        return _told(turn, text, card)
    from actions import account  # which answers visitors from here

    turn.decision, turn.subject = "answer", {"question": text, "intent": "ask_usage"}
    return await account.usage(turn)


async def _stands_still(turn: Turn, text: str) -> list[Body]:
    """Everything fails, and no article surely says why: where incidents are announced, and a person."""
    status = await look(turn, TEXTS.say("outage_question", turn.lang))
    quoted = status is not None and status.decision == "answer"
    said = [Text(text=TEXTS.say("outage", turn.lang)), *(_quoted(turn, text, status) if quoted and status else [])]
    if not quoted:
        turn.decision = "abstain"
    return [*said, human.offer(turn, TEXTS.say("complaint_offer", turn.lang))]


def _leaves_price_open(text: str, found: AnswerReply) -> bool:
    return dialogue.asks_price(text) and not dialogue.tells_price(found.quote or "")


def _quoted(turn: Turn, text: str, found: AnswerReply) -> list[Body]:
    turn.decision, turn.confidence = "answer", found.confidence
    turn.article_id = found.citation.article_id if found.citation else None
    turn.subject = {"question": text, "intent": "help_question", "article": turn.article_id}
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
        return await open_choice(turn, choice)
    if choice == dialogue.HUMAN:
        return await human.wish(turn)
    if choice in QUICK_REPLIES:
        from actions import account  # which answers visitors from here

        act: Act = getattr(account, choice)
        return await act(turn)
    turn.decision = "abstain"
    return [human.offer(turn, TEXTS.say("none_of_these", turn.lang))]


async def open_choice(turn: Turn, choice: str) -> list[Body]:
    """The article of a button: what it has on the question that was asked, or on what the button says."""
    label = next((str(one["label"]) for one in turn.slots.get("choices") or [] if one["id"] == choice), turn.text)
    kept = turn.slots.get("subject") or {}
    return await answer_text(turn, kept.get("question") or label, choice.removeprefix(ARTICLE))


def only_choice(turn: Turn) -> str | None:
    """The one article that the bot asked about ("is this what you mean?"), so that a "yes" opens it."""
    shown = [str(one["id"]) for one in turn.slots.get("choices") or []]
    articles = [one for one in shown if one.startswith(ARTICLE)]
    return articles[0] if len(articles) == 1 else None


async def other(turn: Turn) -> list[Body]:
    """What was shown is not what was meant, and another is asked for without its name: what else there is on the same question."""
    kept = turn.slots.get("subject") or {}
    if not kept.get("article") and dialogue.asks_what_else(turn.text):
        turn.decision = "abstain"
        return [shown_again(turn) or human.offer(turn, TEXTS.say("none_of_these", turn.lang))]
    if not kept.get("article"):
        return [shown_again(turn) or Text(text=TEXTS.say("which_other", turn.lang))]
    found = await look(turn, kept["question"])
    if found is None:
        return [_cannot_look_up(turn)]
    near = [*([found.citation] if found.citation else []), *found.choices, *found.alternatives]
    others = list({one.article_id: one for one in near if one.article_id != kept["article"]}.values())
    if not others:
        turn.decision = "abstain"
        return [human.offer(turn, TEXTS.say("none_of_these", turn.lang))]
    if len(others) == 1:
        return await answer_text(turn, kept["question"], others[0].article_id)
    turn.decision, turn.subject = "clarify", {"question": kept["question"], "intent": "help_question"}
    return [_clarify(turn, others)]


async def next_step(turn: Turn) -> list[Body]:
    """ "And after that?": after an article that explains a step of onboarding the next step, after others a question what is wanted."""
    kept = turn.slots.get("subject") or {}
    if not kept.get("article"):
        if "ask_onboarding" in (turn.intent, kept.get("intent")):
            from actions import account  # which answers visitors from here

            return await account.onboarding(turn)
        turn.substantive = False
        return [shown_again(turn) or Text(text=TEXTS.say("go_on", turn.lang))]
    known = turn.customer
    steps = turn.rooms.catalog.onboarding.for_plan(known.plan.id if known else None)
    done = {step.id for step in known.steps if step.done} if known else set()
    place = next(
        (n for n, one in enumerate(steps) if one.article and f"/{kept['article']}".endswith(f"/{one.article}")), None
    )
    coming = None if place is None else next((one for one in steps[place + 1 :] if one.id not in done), None)
    if coming is None:
        turn.substantive = False
        return [Text(text=TEXTS.say("next_unknown" if place is None else "next_none", turn.lang))]
    title = in_language(coming.title, turn.lang)
    said: list[Body] = [Text(text=TEXTS.say("next_step", turn.lang, step=title))]
    article = turn.rooms.article(coming.article, turn.lang)
    if article is None:
        return said
    said += await answer_text(turn, title, article)
    turn.subject = {"question": title, "intent": "ask_onboarding", "article": article}
    return said


def shown_again(turn: Turn) -> Choices | None:
    """The list of articles that stands there, once more; None where there is none."""
    shown = [Choice.model_validate(one) for one in turn.slots.get("choices") or []]
    return Choices(text=TEXTS.say("clarify", turn.lang), choices=shown) if len(shown) > 1 else None


async def _chosen_of_nothing(turn: Turn) -> list[Body]:
    """ "The first one", and nothing to choose from stands there: what says more than a place is a message like any other."""
    if not dialogue.wordless(turn.text) and not dialogue.names_place_alone(turn.text):
        disputed = dialogue.disputes(turn.text)
        turn.intent = "complain" if disputed else "help_question"
        return await human.complaint(turn) if disputed else await answer(turn)
    found = None if dialogue.wordless(turn.text) else await look(turn, turn.text)
    if found is not None and found.decision == "answer" and found.confidence >= arbitration.SURE:
        return await show(turn, turn.text, found)
    turn.substantive = False
    return [shown_again(turn) or Text(text=TEXTS.say("nothing_to_choose", turn.lang))]


async def _abstain(turn: Turn) -> Body:
    """Says that it does not know. Of failures in a row the first and the third offer a person, the others do not."""
    strange = turn.intent == "out_of_scope" and turn.confidence_of_intent >= arbitration.SURE
    unsolved = bool((turn.slots.get("subject") or {}).get("article")) and dialogue.says_unsolved(turn.text)
    first = TEXTS.say(
        "off_topic" if strange else "unsolved" if unsolved else "abstain", turn.lang, product=turn.rooms.company.product
    )
    if turn.failures == 0:
        return human.offer(turn, first)
    if turn.failures == OFFERS_AFTER - 1 and await escalating.waiting(turn) is None:
        return human.offer(turn, TEXTS.say("three_failures", turn.lang))
    return Text(text=first if strange else TEXTS.say("abstain_again", turn.lang))


def _clarify(turn: Turn, articles: Sequence[CitationReply], again: bool = False) -> Choices:
    """Asks which article is meant; the same words once more mean that none of them helped, so that a person stands there too."""
    choices = [Choice(id=f"{ARTICLE}{one.article_id}", label=one.title) for one in articles]
    last = (dialogue.HUMAN, "talk_to_person") if again else (NONE_OF_THESE, "none_label")
    choices.append(Choice(id=last[0], label=TEXTS.say(last[1], turn.lang)))
    asked = "clarify_again" if again else "clarify" if len(articles) > 1 else "clarify_one"
    return Choices(text=TEXTS.say(asked, turn.lang), choices=choices)


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
