"""The middle of a conversation's page: its head with what can be done, the transcript, the composer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from accounts.facts import CustomerFacts
from api import aftercare
from api.console import handling
from api.console.composer import Composer
from api.console.desk import Desk
from api.console.dialogs import ask_colleague, ask_reason
from api.console.parts import button, menu
from api.console.presence import Presence
from api.console.rendering import render
from api.console.thread import Thread
from api.console.views import due, name, reason
from conversations import log
from conversations.models import Conversation
from escalations import csms, queue
from escalations.models import Csm, Escalation

_TYPING_SECONDS = 4.0
"""A customer who is said to be writing and then falls silent is taken at their silence."""


@dataclass(frozen=True)
class Shown:
    """A conversation with its open escalation, whoever has it, and the account's name where there is one."""

    conversation: Conversation
    escalation: Escalation | None
    holder: Csm | None
    account: str | None

    @property
    def watched(self) -> bool:
        return self.escalation is not None and self.escalation.mode == "watch"

    def mine(self, csm: Csm) -> bool:
        """Whether this CSM has it."""
        return self.holder is not None and self.holder.id == csm.id

    def name(self, lang: str) -> str:
        """Whose conversation it is."""
        return self.account or name(self.conversation, self.escalation, lang)


def look_up(conversation_id: str) -> Callable[[AsyncSession, Csm, datetime], Awaitable[Shown]]:
    """Work for a desk: the conversation as it stands.

    Raises:
        NotFound: there is none.
    """

    async def look(database: AsyncSession, _: Csm, __: datetime) -> Shown:
        conversation = await log.existing(database, conversation_id)
        escalation = await queue.open_of(database, conversation_id)
        everyone = await csms.everyone(database) if conversation.csm_id is not None else ()
        holder = next((each for each in everyone if each.id == conversation.csm_id), None)
        account = conversation.account_id
        names = await timeline.names(database, [account]) if account is not None else {}
        return Shown(conversation, escalation, holder, names.get(account or ""))

    return look


class Talk:
    """Head, transcript and composer of one conversation.

    Args:
        customer: who is asking, once that is known.
    """

    def __init__(self, desk: Desk, shown: Shown, customer: Callable[[], CustomerFacts | None]) -> None:
        self._desk = desk
        self._id = shown.conversation.id
        self._shown = shown
        self._reading = asyncio.Lock()
        self._drawn: tuple[Any, ...] = ()
        self._can: tuple[bool, ...] = ()
        self._taking = ""
        with ui.element("header").classes("talk-head"):
            self._title = ui.html("", sanitize=False).classes("talk-title")
            self.presence = Presence(desk, self._id)
            with ui.element("div").classes("actions"):
                self._others = ui.element("div").style("display: contents")
                self._claiming = ui.element("div").style("display: contents")
        self._thread = Thread(desk, self._id, customer)
        self._seen = ui.label(desk.say("seen")).classes("seen")
        self._typing = ui.html(render("typing.html", desk.lang), sanitize=False).classes("typing")
        self._typing.set_visibility(False)
        self._typing_ends: ui.timer | None = None
        self._composer = Composer(desk, shown.conversation, customer, self.refresh)
        ui.on("kotae_read", self._read)
        self._draw()

    async def refresh(self) -> None:
        """Shows what is new."""
        async with self._reading:  # of two at once the earlier look could be shown last
            self._shown = await self._desk.read(look_up(self._id))
            self._draw()
        if await self._thread.refresh():
            self._typing.set_visibility(False)
        own = self._thread.last_of_csm
        self._seen.set_visibility(own is not None and own <= self._shown.conversation.customer_read_seq)

    def typing(self) -> None:
        """The customer is writing."""
        self._typing.set_visibility(True)
        if self._typing_ends is not None:
            self._typing_ends.cancel()
        with self._typing:
            self._typing_ends = ui.timer(_TYPING_SECONDS, lambda: self._typing.set_visibility(False), once=True)

    async def _read(self, event: GenericEventArguments) -> None:
        """The end of the transcript is before the CSM's eyes. The customer hears so from who holds the conversation."""
        seq = self._thread.last
        if not self._shown.mine(self._desk.csm) or seq <= self._shown.conversation.csm_read_seq:
            return

        async def work(database: AsyncSession, _: Csm, __: datetime) -> None:
            await log.mark_read(database, self._id, seq, "csm")

        await self._desk.signal(work)

    def _draw(self) -> None:
        desk, shown, escalation = self._desk, self._shown, self._shown.escalation
        state = (
            escalation and (escalation.id, escalation.state, escalation.mode, escalation.priority, due(escalation)),
            escalation and (escalation.snoozed_until, escalation.follow_up_on),
            shown.holder and shown.holder.id,
            shown.conversation.email,
        )
        if state == self._drawn:
            return
        self._drawn = state
        self._title.set_content(
            render(
                "talk_title.html",
                desk.lang,
                name=shown.name(desk.lang),
                conversation=shown.conversation,
                escalation=escalation,
                due=due(escalation),
                reason=reason(escalation, desk.lang),
                holder=shown.holder,
                mine=shown.mine(desk.csm),
            )
        )
        mine, free = shown.mine(desk.csm), shown.holder is None
        queued = free and escalation is not None and not shown.watched
        can = (mine, queued, free and shown.watched)
        if can != self._can:  # made anew, a button loses the click or key that is on its way, and the open menu
            self._can = can
            self._others.clear()
            with self._others:
                self._buttons(queued=queued)
        taking = ("claim" if queued else "step_in") if free else ""
        if taking != self._taking:  # so this one stays while a watch begins or ends
            self._taking = taking
            self._claiming.clear()
            if taking:
                with self._claiming:
                    button(desk.say(taking), self._take, "claim", primary=True)
        self._composer.open(mine)

    def _buttons(self, *, queued: bool) -> None:
        desk, shown = self._desk, self._shown
        if shown.mine(desk.csm):
            with menu(desk.say("more_actions"), "more-actions"):
                button(desk.say("to_queue"), lambda: self._release("queue"), "to-queue")
                button(desk.say("aside"), lambda: self._handle(handling.put_aside), "aside")
                button(desk.say("again"), lambda: self._handle(handling.look_again), "again")
                button(desk.say("level"), lambda: self._handle(handling.prioritise), "level")
            button(desk.say("transfer"), self._transfer, "transfer")
            button(desk.say("to_bot"), lambda: self._release("bot"), "to-bot")
            button(desk.say("resolve"), self._resolve, "resolve", primary=True)
        elif queued:
            button(desk.say("level"), lambda: self._handle(handling.prioritise), "level")
        elif shown.holder is None and shown.watched:
            button(desk.say("mute"), lambda: self._handle(handling.mute), "mute")

    async def _handle(self, act: Callable[[Desk, str], Awaitable[None]]) -> None:
        await act(self._desk, self._id)
        await self.refresh()

    async def _take(self) -> None:
        escalation = self._shown.escalation

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
            if escalation is not None:
                return await queue.claim(database, escalation.id, csm, moment)
            return await queue.step_in(database, self._id, csm, moment)

        if await self._desk.act(work) is not None:
            ui.run_javascript("kotae.taken()")
        await self.refresh()

    async def _release(self, to: Literal["bot", "queue"]) -> None:
        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
            return await queue.release(database, self._id, csm, moment, to=to)

        if await self._desk.act(work) is not None:
            self._desk.notice(self._desk.say(f"done_to_{to}"))
        await self.refresh()

    async def _transfer(self) -> None:
        to = await ask_colleague(self._desk)
        if to is None:
            return

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
            return await queue.transfer(database, self._id, csm, await csms.one(database, to), moment)

        if await self._desk.act(work) is not None:
            self._desk.notice(self._desk.say("done_transfer"))
        await self.refresh()

    async def _resolve(self) -> None:
        why = await ask_reason(self._desk)
        if why is None:
            return

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
            return await aftercare.resolve(database, self._id, csm, moment, self._desk.services.surveys, reason=why)

        if await self._desk.act(work) is not None:
            self._desk.notice(self._desk.say("done_resolved"))
        await self.refresh()
