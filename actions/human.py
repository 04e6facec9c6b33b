"""Turns in which a person matters more than an answer."""

from __future__ import annotations

from rasa_sdk.events import SlotSet

from actions import dialogue
from actions.dialogue import HUMAN
from actions.texts import TEXTS
from actions.turn import Turn
from conversations import log
from conversations.bodies import Body, Choice, Choices, Text
from escalations.queue import handover

ASKED = "asked"
"""Value of the slot `offer` once the bot has asked what a "yes" was for."""


async def wish(turn: Turn) -> list[Body]:
    """The customer asks for a person; the policy says who and when, and what it says is what they read."""
    from actions import escalating

    if dialogue.wants_nobody(turn.text):
        turn.intent, turn.wish, turn.substantive = "deny", False, False
        waits = await escalating.waiting(turn) is not None
        return [Text(text=TEXTS.say("withdrawn" if waits else "declined", turn.lang))]
    turn.wish = True
    if await escalating.waiting(turn) is not None:
        return []  # what they were promised is said behind this
    return [Text(text=TEXTS.say("wish", turn.lang, email=turn.rooms.company.support.email))]


async def decline(turn: Turn) -> list[Body]:
    """The customer does not want what was offered."""
    turn.substantive = False
    return [Text(text=TEXTS.say("declined", turn.lang))]


async def go_on(turn: Turn) -> list[Body]:
    """A "yes" where no person was offered: the one article that was asked about, or the list that stands there; an "ok" to what was just
    answered; else what is wanted is asked once, and a person offered where that brings another "yes"."""
    from actions import help

    only = help.only_choice(turn)
    if only is not None:
        return await help.open_choice(turn, only)
    listed = help.shown_again(turn)
    if listed is not None:
        return [listed]
    turn.substantive = False
    answered = (turn.slots.get("subject") or {}).get("left", 0) >= dialogue.FRESH
    if answered and turn.slots.get("offer") is None:
        return [Text(text=TEXTS.say("declined", turn.lang))]
    if turn.slots.get("offer") == ASKED:
        return [offer(turn, TEXTS.say("go_on_again", turn.lang))]
    turn.events.append(SlotSet("offer", ASKED))
    return [Text(text=TEXTS.say("go_on", turn.lang))]


async def greet(turn: Turn) -> list[Body]:
    """A greeting is returned and an apology accepted; who waits for a person asks with either whether somebody is there, and hears until when."""
    from actions import escalating

    turn.substantive = False
    waits = await escalating.waiting(turn)
    if waits is None:
        return [Text(text=TEXTS.say("apology" if turn.intent == "apology" else "greet", turn.lang))]
    return [Text(text=TEXTS.say("greet_waiting", turn.lang)), handover(waits, turn.rooms.company, turn.lang, turn.now)]


async def need_help(turn: Turn) -> list[Body]:
    """The customer calls for help and does not say with what."""
    return [Text(text=TEXTS.say("need_help", turn.lang))]


async def complaint(turn: Turn) -> list[Body]:
    """The customer complains."""
    return [Text(text=TEXTS.say("complaint", turn.lang)), offer(turn, TEXTS.say("complaint_offer", turn.lang))]


async def cancel(turn: Turn) -> list[Body]:
    """The customer wants to leave: how it is done, from the help content, and a person."""
    from actions import help

    found = await help.answer_text(turn, TEXTS.say("cancel_question", turn.lang))
    if turn.decision != "answer":
        found = []
        turn.decision = None
    return [Text(text=TEXTS.say("cancel", turn.lang)), *found, offer(turn, TEXTS.say("cancel_offer", turn.lang))]


async def callback(turn: Turn) -> list[Body]:
    """A visitor has left an e-mail address in the form: somebody will write."""
    email = str(turn.slots.get("email") or "")
    await log.leave_email(await turn.session(), turn.claims.conversation_id, email)
    turn.wish = True
    turn.events.append(SlotSet("email", None))
    return [Text(text=TEXTS.say("callback", turn.lang, email=email))]


def offer(turn: Turn, text: str) -> Choices:
    """Words with a button that asks for a person."""
    return Choices(text=text, choices=[Choice(id=HUMAN, label=TEXTS.say("talk_to_person", turn.lang))])
