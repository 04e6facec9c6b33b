"""The first words to somebody who comes, chosen by rule: `greetings.yml`. Pure: who, where, when in; at most one greeting out.

Rules are tried in order; the first that fits and is not resting is shown. What a rule looks at may be internal; what it says is the
company's own text with the customer's own facts, so nothing internal is said. A rule that offers an upgrade never fits an account
that is not healthy, whatever else it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from string import Formatter

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import models as m
from accounts import repository
from accounts.facts import CustomerFacts, InternalFacts
from accounts.health import Condition
from kit.company import Company, Language, Localised, in_language
from kit.errors import NotFound
from kit.files import read_yaml
from kit.ids import new_id
from kit.times import day_words

DEFAULT = Path(__file__).with_name("greetings.yml")
WORDS = {"product", "name", "account", "plan", "step", "renewal"}
"""What a greeting may speak of in braces. All but `product` need a customer."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Frozen):
    """Conditions, all of which hold. What is not named does not matter."""

    customer: bool | None = Field(None, description="whether it is a customer who is signed in")
    first_visit: bool | None = None
    stage: list[str] | None = None
    plan: list[str] | None = None
    role: list[str] | None = None
    step_overdue: bool | None = None
    signal: list[str] | None = Field(None, description="any of these signals of health.yml")
    days_to_renewal: Condition | None = None
    page: str | None = Field(None, description="regular expression that is found in the page's address")

    @field_validator("page")
    @classmethod
    def _expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is no regular expression ({error})") from None
        return value


class Reply(_Frozen):
    """A button under a greeting. A click sends the label, with the id as the choice."""

    id: str = Field(
        pattern=r"^(onboarding|plan|usage|renewal|invoice|human|article:.+)$", description="what a click does"
    )
    label: Localised


class Rule(_Frozen):
    """One greeting."""

    id: str = Field(min_length=1)
    when: When = Field(default_factory=When)
    text: Localised
    replies: list[Reply] = Field(min_length=1)
    offers_upgrade: bool = False
    every_days: float = Field(7, ge=0, description="how long this greeting rests after it was shown to a person")

    @model_validator(mode="after")
    def _words(self) -> Rule:
        used = {name for text in self.text.values() for _, name, _, _ in Formatter().parse(text) if name is not None}
        if used - WORDS:
            raise ValueError(f"text speaks of {min(used - WORDS)}; there are {', '.join(sorted(WORDS))}")
        if used - {"product"} and self.when.customer is not True:
            raise ValueError(f"text speaks of {min(used - {'product'})}, so it needs `customer: true` in when")
        return self


class Greetings(_Frozen):
    """`greetings.yml`: the rules in order, and how often anybody is greeted at all."""

    rest_hours: float = Field(12, ge=0, description="between two greetings of one person")
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique(self) -> Greetings:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) < len(ids):
            raise ValueError("two rules have the same id")
        return self


class Greeted(_Frozen):
    """A greeting of the past."""

    rule: str
    at: datetime


class Chosen(_Frozen):
    """What to say."""

    rule: str
    text: str
    replies: list[tuple[str, str]] = Field(description="id and label of each button")


def load_greetings(company: Company) -> Greetings:
    """The company's `greetings.yml`, or the product's.

    Raises:
        UserError: it is wrong; names the line.
    """
    return read_yaml(company.file("greetings.yml", DEFAULT), Greetings)


def choose(
    greetings: Greetings,
    *,
    customer: CustomerFacts | None,
    internal: InternalFacts | None,
    page: str,
    first_visit: bool,
    shown: Sequence[Greeted],
    lang: Language,
    product: str,
    now: datetime,
) -> Chosen | None:
    """The greeting for somebody who comes.

    Args:
        customer: their own facts; None for a visitor.
        internal: what the company knows of the account; None for a visitor.
        page: address of the page they are on.
        first_visit: whether they were never here before.
        shown: what they were greeted with before.
        lang: language to speak.
    Returns:
        None where no rule fits, or they were greeted a short while ago.
    """
    if any(now - each.at < timedelta(hours=greetings.rest_hours) for each in shown):
        return None
    words = _words(customer, lang, product)
    for rule in greetings.rules:
        rests = any(each.rule == rule.id and now - each.at < timedelta(days=rule.every_days) for each in shown)
        healthy = internal is not None and internal.band == "healthy"
        if (
            rests
            or (rule.offers_upgrade and not healthy)
            or not _fits(rule.when, customer, internal, page, first_visit)
        ):
            continue
        text = in_language(rule.text, lang)
        if all(words.get(name) for _, name, _, _ in Formatter().parse(text) if name):
            replies = [(reply.id, in_language(reply.label, lang)) for reply in rule.replies]
            return Chosen(rule=rule.id, text=text.format_map(words), replies=replies)
    return None


def _words(customer: CustomerFacts | None, lang: Language, product: str) -> Mapping[str, str]:
    if customer is None:
        return {"product": product}
    step = customer.current_step
    return {
        "product": product,
        "name": customer.person_name or customer.account_name,
        "account": customer.account_name,
        "plan": customer.plan.name,
        "step": in_language(step.title, lang) if step else "",
        "renewal": day_words(customer.renews_on, lang) if customer.renews_on else "",
    }


def _fits(
    when: When, customer: CustomerFacts | None, internal: InternalFacts | None, page: str, first_visit: bool
) -> bool:
    days = internal.days_to_renewal if internal else None
    overdue = customer is not None and any(step.overdue for step in customer.steps)
    asked: list[tuple[object, bool]] = [
        (when.customer, (customer is not None) == when.customer),
        (when.first_visit, first_visit == when.first_visit),
        (when.stage, customer is not None and customer.stage in (when.stage or [])),
        (when.plan, customer is not None and customer.plan.id in (when.plan or [])),
        (when.role, customer is not None and customer.person_role in (when.role or [])),
        (when.step_overdue, overdue == when.step_overdue),
        (when.signal, internal is not None and bool(set(internal.signals) & set(when.signal or []))),
        (when.days_to_renewal, when.days_to_renewal is not None and when.days_to_renewal.holds(days)),
        (when.page, when.page is not None and re.search(when.page, page) is not None),
    ]
    return all(holds for condition, holds in asked if condition is not None)


async def greeted(session: AsyncSession, visitor: str, now: datetime) -> list[Greeted]:
    """What somebody was greeted with in the last year, for `choose`.

    Args:
        visitor: the person's id, or what stands for a visitor.
    """
    rows = await repository.greetings_of(session, visitor, now - timedelta(days=365))
    return [Greeted(rule=row.rule, at=row.shown_at) for row in rows]


async def show(
    session: AsyncSession,
    chosen: Chosen,
    now: datetime,
    *,
    visitor: str,
    account_id: str | None,
    conversation_id: str | None,
) -> str:
    """Notes that a greeting was shown. Returns its id, for `clicked`."""
    row = m.Greeting(
        id=new_id("grt"),
        rule=chosen.rule,
        visitor=visitor,
        account_id=account_id,
        conversation_id=conversation_id,
        shown_at=now,
    )
    session.add(row)
    await session.flush()
    return row.id


async def clicked(session: AsyncSession, greeting_id: str, now: datetime) -> None:
    """Notes the first click on a greeting.

    Raises:
        NotFound: there is no such greeting.
    """
    row = await session.get(m.Greeting, greeting_id, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no greeting {greeting_id}", "it was not shown")
    row.clicked_at = row.clicked_at or now
    await session.flush()


async def resolved(session: AsyncSession, conversation_id: str, now: datetime) -> None:
    """Notes that the conversation a greeting began was resolved; without a greeting it does nothing."""
    row = await repository.greeting_in(session, conversation_id)
    if row is not None:
        row.resolved_at = row.resolved_at or now
        await session.flush()
