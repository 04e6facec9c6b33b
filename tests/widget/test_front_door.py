"""The widget and the product's own front door, on the real database: both logs stay the same through a storm.

No bot runs here, so each turn fails and the customer is told so; what is tested is that all of it arrives.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from api.identity import sign
from conversations import log
from conversations.bodies import Body, Survey, Text
from conversations.models import Feedback
from kit.clock import now
from kit.database import Database
from kit.settings import Settings
from tests.widget.conftest import QUICK, ask, bubbles
from tests.widget.front_door import FrontDoor, add_customer
from tests.widget.server import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def front_door(settings: Settings, database_url: str) -> Iterator[FrontDoor]:
    with ThreadPoolExecutor(1) as elsewhere:  # playwright's loop runs in this thread
        elsewhere.submit(asyncio.run, add_customer(database_url)).result()
    door = FrontDoor(settings, database_url)
    door.start()
    yield door
    door.stop()


class Storm:
    """Stands between the page's socket and the server's: drops, doubles, and swaps a frame with the next."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.frames = 0
        self.calm = False

    def between(self, socket: WebSocketRoute) -> None:
        """Routes one socket."""
        server = socket.connect_to_server()
        self._through(socket, server)
        self._through(server, socket)

    def _through(self, source: WebSocketRoute, target: WebSocketRoute) -> None:
        held: list[str | bytes] = []

        def pass_on(frame: str | bytes) -> None:
            self.frames += 1
            luck = 1.0 if self.calm else self.dice.random()
            if luck < 0.15:
                return
            if luck < 0.35:
                held.append(frame)
                return
            for one in (frame, *held, *([frame] if luck < 0.5 else [])):
                target.send(one)
            held.clear()

        source.on_message(pass_on)


def until(page: Page, holds: str | Callable[[], bool], seconds: float = 60) -> None:
    """Lets the page run until something holds; `wait_for_function` would need an eval that the site's policy forbids."""
    end = time.monotonic() + seconds
    while not (page.evaluate(holds) if isinstance(holds, str) else holds()):
        assert time.monotonic() < end, f"it did not come about: {holds}"
        page.wait_for_timeout(50)


def visit(browser: Browser, url: str, storm: Storm | None = None) -> Page:
    page = browser.new_context(locale="en-GB").new_page()
    if storm:
        page.route_web_socket("**/stream*", storm.between)
    page.goto(f"{url}/demo/")
    until(page, "Boolean(window.kotae?.thread)")
    page.evaluate("async quick => Object.assign((await import('/widget.js')).TIMING, quick)", QUICK)
    page.evaluate("kotae.open()")
    until(page, "kotae.thread.last > 0")
    return page


def server_log(page: Page, url: str) -> list[tuple[int, str, str]]:
    state = page.evaluate("kotae.thread.state")
    answer = httpx.get(
        f"{url}/v1/conversations/{state['conversation_id']}/messages",
        headers={"Authorization": f"Bearer {state['token']}"},
    )
    return [(one["seq"], one["sender"], one["body"]["text"]) for one in answer.json()["messages"]]


def widget_log(page: Page) -> list[tuple[int, str, str]]:
    return [tuple(one) for one in page.evaluate("kotae.thread.log.map(one => [one.seq, one.sender, one.body.text])")]


@pytest.mark.parametrize("seed", [11])
def test_both_logs_are_the_same_after_a_storm(browser: Browser, front_door: FrontDoor, seed: int) -> None:
    """Twelve messages through a line that loses a third: each is there once, in order, on both sides, with what answered it."""
    storm = Storm(seed)
    page = visit(browser, front_door.url, storm)
    mine = [f"question {n}" for n in range(12)]
    for text in mine:
        page.evaluate("text => kotae.send(text)", text)
        page.wait_for_timeout(40)
    until(page, "kotae.thread.outbox.length === 0")
    storm.calm = True
    page.evaluate("kotae.thread.drop(); kotae.thread.soon(0)")
    until(page, lambda: len(server_log(page, front_door.url)) >= 1 + 2 * len(mine))  # each was answered
    until(page, lambda: widget_log(page) == server_log(page, front_door.url))
    there = server_log(page, front_door.url)
    assert [text for _, sender, text in there if sender == "customer"] == mine
    assert bubbles(page, "customer") == mine
    assert storm.frames > 30
    page.context.close()


def test_nothing_is_lost_when_the_front_door_is_killed(browser: Browser, front_door: FrontDoor) -> None:
    """Killed while messages are on their way, and started again: each is there once, in order, and answered."""
    page = visit(browser, front_door.url)
    mine = [f"message {n}" for n in range(8)]
    for text in mine:
        page.evaluate("text => kotae.send(text)", text)
        if text == "message 3":
            front_door.stop(signal.SIGKILL)
    expect(page.locator(".row.waiting").last).to_contain_text("message 7")
    front_door.start()
    until(page, "kotae.thread.outbox.length === 0")
    until(page, lambda: len(server_log(page, front_door.url)) >= 1 + 2 * len(mine))
    until(page, lambda: widget_log(page) == server_log(page, front_door.url))
    assert bubbles(page, "customer") == mine
    page.context.close()


def test_a_person_goes_on_with_the_same_conversation_on_another_device(browser: Browser, front_door: FrontDoor) -> None:
    """A visitor, then known, then the same person elsewhere: one thread, by the real identity check."""
    who = {"account_id": "widget-acme", "person_id": "widget-amy"}
    token = httpx.post(f"{front_door.url}/demo/token", json=who).json()["token"]
    desk = visit(browser, front_door.url)
    ask(desk, "as a visitor")
    until(desk, "kotae.thread.outbox.length === 0")
    desk.evaluate("token => kotae.identify(token)", token)
    until(desk, "kotae.thread.known && kotae.thread.status === 'online'")
    ask(desk, "as myself")
    expect(desk.locator(".row.customer:not(.waiting)")).to_have_count(2)
    phone = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    phone.goto(f"{front_door.url}/demo/")
    until(phone, "Boolean(window.kotae?.thread)")
    phone.evaluate("token => kotae.identify(token)", token)
    phone.evaluate("kotae.open()")
    expect(phone.get_by_role("log").get_by_text("as a visitor")).to_be_visible()
    assert desk.evaluate("kotae.thread.state.conversation_id") == phone.evaluate("kotae.thread.state.conversation_id")
    for page in (desk, phone):
        page.context.close()


def test_a_proof_that_ends_is_renewed_without_a_break(
    browser: Browser, front_door: FrontDoor, settings: Settings
) -> None:
    """The identity token of seconds ends, and with it the conversation's: the page's function gives another, the same thread goes on,
    and what is shown was never taken away."""
    page = visit(browser, front_door.url)
    short, fresh = (
        sign(settings, "widget-acme", "widget-amy", now(), timedelta(seconds=seconds)) for seconds in (4, 3600)
    )
    page.evaluate("kotae.logout()")
    page.evaluate(
        """([short, fresh]) => {
      window.asked = 0;
      return kotae.identify(() => { window.asked += 1; return window.asked === 1 ? short : fresh; });
    }""",
        [short, fresh],
    )
    page.evaluate("kotae.open()")
    until(page, "kotae.thread.status === 'online'")
    ask(page, "before it ends")
    until(page, "kotae.thread.outbox.length === 0")
    conversation = page.evaluate("kotae.thread.state.conversation_id")
    page.evaluate(
        """() => {
      window.emptied = 0;
      const log = kotae.ui.log;
      new MutationObserver(() => { if (!log.isConnected || !log.firstChild) window.emptied += 1; }).observe(kotae.shadowRoot, {childList: true, subtree: true});
    }"""
    )
    until(page, "window.asked === 2 && kotae.thread.status === 'online'")
    ask(page, "and after")
    until(page, "kotae.thread.outbox.length === 0")
    assert page.evaluate("kotae.thread.state.conversation_id") == conversation
    assert page.evaluate("window.emptied") == 0
    until(page, lambda: widget_log(page) == server_log(page, front_door.url))
    assert bubbles(page, "customer")[-2:] == ["before it ends", "and after"]
    page.context.close()


EMBED = """src => {
  window.errors = [];
  addEventListener('error', (event) => errors.push(event.message));
  const script = document.createElement('script');
  Object.assign(script, {type: 'module', src});
  script.addEventListener('error', () => { window.refused = true; });
  document.body.append(script);
}"""


def test_only_allowed_websites_can_embed_it(
    browser: Browser, started: tuple[str, Server], settings: Settings, database_url: str
) -> None:
    """One line on a page of another origin: where it is named in the settings the chat talks by REST and socket, elsewhere nothing begins
    and the page is whole."""
    site, _ = started
    door = FrontDoor(settings, database_url, KOTAE_ALLOWED_ORIGINS=json.dumps([site]))
    door.start()
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{site}/site/bare.html")
    page.evaluate(EMBED, f"{door.url}/widget.js")
    until(page, "Boolean(window.kotae?.thread)")
    page.evaluate("kotae.open()")
    ask(page, "from another website")
    until(page, "kotae.thread.outbox.length === 0 && kotae.thread.status === 'online'")
    expect(page.get_by_role("log").get_by_text("from another website")).to_be_visible()

    stranger = browser.new_context(locale="en-GB").new_page()
    stranger.goto(f"{site.replace('127.0.0.1', 'localhost')}/site/bare.html")
    stranger.evaluate(EMBED, f"{door.url}/widget.js")
    until(stranger, "window.refused === true")
    assert stranger.evaluate("[errors, typeof window.kotae]") == [[], "undefined"]
    expect(stranger.get_by_role("button", name="theirs")).to_be_visible()
    for one in (page, stranger):
        one.context.close()
    door.stop()


def conversation_of(database_url: str, texts: list[str], *bodies: Body) -> tuple[str, str]:
    """A conversation in which a CSM said these, with a token that opens it."""

    async def made() -> tuple[str, str]:
        database = Database(database_url)
        async with database.begin() as session:
            conversation = (await log.start(session, lang="en", now=now())).id
            for body in (*(Text(text=text) for text in texts), *bodies):
                await log.append(session, conversation, "csm", body, now(), name="Dana")
            token = await log.mint_token(session, conversation, now() + timedelta(days=7))
        await database.close()
        return conversation, token

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, made()).result()


def test_a_long_conversation_is_there_whole(browser: Browser, front_door: FrontDoor, database_url: str) -> None:
    """More messages than one answer of the server holds: all of them, in order, at their end."""
    texts = [f"message {n}" for n in range(620)]
    conversation, token = conversation_of(database_url, texts)
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{front_door.url}/conversation#{conversation}:{token}")
    expect(page.get_by_text("message 619", exact=True)).to_be_in_viewport()
    assert bubbles(page, "csm") == texts
    page.context.close()


def test_a_rating_reaches_the_product(browser: Browser, front_door: FrontDoor, database_url: str) -> None:
    """Given in the widget, it stands beside the message that asked; the server's answer takes it out of what is kept in the browser."""
    asked = Survey(survey="csat", text="How was it?", low=1, high=5)
    conversation, token = conversation_of(database_url, ["Solved."], asked)
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{front_door.url}/conversation#{conversation}:{token}")
    page.get_by_role("radio", name="4 of 5").check(force=True)
    page.get_by_role("textbox", name="Anything to add?").fill("Quick and kind")
    page.get_by_role("button", name="Send rating").click()
    until(page, "document.querySelector('kotae-chat').thread.keep.names('give:').length === 0")

    async def kept() -> tuple[int | None, str | None]:
        database = Database(database_url)
        async with database.begin() as session:
            found = await session.get(Feedback, (conversation, 2))
        await database.close()
        assert found is not None
        return found.score, found.comment

    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(asyncio.run, kept()).result() == (4, "Quick and kind")
    page.context.close()


def test_a_link_in_an_email_opens_the_conversation_again(
    browser: Browser, front_door: FrontDoor, database_url: str
) -> None:
    """On a device that has never seen it; the token is gone from the address at once, and a wrong one opens nothing."""

    conversation, token = conversation_of(database_url, ["Your invoice is mended."])
    for right in (True, False):
        page = browser.new_context(locale="en-GB").new_page()
        page.goto(f"{front_door.url}/conversation#{conversation}:{token if right else token[::-1]}")
        until(page, "Boolean(window.kotae?.thread) || Boolean(document.querySelector('kotae-chat')?.thread)")
        assert "#" not in page.url
        if right:
            expect(page.get_by_text("Your invoice is mended.")).to_be_visible()
        else:
            until(page, "document.querySelector('kotae-chat').thread.state?.conversation_id !== " + repr(conversation))
            expect(page.get_by_text("Your invoice is mended.")).to_have_count(0)
        page.context.close()
