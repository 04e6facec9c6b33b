"""Remakes the pictures of the README from a running stack: `make screenshots`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.support import BROWSER_FLAGS, ROOT, Stack, chromium, running_stack

IMAGES = ROOT / "docs" / "images"


async def sign_in_customer(page: Page, stack: Stack, person: str) -> None:
    """Signs in on the sample site as somebody, and opens the chat."""
    await page.goto(f"{stack.url}/demo/")
    await page.get_by_role("button", name="Sign in", exact=True).first.click()
    await page.get_by_role("button", name=person).click()
    await page.evaluate("kotae.open()")


async def ask(page: Page, text: str) -> None:
    """Writes into the chat."""
    box = page.get_by_role("textbox", name="Your message")
    await box.fill(text)
    await box.press("Enter")


async def sign_in_csm(page: Page, stack: Stack, role: str) -> None:
    """Signs in to the console."""
    login = stack.login(role)
    await page.goto(f"{stack.url}/console/sign-in")
    await page.fill("#email", login["email"])
    await page.fill("#password", login["password"])
    await page.click("form[action$=sign-in] button")
    await page.wait_for_selector(".nav-link")


async def take(stack: Stack, browser: Browser, folder: Path) -> None:
    """A customer who asks, cancels and is answered by a CSM; both sides as pictures."""
    site = await browser.new_page(reduced_motion="reduce", viewport={"width": 1280, "height": 860}, locale="en-GB")
    await sign_in_customer(site, stack, "Bea Lindqvist")
    await ask(site, "How many runs have I used?")
    await site.get_by_role("meter").first.wait_for()
    await ask(site, "How do I turn on single sign-on?")
    await site.locator("blockquote").first.wait_for()
    await site.screenshot(path=folder / "widget.png")
    await ask(site, "Your product keeps failing at night. I want to cancel our subscription.")
    desk = await browser.new_page(reduced_motion="reduce", viewport={"width": 1440, "height": 900}, locale="en-GB")
    await sign_in_csm(desk, stack, "csm")
    await desk.locator("[data-claim]").first.wait_for()
    await desk.screenshot(path=folder / "console-queue.png")
    await desk.locator("[data-claim]").first.click()
    await desk.fill(
        ".composer .box", "Hello Bea, I am Daniel. I have read all of it; let me look at last night's runs."
    )
    await desk.press(".composer .box", "Enter")
    await site.get_by_text("I am Daniel").wait_for()
    await desk.get_by_text("I am Daniel").first.wait_for()
    await desk.screenshot(path=folder / "console.png")
    await site.screenshot(path=folder / "widget-csm.png")


async def main(folder: Path, stack: Stack) -> None:
    """Takes all pictures into a folder."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=BROWSER_FLAGS)
        try:
            await take(stack, browser, folder)
        finally:
            await browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, running_stack(Path(home)) as made:
        asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES, made))
