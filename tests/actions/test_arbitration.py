"""Who answers a message, below, at and above each threshold."""

from __future__ import annotations

import pytest

from actions import arbitration
from actions.arbitration import SURE, asks_how, decide, leaving


@pytest.mark.parametrize(
    ("intent", "confidence", "how", "decision", "chance", "route"),
    [
        ("ask_plan", SURE - 0.01, False, "answer", 0.9, "help"),
        ("ask_plan", SURE, False, "answer", 0.9, "intent"),
        ("ask_plan", SURE + 0.01, False, "answer", 0.9, "intent"),
        ("ask_plan", 0.6, False, "answer", 0.6, "intent"),
        ("ask_plan", 0.6, False, "answer", 0.61, "help"),
        ("ask_plan", 0.6, False, "clarify", 0.7, "intent"),
        ("ask_invoice", 0.95, True, "answer", 0.7, "help"),
        ("ask_invoice", 0.95, True, "clarify", 0.7, "intent"),
        ("ask_usage", 0.6, False, None, None, "intent"),
        ("cancel", 0.9, False, "answer", 0.99, "intent"),
        ("cancel", 0.9, True, "answer", 0.6, "help"),
        ("cancel", 0.9, True, "abstain", 0.1, "intent"),
        ("help_question", 0.6, True, "answer", 0.7, "help"),
        ("help_question", 0.6, True, "clarify", 0.4, "help"),
        ("help_question", 0.9, True, "abstain", 0.1, "unknown"),
        ("need_help", SURE - 0.01, False, "answer", 0.9, "help"),
        ("need_help", SURE, False, "answer", 0.9, "intent"),
        ("need_help", 0.6, False, "abstain", 0.1, "intent"),
        ("out_of_scope", SURE, False, "answer", SURE - 0.01, "unknown"),
        ("out_of_scope", SURE, False, "answer", SURE, "help"),
        ("out_of_scope", SURE - 0.01, False, "answer", SURE - 0.01, "help"),
        ("nlu_fallback", 0.6, False, "clarify", 0.5, "unknown"),
        ("nlu_fallback", 0.6, False, "answer", 0.6, "help"),
    ],
)
def test_one_decision_over_both_scores(
    intent: str, confidence: float, how: bool, decision: str | None, chance: float | None, route: str
) -> None:
    """The table of docs/decisions/arbitration.md."""
    assert decide(intent, confidence, how, decision, chance) == route


@pytest.mark.parametrize(
    ("intent", "text", "how", "leaves"),
    [
        ("cancel", "Cancel my subscription", False, True),
        ("help_question", "how do I cancel my subscription?", True, True),
        ("help_question", "解約する方法を教えてください", True, True),
        ("help_question", "how do I cancel a run?", True, False),
        ("help_question", "how do I add a webhook?", True, False),
        ("thanks", "thanks", False, False),
    ],
)
def test_words_of_leaving_are_heard_as_wish_and_as_question(intent: str, text: str, how: bool, leaves: bool) -> None:
    """A CSM hears of both, and of nothing else."""
    assert asks_how(text) == how
    assert leaving(intent, text) == leaves


@pytest.mark.parametrize(
    ("intent", "text", "beside"),
    [
        ("ask_invoice", "I want to change the address on our invoices", True),
        ("ask_invoice", "請求書の宛名を変えたいのですが", True),
        ("ask_invoice", "show me my invoices", False),
        ("ask_invoice", "請求書を見せて", False),
        ("cancel", "will I get a refund if I cancel?", True),
        ("cancel", "解約すると返金されますか", True),
        ("cancel", "cancel my subscription", False),
        ("cancel", "can you cancel our plan?", False),
        ("cancel", "解約してもらえますか", False),
        ("complain", "will this ever work?", False),
    ],
)
def test_what_is_asked_beside_a_fact_or_a_cancellation(intent: str, text: str, beside: bool) -> None:
    """That a thing be changed, or what leaving brings; the fact itself and the wish to leave are not."""
    assert arbitration.asks_about(intent, text) is beside


def test_a_sure_account_question_needs_no_lookup() -> None:
    """The help content is asked only where it has a say."""
    assert not arbitration.needs_lookup("ask_plan", SURE, how=False)
    assert arbitration.needs_lookup("ask_plan", SURE - 0.01, how=False)
    assert arbitration.needs_lookup("cancel", 1.0, how=True)
    assert not arbitration.needs_lookup("cancel", 0.5, how=False)
