"""Talking, in a real browser."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import BrowserContext, expect

from api.widget import SCRIPT, served
from tests.widget.conftest import Visit, ask, said, talk_of
from tests.widget.server import Server

pytestmark = pytest.mark.browser

LIMIT = 25_000
"""Bytes of the widget on the wire, gzipped."""


def test_a_question_is_answered_with_a_quote_and_its_article(visit: Visit) -> None:
    """A click, a question, and the answer stands there with where it is from; the article opens inside the panel."""
    page = visit()
    page.get_by_role("button", name="Open chat").click()
    panel = page.get_by_role("dialog", name="Chat with Orimono")
    expect(panel.get_by_text("Hello! Ask me anything")).to_be_visible()

    ask(page, "What about my limit?")

    log = panel.get_by_role("log")
    expect(log.get_by_text("Very likely your answer")).to_be_visible()
    expect(log.locator("blockquote strong")).to_have_text("monthly runs")
    log.get_by_role("button", name="Run limits").click()
    expect(panel.get_by_role("heading", name="Run limits", level=2)).to_be_focused()
    expect(panel.get_by_role("cell", name="50,000")).to_be_visible()
    page.keyboard.press("Escape")
    expect(log.get_by_role("button", name="Run limits")).to_be_focused()


def test_the_conversation_is_there_after_a_reload(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "first")
    expect(page.get_by_text("You said: first")).to_be_visible()
    page.reload()
    page.evaluate("kotae.open()")
    expect(page.get_by_text("You said: first")).to_be_visible()
    assert [one["seq"] for one in said(page)] == [1, 2, 3]
    assert len(talk_of(page, server).log) == 3


def test_a_choice_is_taken_once(visit: Visit, server: Server) -> None:
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "which?")
    page.get_by_role("button", name="What I have used").click()
    expect(page.get_by_text("46,210 of 50,000")).to_be_visible()
    expect(page.get_by_role("button", name="What I have used")).to_be_disabled()
    expect(page.get_by_role("meter", name="Runs")).to_have_attribute("aria-valuetext", "92% used")


def test_nothing_in_a_message_becomes_code(visit: Visit) -> None:
    """Markup in a message stays text, and so it does in an article."""
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "evil")
    bubble = page.locator(".row.bot .bubble").last
    expect(bubble).to_contain_text('<img src=x onerror="window.hurt=1">')
    assert bubble.locator("a").evaluate_all("all => all.map(a => a.href)") == ["https://orimono.example/a_(b)"]
    ask(page, "limit")
    page.get_by_role("button", name="Run limits").click()
    expect(page.get_by_role("heading", name="When you reach the limit")).to_be_visible()
    assert page.locator(".paper").locator("script, iframe, [onclick], [onerror], [style]").count() == 0
    assert page.evaluate("window.hurt") is None


def test_the_file_in_the_repository_runs_as_it_is(context: BrowserContext, visit: Visit) -> None:
    """What is served differs from it in comments, white space and its own names alone: no build step stands between."""
    context.route("**/widget.js", lambda route: route.fulfill(path=SCRIPT, content_type="text/javascript"))
    page = visit()
    page.evaluate("kotae.open()")
    ask(page, "limit")
    expect(page.get_by_text("Very likely your answer")).to_be_visible()


def test_it_is_small() -> None:
    assert len(gzip.compress(served(), 9)) <= LIMIT
