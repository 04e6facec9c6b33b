"""A CSM in front of one open page, and what they do there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import structlog
from fastapi import Request
from fastapi.responses import Response
from nicegui import Client, background_tasks, ui
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from api.console import paths, session
from api.console.texts import TEXTS
from api.hub import RESYNC, Event
from escalations import csms, sessions
from escalations.models import Csm
from kit.clock import now
from kit.database import Database
from kit.errors import KotaeError, Unauthenticated, UserError

if TYPE_CHECKING:
    from api.services import Services

logger = structlog.get_logger()
Result = TypeVar("Result")
Work = Callable[[AsyncSession, Csm, datetime], Awaitable[Result]]
WorkAtOnce = Callable[[Database, Csm, datetime], Awaitable[Result]]
_PATIENCE_SECONDS = 30.0
"""So long a page may take to be built: the database alone is waited for for five seconds."""
_SETTLE_SECONDS = 0.08
"""Events that come this close together are shown together."""
_SIGN_SECONDS = 30.0


@dataclass
class Desk:
    """One open page of a CSM who is signed in.

    Attributes:
        csm: as they were when the page was opened; each action looks them up again.
        secret: of their session.
        lang, theme: how they want to see it.
    """

    services: Services
    csm: Csm
    secret: str
    lang: str
    theme: str
    client: Client

    def say(self, key: str, **values: object) -> str:
        """A text in the CSM's language."""
        return TEXTS.say(key, self.lang, **values)

    async def read(self, work: Work[Result]) -> Result:
        """Runs `work` in a transaction, for the CSM as they are now.

        Raises:
            Unauthenticated: they may not be here any more; the browser is on its way to sign in.
        """
        async with self.services.database.begin() as database:
            return await work(database, await self._who(database), now())

    async def act(self, work: Work[Result]) -> Result | None:
        """Runs `work` in a transaction; what goes wrong becomes a notice.

        Returns:
            what `work` returns; None where it failed and nothing was changed.
        """
        return await self._tried(self.read(work))

    async def act_at_once(self, work: WorkAtOnce[Result]) -> Result | None:
        """The same with what changes something by one statement alone, which needs no transaction around it."""

        async def alone() -> Result:
            async with self.services.database.begin() as database:
                csm = await self._who(database)
            return await work(self.services.database, csm, now())

        return await self._tried(alone())

    async def _tried(self, doing: Awaitable[Result]) -> Result | None:
        try:
            return await doing
        except Unauthenticated:
            return None
        except KotaeError as error:
            self.refuse(error)
        except (SQLAlchemyError, psycopg.Error) as error:
            logger.warning("console_action_failed", reason=type(error).__name__)
            self.notice(self.say("error_unavailable"), "negative")
        return None

    async def _who(self, database: AsyncSession) -> Csm:
        csm = await sessions.csm_of(database, self.secret, now())
        if csm is None:
            self.go(paths.SIGN_IN)
            raise Unauthenticated("not signed in any more", "sign in again")
        return csm

    def go(self, address: str) -> None:
        """Opens another page of the console."""
        with self.client:
            ui.navigate.to(address.removeprefix(paths.ROOT))  # NiceGUI puts it back

    async def signal(self, work: Work[None]) -> None:
        """Runs `work` in a transaction; that it failed is of no interest to the CSM."""
        with contextlib.suppress(KotaeError, SQLAlchemyError, psycopg.Error):
            await self.read(work)

    def refuse(self, error: KotaeError) -> None:
        """Says why something could not be done."""
        known = f"error_{error.code}"
        text = self.say(known) if known in TEXTS.keys() else str(error)  # noqa: SIM118  # a method, not a dict's
        detail = str(error) if isinstance(error, UserError) else ""
        self.notice(text, "warning", detail)

    def notice(self, text: str, kind: str = "positive", detail: str = "") -> None:
        """A few words at the edge of the page. Without a `textColor` Quasar makes them white, which our style cannot undo."""
        with self.client:
            ui.notify(
                text, position="bottom", timeout=5000, classes=f"notice notice-{kind}", caption=detail, textColor="ours"
            )

    def follow(self, on_events: Callable[[list[Event]], Awaitable[None]]) -> None:
        """Calls `on_events` with what happens anywhere, for as long as the page is open.

        The first call comes at once with `RESYNC`: what happened while the page was being built is not missed.
        """
        task = background_tasks.create(self._follow(on_events), name="follow events")
        self.client.on_delete(task.cancel)
        there = background_tasks.create(self._there(), name="give a sign")
        self.client.on_delete(there.cancel)

    async def _there(self) -> None:
        """Says every half a minute that the CSM has the console open: conversations are offered to who is there."""

        async def sign(database: AsyncSession, csm: Csm, moment: datetime) -> None:
            await csms.seen(database, csm.id, moment)

        while True:
            await self.signal(sign)
            await asyncio.sleep(_SIGN_SECONDS)

    async def _follow(self, on_events: Callable[[list[Event]], Awaitable[None]]) -> None:
        with self.services.hub.everything() as waiting:
            events = [RESYNC]
            while True:
                try:
                    with self.client:
                        await on_events(events)
                except Unauthenticated:
                    return
                except (SQLAlchemyError, psycopg.Error, KotaeError) as error:
                    logger.warning("console_refresh_failed", reason=type(error).__name__)
                events = [await waiting.get()]
                await asyncio.sleep(_SETTLE_SECONDS)
                with contextlib.suppress(asyncio.QueueEmpty):
                    while True:
                        events.append(waiting.get_nowait())


def register(address: str, build: Callable[..., Awaitable[Response | None]]) -> None:
    """Registers a page of the console. NiceGUI would give up on one that takes longer than three seconds, however busy the machine is."""
    ui.page(address, response_timeout=_PATIENCE_SECONDS)(build)


async def sit_down(request: Request) -> Desk | Response:
    """The desk of whoever asks for a page; for who is not signed in, the way to the sign-in page."""
    csm = await session.current(request)
    if csm is None:
        return session.to_sign_in(request)
    return Desk(
        services=session.services(request),
        csm=csm,
        secret=session.secret(request),
        lang=session.language(request),
        theme=session.theme(request),
        client=ui.context.client,
    )


def about(events: list[Event], conversation_id: str) -> bool:
    """Whether any of the events may have changed what is to be seen of the conversation."""
    return any(
        event.get("resync")
        or "queue" in event
        or (conversation_id in (event.get("c"), event.get("note")) and "typing" not in event)
        for event in events
    )


def changes(events: list[Event]) -> bool:
    """Whether any of the events may have changed a list of conversations."""
    silent: tuple[Any, ...] = ("typing", "note", "here")
    return any(not any(key in event for key in silent) for event in events)
