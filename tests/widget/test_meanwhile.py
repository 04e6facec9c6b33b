"""What comes in between: a message amid a click, an identity amid the start. Nothing the customer does is lost to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.widget.conftest import Visit, ask, talk_of
from tests.widget.server import Server, Talk

pytestmark = pytest.mark.browser


def talking(page: Page, server: Server) -> Talk:
    """The server's side of a conversation that is open."""
    page.evaluate("kotae.open()")
    page.wait_for_function("kotae.thread.status === 'online'")
    talk: Talk = talk_of(page, server)
    return talk


def says(server: Server, talk: Talk, text: str) -> None:
    """A person writes, unasked."""
    server.do(server.say(talk, "csm", {"type": "text", "text": text}, name="Aiko"))


def press(page: Page, selector: str) -> None:
    """Puts the mouse's button down on something, and leaves it there."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


def test_a_message_amid_the_click_that_opens_the_chat(visit: Visit, server: Server) -> None:
    page = visit()
    talk = talking(page, server)
    page.evaluate("kotae.close()")
    press(page, ".launcher")
    says(server, talk, "hello")
    expect(page.locator(".badge")).to_have_text("1")
    page.mouse.up()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_message_amid_the_click_that_removes_one_that_failed(visit: Visit, server: Server) -> None:
    page = visit()
    talk = talking(page, server)
    server.refused.add("first")
    ask(page, "first")
    expect(page.locator(".state.failed")).to_be_visible()
    page.locator(".row").last.evaluate("one => Promise.all(one.getAnimations().map(each => each.finished))")
    page.get_by_role("button", name="Remove").focus()
    says(server, talk, "hello")
    expect(page.get_by_text("hello", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".row.waiting")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
