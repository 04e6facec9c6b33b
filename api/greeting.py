"""The first words of a conversation."""

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
from kit.company import Company, Language, in_language

RESUME_WITHIN = timedelta(days=7)
"""A conversation with a message this lately goes on when its person comes back."""


async def greet(
    session: AsyncSession,
    services: Services,
    conversation: Conversation,
    known: CustomerFacts | None,
    now: datetime,
    *,
    first_visit: bool,
) -> None:
    """Says the first words: those a rule of `greetings.yml` has for this moment, else the plain ones.

    Args:
        known: facts of the customer, None for a visitor.
        first_visit: they never had a conversation before.
    """
    lang: Language = "ja" if conversation.lang == "ja" else "en"
    account = conversation.account_id
    # What stands for a visitor is the conversation: nothing else of them is known, and nothing is set in their browser for it.
    visitor = conversation.person_id or conversation.id
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
    if chosen is None:
        said = plain(services.company, known, lang)
    else:
        said = Choices(text=chosen.text, choices=[Choice(id=id_, label=label) for id_, label in chosen.replies])
        await greetings.show(session, chosen, now, visitor=visitor, account_id=account, conversation_id=conversation.id)
    await log.append(session, conversation.id, "bot", said, now)


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
