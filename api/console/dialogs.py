"""Questions to the CSM before something is done. Enter agrees, Escape thinks better of it."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from api.console.desk import Desk
from api.console.parts import button
from escalations import csms, queue
from escalations.models import Csm

RESOLUTIONS = ("answered", "fixed", "billing", "reported", "no_reply", "other")
"""Why a conversation was resolved; `resolution_…` among the texts."""


async def ask_reason(desk: Desk) -> str | None:
    """Asks why a conversation is resolved."""
    choices = {key: desk.say(f"resolution_{key}") for key in RESOLUTIONS}
    answer = await choose(desk, desk.say("resolve_title"), choices, "resolve", more=desk.say("resolve_more"))
    return None if answer is None else ": ".join(part for part in answer if part)


async def ask_colleague(desk: Desk) -> str | None:
    """Asks to which colleague a conversation is to go; the one with most room first."""

    async def look(database: AsyncSession, csm: Csm, _: datetime) -> list[tuple[Csm, int]]:
        load = await queue.load(database)
        others = [each for each in await csms.everyone(database) if each.active and each.capacity and each.id != csm.id]
        return sorted(((each, load.get(each.id, 0)) for each in others), key=lambda one: one[1] - one[0].capacity)

    colleagues = await desk.read(look)
    if not colleagues:
        desk.notice(desk.say("no_colleague"), "warning")
        return None
    choices = {
        each.id: desk.say(
            "colleague", name=each.name, held=held, capacity=each.capacity, langs=" ".join(each.languages).upper()
        )
        for each, held in colleagues
    }
    answer = await choose(desk, desk.say("transfer_title"), choices, "hand_over")
    return None if answer is None else answer[0]


async def choose(
    desk: Desk, title: str, choices: dict[str, str], agree: str, *, more: str = ""
) -> tuple[str, str] | None:
    """Asks for one of several, and where `more` is given for some words beside it.

    Args:
        choices: words by key.
        agree: key of the text on the button that agrees.
    Returns:
        The key and the words; None where the CSM thought better of it.
    """
    with desk.client, ui.dialog() as dialog, ui.element("div").classes("dialog"):
        ui.label(title).classes("dialog-title")
        chosen = ui.radio(choices, value=next(iter(choices)))
        words = ui.input(more).props("dense outlined maxlength=300").classes("wide") if more else None
        with ui.element("div").classes("dialog-actions"):
            button(desk.say("cancel"), lambda: dialog.submit(False), "dialog-cancel")
            button(desk.say(agree), lambda: dialog.submit(True), f"dialog-{agree}", primary=True)
    dialog.on("keydown.enter", lambda: dialog.submit(True), js_handler="(event) => { event.preventDefault(); emit(); }")
    agreed = await dialog
    answer = str(chosen.value), str(words.value or "").strip() if words is not None else ""
    dialog.delete()
    return answer if agreed else None
