"""What the list of plans says, where a plan is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.plans import Plans
from actions import plans
from kit.files import read_yaml


@pytest.fixture(scope="module")
def sold(root: Path) -> Plans:
    """The sample company's plans."""
    return read_yaml(root / "demo" / "plans.yml", Plans)


def _turn(sold: Plans, text: str, lang: str, own: str | None = None) -> Any:
    customer = SimpleNamespace(plan=sold.named(own)) if own else None
    rooms = SimpleNamespace(catalog=SimpleNamespace(plans=sold))
    return SimpleNamespace(text=text, lang=lang, customer=customer, rooms=rooms)


def _facts(sold: Plans, text: str, question: str | None = None, lang: str = "en") -> dict[str, str]:
    card = plans.told(_turn(sold, text, lang), question or text)
    return {fact.label: fact.value for fact in card.facts} if card else {}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("what does pro cost", {"Pro: Price": "45.00 USD a seat and month"}),
        ("how much is enterprise?", {"Enterprise: Price": "agreed in a contract"}),
        ("how many API calls are in Business", {"Business: API calls": "200,000"}),
        ("how many seats does enterprise have", {"Enterprise: Seats": "unlimited"}),
        ("does business have SSO?", {"Business: single sign-on (SSO)": "included"}),
        (
            "is the audit log in Pro",
            {"Pro: the audit log": "not included; plans that have it: Business, Enterprise"},
        ),
        ("is pro cheaper, or what does starter cost", dict.fromkeys(("Starter: Price", "Pro: Price"))),
        ("can i switch to pro", {}),
        ("what does it cost", dict.fromkeys(f"{plan}: Price" for plan in ("Starter", "Pro", "Business", "Enterprise"))),
        ("how much does a seat cost", {}),
        ("how do I improve my prose", {}),
    ],
)
def test_price_limit_and_feature_of_a_named_plan(sold: Plans, text: str, facts: dict[str, str | None]) -> None:
    """Nothing where no plan is named or something else is asked of it."""
    found = _facts(sold, text)
    assert found.keys() == facts.keys()
    assert all(value is None or found[label] == value for label, value in facts.items())


@pytest.mark.parametrize(
    ("text", "prices"),
    [("ビジネスはいくら？", ["Business"]), ("プロプランの料金は？", ["Pro"]), ("プロジェクトはいくら？", [])],
)
def test_a_plan_is_known_by_what_it_is_called_in_japanese(sold: Plans, text: str, prices: list[str]) -> None:
    """「ビジネス」 is Business; 「プロジェクト」 is no plan."""
    assert [label.split(":")[0] for label in _facts(sold, text, lang="ja")] == prices


def test_a_follow_up_names_the_plan_and_the_question_before_what_is_asked(sold: Plans) -> None:
    """ "Does Pro include SSO?" "And Business?" """
    found = _facts(sold, "and business?", "does pro include sso? and business?")
    assert found == {"Business: single sign-on (SSO)": "included"}
    assert _facts(sold, "and how much?", "what of pro? and how much?") == {"Pro: Price": "45.00 USD a seat and month"}
    assert _facts(sold, "did you get it?", "what does pro cost? did you get it?") == {}


@pytest.mark.parametrize(
    ("text", "lang", "clearer"),
    [
        ("can i switch to pro", "en", "How do I change my plan?"),
        ("Businessに変更したい", "ja", "プランを変更するにはどうすればいいですか？"),
        ("is pro any good", "en", "is Pro plan any good"),
        ("the Pro plan, please", "en", None),
        ("Proプランは？", "ja", None),
        ("how do I move a flow", "en", None),
    ],
)
def test_what_a_plans_name_means_is_said_more_clearly(sold: Plans, text: str, lang: str, clearer: str | None) -> None:
    """So that the search knows it; nothing else is touched."""
    assert plans.clearer(_turn(sold, text, lang)) == clearer


@pytest.mark.parametrize(("own", "way"), [("starter", "upgrade"), ("business", "downgrade"), ("gone", "change")])
def test_a_customer_moves_up_or_down(sold: Plans, own: str, way: str) -> None:
    """From the plan they have; from one that is no longer sold nobody can tell."""
    assert plans.clearer(_turn(sold, "can you move us to pro please", "en", own)) == f"How do I {way} my plan?"


def test_japanese_has_its_own_words(sold: Plans) -> None:
    """Names stand without spaces between other words."""
    assert _facts(sold, "Proプランはいくらですか", lang="ja") == {"Pro: 料金": "1シートあたり月額 45.00 USD"}
    assert _facts(sold, "Businessのストレージは？", lang="ja") == {"Business: ストレージ（GB）": "200"}


@pytest.mark.parametrize(
    ("text", "lang"),
    [("starter vs pro", "en"), ("what does pro have that starter hasn't", "en"), ("スターターとプロの違いは？", "ja")],
)
def test_plans_that_are_compared_are_told_by_what_differs(sold: Plans, text: str, lang: str) -> None:
    """Price, limits, and what the larger has beside; nothing that is the same in both."""
    found = _facts(sold, text, lang=lang)
    assert any("Starter" in value and "19.00" in value and "45.00" in value for value in found.values())
    assert "Starter 5 / Pro 25" in found.values()
    beside = found["More in Pro" if lang == "en" else "Proで加わる機能"]
    assert "API" in beside
    assert "webhook" not in beside.casefold()


@pytest.mark.parametrize(
    ("text", "lang", "facts"),
    [
        ("which one has SSO?", "en", {"single sign-on (SSO)": "Business, Enterprise"}),
        ("do you have an API?", "en", {"the API": "Pro, Business, Enterprise"}),
        ("監査ログはどのプランで使えますか", "ja", {"監査ログ": "Business、Enterprise"}),
        ("how do I set up SSO", "en", {}),
        ("which flow failed", "en", {}),
    ],
)
def test_the_plans_that_have_a_feature(sold: Plans, text: str, lang: str, facts: dict[str, str]) -> None:
    """Where it is asked which plan, or whether there is such a thing; not how it is done."""
    assert _facts(sold, text, lang=lang) == facts


@pytest.mark.parametrize(
    ("text", "lang", "told"),
    [
        ("how many flows can I build", "en", ["Starter: Flows", "Pro: Flows", "Business: Flows", "Enterprise: Flows"]),
        (
            "フローは何個まで作れますか",
            "ja",
            ["Starter: フロー", "Pro: フロー", "Business: フロー", "Enterprise: フロー"],
        ),
        ("my flows fail", "en", []),
        ("how many colours are there", "en", []),
    ],
)
def test_how_much_there_is_of_what_plans_limit(sold: Plans, text: str, lang: str, told: list[str]) -> None:
    """Of each plan; nothing where no amount is asked, or of something that is no limit."""
    card = plans.limits(_turn(sold, text, lang), text)
    assert [fact.label for fact in card.facts] == told if card else told == []
