"""A CSM's day in a real browser: sign in, claim, reply, note, hand back, resolve."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import BrowserContext, Page, expect

from conversations import log
from escalations import csms, queue
from escalations.models import Csm
from kit.clock import now
from kit.company import Company
from kit.database import Database
from tests.console.conftest import REPLY, SignIn, escalated, held_by

pytestmark = pytest.mark.browser


async def test_only_the_right_password_signs_in(context: BrowserContext, site: str, ana: Csm) -> None:
    """A wrong password is refused in words; the right one leads to the page that was wanted; signing out ends it."""
    page = await context.new_page()
    await page.goto(f"{site}/console/?view=mine")
    await expect(page).to_have_url(f"{site}/console/sign-in")
    await page.fill("#email", ana.email)
    await page.fill("#password", "not the password")
    await page.click("form[action$=sign-in] button")
    await expect(page.locator("[role=alert]")).to_contain_text("do not go together")
    await page.fill("#password", "a long enough password")
    await page.click("form[action$=sign-in] button")
    await expect(page).to_have_url(f"{site}/console/?view=mine")
    cookie = next(cookie for cookie in await context.cookies() if cookie["name"] == "kotae_console")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["path"] == "/console"
    await page.click("[data-do=sign-out]")
    await expect(page.locator("#email")).to_be_visible()
    await page.goto(f"{site}/console/?view=queue")
    await expect(page.locator("#email")).to_be_visible()


async def test_a_sign_in_from_another_site_is_refused(context: BrowserContext, site: str, ana: Csm) -> None:
    """A form of another origin cannot sign anybody in."""
    answer = await context.request.post(
        f"{site}/console/sign-in",
        form={"email": ana.email, "password": "a long enough password"},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status == 403


async def test_who_may_no_longer_be_here_is_sent_away(sign_in: SignIn, database: Database, ana: Csm) -> None:
    """A CSM who was deactivated finds the sign-in page, though the cookie still names them."""
    page = await sign_in(ana)
    async with database.begin() as session:
        (await session.merge(ana)).active = False
    await page.reload()
    await expect(page.locator("#email")).to_be_visible()


async def test_a_whole_case(sign_in: SignIn, database: Database, company: Company, ana: Csm) -> None:
    """What is raised appears by itself; it is claimed, answered, noted and handed back, and the log says the same."""
    page = await sign_in(ana)
    await expect(page.locator(".empty-title")).to_have_text("Nobody is waiting.")
    raised = await escalated(database, company)
    row = page.locator(f".case[data-id={raised.conversation_id}]")
    await expect(row).to_contain_text("Kita Logistics")
    await expect(row).to_contain_text("An at-risk account wants to cancel")
    await expect(row).to_contain_text("$12,400")
    await expect(page.locator("[data-view=queue] .count")).to_have_text("1")
    await row.locator("[data-claim]").click()
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    await _the_transcript_is_safe(page)
    await page.fill(REPLY, "Let me look at your account.")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("One moment.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.csm")).to_contain_text("One moment.")
    await page.click(".tab[data-mode=note]")
    await page.fill(REPLY, "Offer them the yearly plan.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.note")).to_contain_text("Offer them the yearly plan.")
    async with database.begin() as session:
        history = await log.history(session, raised.conversation_id)
        said = [message for message in history if message.sender == "csm"]
        assert [(message.name, message.body.text) for message in said] == [
            ("Ana Sato", "Let me look at your account.\nOne moment.")
        ]
        assert not any("yearly" in message.model_dump_json() for message in history)
        assert (await log.existing(session, raised.conversation_id)).holder == "csm"
        await log.accept(session, raised.conversation_id, "c1", "Thank you!", now())
    await expect(page.locator(".said.customer").last).to_contain_text("Thank you!")
    await page.click("[data-do=to-bot]")
    await expect(page.locator(".talk-title")).to_contain_text("With the bot")
    async with database.begin() as session:
        assert (await log.existing(session, raised.conversation_id)).holder == "bot"
        assert (await queue.existing(session, raised.id)).state == "returned"


async def _the_transcript_is_safe(page: Page) -> None:
    """What the customer wrote is shown as written; the bot's Markdown is drawn, with source and confidence."""
    await expect(page.locator(".said.customer .words")).to_have_text("I want to cancel **everything** <b>now</b>")
    answer = page.locator(".said.bot.answer")
    await expect(answer.locator("ol li").nth(1).locator("strong")).to_have_text("Cancel")
    await expect(answer.locator(".cite").first).to_have_attribute("href", "https://help.example/cancel")
    await expect(answer).to_contain_text("87 % sure")


async def test_stepping_in_and_resolving(sign_in: SignIn, database: Database, company: Company, ana: Csm) -> None:
    """A watched conversation can be taken, put back into the queue, taken again and resolved with a reason."""
    raised = await escalated(database, company, mode="watch")
    page = await sign_in(ana)
    await page.click("[data-view=watching]")
    await page.click(f".case[data-id={raised.conversation_id}] .row-name")
    await expect(page.locator(".composer .box")).to_be_enabled()  # a note is possible at any time
    await page.click("[data-do=claim]")
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    await page.click("[data-do=more-actions]")
    await page.click("[data-do=to-queue]")
    await expect(page.locator("[data-do=claim]")).to_be_visible()
    await page.click("[data-do=claim]")
    await page.click("[data-do=resolve]")
    await page.click(".q-radio:has-text('Billing settled')")
    await page.fill(".dialog input[maxlength]", "refund sent")
    await page.click("[data-do=dialog-resolve]")
    await expect(page.locator(".said.survey")).to_be_visible()
    async with database.begin() as session:
        closed = await queue.existing(session, raised.id)
        assert (closed.state, closed.resolution) == ("resolved", "billing: refund sent")


async def test_two_csms_race_for_one_claim(
    sign_in: SignIn, database: Database, company: Company, ana: Csm, ben: Csm
) -> None:
    """Of two who claim at the same moment one gets it; the other is told so and sees who has it."""
    raised = await escalated(database, company)
    pages = [await sign_in(ana), await sign_in(ben)]
    buttons = [page.locator(f"[data-claim={raised.id}]") for page in pages]
    for button in buttons:
        await expect(button).to_be_visible()
    await asyncio.gather(*(button.dispatch_event("click") for button in buttons))
    async with database.begin() as session:
        for _ in range(100):
            taken = await queue.existing(session, raised.id)
            if taken.state == "claimed":
                break
            await asyncio.sleep(0.05)
            await session.refresh(taken)
    winner, loser = pages if taken.csm_id == ana.id else pages[::-1]
    await expect(winner.locator(".talk-title")).to_contain_text("You are on it")
    await expect(loser.locator(".notice")).to_contain_text("Somebody was faster")
    await expect(loser.locator(".case")).to_have_count(0)
    async with database.begin() as session:
        assert [event.kind for event in await queue.events(session, raised.id)].count("claimed") == 1


async def test_words_that_could_not_be_sent_come_back(
    sign_in: SignIn, database: Database, company: Company, ana: Csm
) -> None:
    """A reply to a conversation that was lost meanwhile is refused with a notice, and not lost."""
    raised = await escalated(database, company)
    page = await sign_in(ana)
    await page.click(f"[data-claim={raised.id}]")
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    await page.fill(REPLY, "Nearly there…")
    async with database.begin() as session:
        found = await queue.existing(session, raised.id)
        found.csm_id, found.state = None, "queued"  # as the sweep does, without telling the page
    await page.press(REPLY, "Enter")
    await expect(page.locator(".notice")).to_be_visible()
    await expect(page.locator(REPLY)).to_have_value("Nearly there…")


async def test_the_console_speaks_japanese(sign_in: SignIn, database: Database, company: Company, ana: Csm) -> None:
    """A browser that asks for Japanese gets it; a click changes the language."""
    await escalated(database, company, "解約したいです", lang="ja")
    page = await sign_in(ana, locale="ja-JP")
    await expect(page.locator(".page-head h1")).to_have_text("待ち行列")
    await expect(page.locator(".case")).to_contain_text("健全性の低い顧客が解約を希望")
    await page.click(".prefs button[lang=en]")
    await expect(page.locator(".page-head h1")).to_have_text("Queue")


async def test_priority_aside_and_again(sign_in: SignIn, database: Database, company: Company, ana: Csm) -> None:
    """A priority needs its reason; what is held can be put aside and noted for another day; a watched one is let be."""
    raised = await escalated(database, company, priority="low")
    page = await sign_in(ana)
    await page.click(f".case[data-id={raised.conversation_id}] .row-name")
    await page.click("[data-do=level]")
    await page.click("[data-do=dialog-level_do]")
    await expect(page.locator(".notice-warning")).to_contain_text("the reason is missing")
    await page.click("[data-do=level]")
    await page.fill(".dialog input[maxlength]", "their launch is today")
    await page.click("[data-do=dialog-level_do]")
    await expect(page.locator(".notice").filter(has_text="The priority is changed")).to_be_visible()
    await page.click("[data-do=claim]")
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    await page.click("[data-do=more-actions]")
    await page.click("[data-do=aside]")
    await page.click("[data-do=dialog-aside_do]")
    await expect(page.locator(".notice").filter(has_text="Put aside.")).to_be_visible()
    await expect(page.locator(".talk-title")).to_contain_text("aside until")
    await page.click("[data-do=more-actions]")
    await page.click("[data-do=again]")
    await page.click("[data-do=dialog-again_do]")
    await expect(page.locator(".notice").filter(has_text="on that day")).to_be_visible()
    await expect(page.locator(".talk-title")).to_contain_text("follow up on 20")
    async with database.begin() as session:
        found = await queue.existing(session, raised.id)
        assert found.priority == 1
        assert found.snoozed_until is not None
        assert found.follow_up_on is not None
        assert (await csms.one(session, ana.id)).seen_at is not None, "an open console is a sign of presence"
    watched = await escalated(database, company, mode="watch")
    await page.goto(page.url.replace(raised.conversation_id, watched.conversation_id))
    await page.click("[data-do=mute]")
    await expect(page.locator(".notice").filter(has_text="Not watched any more")).to_be_visible()
    async with database.begin() as session:
        assert (await queue.existing(session, watched.id)).muted


async def test_a_settled_conversation_still_says_whose_it_was(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """The account's name, and not its id, once no escalation is open that would tell it."""
    raised = await escalated(database, company, person=("borealis-business", "borealis-bea"))
    async with database.begin() as session:
        await queue.claim(session, raised.id, ana, now())
        await queue.resolve(session, raised.id, ana, now(), reason="answered")
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Borealis Logistics")
    await page.get_by_role("heading", level=1).get_by_role("link").click()
    await page.wait_for_url("**/accounts/borealis-business")


async def test_what_changes_meanwhile_takes_no_button_from_under_the_hand(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """The menu that is open stays open, and its buttons are the same ones, while the clock and the priority change."""
    raised = await held_by(database, company, ana)
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await page.click("[data-do=more-actions]")
    button = await page.wait_for_selector("[data-do=aside]")
    async with database.begin() as session:
        await queue.reply(session, raised.conversation_id, ana, "Hello", now())
    await expect(page.locator(".talk-title")).to_contain_text("with the customer")
    async with database.begin() as session:
        await log.accept(session, raised.conversation_id, "m1", "And one more thing", now())
        await queue.heard(session, company, raised.conversation_id, now())
    # "1 h left", or the day where nobody is there now.
    await expect(page.locator(".talk-title time.clock")).not_to_be_empty()
    await expect(page.locator("[data-do=aside]")).to_be_visible()
    assert await button.evaluate("it => it.isConnected")
