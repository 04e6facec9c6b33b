"""Reports, accounts and settings in a real browser, and what roles allow at the service."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, time

import httpx
import pytest
from playwright.async_api import BrowserContext, expect
from sqlalchemy import text

from api import administration
from api.console import canned
from conversations import log
from conversations.bodies import Text
from escalations import csms, kept, queue
from escalations.csms import CsmEntry
from escalations.kept import Hours
from escalations.models import Csm, OutboxItem
from kit.clock import now
from kit.company import Company
from kit.database import Database
from kit.errors import Forbidden
from kit.ids import new_id
from tests.console.conftest import PASSWORD, SignIn, add_csm, escalated, held_by

pytestmark = pytest.mark.browser
TABLES = (
    "volume", "decisions", "service", "speed", "rules", "csms", "csat", "kpis", "movements", "bands", "movers",
)  # fmt: skip


@pytest.mark.usefixtures("knowledge_base")
async def test_reports_show_every_table_and_export_it(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Each chart has its table and its CSV; a name that begins like a formula is none; the export stands in the audit log."""
    raised = await held_by(database, company, ana, asker=queue.Asker(account_id="borealis-business", account_name="B"))
    async with database.begin() as session:
        await queue.reply(session, raised.conversation_id, ana, "Here.", now())
        await queue.resolve(session, raised.id, ana, now(), reason="answered")
        conversation = await log.start(session, lang="en", now=now(), account_id="cedar-enterprise", person_id="p")
        accepted = await log.accept(session, conversation.id, "q1", "Do you herd sheep on the moon?", now())
        turn = (
            await session.execute(text("SELECT id FROM turns WHERE conversation_id = :id"), {"id": conversation.id})
        ).scalar_one()
        await log.settle(session, turn, [Text(text="I do not know.")], "answered", now())
        await session.execute(text("UPDATE turns SET decision = 'abstain' WHERE id = :id"), {"id": turn})
        assert accepted.owed
        (await session.merge(ana)).name = "=cmd()"
    page = await sign_in(ana)
    await page.goto(f"{site}/console/reports")
    for key in TABLES:
        await expect(page.locator(f"[data-table={key}] table")).to_be_visible()
    await expect(page.locator("[data-table=service]")).to_contain_text("Handed over to people")
    await expect(page.locator("[data-table=rules]")).to_contain_text("An at-risk account wants to cancel")
    await expect(page.locator("[data-table=kpis]")).to_contain_text("Net revenue retention")
    await expect(page.locator("[data-table=gaps]")).to_contain_text("sheep on the moon")
    for key in (*TABLES, "gaps"):
        answer = await page.context.request.get(f"{site}/console/reports.csv?table={key}")
        assert answer.status == 200, key
        rows = list(csv.reader(io.StringIO((await answer.text()).removeprefix("\ufeff"))))
        assert len(rows) > 1, key
        if key == "csms":
            assert rows[1][0] == "'=cmd()"
    assert (await page.context.request.get(f"{site}/console/reports.csv?table=secrets")).status == 404
    async with database.begin() as session:
        admin = await csms.add(session, CsmEntry(email="root@example.com", name="Root", role="admin"), PASSWORD, now())
        exported = [entry for entry in await administration.audit_log(session, admin) if entry.action == "export"]
        assert {entry.detail["table"] for entry in exported} >= {*TABLES, "gaps"}


async def test_an_admin_sees_the_settings_and_tries_a_dead_notification_again(
    sign_in: SignIn, site: str, database: Database
) -> None:
    """Team, hours, files with their check, what could not be sent; every change stands in the audit log."""
    admin = await add_csm(database, "root@example.com", "Root Admin", "admin")
    async with database.begin() as session:
        dead = OutboxItem(
            id=new_id("out"), kind="webhook", payload={"type": "escalation.raised"}, dedupe=new_id("d"), state="dead",
            attempts=12, next_at=now(), created_at=now(), last_error="ConnectError: refused",
        )  # fmt: skip
        session.add(dead)
    page = await sign_in(admin)
    await page.goto(f"{site}/console/settings")
    for name in ("escalation.yml", "health.yml", "replies.yml", "company.yml"):
        await expect(page.locator(f"[data-file='{name}']")).to_contain_text("Checked")
    await expect(page.locator(".settings-hours")).to_contain_text("Monday")
    line = page.locator(".settings-outbox .settings-form").filter(has_text="ConnectError: refused")
    await line.locator("[data-do=retry]").click()
    await expect(page.locator(".settings-audit")).to_contain_text("notification tried again")
    async with database.begin() as session:
        assert (await session.get_one(OutboxItem, dead.id)).state in ("waiting", "sent")
    await page.fill("form:has([data-do=add-csm]) [name=name]", "New Person")
    await page.fill("form:has([data-do=add-csm]) [name=email]", "new@example.com")
    await page.click("[data-do=add-csm]")
    await expect(page.locator(".settings-team")).to_contain_text("new@example.com")
    await page.fill("form:has([data-do=add-key]) [name=name]", "warehouse")
    await page.check("[name=scope_events]")
    await page.click("[data-do=add-key]")
    await expect(page.locator(".secret")).to_be_visible()


async def test_an_open_page_closes_when_its_csm_may_no_longer_be_there(
    sign_in: SignIn, database: Database, ana: Csm
) -> None:
    """Nothing has to be clicked: the page that is open is sent to sign in as soon as the session is ended elsewhere."""
    root = await add_csm(database, f"{new_id('root')}@example.com", "Root Admin", "admin")
    page = await sign_in(ana)
    await expect(page.locator("[data-view=queue]")).to_be_visible()
    async with database.begin() as session:
        await csms.change(session, root, ana.id, active=False)
    await expect(page).to_have_url(re.compile("/console/sign-in$"))


async def test_roles_hold_at_the_service(sign_in: SignIn, site: str, database: Database, ana: Csm) -> None:
    """A CSM has no settings, neither as a page nor as any of the calls behind it."""
    page = await sign_in(ana)
    await expect(page.locator("[data-view=settings]")).to_have_count(0)
    await page.goto(f"{site}/console/settings")
    await expect(page.locator(".empty")).to_contain_text("Your role does not allow that")
    entry = CsmEntry(email="x@example.com", name="X")
    async with database.begin() as session:
        for call in (
            administration.add_csm(session, ana, entry, None, now()),
            administration.change_csm(session, ana, ana.id, now(), role="admin"),
            administration.add_key(session, ana, "k", ["events"], now()),
            administration.remove_key(session, ana, "k", now()),
            administration.all_keys(session, ana),
            administration.audit_log(session, ana),
            administration.undelivered(session, ana),
            administration.retry(session, ana, "out_1", now()),
            administration.keep(session, ana, kept.HOURS, Hours(), now(), "hours_changed"),
            administration.take_back(session, ana, kept.HOURS, now()),
        ):
            with pytest.raises(Forbidden):
                await call


async def test_an_account_has_everything_on_one_page(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Health with reasons and a line, use, plan, seats, renewal, value, tier, people, risks, conversations; a note is kept."""
    await escalated(database, company, person=("borealis-business", "borealis-bea"), asker=queue.Asker(account_id="borealis-business", account_name="Borealis Logistics"))  # fmt: skip
    page = await sign_in(ana)
    await page.goto(f"{site}/console/accounts")
    await page.fill(".search", "boreal")
    await expect(page.locator(".table tbody tr")).to_have_count(1)
    await page.click(".table a")
    body = page.locator(".main")
    for words in ("Open risks", "What costs points", "Use in 90 days", "Business", "Seats", "Renews", "Lifetime value", "Touch", "Bea Lindqvist", "Conversations"):  # fmt: skip
        await expect(body).to_contain_text(words)
    await expect(page.locator(".chart .line")).to_be_visible()
    await expect(page.locator(".chart .bar").first).to_be_attached()
    await expect(page.locator(".case")).to_have_count(1)
    await page.fill(".note-form .box", "Call Bea on Friday.")
    await page.click("[data-do=save-note]")
    await expect(page.locator(".notes-list")).to_contain_text("Call Bea on Friday.")


async def test_five_wrong_passwords_lock_the_way_in(context: BrowserContext, site: str, ana: Csm) -> None:
    """Then the right one does not open either, and the page says why."""
    page = await context.new_page()
    await page.goto(f"{site}/console/sign-in")
    for _ in range(csms.MAX_FAILURES):
        await page.fill("#email", ana.email)
        await page.fill("#password", "not the password")
        await page.click("form[action$=sign-in] button")
        await expect(page.locator("[role=alert]")).to_be_visible()
    await page.fill("#password", PASSWORD)
    await page.click("form[action$=sign-in] button")
    await expect(page.locator("[role=alert]")).to_contain_text("Too many wrong passwords")


async def test_an_admin_changes_hours_and_replies_and_takes_it_back(
    sign_in: SignIn, site: str, database: Database, company: Company
) -> None:
    """What is saved is in force at once, for service levels and for the composer; the audit log says so; the file stays as it was."""
    page = await sign_in(await add_csm(database, new_id("root") + "@example.com", "Root", "admin"))
    await page.goto(f"{site}/console/settings")
    hours_form = page.locator(".settings-hours form").first
    await hours_form.locator("[name=open_sat]").check()
    await hours_form.locator("[name=from_sat]").fill("10:00")
    await hours_form.locator("[name=to_sat]").fill("09:00")
    await hours_form.locator("[data-do=save-hours]").click()
    await expect(page.locator(".notice")).to_contain_text("sat closes at 09:00, before it opens")
    await hours_form.locator("[name=to_sat]").fill("12:00")
    await hours_form.locator("[name=holidays]").fill("2027-01-01, 2027-01-04")
    await hours_form.locator("[data-do=save-hours]").click()
    await expect(page.locator(".settings-audit")).to_contain_text("hours changed")
    async with database.begin() as session:
        now_open = (await kept.company(session, company)).support
    assert now_open.hours["sat"] == (time(10), time(12))
    assert now_open.holidays == [date(2027, 1, 1), date(2027, 1, 4)]
    fresh = page.locator("[data-reply=new]")
    await fresh.locator("summary").click()
    await fresh.locator("[name=title_en]").fill("Weekend")
    await fresh.locator("[name=text_en]").fill("{{ csm.nam }} is here on Saturdays.")
    await fresh.locator("[data-do=save-reply]").click()
    await expect(page.locator(".notice").filter(has_text="csm.nam")).to_be_visible()
    await fresh.locator("[name=text_en]").fill("{{ csm.name }} is here on Saturdays.")
    await fresh.locator("[data-do=save-reply]").click()
    await expect(page.locator(".settings-replies")).to_contain_text("Weekend")
    async with database.begin() as session:
        assert [each.title["en"] for each in await canned.load(session, company)][-1] == "Weekend"
    for section in ("hours", "replies"):
        await page.locator(f".settings-{section} [data-do=take-back]").click()
        await expect(page.locator(f".settings-{section} [data-do=take-back]")).to_have_count(0)
    async with database.begin() as session:
        assert (await kept.company(session, company)).support == company.support
        assert "Weekend" not in [each.title["en"] for each in await canned.load(session, company)]


async def test_an_address_that_is_none_leads_back(sign_in: SignIn, site: str, ana: Csm) -> None:
    """In the console's own look and the reader's language, without what went wrong inside."""
    page = await sign_in(ana, locale="ja-JP")
    answer = await page.goto(f"{site}/console/nowhere")
    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("heading")).to_have_text("このページは見つかりません。")
    assert "HTTPException" not in await page.content()
    await page.get_by_role("link", name="受信箱に戻る").click()
    await expect(page.locator(".nav-link[aria-current]")).to_contain_text("待ち行列")


async def test_on_a_narrow_screen_ones_own_corner_is_a_menu(sign_in: SignIn, ana: Csm) -> None:
    """Language, colours, keys and signing out are there by the keyboard, and nothing runs out of the page."""
    page = await sign_in(ana, viewport={"width": 900, "height": 700})
    for width in (900, 390):
        await page.set_viewport_size({"width": width, "height": 700})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        corner = page.get_by_role("button", name="Language, colours, notices, sign out")
        await expect(page.get_by_role("button", name="日本語")).to_be_hidden()
        await corner.focus()
        await page.keyboard.press("Enter")
        for name in ("日本語", "Colours: auto", "? Keys"):
            await expect(page.get_by_role("button", name=name)).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="? Keys")).to_be_hidden()
    await corner.click()
    await page.get_by_role("button", name="日本語").click()
    await expect(page.locator("html")).to_have_attribute("lang", "ja")


async def test_a_conversation_of_a_thousand_messages_is_read_piece_by_piece(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """The customer's window is told that there is more; the CSM's shows the end, and the rest at a click."""
    found = (await held_by(database, company, ana)).conversation_id
    async with database.begin() as session:
        await session.execute(
            text(
                "INSERT INTO messages (conversation_id, seq, sender, body, created_at) SELECT c.id, c.last_seq + n, 'customer',"
                " jsonb_build_object('type', 'text', 'text', 'line ' || n), now() FROM conversations c, generate_series(1, 1000) n"
                " WHERE c.id = :id"
            ),
            {"id": found},
        )
        await session.execute(text("UPDATE conversations SET last_seq = last_seq + 1000 WHERE id = :id"), {"id": found})
        token = await log.mint_token(session, found, None)
        last = (await log.existing(session, found)).last_seq
    seqs: list[int] = []
    pages: list[tuple[int, bool]] = []
    async with httpx.AsyncClient(base_url=site, headers={"Authorization": f"Bearer {token}"}) as window:
        while not pages or pages[-1][1]:
            after = seqs[-1] if seqs else 0
            answer = (await window.get(f"/v1/conversations/{found}/messages", params={"after": after})).json()
            seqs += [message["seq"] for message in answer["messages"]]
            pages.append((len(answer["messages"]), answer["more"]))
    assert seqs == list(range(1, last + 1))
    assert pages == [(500, True), (500, True), (last - 1000, False)]
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{found}")
    await expect(page.locator(".said").last).to_contain_text("line 1000")
    await expect(page.locator(".said")).to_have_count(200)
    await page.click("[data-do=earlier]")
    await expect(page.locator(".said").first).to_contain_text("Ask me anything")
    await expect(page.locator(".said")).to_have_count(last)


async def test_on_a_narrow_screen_no_page_scrolls_sideways(sign_in: SignIn, site: str, database: Database) -> None:
    """Nor do its parts, but for a table with many figures; a change that is none is a dash."""
    page = await sign_in(
        await add_csm(database, new_id("root") + "@example.com", "Root", "admin"),
        viewport={"width": 390, "height": 800},
    )
    for path, part in (
        ("accounts", ".accounts-table a"),
        ("accounts/borealis-business", ".notes"),
        ("settings", "[data-reply]"),
    ):
        await page.goto(f"{site}/console/{path}")
        await expect(page.locator(part).first).to_be_visible()
        wide = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.className)"
        assert await page.locator(".main, .page-body").evaluate_all(wide) == [], path
        await expect(page.locator(".main")).not_to_contain_text("+0")
