"""What all pages of the console share: the frame, the navigation, the theme, the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from api.console import paths
from api.console.assets import head
from api.console.desk import Desk
from api.console.handling import take_next
from api.console.rendering import render
from api.console.views import initials
from escalations import csms, inbox
from escalations.inbox import Counts, View
from escalations.models import Csm

PAGES = (("accounts", paths.ACCOUNTS), ("reports", paths.REPORTS))
ADMIN_PAGES = (("settings", paths.SETTINGS),)
KEYS = (
    ("keys_everywhere", (("?", "keys"), ("/", "search"), ("x", "take_next"), ("g q", "queue"), ("g w", "watching"), ("g m", "mine"), ("g a", "all"), ("g c", "accounts"), ("g r", "reports"), ("Esc", "leave"))),
    ("keys_list", (("j", "next"), ("k", "previous"), ("Enter", "open"), ("c", "claim"))),
    ("keys_talk", (("j", "next"), ("k", "previous"), ("c", "claim"), ("r", "reply"), ("n", "note"), ("i", "canned"), ("s", "suggest"), ("y", "good"), ("d", "draft"), ("u", "up"))),
    ("keys_settle", (("e", "resolve"), ("b", "to_bot"), ("q", "to_queue"), ("t", "transfer"), ("z", "aside"), ("f", "again"), ("p", "level"), ("m", "mute"))),
)  # fmt: skip
"""What the keys do, as `?` shows it; `console.js` does it."""


_SWITCH = """(event) => { if (event.target.closest('[data-do=away]')) emit(); }"""


class Navigation:
    """The column on the left: lists with how much is in them, and one's own corner.

    Args:
        active: name of the list or page that is open.
    """

    def __init__(self, desk: Desk, active: str) -> None:
        self._desk = desk
        self._active = active
        self._reading = asyncio.Lock()
        self._counts: Counts | None = None
        self._away: bool | None = None
        with ui.element("nav").classes("nav"):
            self._links = ui.html("", sanitize=False).style("display: contents")
            self._corner = ui.html("", sanitize=False).style("display: contents")
        self._corner.on("click", self._switch, js_handler=_SWITCH)
        self._draw(Counts(), desk.csm)

    async def refresh(self) -> None:
        """Counts again."""

        async def count(database: AsyncSession, csm: Csm, _: object) -> tuple[Counts, Csm]:
            return await inbox.counts(database, csm), csm

        async with self._reading:  # of two at once the earlier look could be shown last
            self._draw(*await self._desk.read(count))

    async def _switch(self) -> None:
        """The CSM is away, or back."""

        async def work(database: AsyncSession, csm: Csm, _: object) -> bool:
            await csms.set_away(database, csm, not csm.away)
            return True

        await self._desk.act(work)
        await self.refresh()

    def _draw(self, counts: Counts, csm: Csm) -> None:
        """Each half by itself: one's own corner may be open while the counts change."""
        desk = self._desk
        if counts != self._counts:
            self._counts = counts
            numbers = {"queue": counts.queued, "watching": counts.watching, "mine": counts.mine, "all": 0}
            links = {
                "active": self._active,
                "views": [(name, paths.view(name), numbers[name]) for name in get_args(View)],
                "pages": PAGES + (ADMIN_PAGES if desk.csm.role == "admin" else ()),
                "counts": counts,
            }
            self._links.set_content(render("nav_links.html", desk.lang, **links))
        if csm.away != self._away:
            self._away = csm.away
            corner = {"csm": csm, "initials": initials(desk.csm.name), "theme": desk.theme}
            self._corner.set_content(render("nav_corner.html", desk.lang, **corner))


@contextmanager
def frame(desk: Desk, active: str, title: str) -> Iterator[Navigation]:
    """The page around what a page shows.

    Args:
        active: name of the list or page that is open.
        title: of the window.
    """
    ui.add_head_html(head(desk.lang))
    ui.page_title(f"{title} · Kotae")
    ui.dark_mode({"auto": None, "light": False, "dark": True}[desk.theme])
    ui.on("kotae_next", lambda: take_next(desk))
    with ui.element("div").classes("shell"):
        navigation = Navigation(desk, active)
        with ui.element("main").classes("main"):
            yield navigation
    ui.html(render("keys.html", desk.lang, groups=KEYS), sanitize=False)
