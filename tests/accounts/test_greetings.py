"""The first words, by rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.catalog import Catalog
from accounts.facts import CustomerFacts, InternalFacts, customer_facts, internal_facts
from accounts.greetings import (
    Chosen,
    Greeted,
    Greetings,
    Rule,
    choose,
    clicked,
    greeted,
    load_greetings,
    resolved,
    show,
)
from accounts.records import mark_step, put_account, put_person
from accounts.schemas import PutAccount, PutPerson
from kit.errors import NotFound
from kit.times import day_words

Facts = tuple[CustomerFacts, InternalFacts]


async def facts(session: AsyncSession, catalog: Catalog, now: datetime, **more: Any) -> Facts:
    """An admin of an account on Pro that has set itself up."""
    payload = {"plan": "pro", "name": "A", "created_at": now - timedelta(days=300)} | more
    await put_account(session, "a", PutAccount.model_validate(payload), now, plans=catalog.plans)
    await put_person(session, "p", PutPerson(account_id="a", name="Pat", role="admin"), now)
    if payload["created_at"] < now - timedelta(days=100):
        for step in catalog.onboarding.steps:
            await mark_step(session, "a", step.id, now - timedelta(days=200))
    customer = await customer_facts(session, catalog, "a", "p", now)
    return customer, await internal_facts(session, catalog, "a", now)


def greeting(catalog: Catalog, who: Facts | None, now: datetime, **more: Any) -> Chosen | None:
    """What the product's own rules say."""
    given: dict[str, Any] = {"page": "https://x.example/app", "first_visit": False, "shown": [], "lang": "en"}
    customer, internal = who or (None, None)
    rules = load_greetings(catalog.company)
    return choose(rules, customer=customer, internal=internal, product="Orimono", now=now, **(given | more))


async def test_a_new_account_is_walked_through(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Welcome on the first visit; from the day a step is overdue, that step, in the customer's language."""
    who = await facts(session, catalog, now, created_at=now - timedelta(days=3))
    made = greeting(catalog, who, now, first_visit=True)
    assert made is not None
    assert made.rule == "welcome"
    assert "Pat" in made.text
    assert greeting(catalog, who, now) is None
    later = await facts(session, catalog, now, created_at=now - timedelta(days=4))
    made = greeting(catalog, later, now, lang="ja")
    assert made is not None
    assert (made.rule, made.replies) == ("step_overdue", [("onboarding", "手順を見る")])
    assert "チームを招待する" in made.text


async def test_the_renewal_is_named_to_those_it_concerns(
    session: AsyncSession, catalog: Catalog, now: datetime
) -> None:
    """30 days before, to an admin; not 31, and not to a member."""
    for days, rule in ((31, None), (30, "renewal_near")):
        who = await facts(session, catalog, now, renews_on=(now + timedelta(days=days)).date())
        made = greeting(catalog, who, now)
        assert (made.rule if made else None) == rule
    assert made is not None
    assert day_words((now + timedelta(days=30)).date(), "en") in made.text
    member = who[0].model_copy(update={"person_role": "member"})
    assert greeting(catalog, (member, who[1]), now) is None


async def test_an_upgrade_is_for_healthy_accounts_alone(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """On the pricing page, by band; an account of which nothing is known is not healthy."""
    customer, internal = await facts(session, catalog, now)
    for band, rule in (("healthy", "pricing_customer"), ("neutral", None), ("at_risk", None), (None, None)):
        who = customer, internal.model_copy(update={"band": band})
        made = greeting(catalog, who, now, page="https://x.example/pricing")
        assert (made.rule if made else None) == rule
    visitor = greeting(catalog, None, now, page="https://x.example/pricing")
    assert visitor is not None
    assert visitor.rule == "pricing_visitor"


async def test_nobody_is_greeted_too_often(session: AsyncSession, catalog: Catalog, now: datetime) -> None:
    """Below and at the rest of a person, and of a greeting."""
    who = await facts(session, catalog, now, renews_on=(now + timedelta(days=9)).date())
    for rule, ago, shown in (
        ("other", timedelta(hours=11, minutes=59), False),
        ("other", timedelta(hours=12), True),
        ("renewal_near", timedelta(days=13, hours=23), False),
        ("renewal_near", timedelta(days=14), True),
    ):
        made = greeting(catalog, who, now, shown=[Greeted(rule=rule, at=now - ago)])
        assert (made is not None) is shown


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"text": "{score}"}, "speaks of score"),
        ({"text": "{name.__class__}"}, "speaks of name.__class__"),
        ({"text": "{name}"}, "needs `customer: true`"),
        ({"text": "x", "when": {"page": "("}}, "no regular expression"),
        ({"text": "x", "when": {"healt": 1}}, "extra"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any], words: str) -> None:
    """Internal words, words a visitor has no value for, a broken expression, a slip."""
    with pytest.raises(ValidationError, match=words):
        Rule.model_validate({"id": "r", "replies": [{"id": "human", "label": "X"}], **wrong})
    rule = {"id": "r", "text": "x", "replies": [{"id": "human", "label": "X"}]}
    with pytest.raises(ValidationError, match="same id"):
        Greetings.model_validate({"rules": [rule, rule]})


async def test_what_becomes_of_a_greeting_is_counted(session: AsyncSession, now: datetime) -> None:
    """Shown thrice, clicked once however often, resolved once."""
    chosen = Chosen(rule="r", text="x", replies=[])
    ids = [
        await show(session, chosen, now, visitor="v", account_id=None, conversation_id=f"c{number}")
        for number in range(3)
    ]
    for _ in range(2):
        await clicked(session, ids[0], now)
        await resolved(session, "c0", now)
    await resolved(session, "another", now)
    with pytest.raises(NotFound):
        await clicked(session, "nothing", now)
    counts = await repository.greeting_counts(session, now, now + timedelta(days=1))
    assert counts == [{"rule": "r", "shown": 3, "clicked": 1, "resolved": 1}]
    assert [each.rule for each in await greeted(session, "v", now)] == ["r", "r", "r"]
