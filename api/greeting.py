"""The first words of a conversation."""

from __future__ import annotations

from datetime import timedelta

from accounts.facts import CustomerFacts
from api.texts import TEXTS
from conversations.bodies import Body, Choice, Choices, Text
from kit.company import Company, Language, in_language

RESUME_WITHIN = timedelta(days=7)
"""A conversation with a message this lately goes on when its person comes back."""


def bodies(company: Company, known: CustomerFacts | None, lang: Language) -> list[Body]:
    """What a new conversation begins with.

    Args:
        known: facts of the customer, None for a visitor.
    """
    if known is None:
        return [Text(text=TEXTS.say("greeting_visitor", lang, product=company.product))]
    name = known.person_name or known.account_name
    step = known.current_step
    if known.stage == "onboarding" and step is not None:
        text = TEXTS.say(
            "greeting_onboarding", lang, name=name, product=company.product, step=in_language(step.title, lang)
        )
        return [Choices(text=text, choices=[Choice(id="onboarding", label=TEXTS.say("next_step", lang))])]
    return [Text(text=TEXTS.say("greeting_customer", lang, name=name, product=company.product))]
