"""The first words of a conversation, and of one that goes on after a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import facts, greetings
from accounts.facts import CustomerFacts
from api.services import Services
from api.texts import TEXTS
from conversations import log
from conversations.bodies import Body, Choice, Choices, Text
from conversations.models import Conversation
from escalations import queue
from kit.company import Company, Language, in_language
from kit.times import clock_words

RESUME_WITHIN = timedelta(days=7)
"""A conversation with a message this lately goes on when its person comes back."""
BACK_AFTER = timedelta(hours=1)
"""Silence after which somebody who opens their conversation again is met with what is open in it."""
REMEMBERED = timedelta(days=30)
"""How long it is worth mentioning what somebody asked about."""
MOST_WORDS = 80
"""Characters of somebody's own words that are said back to them."""


async def greet(
    session: AsyncSession,
    services: Services,
    conversation: Conversation,
    known: CustomerFacts | None,
    now: datetime,
    *,
    first_visit: bool,
) -> None:
    """Says the first words: to somebody who comes back what is open and what they last asked about; then what a rule of
    `greetings.yml` has for this moment, unless something is open; the plain words where there is nothing else.

    Args:
        known: facts of the customer, None for a visitor.
        first_visit: they never had a conversation before.
    """
    lang: Language = "ja" if conversation.lang == "ja" else "en"
    account = conversation.account_id
    # What stands for a visitor is the conversation: nothing else of them is known, and nothing is set in their browser for it.
    visitor = conversation.person_id or conversation.id
    waits, back = (
        (None, None) if first_visit else await _back(session, services.company, conversation, known, lang, now)
    )
    if back is not None:
        await log.append(session, conversation.id, "bot", Text(text=back), now)
    if waits:
        return
    chosen = greetings.choose(
        services.greetings,
        customer=known,
        internal=await facts.internal_facts(session, services.catalog, account, now) if account and known else None,
        page=conversation.page_url or "",
        first_visit=first_visit,
        shown=await greetings.greeted(session, visitor, now),
        lang=lang,
        product=services.company.product,
        now=now,
    )
    if chosen is not None:
        said: Body = Choices(text=chosen.text, choices=[Choice(id=id_, label=label) for id_, label in chosen.replies])
        await greetings.show(session, chosen, now, visitor=visitor, account_id=account, conversation_id=conversation.id)
    elif back is None:
        said = plain(services.company, known, lang)
    else:
        return
    await log.append(session, conversation.id, "bot", said, now)


async def meet_again(
    session: AsyncSession, services: Services, conversation: Conversation, known: CustomerFacts | None, now: datetime
) -> None:
    """Says what is open to somebody who opens their conversation again after a while; the same words never twice in a row.

    It is a notice and not the bot speaking: a CSM may hold the conversation.
    """
    if now - conversation.last_at < BACK_AFTER:
        return
    lang: Language = "ja" if conversation.lang == "ja" else "en"
    _, back = await _back(session, services.company, conversation, known, lang, now)
    if back is None or back == await log.last_notice(session, conversation.id):
        return
    await log.append(session, conversation.id, "system", Text(text=back), now)


async def _back(
    session: AsyncSession,
    company: Company,
    conversation: Conversation,
    known: CustomerFacts | None,
    lang: Language,
    now: datetime,
) -> tuple[bool, str | None]:
    """Whether something of a customer's is open, and the words that meet them; None where there is nothing to say."""
    account, person = conversation.account_id, conversation.person_id
    if account is None or person is None or known is None:
        return False, None
    since = now - REMEMBERED
    asked = await log.last_question(session, account, person, since)
    waits = await queue.waiting(session, account, person)
    name = known.person_name or known.account_name
    if waits is None:
        return False, TEXTS.say("back", lang, name=name, asked=_shortened(asked)) if asked else None
    about = await log.last_question(session, account, person, since, (waits.conversation_id, waits.raised_at))
    question = TEXTS.say("question_about", lang, asked=_shortened(about)) if about else TEXTS.say("question", lang)
    said = [_open(company, waits, question, name, lang, now)]
    if asked and asked != about:
        said.append(TEXTS.say("last_asked", lang, asked=_shortened(asked)))
    return True, (" " if lang == "en" else "").join(said)


def _open(company: Company, waits: queue.Promised, question: str, name: str, lang: Language, now: datetime) -> str:
    words = {"name": name, "question": question, "csm": waits.csm or ""}
    who = "csm" if waits.csm else "team"
    if waits.expected_at is None or waits.expected_at <= now:  # a time that has passed is no promise
        return TEXTS.say(f"open_{who}", lang, **words)
    when = clock_words(waits.expected_at, now, company.support.timezone, lang)
    return TEXTS.say(f"open_{who}_by", lang, **words, when=when)


def _shortened(words: str) -> str:
    plain_words = " ".join(words.split())
    return plain_words if len(plain_words) <= MOST_WORDS else f"{plain_words[: MOST_WORDS - 1].rstrip()}…"


def plain(company: Company, known: CustomerFacts | None, lang: Language) -> Body:
    """What a conversation begins with where no rule has anything to say.

    Args:
        known: facts of the customer, None for a visitor.
    """
    if known is None:
        return Text(text=TEXTS.say("greeting_visitor", lang, product=company.product))
    name = known.person_name or known.account_name
    step = known.current_step
    if known.stage == "onboarding" and step is not None:
        text = TEXTS.say(
            "greeting_onboarding", lang, name=name, product=company.product, step=in_language(step.title, lang)
        )
        return Choices(text=text, choices=[Choice(id="onboarding", label=TEXTS.say("next_step", lang))])
    return Text(text=TEXTS.say("greeting_customer", lang, name=name, product=company.product))
