"""The plans that the company sells, asked about by name: "how much is Pro?", "does Business include SSO?"."""

from __future__ import annotations

import re

from accounts.plans import Plan, Plans, Price
from actions import dialogue
from actions.texts import TEXTS
from actions.turn import Turn
from conversations.bodies import Account, Fact
from kit.company import Language

_MOVES = re.compile(
    r"\b(?:switch|move|moving|upgrade|downgrade|change|put (?:me|us)|go (?:up|down|back))\b|変更|変えたい|切り替|乗り換え|移行|グレード",
    re.IGNORECASE,
)

_COMPARES = re.compile(
    r"\b(?:differ\w*|compar\w*|versus|vs|hasn['’]?t|lacks?|(?:does|do) ?n['’]?t (?:have|include)|more than)\b|違|比較|比べ|差は|差が",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"\b(?:which|what) (?:ones?|plans?|tiers?|packages?)\b|(?:どの|どれ|どちらの)(?:プラン|契約)?", re.IGNORECASE
)
_HOW_MUCH = re.compile(
    r"\bhow (?:many|much|close|near|far)\b|\bnumber of\b|\blimits?\b|\bmax(?:imum)?\b|\bleft\b|いくつ|何(?:個|件|本|人|回|席|つ|シート)|上限|最大|制限|残り",
    re.IGNORECASE,
)
_KATAKANA = re.compile(r"[ァ-ヶー]+")


def named(plans: Plans, text: str) -> list[Plan]:
    """The plans whose names stand in a text, smallest first."""
    return [plan for plan in plans.plans if any(_holds(text, name) for name in plans.names_of(plan.id))]


def told(turn: Turn, question: str) -> Account | None:
    """What the list of plans says to a question: price, limit or feature of each plan that the customer names; all prices where
    they ask what it costs and name nothing ("how much does it cost").

    Args:
        question: the customer's words, with those they lean on.
    Returns:
        None where no plan is named, or something else is asked of it. Plans that are compared are told by what differs, and where it is asked
        which plan has a feature, those that have it.
    """
    sold = turn.rooms.catalog.plans
    about = named(sold, turn.text)
    asked = (
        question if about and not dialogue.asks_price(turn.text) else turn.text
    )  # the plan may be the one of before, but something must be asked
    about = about or named(sold, question)
    if not about and dialogue.asks_price_alone(turn.text):
        return _card(sold.plans, [_priced(plan, turn.lang) for plan in sold.plans], turn.lang)
    if compares(turn, question):
        return _compared(sold, about, turn.lang)
    if not named(sold, turn.text) and (_WHICH.search(turn.text) or dialogue.asks_whether_there_is(turn.text)):
        having = _having(sold, turn.text, turn.lang)
        if having is not None or not about:
            return having
    facts = [fact for plan in about for fact in _asked(sold, plan, asked, turn.lang)]
    return _card(about, facts, turn.lang) if facts else None


def compares(turn: Turn, question: str) -> bool:
    """Whether two plans or more are named and it is asked in what they differ."""
    return len(named(turn.rooms.catalog.plans, question)) > 1 and _COMPARES.search(turn.text) is not None


def offered(turn: Turn) -> Account | None:
    """The plans that have the feature that words name, or the one they lean on: "which tier do I need for that?"."""
    sold = turn.rooms.catalog.plans
    kept = turn.slots.get("subject") or {}
    leans = _WHICH.search(turn.text) is not None and bool(kept.get("question"))
    return _having(sold, turn.text, turn.lang) or (_having(sold, kept["question"], turn.lang) if leans else None)


def limits(turn: Turn, question: str) -> Account | None:
    """What each plan allows of a thing that the question names and asks the amount of: "how many flows can I build?"."""
    sold = turn.rooms.catalog.plans
    if not _HOW_MUCH.search(question):
        return None
    known = {limit for plan in sold.plans for limit in plan.limits}
    asked = [limit for limit in sorted(known) if _holds(question, _short(sold, limit, turn.lang))]
    facts = [_limit(sold, plan, limit, turn.lang) for limit in asked for plan in sold.plans if limit in plan.limits]
    return _card(sold.plans, facts, turn.lang) if facts else None


def priced(turn: Turn) -> Account | None:
    """The prices of the plans that the customer names, where nothing else is asked of them: "and Business?"."""
    about = named(turn.rooms.catalog.plans, turn.text)
    facts = [_priced(plan, turn.lang) for plan in about]
    return _card(about, facts, turn.lang) if facts else None


def of_own(turn: Turn, plan_id: str) -> list[Fact]:
    """What the customer's own plan says to a question that names a limit or a feature; nothing where it names none."""
    sold = turn.rooms.catalog.plans
    plan = sold.get(plan_id)
    kept = turn.slots.get("subject") or {}
    leans = kept.get("intent") == "help_question" and dialogue.points_back(turn.text)  # "is it included in my plan?"
    asked = f"{kept['question']} {turn.text}" if leans else turn.text
    return [] if plan is None else _contents(sold, plan, asked, turn.lang)


def clearer(turn: Turn) -> str | None:
    """A question that names a plan, such that the search knows what is meant: a move to it as the question how plans are changed,
    else "Pro" as "Pro plan". None where no plan is named by its name alone."""
    sold = turn.rooms.catalog.plans
    goals = named(sold, turn.text)
    if goals and _MOVES.search(turn.text):
        own = sold.rank(turn.customer.plan.id) if turn.customer else None
        there = sold.rank(goals[-1].id)
        way = "change" if own is None or there is None else "upgrade" if there > own else "downgrade"
        return TEXTS.say(f"{way}_plan_question", turn.lang)
    text = turn.text
    for plan in goals:
        alone = rf"(?i)(?<![a-z0-9]){re.escape(plan.name)}(?![a-z0-9]| ?(?:plan|プラン))"
        text = re.sub(alone, f"{plan.name} plan", text)
    return text if text != turn.text else None


def _compared(sold: Plans, about: list[Plan], lang: Language) -> Account:
    """Prices, what limits differ, and what each has that the one before it has not."""
    facts = [
        Fact(label=TEXTS.say("label_price", lang), value=_each(about, [_price(plan.price, lang) for plan in about]))
    ]
    for limit in about[0].limits:
        amounts = [plan.limits[limit] for plan in about if limit in plan.limits]
        if len(amounts) == len(about) and len({*amounts}) > 1:
            value = _each(about, [_amount(one, lang) for one in amounts])
            facts.append(Fact(label=sold.limit_name(limit, lang), value=value))
    for plan, smaller in zip(about[1:], about, strict=False):
        more = [sold.feature_name(one, lang) for one in plan.features if one not in smaller.features]
        if more:
            facts.append(Fact(label=TEXTS.say("more_in", lang, plan=plan.name), value=_listed(more, lang)))
    return _card(about, facts, lang)


def _having(sold: Plans, question: str, lang: Language) -> Account | None:
    """The plans that have the features that a question names."""
    features = {feature for plan in sold.plans for feature in plan.features}
    asked = [
        one for one in sorted(features) if any(_holds(question, word) for word in _words(sold.feature_name(one, lang)))
    ]
    facts = [
        Fact(label=sold.feature_name(one, lang), value=_listed([plan.name for plan in sold.with_feature(one)], lang))
        for one in asked
    ]
    return _card(sold.plans, facts, lang) if facts else None


def _each(about: list[Plan], values: list[str]) -> str:
    return " / ".join(f"{plan.name} {value}" for plan, value in zip(about, values, strict=True))


def _listed(words: list[str], lang: Language) -> str:
    return ("、" if lang == "ja" else ", ").join(words)


def _asked(sold: Plans, plan: Plan, question: str, lang: Language) -> list[Fact]:
    facts = _contents(sold, plan, question, lang)
    if not facts and dialogue.asks_price(question):
        facts = [_priced(plan, lang)]
    return facts


def _card(about: list[Plan], facts: list[Fact], lang: Language) -> Account:
    return Account(text=TEXTS.say("plans_told", lang, plans=_listed([plan.name for plan in about], lang)), facts=facts)


def _priced(plan: Plan, lang: Language) -> Fact:
    return Fact(label=f"{plan.name}: {TEXTS.say('label_price', lang)}", value=_price(plan.price, lang))


def _contents(sold: Plans, plan: Plan, question: str, lang: Language) -> list[Fact]:
    facts = [_limit(sold, plan, limit, lang) for limit in plan.limits if _holds(question, _short(sold, limit, lang))]
    if not facts:  # "API calls" are a limit, and not the feature "API"
        features = {feature for one in sold.plans for feature in one.features}
        facts = [
            Fact(label=f"{plan.name}: {sold.feature_name(feature, lang)}", value=_included(sold, plan, feature, lang))
            for feature in sorted(features)
            if any(_holds(question, word) for word in _words(sold.feature_name(feature, lang)))
        ]
    return facts


def _limit(sold: Plans, plan: Plan, limit: str, lang: Language) -> Fact:
    return Fact(label=f"{plan.name}: {sold.limit_name(limit, lang)}", value=_amount(plan.limits[limit], lang))


def _amount(limit: int | None, lang: Language) -> str:
    return TEXTS.say("unlimited", lang) if limit is None else f"{limit:,}"


def _included(sold: Plans, plan: Plan, feature: str, lang: Language) -> str:
    if feature in plan.features:
        return TEXTS.say("feature_included", lang)
    others = _listed([one.name for one in sold.with_feature(feature)], lang)
    return TEXTS.say("feature_elsewhere", lang, plans=others)


def _price(price: Price, lang: Language) -> str:
    if price.amount is None or price.per == "contract":
        return TEXTS.say("price_contract", lang)
    return TEXTS.say(f"list_price_{price.per}", lang, amount=f"{price.amount:,.2f} {price.currency}")


def _short(sold: Plans, limit: str, lang: Language) -> str:
    """A limit's name without its unit: "Storage in GB", 「ストレージ（GB）」."""
    return re.split(r" in |（", sold.limit_name(limit, lang))[0]


def _words(name: str) -> list[str]:
    """What a feature is called: "single sign-on (SSO)" has two names."""
    return [word.strip().removeprefix("the ") for word in re.split(r"[()（）]", name) if word.strip()]


def _holds(text: str, name: str) -> bool:
    """Whether a name stands in a text as a word of its own; in Japanese, whose words are not parted, at all."""
    plain = name.casefold()
    if _KATAKANA.fullmatch(plain):  # 「プロ」 is no part of 「プロジェクト」
        return (
            re.search(rf"(?<![ァ-ヶー]){plain}(?![ァ-ヶー])|(?<![ァ-ヶー]){plain}(?=プラン)", text.casefold())
            is not None
        )
    if not plain.isascii():
        return plain in text.casefold()
    return re.search(rf"(?<![a-z0-9]){re.escape(plain.removesuffix('s'))}s?(?![a-z0-9])", text.casefold()) is not None
