"""Customer and CSM in one conversation, in real browsers: both sides live, notes apart, good replies kept."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from api import drafts
from conversations import good_replies, log, questions, signals
from escalations import queue
from escalations.models import Csm
from kit.clock import now
from kit.company import Company
from kit.database import Database
from kit.errors import NotFound
from knowledge_base.loading import load_folder
from tests.console.conftest import REPLY, SignIn, escalated, held_by

pytestmark = pytest.mark.browser


async def test_customer_and_csm_talk_while_pages_reload(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """The link of an e-mail opens the widget on the conversation; each sees the other type, write and read; reloads lose nothing."""
    raised = await held_by(database, company, ana)
    id_ = raised.conversation_id
    async with database.begin() as session:
        token = await log.mint_token(session, id_, None)
    desk = await sign_in(ana)
    await desk.goto(f"{site}/console/conversation/{id_}")
    await expect(desk.locator(".talk-title")).to_contain_text("You are on it")
    customer = await desk.context.browser.new_page(locale="en-GB")
    customer.set_default_timeout(10_000)
    try:
        await customer.goto(f"{site}/conversation#{id_}:{token}")
        box = customer.get_by_role("textbox", name="Your message")
        await expect(customer.get_by_text("Ana Sato has joined")).to_be_visible()
        await box.press_sequentially("Is anybody there?")
        await expect(desk.locator(".typing")).to_be_visible()
        await box.press("Enter")
        await expect(desk.locator(".said.customer").last).to_contain_text("Is anybody there?")
        await expect(desk.locator(".talk-title .clock")).to_have_attribute("data-due", re.compile("."))
        await desk.reload()
        await desk.locator(REPLY).press_sequentially("Yes, I am")
        await expect(
            customer.get_by_text("Ana Sato is typing").or_(customer.locator("[class*=typing]")).first
        ).to_be_visible()
        await desk.press(REPLY, "Enter")
        await expect(customer.get_by_text("Yes, I am")).to_be_visible()
        await expect(desk.locator(".seen")).to_be_visible()
        await expect(desk.locator(".talk-title")).to_contain_text("with the customer")
        await customer.reload()
        await expect(customer.get_by_text("Yes, I am")).to_be_visible()
        await box.fill("Wonderful")
        await box.press("Enter")
        await expect(desk.locator(".said.customer").last).to_contain_text("Wonderful")
        await expect(desk.locator(".talk-title")).not_to_contain_text("with the customer")
    finally:
        await customer.close()
    async with database.begin() as session:
        said = [row for row in await log.transcript(session, id_) if row.sender in ("customer", "csm")][-3:]
        assert [(row.sender, row.body["text"]) for row in said] == [
            ("customer", "Is anybody there?"),
            ("csm", "Yes, I am"),
            ("customer", "Wonderful"),
        ]


async def test_a_note_stays_internal(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm, ben: Csm
) -> None:
    """A colleague reads it at once; no way to the customer carries it: not the log, the socket, nor the widget's page."""
    raised = await escalated(database, company)
    id_ = raised.conversation_id
    async with database.begin() as session:
        token = await log.mint_token(session, id_, None)
    pages = [await sign_in(ana), await sign_in(ben)]
    for page in pages:
        await page.goto(f"{site}/console/conversation/{id_}")
        await expect(page.locator(".composer")).to_have_attribute("data-showing", "note")
    customer = await pages[0].context.new_page()
    frames: list[str] = []
    customer.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
    await customer.goto(f"{site}/conversation#{id_}:{token}")
    await expect(customer.get_by_text("cancel **everything**")).to_be_visible()
    await pages[0].fill(REPLY, "They pay late; be kind.")
    await pages[0].press(REPLY, "Enter")
    await expect(pages[1].locator(".said.note")).to_contain_text("They pay late")
    async with database.begin() as session:
        await queue.claim(session, raised.id, ana, now())
        await queue.reply(session, id_, ana, "Hello!", now())
    await expect(customer.get_by_text("Hello!", exact=True)).to_be_visible()
    answer = await customer.request.get(
        f"{site}/v1/conversations/{id_}/messages", headers={"Authorization": f"Bearer {token}"}
    )
    assert "Hello!" in await answer.text()
    assert frames
    for seen in (await answer.text(), await customer.content(), *frames):
        assert "pay late" not in seen


async def test_two_csms_see_each_other(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm, ben: Csm
) -> None:
    """Whoever opens a conversation sees who is looking too; who leaves is seen to leave."""
    raised = await escalated(database, company)
    address = f"{site}/console/conversation/{raised.conversation_id}"
    first, second = await sign_in(ana), await sign_in(ben)
    await first.goto(address)
    await second.goto(address)
    await expect(first.locator(".presence")).to_contain_text("Ben Okafor is looking too")
    await expect(second.locator(".presence")).to_contain_text("Ana Sato is looking too")
    await second.goto(f"{site}/console/?view=queue")
    await expect(first.locator(".presence")).not_to_be_visible(timeout=25_000)


@pytest.mark.usefixtures("knowledge_base")
async def test_a_good_reply_is_kept_offered_and_drafted(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Marked, it is offered for a question alike at once, and drafted at a click: not indexed where it lies, and a label once it is moved."""
    raised = await held_by(database, company, ana, "How many sheep fit into one flow of Kita Logistics?")
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await page.fill(REPLY, "Ana Sato here: a flow takes **forty** sheep.")
    await page.press(REPLY, "Enter")
    reply = page.locator(".said.csm")
    await reply.hover()
    await reply.locator("[data-reply=mark]").click()
    await expect(reply.locator(".chip")).to_contain_text("Good answer")
    other = await held_by(database, company, ana, "How many sheep can I put into a flow?")
    await page.goto(f"{site}/console/conversation/{other.conversation_id}")
    await page.click("[data-do=suggest]")
    await expect(page.locator(".offer").first).to_contain_text("A colleague answered")
    await page.locator(".offer").first.click()
    await expect(page.locator(REPLY)).to_have_value("Ana Sato here: a flow takes **forty** sheep.")
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await page.locator("[data-reply=draft]").click()
    drafted = company.content_dir / "drafts" / "en" / "how-many-sheep-fit-into-one-flow-of-kita-logistics.md"
    await expect(page.locator(".drafted")).to_contain_text("drafts/en/how-many-sheep")
    article = "en/how-many-sheep-fit-into-one-flow-of-kita-logistics"
    assert "**forty** sheep" in drafted.read_text()
    assert "Ana" not in drafted.read_text(), "names do not belong into an article"
    assert article not in {each.id for each in load_folder(company.content_dir).articles}
    drafted.rename(company.content_dir / "en" / drafted.name)
    try:
        assert article in {each.id for each in load_folder(company.content_dir).articles}
    finally:
        (company.content_dir / "en" / drafted.name).unlink()
    async with database.begin() as session:
        labels = await questions.labels(session, raised.created_at, now())
    (label,) = [each for each in labels if each.source == "csm"]
    assert (label.article, label.answers, label.text[:15]) == (article, True, "How many sheep ")


async def test_only_a_reply_can_be_a_good_one(database: Database, company: Company, ana: Csm) -> None:
    """Neither what the bot said nor what is not there; taking the mark away takes the label away."""
    raised = await held_by(database, company, ana)
    async with database.begin() as session:
        for seq in (1, 99):
            with pytest.raises(NotFound):
                await good_replies.mark(session, raised.conversation_id, seq, ana.id, now())
        seq = await queue.reply(session, raised.conversation_id, ana, "Done.", now())
        await good_replies.mark(session, raised.conversation_id, seq, ana.id, now())
        assert [each.answer for each in await good_replies.answers(session, "en")] == ["Done."]
        await good_replies.unmark(session, raised.conversation_id, seq)
        assert await good_replies.answers(session, "en") == []


def test_a_draft_never_overwrites_and_keeps_templates_as_words(tmp_path: Path, company: Company) -> None:
    """The second of a name gets a number; a Japanese title gets a name by its moment; braces of a customer are no template."""
    here = company.model_copy(update={"folder": tmp_path})
    first = drafts.write(here, "en", "Hi. Where is it? Thanks", "In {{ there }}.", now())
    second = drafts.write(here, "en", "Where is it?", "There.", now())
    assert (first.name, second.name) == ("where-is-it.md", "where-is-it-2.md")
    assert drafts.article_id(here, second) == "en/where-is-it-2"
    assert drafts.write(here, "ja", "どこですか？", "こちらです。", now()).name.startswith("reply-")
    (tmp_path / "help" / "en").mkdir()
    moved = first.rename(tmp_path / "help" / "en" / first.name)
    (article,) = load_folder(tmp_path / "help").articles
    assert (article.id, article.title, article.questions) == (
        "en/where-is-it",
        "Where is it?",
        ("Hi. Where is it? Thanks",),
    )
    assert "{{ '{{' }} there" in moved.read_text()


async def test_the_title_counts_and_a_notice_comes_when_one_is_elsewhere(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Once notices are on, a customer who waits is told of by a desktop notice and a sound; the title counts with or without."""
    page: Page = await sign_in(ana)
    await page.context.grant_permissions(["notifications"], origin=site)
    await page.add_init_script(
        """window.told = []; window.tones = 0;
        window.Notification = class { constructor(title, given) { window.told.push(given.body); } static requestPermission() { return Promise.resolve("granted"); } };
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...at) { window.tones += 1; return start.apply(this, at); };
        document.hasFocus = () => false;"""
    )
    await page.goto(f"{site}/console/?view=mine")
    await page.click("[data-do=notices]")
    await expect(page.locator("[data-do=notices]")).to_have_attribute("aria-pressed", "true")
    before = await page.evaluate("window.tones")
    raised = await escalated(database, company)
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    await page.wait_for_function("window.told.length === 1")
    assert await page.evaluate("window.told[0]") == "1 waiting in the queue"
    assert await page.evaluate("window.tones") > before
    async with database.begin() as session:
        await queue.claim(session, raised.id, ana, now())
        await queue.reply(session, raised.conversation_id, ana, "Hello!", now())
        await log.accept(session, raised.conversation_id, "n1", "Good morning", now())
        await signals.typing(session, raised.conversation_id, "customer")
    await expect(page.locator(".case .dot")).to_be_visible()
    await page.wait_for_function("window.told.length === 2")
    assert await page.evaluate("window.told[1]") == "1 of your conversations have news"
    await asyncio.gather(
        page.click(f".case[data-id={raised.conversation_id}] .row-name"), page.wait_for_url("**/conversation/*")
    )
    await expect(page).not_to_have_title(re.compile(r"^\(\d"))  # what was before one's eyes is read
