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


def test_what_one_is_at_goes_on_when_another_conversation_begins(visit: Visit, server: Server) -> None:
    """It may at any moment, as the page says who is asking: the words with the cursor in them, the search and the article stay."""
    page = visit()
    talk = talking(page, server)
    page.get_by_role("textbox", name="Your message").press_sequentially("Hello world")
    page.get_by_role("textbox", name="Your message").evaluate("one => one.setSelectionRange(5, 5)")
    talk.who = "a31/somebody"
    page.evaluate("token => kotae.identify(token)", identity_token("a31", "p31"))
    page.wait_for_function("id => kotae.thread.state?.conversation_id !== id && kotae.thread.known", arg=talk.id)
    page.keyboard.type(",")
    expect(page.get_by_role("textbox", name="Your message")).to_have_value("Hello, world")
    page.get_by_role("button", name="Search the help articles").last.click()
    page.keyboard.type("limits")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    page.evaluate("kotae.thread.forget()")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.evaluate("kotae.logout(); kotae.open()")
    expect(page.get_by_role("textbox", name="Your message")).to_have_value("")


def test_words_half_typed_stay_in_another_language(visit: Visit, server: Server) -> None:
    """They can be sent as before, and typed on."""
    page = visit()
    talking(page, server)
    page.keyboard.type("Hello")
    page.evaluate("kotae.setAttribute('lang', 'ja')")
    expect(page.get_by_role("button", name="送信")).to_have_attribute("aria-disabled", "false")
    expect(page.get_by_role("textbox", name="メッセージ")).to_be_focused()
    page.keyboard.type(", world")
    expect(page.get_by_role("textbox", name="メッセージ")).to_have_value("Hello, world")


def test_who_is_busy_in_the_page_stays_there(visit: Visit, server: Server) -> None:
    """The chat is open beside the page: drawn anew, it does not take the focus that is elsewhere."""
    page = visit()
    talking(page, server)
    page.get_by_role("button", name="theirs").focus()
    page.evaluate("kotae.setAttribute('lang', 'ja')")
    expect(page.get_by_role("textbox", name="メッセージ")).to_be_visible()
    expect(page.get_by_role("button", name="theirs")).to_be_focused()


def test_a_word_that_one_has_to_wait_is_not_typed_away(visit: Visit, server: Server) -> None:
    """It comes while the next message is being typed, and stands until the wait is over."""
    page = visit()
    talking(page, server)
    server.limit_next = 1000
    ask(page, "too quick")
    hint = page.get_by_role("alert").filter(has_text="That was quick!")
    expect(hint).to_be_visible()
    page.keyboard.type("and another thing")
    expect(hint).to_be_visible()
    server.limit_next = 0
    expect(page.get_by_text("You said: too quick")).to_be_visible()
    expect(hint).to_be_hidden()
    expect(page.locator(".compose textarea")).to_have_value("and another thing")


def test_what_was_found_stays_when_it_is_searched_again(visit: Visit, server: Server) -> None:
    page = visit()
    talking(page, server)
    page.get_by_role("button", name="Search the help articles").last.click()
    page.keyboard.type("limits")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    hit = page.wait_for_selector(".hits button")
    page.evaluate("kotae.find()")
    assert hit.evaluate("one => one.isConnected")


def test_an_address_that_is_saved_leaves_one_where_one_is(visit: Visit, server: Server) -> None:
    page = visit()
    talk = talking(page, server)
    held: list[Route] = []
    page.route("**/email", lambda route: held.append(route))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Leave your e-mail address").click()
    page.keyboard.type("mika@kumo.example")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Leave your e-mail address").click()
    expect(page.get_by_role("textbox", name="Your e-mail address")).to_have_value("mika@kumo.example")
    page.keyboard.press("Enter")
    until(page, lambda: bool(held))
    page.get_by_role("button", name="theirs").focus()
    held[0].continue_()
    expect(page.get_by_text("We will write to mika@kumo.example.")).to_be_visible()
    expect(page.get_by_role("button", name="theirs")).to_be_focused()
    assert talk.email == "mika@kumo.example"


def test_a_long_reply_is_read_from_its_beginning_whatever_follows_at_once(visit: Visit, server: Server) -> None:
    page = visit()
    talking(page, server)
    page.evaluate(r"""() => {
      const said = (text) => ({seq: kotae.thread.last + 1, sender: 'bot', body: {type: 'text', text}, created_at: new Date().toISOString()});
      kotae.thread.take([said('the beginning\n\n' + 'a line\n\n'.repeat(60))], false);
      kotae.thread.take([said('and more')], false);
    }""")
    expect(page.get_by_text("the beginning")).to_be_in_viewport()
    expect(page.get_by_role("button", name="New messages")).to_be_visible()
