"""The transcript: every kind of message, with internal notes between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.facts import CustomerFacts
from api import drafts
from api.console.desk import Desk
from api.console.parts import button
from api.console.rendering import render
from api.console.views import who
from conversations import good_replies, log
from conversations.models import GoodReply, MessageRow, Note
from escalations import csms
from escalations.models import Csm

WINDOW = 200
"""Messages drawn when a conversation is opened; earlier ones come at a click."""
_STEP = 400
"""Messages read at once."""


_REPLY = """(event) => {
    const button = event.target.closest('[data-reply]');
    if (button) emit({ what: button.dataset.reply, seq: Number(button.closest('[data-seq]').dataset.seq) });
}"""


@dataclass(frozen=True)
class _New:
    """What a look at the log brought."""

    messages: Sequence[MessageRow]
    notes: Sequence[Note]
    names: Mapping[str, str]
    good: Mapping[int, GoodReply]


class Thread:
    """What was said in one conversation, live.

    Args:
        customer: who is asking, once that is known.
    """

    def __init__(self, desk: Desk, conversation_id: str, customer: Callable[[], CustomerFacts | None]) -> None:
        self._desk = desk
        self._id = conversation_id
        self._customer = customer
        self._replies: dict[int, tuple[ui.html, MessageRow, str]] = {}
        self._after: int | None = None
        self._reading = asyncio.Lock()
        self.last_of_csm: int | None = None
        self._first = 0
        self._notes: set[str] = set()
        with ui.element("div").classes("thread").props("role=log aria-live=polite tabindex=0"):
            self._more = button(desk.say("earlier"), self._earlier, "earlier")
            self._more.set_visibility(False)
            self._lines = ui.element("div").classes("lines")
        self._lines.on("click", self._reply, js_handler=_REPLY)

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
        async with self._reading:  # of two at once the second would draw what the first has just read
            while True:
                messages = await self._read()
                heard = heard or any(message.sender == "customer" for message in messages)
                if len(messages) < _STEP:
                    break
        self._more.set_visibility(self._first > 0)
        return heard

    async def _read(self) -> Sequence[MessageRow]:
        async def look(database: AsyncSession, _: Csm, __: datetime) -> _New:
            if self._after is None:
                conversation = await log.existing(database, self._id)
                self._first = self._after = max(0, conversation.last_seq - WINDOW)
            messages = await log.transcript(database, self._id, self._after, _STEP)
            notes = [note for note in await log.notes(database, self._id) if note.id not in self._notes]
            names = {each.id: each.name for each in await csms.everyone(database)} if notes else {}
            good = {each.seq: each for each in await good_replies.marked(database, self._id)}
            return _New(messages, notes, names, good)

        new = await self._desk.read(look)
        messages = new.messages
        with self._lines:
            self._draw(messages, [note for note in new.notes if note.after_seq >= self._first], new)
        for seq, (element, message, before) in self._replies.items():
            html = self._html(message, new.good.get(seq))
            if html != before:
                element.set_content(html)
                self._replies[seq] = element, message, html
        for message in messages:
            self._after = message.seq
            if message.sender != "system":
                # Only where the CSM spoke last is it of interest whether the customer has read that.
                self.last_of_csm = message.seq if message.sender == "csm" else None
        return messages

    async def _earlier(self) -> None:
        """Draws everything from the beginning."""
        async with self._reading:
            self.last_of_csm = None
            self._first = self._after = 0
            self._notes.clear()
            self._replies.clear()
            self._lines.clear()
        await self.refresh()

    def _html(self, message: MessageRow, good: GoodReply | None) -> str:
        return render("message.html", self._desk.lang, message=message, who=who(message, self._desk.lang), good=good)

    def _draw(self, messages: Sequence[MessageRow], notes: Sequence[Note], new: _New) -> None:
        places: list[tuple[tuple[int, int, datetime], MessageRow | Note]] = [
            *(((message.seq, 0, message.created_at), message) for message in messages),
            *(((note.after_seq, 1, note.created_at), note) for note in notes),
        ]
        for _, item in sorted(places, key=lambda place: place[0]):
            if isinstance(item, Note):
                self._notes.add(item.id)
                author = new.names.get(item.csm_id, "")
                html, classes = render("note.html", self._desk.lang, note=item, author=author), "said note"
            else:
                html = self._html(item, new.good.get(item.seq))
                classes = f"said {item.sender} {item.body['type']}"
            element = ui.html(html, sanitize=False).classes(classes)
            if isinstance(item, MessageRow) and item.sender == "csm":
                self._replies[item.seq] = element, item, html

    # ----- a good reply is worth keeping

    async def _reply(self, event: GenericEventArguments) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        seq, what = int(given.get("seq", 0)), str(given.get("what", ""))
        doing = {"mark": self._mark, "unmark": self._unmark, "draft": self._draft}
        if what in doing:
            done = await self._desk.act(lambda database, csm, moment: doing[what](database, csm, moment, seq))
            if done is not None:
                self._desk.notice(done)
            await self.refresh()

    async def _mark(self, database: AsyncSession, csm: Csm, moment: datetime, seq: int) -> str:
        await good_replies.mark(database, self._id, seq, csm.id, moment)
        return self._desk.say("done_good")

    async def _unmark(self, database: AsyncSession, _: Csm, __: datetime, seq: int) -> str:
        await good_replies.unmark(database, self._id, seq)
        return self._desk.say("done_not_good")

    async def _draft(self, database: AsyncSession, csm: Csm, moment: datetime, seq: int) -> str:
        company, customer = self._desk.services.company, self._customer()
        conversation = await log.existing(database, self._id)
        kept = await good_replies.one(database, self._id, seq)
        hide = [csm.name, csm.name.split()[0], conversation.email or ""]
        if customer is not None:
            hide += [customer.account_name, customer.person_name or ""]
            hide += (customer.person_name or "").split()[:1]
        path = drafts.write(company, conversation.lang, kept.question, kept.answer, moment, hide)
        await good_replies.drafted(database, self._id, seq, drafts.article_id(company, path))
        return self._desk.say("done_draft", path=path.relative_to(company.content_dir).as_posix())
