"""On other people's pages: strict policies, hostile styles, a page's own code, and everything beside the talk itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.widget.conftest import Visit, ask, talk_of, until
from tests.widget.server import Server

pytestmark = pytest.mark.browser


def test_it_works_behind_a_strict_content_security_policy(context: BrowserContext, visit: Visit) -> None:
    """No inline script or style, Trusted Types required: the chat, its bars and its article view work, nothing is reported."""
    context.add_init_script(
        "window.reports = []; addEventListener('securitypolicyviolation', event => reports.push(event.violatedDirective + ' ' + event.blockedURI))"
    )
    page = visit("/site/strict.html")
    page.evaluate("kotae.open()")
    ask(page, "usage")
    bar = page.locator(".facts .bar i").first
    expect(bar).to_be_visible()
    assert bar.evaluate("one => one.getBoundingClientRect().width / one.parentElement.clientWidth") == pytest.approx(
        0.924, abs=0.02
    )
    assert page.get_by_role("dialog").evaluate("one => getComputedStyle(one).position") == "fixed"
    ask(page, "calm article")
    page.get_by_role("button", name="Plans and limits").click()
    expect(page.locator(".paper .prose")).to_have_text("Four plans.")
    assert page.evaluate("window.reports") == []


def test_the_pages_styles_do_not_reach_in(visit: Visit) -> None:
    page = visit("/site/hostile.html")
    launcher = page.locator(".launcher")
    expect(launcher).to_be_visible()
    launcher.click()
    ask(page, "hello")
    bubble = page.get_by_text("You said: hello")
    expect(bubble).to_be_visible()
    style = bubble.evaluate(
        "one => { const s = getComputedStyle(one); return [s.textTransform, s.letterSpacing, s.fontSize, s.textAlign] }"
    )
    assert style == ["none", "normal", "15px", "start"]


def test_a_failure_inside_leaves_the_page_whole(context: BrowserContext, visit: Visit, server: Server) -> None:
    """A listener of the page that throws, a server that is not there, a browser without what is needed: no error escapes."""
    context.add_init_script(
        "window.errors = []; addEventListener('error', e => errors.push(e.message)); addEventListener('unhandledrejection', e => errors.push(String(e.reason)))"
    )
    page = visit()
    page.evaluate("void kotae.on('message', () => { throw new Error('the page is wrong') })")
    page.evaluate("kotae.open()")
    ask(page, "hello")
    expect(page.get_by_text("You said: hello")).to_be_visible()
    away = visit("/site/elsewhere.html")
    away.evaluate("kotae.open()")
    ask(away, "anybody?")
    expect(away.locator(".row.waiting")).to_contain_text("anybody?")
    for one in (page, away):
        assert one.evaluate("window.errors") == []


def test_a_browser_that_is_too_old_shows_the_page_without_a_chat(browser: Browser, url: str) -> None:
    context = browser.new_context()
    context.add_init_script(
        "delete CSSStyleSheet.prototype.replaceSync; window.errors = []; addEventListener('error', e => errors.push(e.message))"
    )
    page = context.new_page()
    page.goto(f"{url}/site/index.html")
    expect(page.get_by_role("heading", name="A page")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.errors") == []
    context.close()


def test_the_element_can_be_placed_by_the_page(visit: Visit) -> None:
    """With attributes of its own, and loaded twice without harm."""
    page = visit("/site/placed.html")
    assert page.locator("kotae-chat").count() == 1
    expect(page.locator(".launcher")).to_be_hidden()
    page.evaluate("kotae.open()")
    panel = page.get_by_role("dialog", name="Orimonoのチャット")
    box = panel.bounding_box()
    assert box is not None
    assert box["x"] < 100
    assert panel.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(20, 24, 31)"


def test_the_page_chooses_colours_and_shape(visit: Visit) -> None:
    """By CSS custom properties, which go through the shadow root, and through a `part`."""
    page = visit()
    page.add_style_tag(
        content="kotae-chat { --kotae-ink: #0b5d4a; --kotae-radius: 3px; --kotae-side: 50px; --kotae-font: monospace } kotae-chat::part(launcher) { border-radius: 4px }"
    )
    launcher = page.locator(".launcher")
    style = "one => { const s = getComputedStyle(one); return [s.backgroundColor, s.right, s.borderRadius] }"
    assert launcher.evaluate(style) == ["rgb(11, 93, 74)", "50px", "4px"]
    page.evaluate("kotae.open()")
    assert page.get_by_role("dialog").evaluate("one => getComputedStyle(one).borderRadius") == "3px"
    assert page.locator(".compose textarea").evaluate("one => getComputedStyle(one).fontFamily") == "monospace"


def test_the_guide_names_all_there_is(root: Path) -> None:
    """Events, attributes and custom properties of `docs/embedding.md` are those of the code, no more and no fewer."""
    code = (root / "api/widget/widget.js").read_text("utf-8")
    guide = (root / "docs/embedding.md").read_text("utf-8")
    fired = set(re.findall(r"this\.fire\('([\w-]+)'", code)) | {"status", "holder", "identity-expired"}
    events = guide.split("## Events")[1].split("For your analytics")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?) \|", events, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
    }
    assert told == fired
    attributes = guide.split("## Attributes")[1].split("##")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", attributes, re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    used = set(re.findall(r"(?:get|has)Attribute\('([\w-]+)'\)", code.split("export class KotaeChat")[1]))
    used |= set(re.findall(r":host\(\[(\w+)=", code)) | {"manual"}
    assert named == used
    assert set(re.findall(r"(--kotae-[\w-]+):", guide)) == set(re.findall(r"var\((--kotae-[\w-]+)", code))


def test_the_page_hears_of_what_happens(visit: Visit) -> None:
    """By `on`, and as DOM events that its analytics can catch at the document."""
    page = visit()
    page.evaluate("""() => {
      window.heard = [];
      for (const name of ['open', 'send', 'message', 'feedback', 'article', 'close', 'unread'])
        document.addEventListener('kotae:' + name, event => heard.push([name, event.detail]));
      window.off = kotae.on('message', one => heard.push(['on', one.body.type]));
    }""")
    page.evaluate("kotae.open()")
    ask(page, "limit")
    page.get_by_role("button", name="Yes, this helped").click()
    page.get_by_role("button", name="Run limits").click()
    page.evaluate("window.off(); kotae.close()")
    heard = page.evaluate("window.heard")
    names = [name for name, _ in heard]
    assert [one for one in names if one != "unread"] == [
        "open",
        "send",
        "on",
        "message",
        "feedback",
        "article",
        "close",
    ]
    assert ["feedback", {"seq": 3, "helpful": True}] in heard
    assert ["on", "answer"] in heard


def test_unread_messages_are_counted_until_seen(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    page.wait_for_function("kotae.thread.status === 'online'")
    talk = talk_of(page, server)
    page.evaluate("kotae.close()")
    for text in ("one", "two"):
        server.do(server.say(talk, "csm", {"type": "text", "text": text}, name="Aiko"))
    launcher = page.get_by_role("button", name="Open chat, 2 unread")
    expect(launcher).to_be_visible()
    expect(page.locator(".badge")).to_have_text("2")
    page.reload()
    expect(launcher).to_be_visible()
    launcher.click()
    expect(page.locator(".badge")).to_be_hidden()
    page.evaluate("kotae.close()")
    expect(page.get_by_role("button", name="Open chat", exact=True)).to_be_visible()
    assert {"type": "read", "seq": 3} in talk.told


def test_reading_marks_and_typing_are_shown(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    server.answers = False
    ask(page, "hello")
    expect(page.locator(".row.customer .state")).to_have_text("Sent")
    talk = talk_of(page, server)
    server.do(server.publish(talk, {"type": "typing", "who": "csm", "name": "Aiko"}))
    expect(page.get_by_text("Aiko is typing")).to_be_visible()
    server.do(server.publish(talk, {"type": "read", "seq": 2}))
    expect(page.locator(".row.customer .state")).to_have_text("Read")
    server.do(server.say(talk, "csm", {"type": "text", "text": "Hi"}, name="Aiko"))
    expect(page.get_by_text("Aiko is typing")).to_be_hidden()
    talk.told.clear()
    page.keyboard.type("I am typing")
    until(page, lambda: [one["type"] for one in talk.told if one["type"] == "typing"] == ["typing"])


def test_typing_begun_before_the_line_opens_is_told_when_it_does(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "hello")
    expect(page.get_by_text("You said: hello")).to_be_visible()
    talk = talk_of(page, server)
    talk.told.clear()
    server.lines.clear()
    page.reload()
    page.wait_for_function("window.kotae?.thread")
    page.evaluate("kotae.open()")
    expect(page.get_by_text("You said: hello")).to_be_visible()
    page.get_by_role("textbox", name="Your message").type("I am typing")
    assert not talk.told
    server.loop.call_soon_threadsafe(server.lines.set)
    until(page, lambda: {"type": "typing"} in talk.told)


def test_one_sees_who_one_talks_with(visit: Visit) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    expect(page.locator("header .soft").first).to_have_text("Answers from our articles")
    ask(page, "aiko please")
    expect(page.locator("header .soft").first).to_have_text("You are talking with Aiko")
    page.reload()
    page.evaluate("kotae.open()")
    expect(page.locator("header .soft").first).to_have_text("You are talking with Aiko")
    ask(page, "done")
    expect(page.locator("header .soft").first).to_have_text("Answers from our articles")


@pytest.mark.parametrize(
    ("locale", "clock"), [("en-GB", r"\d{1,2}:\d\d"), ("en-US", r"\d{1,2}:\d\d.[AP]M"), ("ja-JP", r"\d{1,2}:\d\d")]
)
def test_a_time_is_written_as_the_browser_writes_it(browser: Browser, visit: Visit, locale: str, clock: str) -> None:
    """And the expected one names its zone: the words beside it may name the same hour in the company's."""
    context = browser.new_context(locale=locale, timezone_id="Europe/Berlin")
    page = visit(within=context)
    page.evaluate("kotae.setAttribute('lang', navigator.language.slice(0, 2)); kotae.open()")
    ask(page, "a human please")
    expect(page.locator(".handover .soft").first).to_have_text(re.compile(rf"(^|\s){clock} ?(GMT\+|CES?T)"))
    expect(page.locator(".row.bot time").first).to_have_text(re.compile(rf"^{clock}$"))
    context.close()


def test_a_visitor_leaves_an_address(visit: Visit, server: Server) -> None:
    """Asked for where a person is to answer; a wrong one is said to be wrong."""
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "a human please")
    field = page.get_by_role("textbox", name="Your e-mail address")
    field.fill("nobody")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Leave your e-mail address").click()
    expect(field).to_have_count(1)  # the one that is open, with its words in it
    expect(field).to_be_focused()
    expect(field).to_have_value("nobody")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Please check the address.")).to_be_visible()
    field.fill("mika@kumo.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("We will write to mika@kumo.example.")).to_be_visible()
    assert talk_of(page, server).email == "mika@kumo.example"
    ask(page, "a human again")
    expect(page.get_by_text("Passed on to a person")).to_have_count(2)
    expect(field).to_have_count(0)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Leave your e-mail address").click()
    expect(field).to_be_focused()


def test_a_conversation_is_rated_once(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "done")
    page.get_by_role("radio", name="4 of 5").check(force=True)
    page.get_by_role("textbox", name="Anything to add? (optional)").fill("Quick")
    page.get_by_role("button", name="Send rating").click()
    expect(page.get_by_text("Thank you for your rating.")).to_be_focused()
    page.reload()
    page.evaluate("kotae.open()")
    expect(page.get_by_text("Thank you for your rating.")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    assert {"type": "survey", "seq": 4, "score": 4, "comment": "Quick"} in talk_of(page, server).told


def test_help_is_searched_without_chatting(visit: Visit) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    page.get_by_role("button", name="Search the help articles").last.click()
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.get_by_text("Type a few words.")).to_be_visible()
    page.keyboard.type("limits")
    expect(page.get_by_text("Articles found: 2")).to_be_visible()
    page.get_by_role("button", name="Plans and limits").click()
    expect(page.get_by_text("Four plans.")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Plans and limits")).to_be_focused()
    page.get_by_role("searchbox").fill("zzz")
    expect(page.get_by_text("Nothing found.", exact=False)).to_be_visible()
    page.get_by_role("button", name="Ask this in the chat").click()
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    expect(page.get_by_role("textbox", name="Your message")).to_have_value("zzz")


def test_the_conversation_can_be_kept(visit: Visit) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    for word in ("limit", "usage", "start"):
        ask(page, word)
    expect(page.locator(".steps")).to_be_visible()
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this conversation").click()
    assert re.fullmatch(r"orimono-\d{4}-\d\d-\d\d\.txt", download.value.suggested_filename)
    text = download.value.path().read_text("utf-8")
    for line in (
        "] Assistant\n",
        "] You\nlimit\n",
        "From: Run limits <https://help.orimono.example/en/run-limits>",
        "- Runs: 46,210 of 50,000",
        "[x] Invite your team",
    ):
        assert line in text


def test_files_are_not_taken_and_it_says_so(visit: Visit) -> None:
    page = visit()
    page.evaluate("""() => {
      kotae.open();
      const files = new DataTransfer();
      files.items.add(new File(['x'], 'x.png'));
      document.querySelector('kotae-chat').shadowRoot.querySelector('dialog')
        .dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}));
    }""")
    # The greeting that arrives meanwhile does not take it away before it was read.
    expect(page.get_by_text("Ask me anything about")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text("Files cannot be sent in this chat.")
    page.keyboard.type("ok")
    expect(page.locator(".hint")).to_be_hidden()


def test_a_message_that_is_too_long_is_not_sent(visit: Visit) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    page.locator(".compose textarea").fill("x" * 4012)
    expect(page.get_by_role("alert")).to_have_text("12 characters too long")
    page.keyboard.press("Enter")
    assert page.evaluate("kotae.thread.outbox.length") == 0


def test_sound_is_off_until_wanted(context: BrowserContext, visit: Visit, server: Server) -> None:
    context.add_init_script(
        "window.played = 0; const Real = AudioContext; window.AudioContext = class extends Real { constructor() { super(); window.played += 1 } }"
    )
    page = visit()
    page.evaluate("kotae.open()")
    page.wait_for_function("kotae.thread.status === 'online'")
    talk = talk_of(page, server)
    page.evaluate("kotae.close()")
    server.do(server.say(talk, "csm", {"type": "text", "text": "one"}, name="Aiko"))
    expect(page.locator(".badge")).to_have_text("1")
    assert page.evaluate("window.played") == 0
    page.evaluate("kotae.open()")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Sound for new messages").click()
    page.evaluate("kotae.close()")
    server.do(server.say(talk, "csm", {"type": "text", "text": "two"}, name="Aiko"))
    expect(page.locator(".badge")).to_have_text("1")
    assert page.evaluate("window.played") == 2  # a sample when it was switched on, and this message


def test_a_greeting_appears_once(visit: Visit) -> None:
    page = visit("/site/greeting.html")
    greeting = page.locator(".greeting")
    expect(greeting).to_contain_text("Need a hand?")
    page.get_by_role("button", name="Dismiss").click()
    expect(greeting).to_have_count(0)
    page.reload()
    page.wait_for_timeout(400)
    expect(greeting).to_have_count(0)


def test_a_page_that_is_only_looked_at_asks_nothing_of_the_server(context: BrowserContext, visit: Visit) -> None:
    """Until somebody opens the chat there is no conversation and no request."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = visit()
    page.wait_for_timeout(400)
    assert [one for one in asked if "/v1/" in one] == []
    assert page.evaluate("Object.keys(localStorage)") == []


def test_reading_position_is_kept_when_something_arrives(visit: Visit, server: Server) -> None:
    """Who has scrolled up stays there, and is told that there is more below."""
    page = visit()
    page.evaluate("kotae.open()")
    for word in ("limit", "usage", "start"):
        ask(page, word)
    expect(page.locator(".steps")).to_be_visible()
    scroll = page.locator(".view:not([hidden]) .scroll")
    scroll.evaluate("one => { one.scrollTop = 40 }")
    page.wait_for_function("kotae.stuck === false")
    server.do(server.say(talk_of(page, server), "csm", {"type": "text", "text": "news"}, name="Aiko"))
    more = page.get_by_role("button", name="New messages")
    expect(more).to_be_visible()
    assert scroll.evaluate("one => one.scrollTop") == 40
    more.click()
    expect(page.get_by_text("news", exact=True)).to_be_in_viewport()
    expect(more).to_be_hidden()
