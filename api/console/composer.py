"""Where a CSM writes: to the customer, or a note for colleagues; with replies and articles at hand."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from markupsafe import escape
from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.facts import CustomerFacts
from api.console import canned, suggestions
from api.console.canned import Reply
from api.console.desk import Desk
from api.console.parts import button
from api.console.rendering import render
from conversations import good_replies, log, signals
from conversations.good_replies import Answered
from conversations.models import Conversation
from escalations import queue
from escalations.models import Csm
from kit.company import Language, in_language
from kit.errors import KotaeError, UserError

MODES = ("reply", "note")
_EARLIER = "reply:"
"""Begins the key of an offer that a colleague wrote; ids of articles have no colon."""
_PICK = """(event) => {
    const item = event.target.closest('[data-pick]');
    if (item) emit(item.dataset.pick);
}"""


class Composer:
    """A box with two modes. The browser empties it at once and gets the words back should they not be taken.

    Args:
        conversation: as it was when the page was opened.
        customer: who is asking, once that is known.
        done: called after something was written.
    """

    def __init__(
        self,
        desk: Desk,
        conversation: Conversation,
        customer: Callable[[], CustomerFacts | None],
        done: Callable[[], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._id = conversation.id
        self._lang: Language = "ja" if conversation.lang == "ja" else "en"
        self._customer = customer
        self._done = done
        self._asked = ""
        self._pick: Callable[[str], Awaitable[str]] | None = None
        with ui.element("div").classes("tray") as self._tray:
            self._offers = ui.html("", sanitize=False).classes("offers")
        self._offers.on("click", self._picked, js_handler=_PICK)
        self._tray.set_visibility(False)
        self._box = ui.element("form").classes("composer").props("data-mode=reply data-open=no")
        self._box.on("submit", js_handler="(event) => event.preventDefault()")
        with self._box:
            self._draw()
        ui.on("kotae_typing", self._typing)
        ui.on("kotae_tray", lambda: self._tray.set_visibility(False))

    def open(self, open_: bool) -> None:
        """Whether this CSM may write to the customer. A note can always be written."""
        self._box.props["data-open"] = "yes" if open_ else "no"
        self._box.update()

    def _draw(self) -> None:
        desk = self._desk
        with ui.element("div").classes("tabs"):
            for mode in MODES:
                tab = ui.html(str(escape(desk.say(f"compose_{mode}"))), sanitize=False, tag="button")
                tab.classes("tab").props(f"type=button data-mode={mode}")
                tab.on("click", js_handler=f"() => kotae.compose('{mode}')")
            ui.element("span").classes("space")
            for name, handler in (("canned", self._offer_replies), ("suggest", self._offer_articles)):
                button(desk.say(name), handler, name).classes(replace="tab")
        box = ui.element("textarea").classes("box").props("rows=3 maxlength=4000")
        box.props["aria-label"] = desk.say("composer")
        for mode in (*MODES, "closed"):
            box.props[f"data-{mode}"] = desk.say(f"placeholder_{mode}")
        box.on("keydown", self._send, js_handler="(event) => kotae.key(event, emit)")
        with ui.element("div").classes("composer-foot"):
            ui.label(desk.say("compose_hint")).classes("hint")
            send = button(desk.say("send"), None, "send", primary=True)
            send.on("click", self._send, js_handler="() => kotae.send(emit)")

    async def _send(self, event: GenericEventArguments) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        text, mode, client_id = (str(given.get(key, "")) for key in ("text", "mode", "id"))

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> bool:
            if len(text) > log.MAX_TEXT:
                raise UserError(f"the message has {len(text)} characters", f"{log.MAX_TEXT} is the most; shorten it")
            if mode == "note":
                await log.add_note(database, self._id, csm.id, text, moment)
            else:
                await queue.reply(database, self._id, csm, text, moment, client_id=client_id[: log.MAX_CLIENT_ID])
            return True

        if await self._desk.act(work) is None:
            ui.run_javascript(f"kotae.insert({json.dumps(text)}, {json.dumps(mode)})")
        await self._done()

    async def _typing(self) -> None:
        async def work(database: AsyncSession, csm: Csm, _: datetime) -> None:
            if (await log.existing(database, self._id)).csm_id == csm.id:
                await signals.typing(database, self._id, "csm", csm.name)

        await self._desk.signal(work)

    # ----- replies and articles at hand

    async def _offer_replies(self) -> None:
        desk = self._desk
        known = canned.values(desk.services.company, desk.csm, self._customer())

        async def work(database: AsyncSession, _: Csm, __: datetime) -> list[Reply]:
            return await canned.load(database, desk.services.company)

        try:
            filled = {reply.id: (reply, canned.fill(reply, self._lang, known)) for reply in await desk.read(work)}
        except KotaeError as error:
            desk.notice(str(error), "warning")
            return
        offers = [
            (key, in_language(reply.title, "ja" if desk.lang == "ja" else "en"), "", text)
            for key, (reply, text) in filled.items()
            if text is not None
        ]

        async def pick(key: str) -> str:
            return filled[key][1] or ""

        self._offer("canned", offers, pick)

    async def _offer_articles(self) -> None:
        desk, customer = self._desk, self._customer()

        async def asked(database: AsyncSession, _: Csm, __: datetime) -> tuple[str, list[Answered]]:
            return await log.last_words(database, self._id), await good_replies.answers(database, self._lang)

        self._asked, answered = await desk.read(asked)
        if not self._asked:
            desk.notice(desk.say("nothing_asked"), "warning")
            return
        knowledge_base = desk.services.knowledge_base
        try:
            found = await suggestions.find(knowledge_base, self._asked, self._lang, customer)
            earlier = await suggestions.before(knowledge_base, self._asked, self._lang, answered)
        except KotaeError as error:
            desk.refuse(error)
            return
        replies = {f"{_EARLIER}{place}": each for place, each in enumerate(earlier)}

        async def pick(key: str) -> str:
            if key in replies:
                return replies[key].answer
            return await suggestions.words_of(knowledge_base, key, self._asked, self._lang, customer)

        offers = [(key, desk.say("answered_before"), each.question, each.answer) for key, each in replies.items()]
        offers += [(one.article_id, one.title, one.heading or "", one.quote) for one in found]
        self._offer("suggest", offers, pick)

    def _offer(
        self, title: str, offers: Sequence[tuple[str, str, str, str | None]], pick: Callable[[str], Awaitable[str]]
    ) -> None:
        self._pick = pick
        self._offers.set_content(render("offers.html", self._desk.lang, title=title, offers=offers))
        self._tray.set_visibility(True)
        ui.run_javascript("kotae.toOffers()")

    async def _picked(self, event: GenericEventArguments) -> None:
        self._tray.set_visibility(False)
        if self._pick is None or not event.args:
            return
        try:
            text = await self._pick(str(event.args))
        except (KotaeError, KeyError):
            self._desk.notice(self._desk.say("error_unavailable"), "negative")
            return
        ui.run_javascript(f"kotae.insert({json.dumps(text)}, 'reply')")
