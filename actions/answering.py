"""From what was understood to what is said: arbitration, and messages that ask two things."""

from __future__ import annotations

import re
from typing import Any

from actions import account, arbitration, dialogue, help, human
from actions.texts import TEXTS
from actions.turn import Act, Turn
from conversations.bodies import Answer, Body, Text

BY_INTENT: dict[str, Act] = {
    "help_question": help.answer,
    "ask_plan": account.plan,
    "ask_usage": account.usage,
    "ask_renewal": account.renewal,
    "ask_invoice": account.invoice,
    "ask_onboarding": account.onboarding,
}


LOOKED_UP = frozenset({"help_question", arbitration.VAGUE}) | arbitration.OWN | arbitration.STRANGE
"""Intents of a letter whose sentences the help content may answer."""
TIE = 0.03
"""Confidences that are no further apart say that either is meant."""
LETTER = 3
"""Sentences from which on a message is a letter, of which only some ask anything."""
LETTER_AT_MOST = 12
"""Sentences of a letter that are looked up."""
WORDS = 3
"""Spaces, or five times as many Japanese characters, that a sentence has at least to ask something."""
_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of a letter that may ask something; none of a shorter message."""
    pieces = [piece.strip() for piece in _SENTENCES.split(text) if piece.strip()]
    if len(pieces) < LETTER:
        return []
    return [one for one in pieces if one.count(" ") >= WORDS or (not one.isascii() and len(one) >= 5 * WORDS)][
        :LETTER_AT_MOST
    ]


async def answer(turn: Turn, act: Act) -> list[Body]:
    """Answers a turn.

    Args:
        act: the action Rasa chose by the intent.
    """
    parts: list[dict[str, Any]] = turn.understood.get("parts") or []
    if len(parts) > 1:
        found = await _each(turn, parts)
        if found:
            return found
    asking = sentences(turn.text) if turn.intent in LOOKED_UP else []
    if asking:
        found = await help.letter(turn, asking)
        if found:
            return [*(await act(turn) if turn.intent in arbitration.OWN else []), *found]
    return await _one(turn, act)


async def _one(turn: Turn, act: Act) -> list[Body]:
    """One question: the intent's action, unless the help content has the better claim."""
    how = arbitration.asks_how(turn.text) or arbitration.asks_about(turn.intent, turn.text) or _tied(turn)
    shown = (turn.slots.get("subject") or {}).get("article") or turn.failures
    if dialogue.wants_other(turn.text) or (shown and dialogue.asks_what_else(turn.text)):
        return await help.other(turn)
    if dialogue.asks_next_alone(turn.text) and turn.intent not in arbitration.OWN - {"ask_onboarding"}:
        return await help.next_step(turn)
    if turn.intent in arbitration.OWN and turn.slots.get("subject") and dialogue.disputes(turn.text):
        turn.intent = "complain"
        return await human.complaint(turn)
    if _leans(turn):
        return await help.answer(turn)
    settled = turn.intent not in arbitration.OWN and turn.intent != "cancel"
    if not settled and arbitration.needs_lookup(turn.intent, turn.confidence_of_intent, how):
        found = await help.look(turn, turn.text)
        decision, chance = (found.decision, found.confidence) if found else (None, None)
        if (
            found is not None
            and arbitration.decide(turn.intent, turn.confidence_of_intent, how, decision, chance) == "help"
        ):
            return await help.show(turn, turn.text, found)
    bodies = await act(turn)
    if turn.intent in arbitration.OWN and turn.subject is None:
        turn.subject = {"question": turn.text, "intent": turn.intent}
    return bodies


def _tied(turn: Turn) -> bool:
    """Whether a question about the own account is as likely one about the product, so that an article which answers it decides."""
    ranking = turn.understood.get("intent_ranking") or []
    if turn.intent not in arbitration.OWN or len(ranking) < 2 or ranking[0]["name"] != turn.intent:
        return False
    first, second = ranking[:2]
    return bool(second["name"] == "help_question" and first["confidence"] - second["confidence"] < TIE)


def _leans(turn: Turn) -> bool:
    """Whether what seems to ask of the account is about the article of before: "how long is it valid?", 「それの有効期限は？」."""
    kept = turn.slots.get("subject") or {}
    of_help = kept.get("intent") == "help_question" and turn.intent in arbitration.OWN
    pronoun = dialogue.follows(turn.text) and dialogue.points_back(turn.text)
    return of_help and pronoun and turn.confidence_of_intent < arbitration.SURE


async def _each(turn: Turn, parts: list[dict[str, Any]]) -> list[Body]:
    """Each question of a message answered, later ones as what follows on the earlier; nothing where none could be, or where nouns that
    were asked about together have no answer each, so that the message is read as one."""
    whole = (turn.text, turn.intent, turn.understood, turn.slots)
    said: list[Body] = []
    unknown: list[str] = []
    answered: list[str | None] = []
    before = ""
    for part in parts:
        bodies = await _part(turn, part)
        if turn.decision == "abstain" and before and dialogue.leans_on_words(turn.text):
            bodies = await help.answer_beside(turn, before) or bodies
        before = turn.text
        answered.append(turn.decision)
        if turn.decision == "abstain":
            unknown.append(turn.text)
        else:
            said += [body for body in bodies if not _is_there(body, said)]
    turn.text, turn.intent, turn.understood, turn.slots = whole
    turn.decision = "answer" if said else None
    apart = not turn.understood.get("listed") or (len(said) >= len(parts) and {*answered} <= {None, "answer"})
    if not said or not apart:
        turn.decision, turn.subject = None, None
        return []
    return [*said, *(Text(text=TEXTS.say("part_unknown", turn.lang, question=one)) for one in unknown)]


async def _part(turn: Turn, part: dict[str, Any]) -> list[Body]:
    """What is said to one question of several, which is then what the next may lean on."""
    turn.text, turn.intent = str(part["text"]), str(part["intent"]["name"])
    turn.understood = {**turn.understood, "intent": part["intent"], "intent_ranking": []}
    turn.slots = {**turn.slots, "subject": turn.subject or turn.slots.get("subject")}
    turn.decision, turn.article_id, turn.subject = None, None, None
    return await _one(turn, BY_INTENT.get(turn.intent, help.answer))


def _is_there(body: Body, said: list[Body]) -> bool:
    """Whether this was said already: the same words, or the same passage, which may be the surer of one question than of another."""
    quotes = {one.quote for one in said if isinstance(one, Answer)}
    return body in said or (isinstance(body, Answer) and body.quote in quotes)
