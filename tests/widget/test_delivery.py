"""Nothing lost, nothing doubled, nothing out of order, whatever the network does."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.widget.conftest import QUICK, Visit, ask, bubbles, said, talk_of, until
from tests.widget.server import Server, Talk, Weather

pytestmark = pytest.mark.browser

WIDGET_LOG = "kotae.thread.log.map(one => [one.seq, one.sender, one.body.text])"


def log_of(talk: Talk) -> list[list[object]]:
    return [[one.seq, one.sender, getattr(one.body, "text", None)] for one in talk.log]


def open_talk(page: Page, server: Server) -> Talk:
    page.evaluate("kotae.open()")
    page.wait_for_function("kotae.thread.status === 'online' || kotae.thread.status === 'polling'")
    talk: Talk = talk_of(page, server)
    return talk


@pytest.mark.parametrize("seed", [1, 2])
def test_both_logs_are_the_same_after_a_storm(visit: Visit, server: Server, seed: int) -> None:
    """Frames are dropped, doubled, delayed past each other and the line is cut while both sides talk; then a reload on top."""
    page = visit()
    talk = open_talk(page, server)
    server.answers = False
    server.weather = Weather(drop=0.15, double=0.2, delay=0.4, cut=0.08, seed=seed)
    mine = [f"question {n}" for n in range(15)]
    theirs = [f"answer {n}" for n in range(15)]

    for question, answer in zip(mine, theirs, strict=True):
        page.evaluate("text => kotae.send(text)", question)
        server.do(server.say(talk, "csm", {"type": "text", "text": answer}, name="Aiko"))
        page.wait_for_timeout(30)
        if question == "question 9":
            page.reload()
            page.wait_for_function("window.kotae?.thread")
            page.evaluate("async quick => Object.assign((await import('/widget.js')).TIMING, quick)", QUICK)
    page.evaluate("kotae.open()")
    until(page, lambda: len(talk.log) == 31)
    until(page, lambda: page.evaluate("kotae.thread.last") == 31)

    assert page.evaluate(WIDGET_LOG) == log_of(talk)
    assert [one[2] for one in log_of(talk) if one[1] == "customer"] == mine
    assert bubbles(page, "customer") == mine
    assert bubbles(page, "csm") == theirs
    assert page.evaluate("kotae.thread.outbox") == []


def test_where_websocket_is_blocked_it_goes_by_rest(visit: Visit, server: Server) -> None:
    """The conversation goes on by polling, and by WebSocket again once that opens."""
    server.weather = Weather(websocket=False)
    page = visit()
    talk = open_talk(page, server)
    for n in range(3):
        page.evaluate("text => kotae.send(text)", f"by rest {n}")
    expect(page.get_by_text("You said: by rest 2")).to_be_visible()
    assert page.evaluate("kotae.thread.status") == "polling"
    assert bubbles(page, "customer") == ["by rest 0", "by rest 1", "by rest 2"]

    page.evaluate("async () => { (await import('/widget.js')).TIMING.upgrade = 1 }")
    server.weather = Weather()
    page.wait_for_function("kotae.thread.status === 'online'")
    ask(page, "by socket")
    expect(page.get_by_text("You said: by socket")).to_be_visible()
    assert page.evaluate(WIDGET_LOG) == log_of(talk)


def test_a_lost_response_does_not_double_the_message(visit: Visit, server: Server) -> None:
    """The server stored it, the response was lost, the widget sends it again: it is there once."""
    server.weather = Weather(websocket=False, posts_lost=0.6, seed=5)
    page = visit()
    talk = open_talk(page, server)
    server.answers = False
    for n in range(5):
        page.evaluate("text => kotae.send(text)", f"once {n}")
    until(page, lambda: page.evaluate("kotae.thread.outbox.length") == 0)
    assert [one.body.text for one in talk.log if one.sender == "customer"] == [f"once {n}" for n in range(5)]


def test_a_message_written_offline_survives_a_reload(visit: Visit, server: Server) -> None:
    page = visit()
    talk = open_talk(page, server)
    server.weather = Weather(websocket=False)
    page.route("**/v1/**", lambda route: route.abort())
    server.do(close_all(talk))
    ask(page, "from the tunnel")
    expect(page.locator(".row.waiting")).to_contain_text("from the tunnel")

    page.reload()
    page.wait_for_function("window.kotae?.thread")
    page.evaluate("kotae.open()")
    expect(page.locator(".row.waiting")).to_contain_text("from the tunnel")
    expect(page.locator(".banner")).to_contain_text("No connection.")
    expect(page.locator(".row.waiting .state")).to_be_in_viewport()  # the banner did not push it out of sight

    page.unroute("**/v1/**")
    server.weather = Weather()
    page.evaluate("kotae.thread.probe()")
    expect(page.get_by_text("You said: from the tunnel")).to_be_visible()
    expect(page.locator(".row.waiting")).to_have_count(0)
    assert [one.body.text for one in talk.log if one.sender == "customer"] == ["from the tunnel"]


async def close_all(talk: Talk) -> None:
    for line in list(talk.sockets):
        await line.socket.close(1012)


def test_a_reply_whose_frame_was_lost_is_asked_for(visit: Visit, server: Server) -> None:
    """The last frame of all is dropped: nothing after it shows a hole, and still it is found."""
    page = visit()
    talk = open_talk(page, server)
    server.weather = Weather(drop=1)
    server.do(server.say(talk, "csm", {"type": "text", "text": "are you there?"}, name="Aiko"))
    server.weather = Weather()
    expect(page.get_by_text("are you there?")).to_be_visible()


def test_a_dead_line_is_noticed(visit: Visit, server: Server) -> None:
    """A socket that is open but silent is given up, and another one opened."""
    page = visit()
    talk = open_talk(page, server)
    first = next(iter(talk.sockets))
    server.weather = Weather(drop=1)
    until(page, lambda: bool(talk.sockets) and first not in talk.sockets)
    server.weather = Weather()
    ask(page, "hello")
    expect(page.get_by_text("You said: hello")).to_be_visible()


def test_two_tabs_are_one_conversation(visit: Visit, server: Server) -> None:
    """Opened at once, they begin one conversation; what is said in one stands in the other."""
    one, two = visit(), visit()
    one.evaluate("kotae.open()")
    two.evaluate("kotae.open()")
    ask(one, "from one")
    expect(two.get_by_text("You said: from one")).to_be_visible()
    ask(two, "from two")
    expect(one.get_by_text("You said: from two")).to_be_visible()
    assert one.evaluate("kotae.thread.state") == two.evaluate("kotae.thread.state")
    talk = talk_of(one, server)
    assert one.evaluate(WIDGET_LOG) == two.evaluate(WIDGET_LOG) == log_of(talk)


@pytest.mark.parametrize("websocket", [True, False])
def test_too_many_at_once_are_sent_later(visit: Visit, server: Server, websocket: bool) -> None:
    """A limit is met with patience, by socket and by REST: the message goes when the server said it may, and the reader is told."""
    server.weather = Weather(websocket=websocket)
    page = visit()
    open_talk(page, server)
    server.limit_next = 1000
    ask(page, "too quick")
    expect(page.get_by_role("alert").filter(has_text="That was quick!")).to_be_visible()
    server.limit_next = 0
    expect(page.get_by_text("You said: too quick")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="That was quick!")).to_be_hidden()


def test_a_message_the_server_refuses_can_be_sent_again_or_removed(visit: Visit, server: Server) -> None:
    page = visit()
    open_talk(page, server)
    server.refused.add("first")
    ask(page, "first")
    expect(page.locator(".state.failed")).to_contain_text("Not sent: this is too long")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".state.failed")).to_contain_text("Not sent")
    ask(page, "second")
    expect(page.get_by_text("You said: second")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".row.waiting")).to_have_count(0)


def test_a_forgotten_conversation_starts_afresh(visit: Visit, server: Server) -> None:
    """The server no longer knows the token: the widget begins a new conversation, and what was not sent yet goes there."""
    page = visit()
    talk = open_talk(page, server)
    ask(page, "before")
    expect(page.get_by_text("You said: before")).to_be_visible()
    talk.token = "another"
    server.do(close_all(talk))
    ask(page, "after")
    expect(page.get_by_text("You said: after")).to_be_visible()
    assert bubbles(page, "customer") == ["after"]
    assert talk_of(page, server) is not talk


def test_two_tabs_lose_their_conversation_together(visit: Visit, server: Server) -> None:
    """Both find that it is gone: they begin one new conversation, and neither shows what was said in the old one."""
    one, two = visit(), visit()
    talk = open_talk(one, server)
    two.evaluate("kotae.open()")
    ask(one, "of old")
    expect(two.get_by_text("You said: of old")).to_be_visible()
    talk.token = "another"
    server.do(close_all(talk))
    ask(one, "anew")
    for page in (one, two):
        expect(page.get_by_text("You said: anew")).to_be_visible()
        assert bubbles(page, "customer") == ["anew"]
    assert one.evaluate("kotae.thread.state") == two.evaluate("kotae.thread.state")


def test_it_goes_on_after_navigating_away_and_back(visit: Visit, server: Server) -> None:
    page = visit()
    open_talk(page, server)
    ask(page, "one")
    expect(page.get_by_text("You said: one")).to_be_visible()
    page.get_by_role("link", name="other page").click()
    page.wait_for_function("location.pathname.endsWith('other.html') && window.kotae?.thread")
    page.go_back()
    page.wait_for_function("location.pathname.endsWith('index.html') && window.kotae?.thread")
    page.evaluate("kotae.open()")
    ask(page, "two")
    expect(page.get_by_text("You said: two")).to_be_visible()
    assert [one["seq"] for one in said(page)] == [1, 2, 3, 4, 5]


def test_without_local_storage_it_still_talks(context: BrowserContext, visit: Visit, server: Server) -> None:
    """Browsers may forbid storage; then a conversation lasts as long as the page."""
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })"
    )
    page = visit()
    open_talk(page, server)
    ask(page, "hello")
    expect(page.get_by_text("You said: hello")).to_be_visible()


def test_a_phone_that_slept_catches_up(context: BrowserContext, visit: Visit, server: Server) -> None:
    """On becoming visible again the line is tested at once, without waiting for the next heartbeat."""
    page = visit()
    talk = open_talk(page, server)
    page.evaluate("async slow => Object.assign((await import('/widget.js')).TIMING, slow)", {**QUICK, "ping": 600_000})
    page.wait_for_timeout(1500)  # the last quick heartbeat passes
    server.weather = Weather(drop=1)
    server.do(server.say(talk, "csm", {"type": "text", "text": "while you slept"}, name="Aiko"))
    server.weather = Weather()
    page.wait_for_timeout(300)
    assert page.get_by_text("while you slept").count() == 0
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("while you slept")).to_be_visible()


def test_a_thumb_and_a_rating_given_offline_arrive_later(visit: Visit, server: Server) -> None:
    """Given while nothing gets through, and the page reloaded: they are kept, and each arrives."""
    page = visit()
    talk = open_talk(page, server)
    ask(page, "limit")
    expect(page.get_by_text("Did this help?")).to_be_visible()
    ask(page, "done")
    expect(page.locator(".scores")).to_be_visible()
    server.weather = Weather(websocket=False)
    page.route("**/v1/**", lambda route: route.abort())
    server.do(close_all(talk))
    talk.told.clear()
    page.get_by_role("button", name="No, this did not help").click()
    page.get_by_role("radio", name="2 of 5").check(force=True)
    page.get_by_role("button", name="Send rating").click()
    page.reload()
    page.wait_for_function("window.kotae?.thread")
    assert [one for one in talk.told if one["type"] in ("feedback", "survey")] == []
    page.unroute("**/v1/**")
    server.weather = Weather()
    page.evaluate("kotae.thread.probe()")
    until(page, lambda: {"type": "feedback", "seq": 3, "helpful": False} in talk.told)
    until(page, lambda: {"type": "survey", "seq": 6, "score": 2} in talk.told)
    until(page, lambda: page.evaluate("kotae.thread.keep.names('give:')") == [])


def test_a_page_out_of_the_back_forward_cache_goes_on(visit: Visit, server: Server) -> None:
    """The socket is let go when the page is put away, and there again when it is shown: what was said meanwhile too."""
    page = visit()
    talk = open_talk(page, server)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    until(page, lambda: not talk.sockets)
    server.do(server.say(talk, "csm", {"type": "text", "text": "while you were away"}, name="Aiko"))
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.get_by_text("while you were away")).to_be_visible()


def test_a_website_that_is_not_allowed_is_told_once(visit: Visit, server: Server) -> None:
    """It is said to the page's makers, and not asked again and again."""
    page = visit()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=403, json={})

    page.route("**/v1/conversations", refuse)
    page.evaluate("kotae.open()")
    until(page, lambda: any("KOTAE_ALLOWED_ORIGINS" in one for one in said))
    page.wait_for_timeout(1000)  # several times the pause after which it would ask again
    assert len(asked) == 1


def test_reconnecting_waits_longer_each_time_and_never_all_at_once(visit: Visit) -> None:
    """Exponential up to the most, with full jitter: a thousand widgets do not come back in the same moment."""
    page = visit(quick=False)
    least, most, apart = page.evaluate("""async () => {
      const {Thread, TIMING} = await import('/widget.js');
      const delays = (chance) => {
        const thread = new Thread('http://127.0.0.1:9/', () => {});
        const found = [];
        Math.random = () => chance;
        Object.assign(thread, {running: true, soon: (delay) => found.push(delay / TIMING.retry)});
        for (let n = 0; n < 12; n += 1) thread.later();
        return found;
      };
      return [delays(0), delays(1), TIMING.retryMax / TIMING.retry];
    }""")
    assert least == [0.25] * 12
    assert most == [0.25 + min(2**n, apart) for n in range(12)]
