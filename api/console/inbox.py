"""The inbox: whom to help first, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.console import layout
from api.console.desk import changes, register, sit_down
from api.console.handling import take_next
from api.console.lists import ConversationList
from api.console.parts import button
from api.console.rendering import render
from api.console.session import LANGUAGES
from api.hub import Event
from escalations.inbox import State, View, Wanted

PRIORITIES = (1, 2, 3)
STATES = get_args(State)


def install() -> None:
    """Registers the page."""
    register("/", page)


async def page(request: Request) -> Response | None:
    """One of the inbox's lists, live. What is chosen stands in the address, so that it can be kept and shared."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    asked = request.query_params
    view = cast(View, asked["view"] if asked.get("view") in get_args(View) else "queue")
    wanted = chosen(view, asked)
    with layout.frame(desk, view, desk.say(f"view_{view}")) as navigation:
        with ui.element("header").classes("page-head with-form"):
            ui.html(render("inbox_head.html", desk.lang, view=view), sanitize=False)
            if view in ("queue", "mine"):
                button(desk.say("take_next"), lambda: take_next(desk), "take-next", primary=True)
        filters = ui.element("form").classes("filters").props("role=search")
        with filters:
            ui.html(
                render("filters.html", desk.lang, wanted=wanted, langs=LANGUAGES, priorities=PRIORITIES, states=STATES),
                sanitize=False,
            )
        shown = ConversationList(desk, wanted, "row.html")

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()
            await shown.refresh()

    async def choose(event: GenericEventArguments) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        await shown.show(chosen(view, {key: str(value) for key, value in given.items()}))

    filters.on("input", choose, js_handler="(event) => kotae.filter(event, emit)")
    filters.on("submit", js_handler="(event) => event.preventDefault()")
    await refresh([{"resync": True}])
    desk.follow(refresh)
    return None


def chosen(view: View, asked: Mapping[str, str]) -> Wanted:
    """Which conversations the filters ask for; what they cannot ask for is left out."""
    priority = asked.get("priority", "")
    return Wanted(
        view=view,
        words=asked.get("words", "")[:200],
        lang=asked["lang"] if asked.get("lang") in LANGUAGES else None,
        priority=int(priority) if priority in map(str, PRIORITIES) else None,
        state=cast(State, asked["state"]) if view == "all" and asked.get("state") in STATES else None,
    )
