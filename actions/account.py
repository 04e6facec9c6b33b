"""Facts of the customer's own account."""

from __future__ import annotations

import re
from decimal import Decimal

from accounts.facts import CustomerFacts, InvoiceFacts, Usage
from actions import help, plans
from actions.texts import TEXTS
from actions.turn import Turn
from conversations.bodies import Account, Body, Checklist, Choice, Choices, Citation, Fact, Step, Text
from kit.company import in_language
from kit.times import day_words

FIRST_STEPS = 4
"""Steps that a visitor is shown who asks how one starts."""
_OWN_PROGRESS = re.compile(
    r"\b(?:my|our|us|my team)\b|\b(?:left|remain\w*|done|finish\w*|complet\w*|overdue|open|still|how far|progress|status|checklist|continue|ready|missing)\b"
    r"|進|どこまで|残|終わ|期限|チェックリスト|状況|続き|途中|できて",
    re.IGNORECASE,
)
"""Words about how far the asker has come: a checklist of their own."""
_PERIODS = {1: "month", 3: "quarter", 12: "year"}


async def plan(turn: Turn) -> list[Body]:
    """Which plan, for how many people, at what price, until when; or what it has of what the question names."""
    known = turn.customer
    if known is None:
        return await _sign_in(turn)
    asked = plans.of_own(turn, known.plan.id)
    if asked:
        return [Account(text=TEXTS.say("plan", turn.lang, plan=known.plan.name), facts=asked)]
    facts = [_fact(turn, "plan", known.plan.name)]
    if known.plan.price is not None:
        facts.append(_fact(turn, "price", _price(turn, known)))
    if known.plan.seats is not None:
        facts.append(_fact(turn, "seats_bought", str(known.plan.seats)))
    if known.renews_on is not None:
        facts.append(_fact(turn, "renewal", day_words(known.renews_on, turn.lang)))
    return [Account(text=TEXTS.say("plan", turn.lang, plan=known.plan.name), facts=facts)]


async def usage(turn: Turn) -> list[Body]:
    """What is used of what the plan allows."""
    known = turn.customer
    if known is None:
        return await _sign_in(turn)
    named = [name for name in known.meters if _named(turn, name)]
    if named:
        facts = [_meter(turn, name, known.meters[name]) for name in named]
        return [Account(text=_left(turn, known, named), facts=facts)]
    facts = [_meter(turn, name, meter) for name, meter in known.meters.items()]
    facts += [
        Fact(label=_limit_name(turn, name), value=_limit(turn, limit))
        for name, limit in known.limits.items()
        if name not in known.meters
    ]
    if not facts:
        return [Text(text=TEXTS.say("usage_none", turn.lang))]
    return [Account(text=TEXTS.say("usage", turn.lang, plan=known.plan.name), facts=facts)]


async def renewal(turn: Turn) -> list[Body]:
    """When the subscription renews or ends."""
    known = turn.customer
    if known is None:
        return await _sign_in(turn)
    if known.cancelled_on is not None:
        return [Text(text=TEXTS.say("cancelled", turn.lang, date=day_words(known.cancelled_on, turn.lang)))]
    if known.renews_on is None:
        return [Text(text=TEXTS.say("renewal_unknown", turn.lang))]
    key = "renewal_off" if known.auto_renew is False else "renewal"
    facts = [_fact(turn, "renewal", day_words(known.renews_on, turn.lang)), _fact(turn, "plan", known.plan.name)]
    if known.plan.price is not None:
        facts.append(_fact(turn, "price", _price(turn, known)))
    return [Account(text=TEXTS.say(key, turn.lang, date=day_words(known.renews_on, turn.lang)), facts=facts)]


async def invoice(turn: Turn) -> list[Body]:
    """The latest invoices and whether they are paid."""
    known = turn.customer
    if known is None:
        return await _sign_in(turn)
    if not known.invoices:
        return [Text(text=TEXTS.say("invoice_none", turn.lang))]
    facts = [Fact(label=day_words(one.issued_on, turn.lang), value=_invoice(turn, one)) for one in known.invoices]
    unpaid = sum(one.status != "paid" for one in known.invoices)
    text = TEXTS.say("invoice_unpaid" if unpaid else "invoice_all_paid", turn.lang, count=unpaid)
    return [Account(text=text, facts=facts)]


async def onboarding(turn: Turn) -> list[Body]:
    """How far the account has come, and what is next, with the article that explains it."""
    known = turn.customer
    if known is None:
        return await (_sign_in(turn) if turn.account_away or _OWN_PROGRESS.search(turn.text) else _start(turn))
    current = known.current_step
    if current is None:
        return [Text(text=TEXTS.say("onboarding_done", turn.lang))]
    percent = known.onboarding_percent
    title = in_language(current.title, turn.lang)
    explained = _article(turn, current.article, title)
    if explained is not None:  # "how do I do that?"
        turn.subject = {"question": title, "intent": "ask_onboarding", "article": explained.article_id}
    text = TEXTS.say("onboarding", turn.lang, percent=percent, step=title)
    steps = [
        Step(
            id=step.id,
            title=in_language(step.title, turn.lang),
            done=step.done,
            current=step.current,
            due=step.due,
            overdue=step.overdue,
            article=_article(turn, step.article, in_language(step.title, turn.lang)),
        )
        for step in known.steps
    ]
    return [Checklist(text=text, steps=steps, percent=percent)]


async def _start(turn: Turn) -> list[Body]:
    """A visitor asks how one starts: what the help content says of it, else the first steps, each with its article."""
    found = await help.answer_text(turn, turn.text)
    steps = [
        (step, turn.rooms.article(step.article, turn.lang)) for step in turn.rooms.catalog.onboarding.for_plan(None)
    ]
    choices = [
        Choice(id=f"{help.ARTICLE}{article}", label=in_language(step.title, turn.lang))
        for step, article in steps
        if article
    ]
    if turn.decision != "abstain" or not choices:
        return found
    turn.decision = "answer"  # it was understood and answered: nothing is missing from the help content
    turn.subject = {"question": "", "intent": "help_question"}  # each is explained by its own name
    return [Choices(text=TEXTS.say("start", turn.lang), choices=choices[:FIRST_STEPS])]


async def _sign_in(turn: Turn) -> list[Body]:
    """A visitor asks for what only a customer has: what the help content says of it, and how to see their own."""
    if turn.account_away:
        return [Text(text=TEXTS.say("account_away", turn.lang))]
    found = await help.answer_text(turn, turn.text)
    listed = plans.offered(turn) if turn.decision != "answer" else None
    if listed is not None:
        turn.decision = "answer"
        return [listed]
    if turn.decision == "clarify":
        return [Text(text=TEXTS.say("sign_in_only", turn.lang)), *found]
    if turn.decision != "answer":
        turn.decision = "answer"  # it was understood and answered: nothing is missing from the help content
        return [Text(text=TEXTS.say("sign_in_only", turn.lang))]
    return [Text(text=TEXTS.say("sign_in", turn.lang)), *found]


def _fact(turn: Turn, label: str, value: str) -> Fact:
    return Fact(label=TEXTS.say(f"label_{label}", turn.lang), value=value)


def _meter(turn: Turn, name: str, meter: Usage) -> Fact:
    value = f"{meter.used:,}"
    if meter.known:
        value = TEXTS.say("of_limit", turn.lang, used=value, limit=_limit(turn, meter.limit))
    period = "" if meter.per == "now" else TEXTS.say(f"per_{meter.per}", turn.lang)
    used = round(meter.used / meter.limit, 4) if meter.limit else None
    return Fact(label=_limit_name(turn, name) + period, value=value, used=used)


def _named(turn: Turn, name: str) -> bool:
    """Whether the question names what is metered: "seat" or "seats", without the unit ("Storage in GB", 「ストレージ（GB）」)."""
    word = re.split(r" in |（", _limit_name(turn, name))[0].casefold()
    text = turn.text.casefold()
    return (
        word in text
        if not word.isascii()
        else re.search(rf"\b{re.escape(word.removesuffix('s'))}s?\b", text) is not None
    )


def _left(turn: Turn, known: CustomerFacts, named: list[str]) -> str:
    """What is left of the one thing that was asked about; a heading where there are several, or no limit."""
    meter = known.meters[named[0]]
    if len(named) > 1 or not meter.known or meter.limit is None:
        return TEXTS.say("usage", turn.lang, plan=known.plan.name)
    left = round(meter.limit - meter.used, 2)
    key, amount = ("usage_left", left) if left >= 0 else ("usage_over", -left)
    return TEXTS.say(key, turn.lang, name=_limit_name(turn, named[0]), left=f"{amount:,}")


def _limit_name(turn: Turn, name: str) -> str:
    return turn.rooms.catalog.plans.limit_name(name, turn.lang)


def _limit(turn: Turn, limit: int | None) -> str:
    return TEXTS.say("unlimited", turn.lang) if limit is None else f"{limit:,}"


def _price(turn: Turn, known: CustomerFacts) -> str:
    amount = _money(known.plan.price or Decimal(0), known.plan.currency)
    period = _PERIODS.get(known.plan.per_months)
    if period is None:
        return TEXTS.say("price_months", turn.lang, amount=amount, months=known.plan.per_months)
    return TEXTS.say(f"price_{period}", turn.lang, amount=amount)


def _invoice(turn: Turn, one: InvoiceFacts) -> str:
    words = {"paid": "invoice_paid", "open": "invoice_open", "overdue": "invoice_overdue"}[one.status]
    amount = _money(one.amount - one.refunded, one.currency)
    return TEXTS.say(words, turn.lang, amount=amount, due=day_words(one.due_on, turn.lang))


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


def _article(turn: Turn, article: str | None, title: str) -> Citation | None:
    """The step's article, to be named beside it."""
    article_id = turn.rooms.article(article, turn.lang)
    if article_id is None:
        return None
    url = f"{turn.rooms.company.help.url.rstrip('/')}/{article_id}"
    return Citation(article_id=article_id, title=title, url=url, lang=article_id[:2])
