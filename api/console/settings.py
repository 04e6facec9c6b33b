"""Settings, for an admin: CSMs, hours, the company's files with their check, API keys, the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.ext.asyncio import AsyncSession

from api import administration, keys
from api.administration import Checked
from api.console import canned, layout
from api.console.canned import ReplyFile
from api.console.desk import Desk, Work, changes, sit_down
from api.console.rendering import render
from api.console.session import LANGUAGES
from api.hub import Event
from api.models import ApiKey, AuditEntry
from escalations import csms, hours, outbox
from escalations.csms import ROLES, CsmEntry
from escalations.models import Csm, OutboxItem
from kit.clock import now
from kit.errors import Forbidden

Given = Mapping[str, str]
_SUBMIT = "(event) => kotae.form(event, emit)"


@dataclass(frozen=True)
class Shown:
    """Everything the page shows that may change."""

    csms: Sequence[Csm]
    keys: Sequence[ApiKey]
    audit: Sequence[AuditEntry]
    undelivered: Sequence[OutboxItem]


def install() -> None:
    """Registers the page."""
    ui.page("/settings")(page)


async def page(request: Request) -> Response | None:
    """The settings; for others than admins, that they are not for them."""
    desk = await sit_down(request)
    if isinstance(desk, Response):
        return desk
    try:
        shown = await desk.read(_look)
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


async def _look(database: AsyncSession, csm: Csm, _: datetime) -> Shown:
    return Shown(
        keys=await administration.all_keys(database, csm),
        audit=await administration.audit_log(database, csm),
        undelivered=await administration.undelivered(database, csm),
        csms=await csms.everyone(database),
    )


class Settings:
    """The sections of the page. After each change they are drawn anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._team = self._section("team")
        self._add_form = self._form("csm_form.html", self._add_csm, roles=ROLES, langs=LANGUAGES)
        self._keys = self._section("api_keys")
        self._key_form = self._form("key_form.html", self._add_key, scopes=keys.SCOPES)
        self._hours = self._section("hours")
        self._outbox = self._section("outbox")
        self._files = self._section("files")
        self._audit = self._section("audit")

    def draw(self, shown: Shown) -> None:
        """Shows everything as it is now."""
        desk, company = self._desk, self._desk.services.company
        self._team.clear()
        with self._team:
            for csm in shown.csms:
                self._form("csm_line.html", self._change(csm), csm=csm, roles=ROLES, langs=LANGUAGES)
        self._keys.clear()
        with self._keys:
            for key in shown.keys:
                self._form("key_line.html", self._remove_key(key.name), key=key)
        self._outbox.clear()
        with self._outbox:
            ways = outbox.ways(desk.services.settings)
            ui.html(render("outbox_head.html", desk.lang, ways=ways, items=shown.undelivered), sanitize=False)
            for item in shown.undelivered:
                self._form("outbox_line.html", self._retry(item.id), item=item)
        replies = company.file("replies.yml", canned.DEFAULT)
        checked: list[Checked] = administration.check_files(company, [(replies, ReplyFile)])
        for box, html in (
            (
                self._hours,
                render("hours.html", desk.lang, support=company.support, open=hours.on_duty(company.support, now())),
            ),
            (self._files, render("files.html", desk.lang, files=checked)),
            (self._audit, render("audit.html", desk.lang, entries=shown.audit)),
        ):
            box.clear()
            with box:
                ui.html(html, sanitize=False)

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
            return said, await _look(database, csm, moment)

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

            await self._do(work)

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

    def _retry(self, id_: str) -> Callable[[Given], Awaitable[None]]:
        async def retry(_: Given) -> None:
            async def work(database: AsyncSession, csm: Csm, moment: datetime) -> str:
                return (await administration.retry(database, csm, id_, moment)).id

            await self._do(work)

        return retry


def _number(text: str) -> int:
    """A capacity as typed; what is no number becomes one that no CSM can have, and is refused with a reason."""
    return int(text) if text.strip().isdecimal() and len(text) < 5 else -1
