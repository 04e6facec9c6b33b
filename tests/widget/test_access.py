"""WCAG 2.2 AA, in both themes, both languages and both directions: by axe-core, and by hand where it cannot see."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.widget.conftest import Visit, ask
from tests.widget.server import Server

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
BODIES = ["limit", "unsure", "which", "usage", "start", "human", "aiko", "done", "nps"]
SIZES = {"desk": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}


def check(page: Page) -> None:
    page.evaluate("Promise.all(kotae.shadowRoot.getAnimations().map(one => one.finished))")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def show_everything(page: Page) -> None:
    """One body of each type, and the conversation in every state it draws."""
    page.evaluate("kotae.open()")
    for number, word in enumerate(BODIES):
        page.evaluate("word => kotae.send(word)", word)
        expect(page.locator(".row.customer:not(.waiting)")).to_have_count(number + 1)
    expect(page.locator(".scores")).to_have_count(2)


@pytest.mark.parametrize(
    ("path", "size", "scheme"),
    [("index", "desk", "light"), ("ja", "phone", "dark"), ("rtl", "desk", "dark"), ("rtl", "phone", "light")],
)
def test_axe_finds_nothing(browser: Browser, visit: Visit, server: Server, path: str, size: str, scheme: str) -> None:
    """Launcher, chat with every body, menu, article, search, survey, greeting: zero violations."""
    context = browser.new_context(
        viewport=SIZES[size], color_scheme=scheme, has_touch=size == "phone", reduced_motion="reduce"
    )
    page = visit(f"/site/{path}.html", within=context)
    check(page)
    show_everything(page)
    page.locator(".tool[aria-expanded]").click()
    check(page)
    page.keyboard.press("Escape")
    page.locator(".scores label").first.click()
    page.locator(".thumb").first.click()
    server.refused.add("refused")
    ask(page, "refused")
    expect(page.locator(".state.failed")).to_be_visible()
    check(page)
    page.locator(".card .cite").first.click()
    expect(page.locator(".paper .prose table, .paper .prose strong").first).to_be_visible()
    check(page)
    page.locator(".view:not([hidden]) header .tool").first.click()
    page.locator(".view:not([hidden]) header .tool").first.click()
    page.locator("input[type=search]").fill("limits" if path != "ja" else "上限")
    expect(page.locator(".hits .cite").first).to_be_visible()
    check(page)
    context.close()


def test_the_greeting_is_accessible(visit: Visit) -> None:
    page = visit("/site/greeting.html")
    expect(page.get_by_role("status").filter(has_text="Need a hand?")).to_be_visible()
    check(page)


def focused(page: Page) -> str:
    name: str = page.evaluate("""() => {
      let one = document.activeElement;
      while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
      return one.getAttribute('aria-label') || one.textContent;
    }""")
    return name


def test_everything_is_done_by_keyboard(visit: Visit) -> None:
    """Open, ask, read the article, come back, close: focus goes where the eyes are and returns where it was."""
    page = visit()
    page.get_by_role("link", name="other page").focus()
    page.keyboard.press("Tab")
    assert focused(page) == "Open chat"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Hello! Ask me anything")).to_be_visible()
    assert focused(page) == "Your message"
    page.keyboard.type("limit")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Did this help?")).to_be_visible()
    assert focused(page) == "Your message"
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if focused(page).startswith("Run limits"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Run limits", level=2)).to_be_focused()
    page.keyboard.press("Escape")
    assert focused(page).startswith("Run limits")
    page.keyboard.press("Escape")
    assert focused(page) == "Open chat"
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_pages_own_shortcuts_do_not_hear_what_is_typed(visit: Visit) -> None:
    page = visit()
    page.evaluate("window.heard = []; document.addEventListener('keydown', event => window.heard.push(event.key))")
    page.evaluate("kotae.open()")
    page.keyboard.type("s?/")
    assert page.evaluate("window.heard") == []


def test_on_a_phone_the_panel_is_modal(browser: Browser, visit: Visit) -> None:
    """Full screen there, focus stays inside, and the keyboard does not jump up by itself."""
    context = browser.new_context(viewport=SIZES["phone"], has_touch=True, is_mobile=True, reduced_motion="reduce")
    page = visit(within=context)
    page.get_by_role("button", name="Open chat").tap()
    panel = page.get_by_role("dialog")
    expect(panel).to_be_visible()
    assert panel.bounding_box() == pytest.approx({"x": 0, "y": 0, **SIZES["phone"]}, abs=0.5)
    assert page.evaluate("kotae.shadowRoot.querySelector('dialog').matches(':modal')")
    assert focused(page) == "Orimono" or focused(page) == "Help"
    for _ in range(10):
        page.keyboard.press("Tab")
        assert focused(page) != "theirs"
    context.close()


@pytest.mark.parametrize(("width", "height"), [(640, 430), (320, 480), (320, 256)])
def test_nothing_is_lost_at_two_and_four_times_zoom(browser: Browser, visit: Visit, width: int, height: int) -> None:
    """The sizes a 1280 x 860 and a 1280 x 1024 window have at 200 % and 400 %: no sideways scrolling, everything reachable."""
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=2)
    page = visit(within=context)
    show_everything(page)
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= height
    wide = page.locator(".scroll, .card, header, .compose").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.className)"
    )
    assert wide == []
    expect(page.locator(".compose textarea")).to_be_in_viewport()
    context.close()


def test_every_target_is_large_enough(visit: Visit) -> None:
    """24 by 24 pixels or more (WCAG 2.5.8), links within sentences excepted."""
    page = visit()
    show_everything(page)
    small = (
        page.locator("kotae-chat")
        .locator("button:visible, input:visible, textarea:visible")
        .evaluate_all(
            "all => all.map(one => [one.getBoundingClientRect(), one.outerHTML]).filter(([box]) => Math.min(box.width, box.height) < 24).map(([, html]) => html)"
        )
    )
    assert small == []


def test_new_messages_are_read_out_and_old_ones_are_not(visit: Visit) -> None:
    """The log is a polite live region only once what was said before stands in it."""
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "before")
    expect(page.get_by_text("You said: before")).to_be_visible()
    page.reload()
    page.wait_for_function("kotae.thread.last === 3")
    assert page.evaluate("kotae.shadowRoot.querySelector('[role=log]').ariaLive") == "off"
    page.wait_for_function("kotae.shadowRoot.querySelector('[role=log]').ariaLive === 'polite'")


def test_enter_that_picks_a_word_does_not_send(visit: Visit) -> None:
    """While an input method composes, as for Japanese, Enter belongs to it."""
    page = visit("/site/ja.html")
    page.evaluate("kotae.open()")
    page.locator(".compose textarea").fill("かいぎ")
    page.locator(".compose textarea").evaluate(
        "one => one.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    expect(page.locator(".compose textarea")).to_have_value("かいぎ")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You said: かいぎ")).to_be_visible()


def test_nothing_moves_for_those_who_asked_for_it(browser: Browser, visit: Visit) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = visit(within=context)
    page.evaluate("kotae.open()")
    ask(page, "limit")
    expect(page.get_by_text("Did this help?")).to_be_visible()
    assert page.evaluate("kotae.shadowRoot.getAnimations().length") == 0
    context.close()


def test_it_mirrors_where_the_page_reads_from_the_right(visit: Visit) -> None:
    page = visit("/site/rtl.html")
    launcher = page.get_by_role("button", name="Open chat").bounding_box()
    page.evaluate("kotae.open()")
    panel = page.get_by_role("dialog").bounding_box()
    assert launcher is not None
    assert panel is not None
    assert launcher["x"] < 100
    assert panel["x"] < 100
    ask(page, "مرحبا")
    sent = page.locator(".row.customer:not(.waiting) .bubble")
    expect(sent).to_be_visible()
    mine = sent.bounding_box()
    assert mine is not None
    assert mine["x"] - panel["x"] < panel["x"] + panel["width"] - mine["x"] - mine["width"]


def test_words_read_from_the_left_stay_so_where_the_page_reads_from_the_right(visit: Visit) -> None:
    """The number stands before its unit, and the question mark behind its question."""
    page = visit("/site/rtl.html")
    page.evaluate("kotae.open()")
    ask(page, "usage")
    value = page.get_by_text("46,210 of 50,000")
    expect(value).to_be_visible()
    order = """one => {
      const at = (from, to) => { const range = document.createRange(); range.setStart(one.firstChild, from); range.setEnd(one.firstChild, to); return range.getBoundingClientRect().left; };
      return at(0, 1) < at(one.textContent.length - 1, one.textContent.length);
    }"""
    assert value.evaluate(order)
    label = page.get_by_text("Seats", exact=True)
    one, other = label.bounding_box(), page.get_by_text("12 of 25").bounding_box()
    assert one is not None
    assert other is not None
    assert one["x"] > other["x"]


def test_forced_colours_take_no_meaning_away(browser: Browser, visit: Visit) -> None:
    """How sure an answer is, the choice that was taken and who speaks are to be seen where the reader's own few colours rule."""
    context = browser.new_context(forced_colors="active", locale="en-GB")
    page = visit(within=context)
    page.evaluate("kotae.open()")
    ask(page, "limit")
    dots = page.locator(".dots i")
    expect(dots).to_have_count(3)
    ground = "it => getComputedStyle(it).backgroundColor"
    paper = page.locator(".card").first.evaluate(ground)
    assert [one.evaluate(ground) == paper for one in dots.all()] == [False, False, False]
    for bubble in page.locator(".bubble").all():
        assert bubble.evaluate("it => parseFloat(getComputedStyle(it).borderTopWidth)") >= 1
    context.close()
