"""Who answers a message: what was understood, or the help content. One decision over both scores; pure.

See docs/decisions/arbitration.md for the table and the reasons.
"""

from __future__ import annotations

import re
from typing import Literal

SURE = 0.75
"""Confidence of an intent from which it stands whatever the help content says. Confidences are on the scale of the intent
model, where .5 is its own threshold for any data; at .75 the score is three times that threshold."""

OWN = frozenset({"ask_plan", "ask_usage", "ask_renewal", "ask_invoice", "ask_onboarding"})
"""Questions about the asker's own account."""
VAGUE = "need_help"
"""A call for help that does not say with what."""
STRANGE = frozenset({"out_of_scope", "nlu_fallback"})

Route = Literal["intent", "help", "unknown"]
_HOW = re.compile(
    r"\bhow (?:do|can|would|should|could|to|does one)\b|\b(?:steps|way|possible) to\b|\bwhere (?:do|can) (?:I|we)\b"
    r"|\bwhat happens\b|方法|どうすれば|どうやって|手順|やり方|どこから|どこで",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"\b(?:want|need|like|have) to (?:change|update|correct|edit|add|remove|replace)\b"
    r"|\b(?:can|could|may) (?:i|we) (?:change|update|correct|edit|get a)\b"
    r"|(?:変え|直し)(?:たい|られ)|(?:変更|修正|訂正)(?:したい|でき|は可能|が可能)",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^\W*(?:(?:and|so|but|ok|okay|also)\W+)*(?:will|do|does|is|are|what|when|which|why|if)\b"
    r"|(?<!もらえ)(?<!いただけ)(?<!くれ)(?<!でき)(?:ますか|でしょうか|(?<!てもいい)ですか)[?？。]*$",
    re.IGNORECASE,
)
_LEAVING = re.compile(
    r"\b(?:cancel\w*|terminat\w*|unsubscrib\w*|quit)\b.*\b(?:subscription|plan|contract|account|membership|renewal)\b"
    r"|\b(?:close|delete|leave)\b.*\baccount\b|解約|退会|契約を(?:やめ|終)",
    re.IGNORECASE,
)


def asks_how(text: str) -> bool:
    """Whether the words ask how a thing is done, and not that it be done."""
    return _HOW.search(text) is not None


def asks_about(intent: str, text: str) -> bool:
    """Whether words that a fact of the account or a cancellation is read from ask something else beside it: that a thing of the account be
    changed ("I want to change the address on our invoices"), or what leaving brings with it ("will I get a refund if I cancel?")."""
    return (intent in OWN and _CHANGES.search(text) is not None) or (
        intent == "cancel" and _ABOUT.search(text.strip()) is not None
    )


def leaving(intent: str, text: str) -> bool:
    """Whether a message speaks of leaving: as a wish, or as a question how it is done."""
    return intent == "cancel" or (asks_how(text) and _LEAVING.search(text) is not None)


def needs_lookup(intent: str, confidence: float, how: bool) -> bool:
    """Whether the help content has a say: where the intent alone does not settle it."""
    settles = intent in OWN or intent == VAGUE
    return not (settles or intent == "cancel") or how or (settles and confidence < SURE)


def decide(intent: str, confidence: float, how: bool, decision: str | None, chance: float | None) -> Route:
    """Who answers.

    Args:
        intent: best intent.
        confidence: of the intent, 0 to 1.
        how: see `asks_how` and `asks_about`.
        decision: what the knowledge base would do (answer, clarify, abstain); None where it was not asked or is away.
        chance: its chance that its quote answers, 0 to 1.
    Returns:
        `intent`: the action of the intent; `help`: the help content; `unknown`: nobody knows.
    """
    if decision is None:
        return "intent"
    if intent == "cancel":
        return "help" if how and decision in ("answer", "clarify") else "intent"
    if intent in OWN or intent == VAGUE:
        if how:
            return "help" if decision == "answer" else "intent"
        better = decision == "answer" and (chance or 0.0) > confidence
        return "help" if better and confidence < SURE else "intent"
    if intent == "out_of_scope" and confidence >= SURE:
        return "help" if decision == "answer" and (chance or 0.0) >= SURE else "unknown"
    if intent in STRANGE:
        return "help" if decision == "answer" else "unknown"
    return "unknown" if decision == "abstain" else "help"
