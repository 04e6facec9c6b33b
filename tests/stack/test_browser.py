"""Customer and CSM at once, each in a real browser, on the real stack."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import async_playwright, expect

from tests.screenshots import ask, sign_in_csm, sign_in_customer
from tests.support import BROWSER_FLAGS, Stack, chromium

pytestmark = [pytest.mark.stack, pytest.mark.browser]


async def test_from_the_bot_to_a_person_and_back(stack: Stack) -> None:
    """The whole path clicked through: facts, a cited answer, an escalation, a claim, both talk, handed back, resolved."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=BROWSER_FLAGS)
        site = await browser.new_page(locale="en-GB")
        desk = await browser.new_page(locale="en-GB")
        faults: list[str] = []
        site.on("pageerror", lambda error: faults.append(str(error)))
        desk.on("pageerror", lambda error: faults.append(str(error)))
        await sign_in_csm(desk, stack, "lead")

        await sign_in_customer(site, stack, "Bea Lindqvist")
        await ask(site, "How many runs have I used?")
        await expect(site.get_by_role("meter", name=re.compile("Runs"))).to_be_visible(timeout=15_000)
        await ask(site, "How do I invite a colleague to my workspace?")
        await site.get_by_role("button", name="Invite your team").first.click()
        await expect(site.get_by_role("heading", name="Invite your team", level=2)).to_be_visible()
        await site.keyboard.press("Escape")
        await ask(site, "I want to cancel our subscription.")

        row = desk.locator(".case", has_text="Borealis Logistics").filter(has_text="An at-risk account wants to cancel")
        await expect(row.first).to_be_visible(timeout=15_000)
        await row.first.locator("[data-claim]").click()
        await expect(site.get_by_text("has joined the conversation")).to_be_visible()
        await desk.fill(".composer .box", "Hello, I am Hana. What would make you stay?")
        await desk.press(".composer .box", "Enter")
        await expect(site.get_by_text("What would make you stay?")).to_be_visible()
        await ask(site, "Alerts when runs fail at night.")
        await expect(desk.locator(".said.customer").last).to_contain_text("Alerts when runs fail at night.")
        await site.reload()
        await site.evaluate("kotae.open()")
        await expect(site.get_by_text("What would make you stay?")).to_be_visible()
        await desk.click(".tab[data-mode=note]")
        await desk.fill(".composer .box", "Call them before Friday.")
        await desk.press(".composer .box", "Enter")
        await expect(desk.locator(".said.note")).to_contain_text("Call them before Friday.")
        await desk.click("[data-do=to-bot]")
        await expect(site.get_by_text("handed the conversation back")).to_be_visible()
        await expect(site.get_by_text("Call them before Friday.")).to_have_count(0)
        quotes = await site.locator("blockquote").count()
        await ask(site, "How do I change my plan?")
        await expect(site.locator("blockquote")).to_have_count(quotes + 1, timeout=15_000)
        await desk.click("[data-do=claim]")
        await desk.click("[data-do=resolve]")
        await desk.locator(".q-radio").first.click()
        await desk.click("[data-do=dialog-resolve]")
        await expect(site.get_by_text("marked as resolved")).to_be_visible()
        await browser.close()
    assert faults == []
