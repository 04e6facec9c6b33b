"""The policy is a pure function over a checked file."""

from __future__ import annotations

from pathlib import Path

import pytest

from escalations import hearing, policy
from escalations.policy import Facts, Range
from kit.errors import UserError


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (Facts(known=True, band="at_risk", intent="ask_usage"), "watch_at_risk"),
        (Facts(known=True, tier="high", band="healthy", intent="help_question"), "watch_high_value"),
        (Facts(known=True, tier="high", band="at_risk", intent="cancel"), "cancel_high_value"),
        (Facts(known=True, band="at_risk", intent="cancel"), "cancel_at_risk"),
        (Facts(known=True, band="at_risk", intent="complain"), "complaint_at_risk"),
        (Facts(known=True, band="at_risk", anger=0.6), "anger_at_risk"),
        (Facts(known=True, band="at_risk", anger=0.59), "watch_at_risk"),
        (Facts(known=True, band="at_risk", outage=0.6), "outage_at_risk"),
        (Facts(known=True, tier="high", band="healthy", outage=0.6), "outage_high_value"),
        (Facts(known=True, band="at_risk", outage=0.59), "watch_at_risk"),
        (Facts(known=True, band="at_risk", payment_trouble=True), "payment_at_risk"),
        (Facts(known=True, tier="high", band="healthy", payment_trouble=True), "payment_high_value"),
        (Facts(known=True, band="healthy", tier="tech", outage=1, payment_trouble=True), None),
        (Facts(known=True, band="at_risk", failures=2), "stuck_at_risk"),
        (Facts(known=True, band="healthy", tier="tech", intent="cancel"), None),
        (Facts(known=True, band="healthy", tier="tech", wish=True), "wish"),
        (Facts(wish=True), "wish"),
        (Facts(known=True, band="at_risk", substantive=False), None),
        (Facts(intent="complain"), None),
    ],
)
def test_the_default_rules_do_what_the_product_is_for(facts: Facts, rule: str | None) -> None:
    """Low health or high value reaches a CSM; the others serve themselves, with a human on wish."""
    decided = policy.decide(policy.load(policy.DEFAULT), facts)
    assert (decided.id if decided else None) == rule


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Our card was declined again this morning", True),
        ("You charged us twice for October!", True),
        ("The wire transfer doesn't go through.", True),
        ("カードの決済ができません", True),
        ("二重に請求されています", True),
        ("We got billed for 40 seats but only have 12", True),
        ("You have been charging us for a plan we cancelled in June", True),
        ("The amount on the invoice doesn't match what we agreed", True),
        ("Our bank says the transfer came back", True),
        ("請求額が契約と違うのですが", True),
        ("入金したのに反映されていません", True),
        ("I paid yesterday and the plan has not changed.", True),
        ("引き落とし日より早く引かれました", True),
        ("What was charged in May?", False),
        ("先月いくら払いましたか", False),
        ("Is there a refund policy?", False),
        ("Can two people receive the invoices?", False),
        ("支払い方法を変更したい", False),
        ("Where do I find the invoice for October?", False),
        ("How do I change the card we pay with?", False),
        ("My run failed at step four", False),
        ("The run failed. Where is my invoice?", False),
        ("請求書はどこにありますか", False),
        ("フローが失敗します。請求書を送ってください。", False),
    ],
)
def test_payment_trouble_is_heard_and_not_every_question_about_money(text: str, heard: bool) -> None:
    """A payment and its trouble stand in one sentence, or what happened to money is said and not asked."""
    assert hearing.payment_trouble(text) is heard


@pytest.mark.parametrize(
    ("value", "holds"), [(9, False), (10, True), (15, True), (20, True), (21, False), (None, False)]
)
def test_a_range_includes_its_ends(value: int | None, holds: bool) -> None:
    """Below, at and above each end; what is missing is in no range."""
    assert policy.holds(Range(at_least=10, at_most=20), value) is holds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules:\n  - id: a\n    when: {mood: bad}\n", r"line 3: .*no fact is called 'mood'"),
        ("rules:\n  - id: a\n    mode: shout\n", r"line \d: rules.0.mode"),
        ("rules: [\n", r"line \d"),
        ("rules:\n  - id: a\n    when: {leavin: true}\n", r"line 3: .*did you mean leaving\?; more is wrong in line 2"),
        ("rules:\n  - id: a\n    when: {band: sick}\n", "band is never 'sick'; it is one of healthy, neutral, at_risk"),
        ("rules:\n  - id: a\n    when: {tier: [high, vip]}\n", "tier is never 'vip'"),
        ("rules:\n  - id: a\n    when: {failures: 'two'}\n", "failures is a number: write {at_least: …}"),
        ("rules:\n  - id: a\n    when: {wish: {at_least: 1}}\n", "wish is either so or not"),
        ("rules:\n  - id: a\n    when: {intent: true}\n", "intent is a word"),
        ("rules:\n  - {id: a, mode: watch, priority: low, within_minutes: 0, reason: x}\n", "within_minutes"),
        ("rule: []\n", "line 1"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    """One line: file, line, what is wrong."""
    path = tmp_path / "escalation.yml"
    path.write_text(text)
    with pytest.raises(UserError, match=says) as error:
        policy.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_unmet_conditions_are_named() -> None:
    """What would have had to differ."""
    rule = next(rule for rule in policy.load(policy.DEFAULT).rules if rule.id == "cancel_at_risk")
    assert policy.unmet(rule, Facts(known=True, band="neutral", intent="cancel")) == ["band"]


@pytest.mark.parametrize(
    ("first", "second", "hides"),
    [
        ("{}", "{wish: true}", True),
        ("{wish: true}", "{}", False),
        ("{wish: true}", "{wish: false}", False),
        ("{band: at_risk}", "{band: at_risk, intent: cancel}", True),
        ("{band: [at_risk, neutral]}", "{band: neutral}", True),
        ("{band: neutral}", "{band: [at_risk, neutral]}", False),
        ("{anger: {at_least: 0.6}}", "{anger: {at_least: 0.6, at_most: 0.9}}", True),
        ("{anger: {at_least: 0.6}}", "{anger: {at_least: 0.5}}", False),
        ("{anger: {at_least: 0.6}}", "{anger: {at_most: 0.9}}", False),
    ],
)
def test_a_rule_that_an_earlier_one_hides_is_found(tmp_path: Path, first: str, second: str, hides: bool) -> None:
    """It would never fire, whatever it says."""
    rest = "mode: watch, priority: low, within_minutes: 5, reason: {en: x, ja: y}"
    path = tmp_path / "escalation.yml"
    path.write_text(f"rules:\n  - {{id: a, when: {first}, {rest}}}\n  - {{id: b, when: {second}, {rest}}}\n")
    assert policy.hidden(policy.load(path)) == ({"b": "a"} if hides else {})


def test_no_default_rule_is_hidden() -> None:
    """Each can fire."""
    assert policy.hidden(policy.load(policy.DEFAULT)) == {}
