"""A real browser, a real server, and pages that carry the widget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support import BROWSER_FLAGS, chromium
from tests.widget.server import Server, Weather, running

QUICK = {
    "ping": 700,
    "pong": 600,
    "ack": 250,
    "reply": 600,
    "gap": 40,
    "retry": 60,
    "retryMax": 250,
    "poll": 120,
    "open": 800,
}
"""Timings of the widget, shortened so that minutes of a bad network fit in seconds."""


# The browser lives for a module: while playwright's synchronous interface is open, no asynchronous test can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=BROWSER_FLAGS)
        yield made
        made.close()


WIDGET = '<script type="module" src="/widget.js" {attributes}></script>'
PAGE = """<!doctype html><html lang="{lang}" dir="{dir}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A page</title>{head}</head>
<body><main><h1>A page</h1><p><button>theirs</button> <a href="other.html">other page</a></p></main>{body}</body></html>"""
STRICT = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; connect-src 'self';
style-src 'self'; require-trusted-types-for 'script'; trusted-types kotae; base-uri 'none'; form-action 'none'">"""
HOSTILE = """<style>* { letter-spacing: 3px !important; text-transform: uppercase; font-size: 40px } body { direction: ltr; line-height: 4;
visibility: visible; cursor: wait; text-align: center } button, dialog, div { display: none !important; position: static !important }</style>"""


def page(*, lang: str = "en", dir: str = "ltr", head: str = "", body: str | None = None, attributes: str = "") -> str:
    """A page of some company, with the widget unless `body` says otherwise."""
    script = WIDGET.format(attributes=attributes)
    return PAGE.format(lang=lang, dir=dir, head=head, body=script if body is None else body)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of some company."""
    folder = tmp_path_factory.mktemp("site")
    placed = '<kotae-chat lang="ja" position="start" theme="dark" no-launcher></kotae-chat>'
    pages = {
        "index": page(),
        "other": page(),
        "ja": page(lang="ja"),
        "rtl": page(dir="rtl"),
        "strict": page(head=STRICT),
        "hostile": page(head=HOSTILE),
        "bare": page(body=""),
        "placed": page(body=placed + WIDGET.format(attributes="") * 2),
        "greeting": page(attributes='data-greeting="Need a hand?" data-greeting-after="0"'),
        "elsewhere": page(attributes='data-server="http://127.0.0.1:9/"'),
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def started(site: Path) -> Iterator[tuple[str, Server]]:
    with running(site=site) as made:
        yield made


@pytest.fixture
def server(started: tuple[str, Server]) -> Iterator[Server]:
    """The server in fair weather. Conversations of other tests are no concern of this one's."""
    server = started[1]
    server.weather, server.answers, server.limit_next = Weather(), True, 0
    server.refused.clear()
    yield server
    server.weather = Weather()


@pytest.fixture
def url(started: tuple[str, Server]) -> str:
    return started[0]


Visit = Callable[..., Page]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
    yield made
    made.close()


@pytest.fixture
def visit(context: BrowserContext, url: str, server: Server) -> Iterator[Visit]:
    """Opens a page with the widget on it; what the page threw fails the test."""
    thrown: list[str] = []

    def go(
        path: str = "/site/index.html", *, within: BrowserContext | None = None, quick: bool = True, widget: bool = True
    ) -> Page:
        page = (within or context).new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(url + path)
        if widget:
            page.wait_for_function("window.kotae?.thread")
        if quick:
            page.evaluate("async timing => Object.assign((await import('/widget.js')).TIMING, timing)", QUICK)
        return page

    yield go
    assert not thrown


def until(page: Page, true: Callable[[], bool], seconds: float = 40) -> None:
    """Lets the page run until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        page.wait_for_timeout(50)


def ask(page: Page, text: str) -> None:
    """Types a message and sends it."""
    page.locator(".compose textarea").fill(text)
    page.keyboard.press("Enter")


def bubbles(page: Page, sender: str = "") -> list[str]:
    """What stands in the log, in the order in which it stands there."""
    rows = page.locator(f".log .row{'.' + sender if sender else ''}:not(.waiting) .bubble")
    texts: list[str] = rows.evaluate_all("all => all.map(one => one.textContent.trim())")
    return texts


def said(page: Page) -> list[dict[str, Any]]:
    """The log as the widget holds it."""
    log: list[dict[str, Any]] = page.evaluate("kotae.thread.log.map(({seq, sender, body}) => ({seq, sender, body}))")
    return log


def talk_of(page: Page, server: Server) -> Any:
    """The server's side of this page's conversation."""
    return server.talks[page.evaluate("kotae.thread.state.conversation_id")]
