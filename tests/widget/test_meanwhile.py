"""What comes in between: a message amid a click, an identity amid the start. Nothing the customer does is lost to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.widget.conftest import Visit, ask, talk_of, until
from tests.widget.server import Server, Talk, Weather, identity_token

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


def test_a_choice_is_made_once(visit: Visit, server: Server) -> None:
    """While what was taken is still on its way, nothing can be taken again; what did not arrive can."""
    page = visit()
    talk = talking(page, server)
    ask(page, "which")
    choice = page.locator(".choice").first
    expect(choice).to_be_visible()
    words = choice.inner_text()
    server.weather = Weather(drop=1)
    choice.click()
    expect(choice).to_be_disabled()
    choice.evaluate("one => one.click()")
    assert page.evaluate("kotae.thread.outbox.map(one => one.text)") == [words]
    server.refused.add(words)
    server.weather = Weather()
    expect(page.locator(".state.failed")).to_be_visible()
    expect(choice).to_be_enabled()
    assert words not in [one.body.text for one in talk.log if one.sender == "customer"]


def test_an_identity_while_the_log_is_read(visit: Visit, server: Server) -> None:
    """A page that comes back as a visitor's and knows a moment later who is asking: the conversation becomes theirs at once."""
    page = visit()
    talk = talking(page, server)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(f"**/v1/conversations/{talk.id}", hold)
    page.reload()
    page.wait_for_function("window.kotae?.thread")
    until(page, lambda: bool(held))
    page.evaluate("token => kotae.identify(token)", identity_token("a30", "p30"))
    held[0].continue_()
    page.wait_for_function("kotae.thread.known && kotae.thread.status === 'online'")
    assert talk.who == "a30/p30"


def test_what_one_is_at_goes_on_when_everything_is_drawn_anew(visit: Visit, server: Server) -> None:
    """Another language, or another conversation: the words with the cursor in them, the search and the article stay."""
    page = visit()
    talking(page, server)
    box = page.locator(".compose textarea")
    box.press_sequentially("Hello world")
    box.evaluate("one => one.setSelectionRange(5, 5)")
    page.evaluate("kotae.setAttribute('lang', 'ja')")
    expect(page.get_by_role("textbox", name="メッセージ")).to_be_focused()
    page.keyboard.type(",")
    expect(box).to_have_value("Hello, world")
    page.evaluate("kotae.setAttribute('lang', 'en')")
    expect(page.get_by_role("button", name="Send")).to_have_attribute("aria-disabled", "false")
    page.get_by_role("button", name="Search the help articles").last.click()
    page.keyboard.type("limits")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    page.evaluate("kotae.build()")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("button", name="Plans and limits").click()
    expect(page.get_by_text("Four plans.")).to_be_visible()
    page.evaluate("kotae.build()")
    expect(page.get_by_text("Four plans.")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("searchbox")).to_have_value("limits")
    page.get_by_role("button", name="Back").click()
    expect(box).to_have_value("Hello, world")
    page.evaluate("kotae.logout(); kotae.open()")
    expect(box).to_have_value("")


def test_who_is_busy_in_the_page_stays_there(visit: Visit, server: Server) -> None:
    """The chat is open beside the page: drawn anew, it does not take the focus that is elsewhere."""
    page = visit()
    talking(page, server)
    page.get_by_role("button", name="theirs").focus()
    page.evaluate("kotae.setAttribute('lang', 'ja')")
    expect(page.get_by_role("textbox", name="メッセージ")).to_be_visible()
    expect(page.get_by_role("button", name="theirs")).to_be_focused()
