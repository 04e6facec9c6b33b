"""Lists of conversations that keep themselves up to date."""

from __future__ import annotations

import asyncio
from datetime import datetime

from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from api.console import paths
from api.console.desk import Desk
from api.console.parts import button
from api.console.rendering import render
from api.console.views import Row, row
from escalations import csms, inbox, queue
from escalations.inbox import Wanted
from escalations.models import Csm

PAGE = 100
"""Lines drawn at first, and more at a click: nobody reads further down a queue without looking for something."""
_CLICK = """(event) => {
    const button = event.target.closest('[data-claim]');
    if (button) { event.preventDefault(); emit(button.dataset.claim); }
}"""


class ConversationList:
    """A list of conversations on a page. Only lines that changed are drawn again.

    Args:
        wanted: which conversations.
        template: how a line looks.
        current: the conversation that is open beside the list.
    """

    def __init__(self, desk: Desk, wanted: Wanted, template: str, current: str = "") -> None:
        self._desk = desk
        self._wanted = wanted
        self._template = template
        self._current = current
        self._limit = PAGE
        self._reading = asyncio.Lock()
        self._lines: dict[str, tuple[ui.html, str]] = {}
        self._list = ui.element("div").classes("list").props("role=list")
        self._list.on("click", self._claim, js_handler=_CLICK)
        self._empty = ui.html("", sanitize=False).classes("empty")
        self._empty.set_visibility(False)
        with ui.element("div").classes("more") as self._foot:
            self._number = ui.label()
            button(desk.say("more"), self._more, "more")
        self._foot.set_visibility(False)

    async def show(self, wanted: Wanted) -> None:
        """Shows other conversations."""
        self._wanted, self._limit = wanted, PAGE
        await self.refresh()

    async def refresh(self) -> None:
        """Draws the list as it is now."""
        async with self._reading:  # of two at once the earlier look could be shown last
            await self._refresh()

    async def _refresh(self) -> None:
        wanted, lang = self._wanted, self._desk.lang

        async def look(database: AsyncSession, csm: Csm, moment: datetime) -> tuple[list[Row], int]:
            found = await inbox.look(database, csm, wanted, self._limit)
            names = {each.id: each.name for each in await csms.everyone(database)}
            ids = {one.conversation.account_id for one in found if one.conversation.account_id is not None}
            names |= await timeline.names(database, ids)
            full = len(found) == self._limit
            number = await inbox.number(database, csm, wanted) if full else len(found)
            return [row(one, names, lang, wanted.words) for one in found], number

        rows, number = await self._desk.read(look)
        if wanted == self._wanted:  # nobody chose something else meanwhile
            self._draw(rows)
            self._number.set_text(self._desk.say("shown_of", shown=len(rows), number=number))
            self._foot.set_visibility(number > len(rows))

    def _draw(self, rows: list[Row]) -> None:
        wanted = {one.conversation_id: one for one in rows}
        for gone in self._lines.keys() - wanted.keys():
            self._lines.pop(gone)[0].delete()
        for place, (conversation_id, one) in enumerate(wanted.items()):
            html = render(self._template, self._desk.lang, row=one, current=self._current)
            line, before = self._lines.get(conversation_id) or (self._line(html), html)
            if before != html:
                line.set_content(html)
            self._lines[conversation_id] = line, html
            if self._list.default_slot.children[place] is not line:
                line.move(target_index=place)
        if not rows:
            chosen = self._wanted != Wanted(view=self._wanted.view)
            self._empty.set_content(
                render("empty.html", self._desk.lang, view="found" if chosen else self._wanted.view)
            )
        self._empty.set_visibility(not rows)

    def _line(self, html: str) -> ui.html:
        with self._list:
            return ui.html(html, sanitize=False).props("role=listitem")

    async def _more(self) -> None:
        self._limit += PAGE
        await self.refresh()

    async def _claim(self, event: GenericEventArguments) -> None:
        escalation_id = str(event.args)

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
            return (await queue.claim(database, escalation_id, csm, moment)).conversation_id

        conversation_id = await self._desk.act(work)
        if conversation_id is not None:
            self._desk.go(paths.conversation(conversation_id))
