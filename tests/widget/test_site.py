"""The sample company's site: sign in as somebody, ask, and see the difference."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.widget.conftest import Visit, talk_of
from tests.widget.server import Server

pytestmark = pytest.mark.browser


def test_each_sample_person_asks_as_themselves(visit: Visit, server: Server) -> None:
    """Signing in, asking by a suggestion, and signing in as somebody else: another account, an empty chat."""
    page = visit("/demo/")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Jonas Weber").click()
    expect(page.get_by_role("heading", name="Welcome back, Jonas")).to_be_visible()
    page.get_by_role("button", name="How many runs do I have left?").click()
    expect(page.get_by_text("You said: How many runs")).to_be_visible()
    assert talk_of(page, server).who == "a2/p2"
    page.reload()
    expect(page.get_by_role("heading", name="Welcome back, Jonas")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("Object.keys(localStorage)") == []
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Priya Nair").click()
    page.get_by_role("button", name="When does my plan renew?").click()
    expect(page.get_by_text("You said: When does")).to_be_visible()
    assert talk_of(page, server).who == "a3/p3"
    assert page.get_by_text("You said: How many runs").count() == 0


def test_one_click_signs_in_and_another_switches(visit: Visit, server: Server) -> None:
    """The suggested people stand on the page; the same question is asked as two of them, each in a chat of their own."""
    page = visit("/demo/")
    page.get_by_role("button", name="Try as Mika").click()
    expect(page.get_by_role("heading", name="Welcome back, Mika")).to_be_visible()
    question = page.get_by_role("button", name="How do I turn on single sign-on?")
    question.click()
    expect(page.get_by_text("You said: How do I turn on")).to_be_visible()
    first = talk_of(page, server)
    page.get_by_role("button", name="Priya Nair, Business").click()
    expect(page.get_by_role("heading", name="Welcome back, Priya")).to_be_visible()
    expect(page.get_by_text("You said: How do I turn on")).to_have_count(0)
    question.click()
    expect(page.get_by_text("You said: How do I turn on")).to_be_visible()
    assert (first.who, talk_of(page, server).who) == ("a1/p1", "a3/p3")
    assert (
        question.bounding_box()["x"] + question.bounding_box()["width"]
        <= page.get_by_role("dialog").bounding_box()["x"]
    )


def test_an_account_of_which_the_company_says_nothing_is_greeted_in_whole_sentences(visit: Visit) -> None:
    page = visit("/demo/")
    page.get_by_role("button", name="Sign in", exact=True).click()
    one = page.get_by_role("button", name="Vera Blum")
    expect(one.locator("small")).to_have_count(0)
    one.click()
    expect(page.locator("#home-about")).to_have_text("Violet Fashion, Starter plan.")
    page.get_by_role("button", name="日本語").click()
    expect(page.locator("#home-about")).to_have_text("Violet Fashion、Starterプラン。")


def test_a_visitor_asks_by_one_click(visit: Visit) -> None:
    page = visit("/demo/")
    page.get_by_role("button", name="How do I connect an app?").click()
    expect(page.get_by_text("You said: How do I connect an app?")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_site_is_accessible_in_both_languages(browser: Browser, visit: Visit, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, locale="ja")
    page = visit("/demo/", within=context)
    expect(page.get_by_role("heading", level=1)).to_have_text("社内のツールを、一枚の布に。")
    tops = "names => names.map(one => document.getElementById(one).getBoundingClientRect().top)"
    assert len(set(page.evaluate(tops, ["language", "sign-in"]))) == 1, "both buttons stand in one line"
    page.get_by_role("button", name="サインイン", exact=True).click()
    expect(page.get_by_role("button", name="Mika Tanaka")).to_be_visible()
    for name in ("", "English"):
        if name:
            page.get_by_role("button", name="閉じる").click()
            page.get_by_role("button", name=name).click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Your tools, woven together.")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
