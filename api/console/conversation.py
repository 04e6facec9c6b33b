"""The page of one conversation: what was said, who is asking, and what a CSM can do about it."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui

from api.console import layout
from api.console.account import AccountPanel
from api.console.desk import about, changes, register, sit_down
from api.console.lists import ConversationList
from api.console.rendering import render
from api.console.talk import Talk, look_up
from api.hub import Event
from escalations.inbox import View, Wanted
from kit.errors import NotFound


def install() -> None:
    """Registers the page."""
    register("/conversation/{conversation_id}", page)


async def page(request: Request, conversation_id: str) -> Response | None:
    """A conversation, live."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    try:
        shown = await desk.read(look_up(conversation_id))
    except NotFound:
        with layout.frame(desk, "", desk.say("no_conversation")) as navigation:
            ui.html(render("missing.html", desk.lang, what="no_conversation"), sanitize=False).classes("empty")
        await navigation.refresh()
        return None
    view: View = "mine" if shown.mine(desk.csm) else "watching" if shown.watched else "queue"
    with layout.frame(desk, view, shown.name(desk.lang)) as navigation, ui.element("div").classes("columns"):
        with ui.element("aside").classes("beside"):
            ui.label(desk.say(f"view_{view}")).classes("beside-title")
            others = ConversationList(desk, Wanted(view=view), "line.html", conversation_id)
        talk_box = ui.element("section").classes("talk")
        with ui.element("aside").classes("panel"):
            panel = AccountPanel(desk, shown.conversation)
        with talk_box:
            talk = Talk(desk, shown, lambda: panel.customer)

    async def refresh(events: list[Event]) -> None:
        if any(event.get("typing") == "customer" and event.get("c") == conversation_id for event in events):
            talk.typing()
        await talk.presence.hear(events)
        if changes(events):
            await navigation.refresh()
            await others.refresh()
        if about(events, conversation_id):
            await talk.refresh()

    await panel.fill()
    await refresh([{"resync": True}])
    desk.follow(refresh)
    await talk.presence.arrive()
    return None
