"""The accounts: all with their health, and each with its history, people, conversations and notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import cast, get_args

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import records, timeline
from accounts.health import Band
from accounts.timeline import PersonLine, Standing, Timeline
from api.console import charts, layout
from api.console.account import Known, known, words
from api.console.desk import Desk, changes, register, sit_down
from api.console.lists import ConversationList
from api.console.parts import button
from api.console.rendering import render
from api.hub import Event
from escalations.inbox import Wanted
from escalations.models import Csm
from kit.errors import NotFound, UserError

MAX_NOTE = 4000


def install() -> None:
    """Registers the pages."""
    register("/accounts", everything)
    register("/accounts/{account_id:path}", one)


async def everything(request: Request) -> Response | None:
    """All accounts, the worst health first."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    with layout.frame(desk, "accounts", desk.say("page_accounts")) as navigation:
        head = render("head.html", desk.lang, title=desk.say("page_accounts"), about=desk.say("about_accounts"))
        ui.html(head, sanitize=False, tag="header").classes("page-head")
        asked = request.query_params
        given = {"words": asked.get("words", ""), "band": asked.get("band"), "mine": asked.get("owner") == "me"}
        filters = ui.element("form").classes("filters").props("role=search")
        with filters:
            ui.html(render("accounts_filters.html", desk.lang, **given), sanitize=False)
        table = ui.html("", sanitize=False).classes("page-body")
    chosen: Mapping[str, str] = asked

    async def show(wanted: Mapping[str, str]) -> None:
        nonlocal chosen
        chosen = wanted
        rows = await _standings(desk, wanted)
        if wanted is chosen:  # nobody chose something else meanwhile
            table.set_content(render("accounts.html", desk.lang, rows=rows, **words(desk)))

    async def choose(event: GenericEventArguments) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        await show({key: str(value) for key, value in given.items()})

    filters.on("input", choose, js_handler="(event) => kotae.filter(event, emit)")
    filters.on("submit", js_handler="(event) => event.preventDefault()")
    await show(asked)

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()

    await navigation.refresh()
    desk.follow(refresh)
    return None


async def _standings(desk: Desk, wanted: Mapping[str, str]) -> list[Standing]:
    band = cast(Band, wanted["band"]) if wanted.get("band") in get_args(Band) else None

    async def look(database: AsyncSession, csm: Csm, moment: datetime) -> list[Standing]:
        owner = csm.email if wanted.get("owner") == "me" else None
        return await timeline.standings(database, moment, words=wanted.get("words", "")[:200], band=band, owner=owner)

    return await desk.read(look)


async def one(request: Request, account_id: str) -> Response | None:
    """One account."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk

    async def look(database: AsyncSession, _: Csm, moment: datetime) -> tuple[Known, Timeline, list[PersonLine]]:
        return (
            await known(database, desk.services.catalog, account_id, None, moment),
            await timeline.timeline(database, account_id, moment),
            await timeline.people(database, account_id, moment),
        )

    try:
        found, history, people = await desk.read(look)
    except NotFound:
        with layout.frame(desk, "accounts", desk.say("page_accounts")) as navigation:
            ui.html(render("missing.html", desk.lang, what="no_account"), sanitize=False).classes("empty")
        await navigation.refresh()
        return None
    with layout.frame(desk, "accounts", found.customer.account_name) as navigation:
        head = render("head.html", desk.lang, title=found.customer.account_name, about=account_id)
        ui.html(head, sanitize=False, tag="header").classes("page-head")
        ui.html(_page(desk, found, history, people), sanitize=False).classes("page-body")
        notes = Notes(desk, found)
        ui.label(desk.say("conversations")).classes("section-title")
        conversations = ConversationList(desk, Wanted(account_id=account_id), "row.html")

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()
            await conversations.refresh()

    notes.draw(found)
    await refresh([{"resync": True}])
    desk.follow(refresh)
    return None


def _page(desk: Desk, found: Known, history: Timeline, people: list[PersonLine]) -> str:
    bands = desk.services.catalog.health.bands
    return render(
        "account_page.html",
        desk.lang,
        customer=found.customer,
        internal=found.internal,
        owner=found.owner,
        reasons=[reason for reason in found.internal.reasons if reason.lost >= 1],
        health_line=charts.line(
            [(each.day, each.score) for each in history.health], 0, 100, borders=(bands.at_risk, bands.healthy)
        ),
        usage_bars=charts.bars([(each.day, each.events) for each in history.usage]),
        events=sum(each.events for each in history.usage),
        active=max((each.people for each in history.usage), default=0),
        people=people,
        **words(desk),
    )


class Notes:
    """The account's notes, and a box for another."""

    def __init__(self, desk: Desk, found: Known) -> None:
        self._desk = desk
        self._id = found.customer.account_id
        ui.label(desk.say("notes")).classes("section-title")
        with ui.element("div").classes("page-body notes"):
            with ui.element("form").classes("note-form") as form:
                box = ui.element("textarea").classes("box field").props(f"rows=2 maxlength={MAX_NOTE}")
                box.props["placeholder"] = box.props["aria-label"] = desk.say("placeholder_account_note")
                save = button(desk.say("save_note"), None, "save-note")
                save.on("click", self._add, js_handler="(event) => kotae.take(event, emit)")
            form.on("submit", js_handler="(event) => event.preventDefault()")
            self._shown = ui.html("", sanitize=False).classes("notes-list")

    def draw(self, found: Known) -> None:
        """Shows the notes."""
        self._shown.set_content(render("notes.html", self._desk.lang, notes=found.internal.notes, **words(self._desk)))

    async def _add(self, event: GenericEventArguments) -> None:
        text = str(event.args or "").strip()

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Known:
            if not text:
                raise UserError("the note is empty", "write something")
            await records.add_note(database, self._id, csm.name, text[:MAX_NOTE], moment)
            return await known(database, self._desk.services.catalog, self._id, None, moment)

        found = await self._desk.act(work)
        if found is not None:
            self.draw(found)
        else:
            ui.run_javascript(f"kotae.giveBack({json.dumps(text)})")
