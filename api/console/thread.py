"""The transcript: every kind of message, with internal notes between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from api.console.desk import Desk
from api.console.parts import button
from api.console.rendering import render
from api.console.views import who
from conversations import log
from conversations.models import MessageRow, Note
from escalations import csms
from escalations.models import Csm

WINDOW = 200
"""Messages drawn when a conversation is opened; earlier ones come at a click."""
_STEP = 400
"""Messages read at once."""


class Thread:
    """What was said in one conversation, live."""

    def __init__(self, desk: Desk, conversation_id: str) -> None:
        self._desk = desk
        self._id = conversation_id
        self._after: int | None = None
        self.last_of_csm: int | None = None
        self._first = 0
        self._notes: set[str] = set()
        with ui.element("div").classes("thread").props("role=log aria-live=polite tabindex=0"):
            self._more = button(desk.say("earlier"), self._earlier, "earlier")
            self._more.set_visibility(False)
            self._lines = ui.element("div").classes("lines")

    @property
    def last(self) -> int:
        """`seq` of the last message that is shown."""
        return self._after or 0

    async def refresh(self) -> bool:
        """Appends what is new.

        Returns:
            whether the customer said something.
        """
        heard = False
        while True:
            messages = await self._read()
            heard = heard or any(message.sender == "customer" for message in messages)
            if len(messages) < _STEP:
                break
        self._more.set_visibility(self._first > 0)
        return heard

    async def _read(self) -> Sequence[MessageRow]:
        async def look(
            database: AsyncSession, _: Csm, __: datetime
        ) -> tuple[Sequence[MessageRow], Sequence[Note], dict[str, str]]:
            if self._after is None:
                conversation = await log.existing(database, self._id)
                self._first = self._after = max(0, conversation.last_seq - WINDOW)
            messages = await log.transcript(database, self._id, self._after, _STEP)
            notes = [note for note in await log.notes(database, self._id) if note.id not in self._notes]
            names = {each.id: each.name for each in await csms.everyone(database)} if notes else {}
            return messages, notes, names

        messages, notes, names = await self._desk.read(look)
        with self._lines:
            self._draw(messages, [note for note in notes if note.after_seq >= self._first], names)
        for message in messages:
            self._after = message.seq
            if message.sender != "system":
                # Only where the CSM spoke last is it of interest whether the customer has read that.
                self.last_of_csm = message.seq if message.sender == "csm" else None
        return messages

    async def _earlier(self) -> None:
        """Draws everything from the beginning."""
        self.last_of_csm = None
        self._first = self._after = 0
        self._notes.clear()
        self._lines.clear()
        await self.refresh()

    def _draw(self, messages: Sequence[MessageRow], notes: Sequence[Note], names: dict[str, str]) -> None:
        places: list[tuple[tuple[int, int, datetime], MessageRow | Note]] = [
            *(((message.seq, 0, message.created_at), message) for message in messages),
            *(((note.after_seq, 1, note.created_at), note) for note in notes),
        ]
        for _, item in sorted(places, key=lambda place: place[0]):
            if isinstance(item, Note):
                self._notes.add(item.id)
                author = names.get(item.csm_id, "")
                html, classes = render("note.html", self._desk.lang, note=item, author=author), "said note"
            else:
                html = render("message.html", self._desk.lang, message=item, who=who(item, self._desk.lang))
                classes = f"said {item.sender} {item.body['type']}"
            ui.html(html, sanitize=False).classes(classes)
