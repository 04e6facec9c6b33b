"""Who else is looking: CSMs with the same conversation open see each other, whichever process serves them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from nicegui import background_tasks, ui
from sqlalchemy.ext.asyncio import AsyncSession

from api.console.desk import Desk
from api.console.rendering import render
from api.console.views import initials
from api.hub import Event
from conversations import signals
from escalations.models import Csm
from kit.clock import now

BEAT_SECONDS = 20.0
"""An open page says so this often."""
GONE_AFTER = timedelta(seconds=3 * BEAT_SECONDS)
"""A page that was not heard of for so long was closed without saying so."""


@dataclass
class _Other:
    csm_id: str
    name: str
    heard: datetime


class Presence:
    """The badges of colleagues who look at the same conversation."""

    def __init__(self, desk: Desk, conversation_id: str) -> None:
        self._desk = desk
        self._id = conversation_id
        self._others: dict[str, _Other] = {}
        self._element = ui.html("", sanitize=False).classes("presence")
        ui.timer(BEAT_SECONDS, self._beat, immediate=False)
        desk.client.on_delete(self._leave)

    async def arrive(self) -> None:
        """Tells the others, and asks them who they are."""
        await self._say("came")

    async def hear(self, events: list[Event]) -> None:
        """Takes in what others said."""
        for event in events:
            if event.get("here") != self._id or event["csm"] == self._desk.csm.id:
                continue
            if event["what"] == "left":
                self._others.pop(event["window"], None)
            else:
                self._others[event["window"]] = _Other(event["csm"], event["name"], now())
            if event["what"] == "came":
                await self._say("there")
            self._draw()

    async def _beat(self) -> None:
        self._others = {key: each for key, each in self._others.items() if each.heard > now() - GONE_AFTER}
        self._draw()
        await self._say("there")

    def _leave(self) -> None:
        background_tasks.create(self._say("left"), name="leave a conversation")

    async def _say(self, what: Literal["came", "there", "left"]) -> None:
        async def work(database: AsyncSession, csm: Csm, _: datetime) -> None:
            await signals.looking(database, self._id, csm.id, csm.name, self._desk.client.id, what)

        await self._desk.signal(work)

    def _draw(self) -> None:
        names = sorted({each.name for each in self._others.values()})
        badges = [(name, initials(name)) for name in names]
        self._element.set_content(render("presence.html", self._desk.lang, badges=badges) if badges else "")
