"""Settings, for an admin: CSMs, hours, the company's files with their check, API keys, the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from api import administration, keys
from api.administration import Checked
from api.console import canned, layout
from api.console.canned import Reply, ReplyFile
from api.console.desk import Desk, Work, changes, register, sit_down
from api.console.rendering import render
from api.console.session import LANGUAGES
from api.console.views import audited
from api.hub import Event
from api.models import ApiKey, AuditEntry
from escalations import csms, hours, kept, outbox
from escalations.csms import ROLES, CsmEntry
from escalations.kept import Hours
from escalations.models import Csm, OutboxItem
from kit.clock import now
from kit.company import Company, Weekday
from kit.errors import Forbidden, UserError
from kit.ids import new_id

Given = Mapping[str, str]
DAYS: tuple[Weekday, ...] = get_args(Weekday)
_SUBMIT = "(event) => kotae.form(event, emit)"


@dataclass(frozen=True)
class Shown:
    """Everything the page shows that may change."""

    csms: Sequence[Csm]
    keys: Sequence[ApiKey]
    audit: Sequence[AuditEntry]
    hours: Hours
    replies: Sequence[Reply]
    changed: Sequence[str]
    undelivered: Sequence[OutboxItem]


def install() -> None:
    """Registers the page."""
    register("/settings", page)


async def page(request: Request) -> Response | None:
    """The settings; for others than admins, that they are not for them."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    try:
        shown = await desk.read(_looking(desk))
    except Forbidden:
        with layout.frame(desk, "", desk.say("page_settings")) as navigation:
            ui.html(render("missing.html", desk.lang, what="error_forbidden"), sanitize=False).classes("empty")
        await navigation.refresh()
        return None
    with layout.frame(desk, "settings", desk.say("page_settings")) as navigation:
        head = render("head.html", desk.lang, title=desk.say("page_settings"), about=desk.say("about_settings"))
        ui.html(head, sanitize=False, tag="header").classes("page-head")
        with ui.element("div").classes("page-body settings"):
            settings = Settings(desk)
            settings.draw(shown)

    async def refresh(events: list[Event]) -> None:
        if changes(events):
            await navigation.refresh()

    await navigation.refresh()
    desk.follow(refresh)
    return None


def _looking(desk: Desk) -> Work[Shown]:
    async def look(database: AsyncSession, csm: Csm, _: datetime) -> Shown:
        company = desk.services.company
        support = (await kept.company(database, company)).support
        names = ((kept.HOURS, Hours), (kept.REPLIES, ReplyFile))
        return Shown(
            keys=await administration.all_keys(database, csm),
            audit=await administration.audit_log(database, csm),
            hours=Hours(hours=support.hours, holidays=support.holidays),
            replies=await _replies(database, company),
            changed=[name for name, model in names if await kept.value(database, name, model) is not None],
            undelivered=await administration.undelivered(database, csm),
            csms=await csms.everyone(database),
        )

    return look


async def _replies(database: AsyncSession, company: Company) -> list[Reply]:
    """None where the file is wrong: that it is, and where, stands among the files."""
    with contextlib.suppress(UserError):
        return await canned.load(database, company)
    return []


@dataclass(frozen=True)
class Line:
    """A part of a section that is drawn by itself.

    Attributes:
        key: what it is about: one of a section.
        said: everything it shows. While that is the same it is left as it stands, with what is half filled in.
        draw: makes it.
    """

    key: str
    said: object
    draw: Callable[[], ui.element]


class Settings:
    """The sections of the page, line by line. After a change the lines that say something else are drawn anew; what is half filled in elsewhere stays."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawn: dict[int, dict[str, tuple[object, ui.element]]] = {}
        self._team = self._section("team")
        self._add_form = self._form("csm_form.html", self._add_csm, roles=ROLES, langs=LANGUAGES)
        self._keys = self._section("api_keys")
        self._key_form = self._form("key_form.html", self._add_key, scopes=keys.SCOPES)
        self._hours = self._section("hours")
        self._replies = self._section("replies")
        self._outbox = self._section("outbox")
        self._files = self._section("files")
        self._audit = self._section("audit")

    def draw(self, shown: Shown) -> None:
        """Shows everything as it is now."""
        desk, company = self._desk, self._desk.services.company
        self._show(self._team, [self._team_line(each) for each in shown.csms])
        self._show(
            self._keys,
            [self._line(each.name, "key_line.html", self._remove_key(each.name), key=each) for each in shown.keys],
        )
        dead = [self._line(each.id, "outbox_line.html", self._retry(each.id), item=each) for each in shown.undelivered]
        ways = outbox.ways(desk.services.settings)
        head = self._text("head", "outbox_head.html", ways=ways, items=shown.undelivered)
        self._show(self._outbox, [head, *dead])
        self._show_hours(shown)
        self._show_replies(shown)
        replies = company.file("replies.yml", canned.DEFAULT)
        checked: list[Checked] = administration.check_files(company, [(replies, ReplyFile)])
        self._show(self._files, [self._text("files", "files.html", files=checked)])
        entries = [(each, audited(each.detail, desk.lang)) for each in shown.audit]
        self._show(self._audit, [self._text("audit", "audit.html", entries=entries)])

    def _show(self, box: ui.element, lines: Sequence[Line]) -> None:
        drawn = self._drawn.setdefault(box.id, {})
        said = {line.key: line.said for line in lines}
        for key in [key for key, (before, _) in drawn.items() if said.get(key) != before]:
            drawn.pop(key)[1].delete()
        for at, line in enumerate(lines):
            if line.key not in drawn:
                with box:
                    drawn[line.key] = line.said, line.draw()
            element = drawn[line.key][1]
            if box.default_slot.children[at] is not element:
                element.move(box, at)

    def _line(self, key: str, template: str, done: Callable[[Given], Awaitable[None]], /, **values: object) -> Line:
        """A form."""
        said = render(template, self._desk.lang, **values)
        return Line(key, said, lambda: self._form(template, done, **values))

    def _text(self, key: str, template: str, /, **values: object) -> Line:
        said = render(template, self._desk.lang, **values)
        return Line(key, said, lambda: ui.html(said, sanitize=False))

    def _team_line(self, of: Csm) -> Line:
        return self._line(of.id, "csm_line.html", self._change(of), csm=of, roles=ROLES, langs=LANGUAGES)

    def _show_hours(self, shown: Shown) -> None:
        support = self._desk.services.company.support
        given = support.model_copy(update={"hours": shown.hours.hours, "holidays": shown.hours.holidays})
        state = self._text("state", "hours_now.html", support=given, open=hours.on_duty(given, now()))
        form = self._line("hours", "hours.html", self._change_hours, support=given, days=DAYS)
        self._show(self._hours, [state, form, self._origin(kept.HOURS, shown, "company.yml")])

    def _show_replies(self, shown: Shown) -> None:
        names = ", ".join(f"{{{{ {name} }}}}" for name in canned.NAMES)
        hint = self._desk.say("reply_names", names=names)
        lines = [self._reply_line(reply) for reply in shown.replies]
        new = Line("new", "", self._draw_new_reply)
        about = Line("names", hint, lambda: ui.label(hint).classes("hint"))
        self._show(self._replies, [*lines, new, about, self._origin(kept.REPLIES, shown, "replies.yml")])

    def _reply_line(self, reply: Reply) -> Line:
        def draw() -> ui.element:
            with ui.element("details").classes("file reply").props(f"data-reply={reply.id}") as box:
                with ui.element("summary"):
                    ui.html(render("reply_head.html", self._desk.lang, reply=reply), sanitize=False)
                self._form("reply_form.html", self._change_reply(reply.id), reply=reply, langs=LANGUAGES)
                self._form("reply_remove.html", self._remove_reply(reply.id))
            return box

        return Line(reply.id, reply, draw)

    def _draw_new_reply(self) -> ui.element:
        with ui.element("details").classes("file reply").props("data-reply=new") as box:
            with ui.element("summary"):
                ui.label(self._desk.say("add_reply"))
            self._form("reply_form.html", self._change_reply(None), reply=None, langs=LANGUAGES)
        return box

    def _origin(self, name: str, shown: Shown, file: str) -> Line:
        """Whether the file is in force or what was changed here, which can be taken back."""
        if name in shown.changed:
            return self._line("origin", "take_back.html", self._take_back(name), file=file)
        said = self._desk.say("as_in_file", file=file)
        return Line("origin", said, lambda: ui.label(said).classes("hint"))

    def _section(self, name: str) -> ui.element:
        ui.label(self._desk.say(f"settings_{name}")).classes("section-title")
        return ui.element("div").classes(f"card settings-{name}")

    def _form(self, template: str, done: Callable[[Given], Awaitable[None]], **values: object) -> ui.element:
        async def submitted(event: GenericEventArguments) -> None:
            given = event.args if isinstance(event.args, dict) else {}
            await done({str(key): str(value) for key, value in given.items()})

        with ui.element("form").classes("settings-form").on("submit", submitted, js_handler=_SUBMIT) as form:
            ui.html(render(template, self._desk.lang, **values), sanitize=False).classes("settings-fields")
        return form

    async def _do(self, work: Work[str]) -> str | None:
        """Does something, says so, and shows what has become of it."""

        async def all_of_it(database: AsyncSession, csm: Csm, moment: datetime) -> tuple[str, Shown]:
            said = await work(database, csm, moment)
            return said, await _looking(self._desk)(database, csm, moment)

        done = await self._desk.act(all_of_it)
        if done is None:
            return None
        self.draw(done[1])
        self._desk.notice(self._desk.say("saved"))
        return done[0]

    async def _add_csm(self, given: Given) -> None:
        entry = CsmEntry(
            email=given.get("email", ""),
            name=given.get("name", ""),
            role=given.get("role", "csm"),
            languages=[lang for lang in LANGUAGES if given.get(f"lang_{lang}")] or [LANGUAGES[0]],
            capacity=_number(given.get("capacity", "5")),
        )

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
            return (await administration.add_csm(database, csm, entry, given.get("password") or None, moment)).id

        if await self._do(work) is not None:
            ui.run_javascript(f"document.getElementById('c{self._add_form.id}').reset()")

    def _change(self, of: Csm) -> Callable[[Given], Awaitable[None]]:
        async def change(given: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                changed = await administration.change_csm(
                    database,
                    csm,
                    of.id,
                    moment,
                    role=given.get("role"),
                    capacity=_number(given.get("capacity", "")),
                    active=given.get("active") == "on",
                    password=given.get("password") or None,
                    languages=[lang for lang in LANGUAGES if given.get(f"lang_{lang}")],
                    skills=given.get("skills", "").replace(",", " ").split(),
                )
                return changed.id

            if await self._do(work) is not None:  # the password goes also where nothing else was changed
                form = self._drawn[self._team.id][of.id][1]
                ui.run_javascript(f"document.querySelector('#c{form.id} [name=password]').value = ''")

        return change

    async def _add_key(self, given: Given) -> None:
        scopes = [scope for scope in keys.SCOPES if given.get(f"scope_{scope}")]

        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
            return await administration.add_key(database, csm, given.get("name", ""), scopes, moment)

        made = await self._do(work)
        if made is not None:
            with self._desk.client, ui.dialog(value=True), ui.element("div").classes("dialog"):
                ui.label(self._desk.say("key_made")).classes("dialog-title")
                ui.label(made).classes("secret")
                ui.label(self._desk.say("key_once")).classes("hint")

    def _remove_key(self, name: str) -> Callable[[Given], Awaitable[None]]:
        async def remove(_: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                await administration.remove_key(database, csm, name, moment)
                return name

            await self._do(work)

        return remove

    async def _change_hours(self, given: Given) -> None:
        async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
            days = {day: (given.get(f"from_{day}"), given.get(f"to_{day}")) for day in DAYS if given.get(f"open_{day}")}
            holidays = given.get("holidays", "").replace(",", " ").split()
            changed = kept.checked(Hours, {"hours": days, "holidays": holidays})
            said = " ".join(f"{day} {start}-{end}" for day, (start, end) in days.items()) or "always"
            closed = " ".join(holidays) or "-"
            await administration.keep(
                database, csm, kept.HOURS, changed, moment, "hours_changed", hours=said, holidays=closed
            )
            return said

        await self._do(work)

    def _change_reply(self, id_: str | None) -> Callable[[Given], Awaitable[None]]:
        async def change(given: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                replies = await canned.load(database, self._desk.services.company, lock=True)
                texts = {
                    part: {lang: text for lang in LANGUAGES if (text := given.get(f"{part}_{lang}", "").strip())}
                    for part in ("title", "text")
                }
                if not texts["title"] or not texts["text"]:
                    raise UserError(self._desk.say("reply_empty"), "")
                changed = kept.checked(Reply, {"id": id_ or new_id("reply"), **texts})
                known = [each.id for each in replies]
                every = [changed if each.id == changed.id else each for each in replies]
                whole = ReplyFile(replies=every if changed.id in known else [*every, changed])
                what = "reply_changed" if changed.id in known else "reply_added"
                await administration.keep(database, csm, kept.REPLIES, whole, moment, what, reply=changed.id)
                return changed.id

            if await self._do(work) is not None and id_ is None:
                form = self._drawn[self._replies.id]["new"][1]
                ui.run_javascript(
                    f"const it = document.getElementById('c{form.id}'); it.open = false; it.querySelector('form').reset()"
                )

        return change

    def _remove_reply(self, id_: str) -> Callable[[Given], Awaitable[None]]:
        async def remove(_: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                replies = await canned.load(database, self._desk.services.company, lock=True)
                left = ReplyFile(replies=[each for each in replies if each.id != id_])
                await administration.keep(database, csm, kept.REPLIES, left, moment, "reply_removed", reply=id_)
                return id_

            await self._do(work)

        return remove

    def _take_back(self, name: str) -> Callable[[Given], Awaitable[None]]:
        async def back(_: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                await administration.take_back(database, csm, name, moment)
                return name

            await self._do(work)

        return back

    def _retry(self, id_: str) -> Callable[[Given], Awaitable[None]]:
        async def retry(_: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                return (await administration.retry(database, csm, id_, moment)).id

            await self._do(work)

        return retry


def _number(text: str) -> int:
    """A capacity as typed; what is no number becomes one that no CSM can have, and is refused with a reason."""
    return int(text) if text.strip().isdecimal() and len(text) < 5 else -1
