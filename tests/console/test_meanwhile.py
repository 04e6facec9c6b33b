"""What comes in between: an event amid a click, a claim amid a note. Nothing a CSM does is lost to it, or becomes something else."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from conversations import log
from escalations import csms, queue
from escalations.models import Csm
from kit.clock import now
from kit.company import Company
from kit.database import Database
from tests.console.conftest import REPLY, SignIn, add_csm, escalated, held_by

pytestmark = pytest.mark.browser


async def press(page: Page, what: Locator) -> None:
    """Puts the mouse's button down on something, and leaves it there."""
    box = await what.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()


async def test_a_note_does_not_become_a_reply(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """The conversation becomes one's own amid the words: they stay a note, which the customer never reads."""
    raised = await escalated(database, company)
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await expect(page.locator(".composer")).to_have_attribute("data-showing", "note")
    await page.locator(REPLY).press_sequentially("They pay ")
    async with database.begin() as session:
        await queue.claim(session, raised.id, ana, now())
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    await expect(page.locator(".composer")).to_have_attribute("data-open", "yes")
    await page.keyboard.type("late")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.note")).to_contain_text("They pay late")
    await expect(page.locator(".composer")).to_have_attribute("data-showing", "note")
    async with database.begin() as session:
        assert not [one for one in await log.history(session, raised.conversation_id) if one.sender == "csm"]


async def test_a_reply_in_the_box_when_the_conversation_goes(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Its words stay, and what is typed on goes nowhere: not into a note, nor to the keys that do things."""
    raised = await held_by(database, company, ana)
    other = await escalated(database, company)
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await page.locator(REPLY).press_sequentially("Nearly there")
    async with database.begin() as session:
        await queue.release(session, raised.conversation_id, ana, now(), to="queue")
    await expect(page.locator(".talk-title")).not_to_contain_text("You are on it")
    await expect(page.locator(REPLY)).not_to_be_editable()
    await page.keyboard.type("x")
    await page.keyboard.press("Enter")
    await expect(page.locator(REPLY)).to_have_value("Nearly there")
    await expect(page.locator(REPLY)).to_be_focused()
    async with database.begin() as session:
        assert (await queue.existing(session, other.id)).state == "queued"


async def test_offers_that_come_late_leave_who_writes_alone(
    sign_in: SignIn, site: str, database: Database, company: Company, ana: Csm
) -> None:
    """Asked for, and gone on writing: the letters go on into the box, and not to the keys that do things."""
    raised = await held_by(database, company, ana)
    page = await sign_in(ana)
    await page.goto(f"{site}/console/conversation/{raised.conversation_id}")
    await page.locator(REPLY).press_sequentially("H")
    await page.evaluate("document.querySelector('[data-do=canned]').click()")
    await expect(page.locator(".offer").first).to_be_visible()
    await page.evaluate("kotae.toOffers(); new Promise(done => requestAnimationFrame(() => setTimeout(done, 80)))")
    await page.keyboard.type("ello")
    await expect(page.locator(REPLY)).to_have_value("Hello")


async def test_a_row_that_is_drawn_anew_amid_a_click(
    sign_in: SignIn, database: Database, company: Company, ana: Csm
) -> None:
    """The customer writes between the button's going down and up: it is taken all the same; and a row that has focus keeps it."""
    raised = await escalated(database, company)
    page = await sign_in(ana)
    row = page.locator(f".case[data-id={raised.conversation_id}]")
    await row.focus()
    async with database.begin() as session:
        await log.accept(session, raised.conversation_id, "m1", "Are you there?", now())
    await expect(row).to_contain_text("Are you there?")
    await expect(row).to_be_focused()
    await press(page, row.locator("[data-claim]"))
    async with database.begin() as session:
        await log.accept(session, raised.conversation_id, "m2", "Is anybody?", now())
    await expect(row).to_contain_text("Is anybody?")
    await page.mouse.up()
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")


async def test_a_row_that_moves_amid_a_click(sign_in: SignIn, database: Database, company: Company, ana: Csm) -> None:
    """An urgent conversation comes in above between the button's going down and up: the one that was pressed is claimed, no other."""
    raised = await escalated(database, company, priority="low", minutes=240)
    page = await sign_in(ana)
    await press(page, page.locator(f".case[data-id={raised.conversation_id}] [data-claim]"))
    urgent = await escalated(database, company)
    await expect(page.locator(".case").first).to_have_attribute("data-id", urgent.conversation_id)
    await page.mouse.up()
    await expect(page.locator(".talk-title")).to_contain_text("You are on it")
    assert raised.conversation_id in page.url
    async with database.begin() as session:
        assert (await queue.existing(session, urgent.id)).state == "queued"


async def test_a_press_that_is_thought_better_of_does_nothing(
    sign_in: SignIn, database: Database, company: Company, ana: Csm
) -> None:
    """The hand goes elsewhere before it lets go."""
    raised = await escalated(database, company)
    page = await sign_in(ana)
    await press(page, page.locator("[data-claim]"))
    async with database.begin() as session:
        await log.accept(session, raised.conversation_id, "m1", "Are you there?", now())
    await expect(page.locator(".case")).to_contain_text("Are you there?")
    await page.mouse.move(700, 600)
    await page.mouse.up()
    await page.locator("[data-do=keys]").click()
    await expect(page.locator("#keys")).to_be_visible()
    async with database.begin() as session:
        assert (await queue.existing(session, raised.id)).state == "queued"


async def test_ones_own_corner_stays_open_while_the_counts_change(
    sign_in: SignIn, database: Database, company: Company, ana: Csm
) -> None:
    page = await sign_in(ana, viewport={"width": 900, "height": 700})
    await page.get_by_role("button", name="Language, colours, notices, sign out").click()
    await expect(page.get_by_role("button", name="日本語")).to_be_visible()
    await escalated(database, company)
    await expect(page.locator("[data-view=queue] .count")).to_have_text("1")
    await expect(page.get_by_role("button", name="日本語")).to_be_visible()


async def test_what_is_half_filled_in_stays_when_something_else_is_saved(
    sign_in: SignIn, site: str, database: Database
) -> None:
    page = await sign_in(await add_csm(database, "root@example.com", "Root Admin", "admin"))
    await page.goto(f"{site}/console/settings")
    await page.fill(".settings-hours [name=holidays]", "2027-01-01")
    fresh = page.locator("[data-reply=new]")
    await fresh.locator("summary").click()
    await fresh.locator("[name=title_en]").fill("Weekend")
    await page.fill("form:has([data-do=add-key]) [name=name]", "warehouse")
    await page.check("[name=scope_events]")
    await page.click("[data-do=add-key]")
    await expect(page.locator(".settings-api_keys")).to_contain_text("warehouse")
    await expect(page.locator(".settings-hours [name=holidays]")).to_have_value("2027-01-01")
    await expect(fresh.locator("[name=title_en]")).to_have_value("Weekend")
    await expect(fresh.locator("[name=title_en]")).to_be_visible()


async def test_a_line_of_the_settings_that_is_half_filled_in_stays_while_its_neighbours_are_saved(
    sign_in: SignIn, site: str, database: Database, ben: Csm
) -> None:
    """The words, the password and the box ticked for one CSM, and a canned reply that is open, while others come and go around them."""
    page = await sign_in(await add_csm(database, "root@example.com", "Root Admin", "admin"))
    await page.goto(f"{site}/console/settings")
    half = page.locator(".settings-team form").filter(has_text=ben.email)
    await half.locator("[name=skills]").fill("billing exports")
    await half.locator("[name=password]").fill("half of a secret")
    await half.locator("[name=lang_ja]").check()
    reply = page.locator(".settings-replies details").first
    await reply.locator("summary").click()
    await reply.locator("[name=title_en]").fill("Half a title")

    fresh = page.locator("form:has([data-do=add-csm])")
    await fresh.locator("[name=name]").fill("Aoi Mori")  # before Ben in the list
    await fresh.locator("[name=email]").fill("aoi@example.com")
    await page.click("[data-do=add-csm]")
    lines = page.locator(".settings-team form .who b")
    await expect(lines).to_have_text(["Aoi Mori", "Ben Okafor", "Root Admin"])
    other = page.locator(".settings-team form").filter(has_text="aoi@example.com")
    await other.locator("[name=capacity]").fill("9")
    await other.locator("[name=password]").fill("a long enough secret")
    await other.locator("[data-do=save-csm]").click()
    await expect(other.locator("[name=password]")).to_have_value("")
    added = page.locator("[data-reply=new]")
    await added.locator("summary").click()
    await added.locator("[name=title_en]").fill("Weekend")
    await added.locator("[name=text_en]").fill("We are back on Monday.")
    await added.locator("button").click()
    await expect(page.locator(".settings-replies summary").filter(has_text="Weekend")).to_be_visible()
    await expect(added.locator("[name=title_en]")).to_have_value("")
    await expect(added.locator("[name=title_en]")).to_be_hidden()

    await expect(half.locator("[name=skills]")).to_have_value("billing exports")
    await expect(half.locator("[name=password]")).to_have_value("half of a secret")
    await expect(half.locator("[name=lang_ja]")).to_be_checked()
    await expect(reply.locator("[name=title_en]")).to_be_visible()
    await expect(reply.locator("[name=title_en]")).to_have_value("Half a title")
    await half.locator("[data-do=save-csm]").click()
    await expect(page.locator(".audit, .settings-audit")).to_contain_text(ben.email)
    async with database.begin() as session:
        assert (await csms.one(session, ben.id)).skills == ["billing", "exports"]
