"""Who is asking: visitor, known, another person, nobody any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.widget.conftest import Visit, ask, bubbles, talk_of
from tests.widget.server import IDENTITY_KEY, Server, identity_token

pytestmark = pytest.mark.browser

KEPT = "Object.keys(localStorage).filter(key => key.startsWith('kotae:'))"


def expired_token() -> str:
    claims = {"sub": "p1", "account_id": "a1", "aud": "kotae", "exp": datetime.now(UTC) - timedelta(hours=1)}
    return jwt.encode(claims, IDENTITY_KEY, algorithm="HS256")


def talk(page: Page, text: str) -> None:
    page.evaluate("kotae.open()")
    ask(page, text)
    expect(page.get_by_text(f"You said: {text}")).to_be_visible()


def test_a_visitor_becomes_known_without_losing_the_thread(visit: Visit, server: Server) -> None:
    page = visit()
    talk(page, "as a visitor")
    before = talk_of(page, server)
    page.evaluate("token => kotae.identify(token)", identity_token("a10", "p10"))
    page.wait_for_function("kotae.thread.known")
    talk(page, "as myself")
    assert talk_of(page, server) is before
    assert before.who == "a10/p10"
    assert bubbles(page, "customer") == ["as a visitor", "as myself"]


def test_another_person_sees_nothing_of_the_one_before(visit: Visit, server: Server) -> None:
    """Somebody else signs in on the same machine, without a log-out in between."""
    page = visit()
    page.evaluate("token => kotae.identify(token)", identity_token("a11", "p11"))
    talk(page, "my secret")
    first = talk_of(page, server)
    page.evaluate("token => kotae.identify(token)", identity_token("a12", "p12"))
    talk(page, "somebody else")
    assert bubbles(page, "customer") == ["somebody else"]
    assert talk_of(page, server) is not first
    assert "my secret" not in page.evaluate("JSON.stringify(localStorage)")


def test_one_person_on_two_devices_has_one_conversation(browser: Browser, visit: Visit, server: Server) -> None:
    token = identity_token("a13", "p13")
    one = visit()
    one.evaluate("token => kotae.identify(token)", token)
    talk(one, "from the desk")
    phone = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    two = visit(within=phone)
    two.evaluate("token => kotae.identify(token)", token)
    two.evaluate("kotae.open()")
    expect(two.get_by_text("You said: from the desk")).to_be_visible()
    ask(two, "from the train")
    expect(one.get_by_text("You said: from the train")).to_be_visible()
    phone.close()


def test_an_expired_identity_is_renewed_by_the_page(visit: Visit, server: Server) -> None:
    """`identify` may be given a function: it is asked again when the server refuses what it gave."""
    page = visit()
    page.evaluate(
        """([old, fresh]) => {
      window.asked = 0;
      return kotae.identify(() => { window.asked += 1; return window.asked === 1 ? old : fresh; });
    }""",
        [expired_token(), identity_token("a14", "p14")],
    )
    talk(page, "hello")
    assert talk_of(page, server).who == "a14/p14"
    assert page.evaluate("window.asked") == 2


def test_an_expired_identity_without_a_way_to_renew_is_told_to_the_page(visit: Visit, server: Server) -> None:
    """The customer can still ask as a visitor; the page hears of it, and may identify again."""
    page = visit()
    page.evaluate("window.told = 0; void kotae.on('identity-expired', () => { window.told += 1 })")
    page.evaluate("token => kotae.identify(token)", expired_token())
    talk(page, "hello")
    assert page.evaluate("window.told") == 1
    assert talk_of(page, server).who is None
    page.evaluate("token => kotae.identify(token)", identity_token("a15", "p15"))
    page.wait_for_function("kotae.thread.known")
    assert talk_of(page, server).who == "a15/p15"


def test_an_expired_identity_is_renewed_in_mid_conversation(visit: Visit, server: Server) -> None:
    page = visit()
    talk(page, "as a visitor")
    page.evaluate(
        """([old, fresh]) => {
      let asked = 0;
      return kotae.identify(() => (asked++ ? fresh : old));
    }""",
        [expired_token(), identity_token("a16", "p16")],
    )
    page.wait_for_function("kotae.thread.known")
    assert talk_of(page, server).who == "a16/p16"


def test_a_conversation_of_somebody_else_is_left(visit: Visit, server: Server) -> None:
    """The server says that this conversation belongs to another person: it is left, not shown."""
    page = visit()
    talk(page, "as a visitor")
    first = talk_of(page, server)
    first.who = "a17/p17"
    page.evaluate("token => kotae.identify(token)", identity_token("a18", "p18"))
    page.wait_for_function("id => kotae.thread.state && kotae.thread.state.conversation_id !== id", arg=first.id)
    talk(page, "as myself")
    assert talk_of(page, server).who == "a18/p18"
    assert bubbles(page, "customer") == ["as myself"]


def test_logging_out_leaves_nothing_behind(visit: Visit, server: Server) -> None:
    """Not in this tab, not in another, not in storage; and nothing is begun anew until somebody asks."""
    one, two = visit(), visit()
    one.evaluate("token => kotae.identify(token)", identity_token("a19", "p19"))
    talk(one, "my secret")
    one.evaluate("kotae.thread.keep.set('sound', true)")
    two.evaluate("kotae.open()")
    expect(two.get_by_text("You said: my secret")).to_be_visible()
    known, its = len(server.talks), talk_of(one, server).id

    one.evaluate("kotae.logout()")

    expect(one.get_by_role("dialog")).to_have_count(0)
    expect(two.get_by_text("You said: my secret")).to_have_count(0)
    for page in (one, two):
        page.wait_for_timeout(500)
        assert page.evaluate(KEPT) == []
        assert page.evaluate("kotae.thread.log.length") == 0
        assert "secret" not in page.evaluate("kotae.shadowRoot.textContent")
    assert len(server.talks) == known
    assert its in server.signed_out  # nor is a copy of its token of any use


def test_a_log_out_during_the_start_wins(visit: Visit, server: Server) -> None:
    """The conversation was being made when the person left: its token is not kept."""
    page = visit()
    page.evaluate("kotae.open(); kotae.logout()")
    page.wait_for_timeout(600)
    page.evaluate("kotae.open(); new Promise(then => setTimeout(then, 3)).then(() => kotae.logout())")
    page.wait_for_timeout(600)
    assert page.evaluate(KEPT) == []


def test_an_identity_in_the_script_tag_is_used(visit: Visit, server: Server) -> None:
    page = visit("/site/bare.html", quick=False, widget=False)
    page.evaluate(
        """token => {
      const script = document.createElement('script');
      Object.assign(script, {type: 'module', src: '/widget.js'});
      Object.assign(script.dataset, {identity: token, lang: 'ja'});
      document.body.append(script);
    }""",
        identity_token("a20", "p20"),
    )
    page.wait_for_function("window.kotae?.thread")
    page.evaluate("kotae.open()")
    expect(page.get_by_text("こんにちは。")).to_be_visible()
    assert talk_of(page, server).who == "a20/p20"
