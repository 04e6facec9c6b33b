"""Questions get the right answer, the asker's own values, or silence."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import NotFound, UserError
from kit.settings import ROOT, Settings
from knowledge_base.answering import Answerer
from knowledge_base.encoders import Encoders
from knowledge_base.index import build_index
from knowledge_base.loading import load_folder
from knowledge_base.offline import open_index
from knowledge_base.schemas import AnswerReply, AnswerRequest, Asker, Values


def ask(answerer: Answerer, text: str, **fields: object) -> AnswerReply:
    return answerer.answer(AnswerRequest(text=text, **fields))


def values(plan: str, runs: int | None) -> Values:
    return Values(account={"name": "Acme"}, plan={"name": plan}, limits={"runs": runs})


def test_a_real_question_is_answered_from_the_real_help_centre(plausible: Answerer) -> None:
    """Two articles of this help centre tell how to exclude one's own visits; either is right, the other comes beside it."""
    made = ask(plausible, "How do I exclude my own visits?")
    assert made.decision == "answer"
    assert made.citation is not None
    assert made.quote
    near = {made.citation.article_id, *(citation.article_id for citation in made.alternatives)}
    assert made.citation.article_id in {"excluding", "excluding-localstorage"}
    assert near >= {"excluding", "excluding-localstorage"}
    assert made.citation.url.startswith(f"https://plausible.io/docs/{made.citation.article_id}")


@pytest.mark.parametrize(
    ("text", "article"),
    [
        ("forgot password", "reset-password"),
        ("hi there, i would like to invite a colleague to see our stats. is that possible?", "users-roles"),
        ("where can I get my invoices", "download-invoices"),
        ("how to deleet my acount", "delete-account"),
        ("set up SAML single sign on with Okta", "sso-okta"),
    ],
)
def test_short_misspelt_and_chatty_questions_find_their_article(plausible: Answerer, text: str, article: str) -> None:
    assert article in [hit.article_id for hit in plausible.search(text, None, None, 3)]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("save a filter as a segment", "How to save a segment"),
        ("not counting on localhost", "Are you testing on localhost?"),
        ("make my public dashboard private", "Want to make your stats private again?"),
        ("who is eligible for the nonprofit discount", "Who qualifies"),
    ],
)
def test_the_section_whose_heading_says_what_is_asked_is_quoted(plausible: Answerer, text: str, heading: str) -> None:
    """Other sections of these articles are as alike to the question by their text alone."""
    assert plausible.search(text, None, None, 1)[0].heading == heading


def test_an_article_asked_for_as_a_whole_is_quoted_from_its_beginning(
    tmp_path: Path, plain_settings: Settings, encoders: Encoders
) -> None:
    """No heading is more like the question than the title alone."""
    (tmp_path / "help").mkdir()
    for name in ("login-trouble", "single-sign-on", "lost-two-factor", "two-factor-authentication", "api-keys"):
        shutil.copy(ROOT / "demo" / "help" / "ja" / f"{name}.md", tmp_path / "help")
    build_index(load_folder(tmp_path / "help"), tmp_path / "index", encoders)
    answerer = open_index(plain_settings, tmp_path / "index")
    headings = [
        answerer.search(text, None, None, 1)[0].heading
        for text in ("ログインできません", "アカウントがロックされました")
    ]
    assert headings == [None, "アカウントがロックされた場合"]


@pytest.mark.parametrize("text", ["do you sell pizza", "who won the world cup in 1998", "明日の天気は？"])
def test_what_the_help_centre_does_not_know_is_not_answered(plausible: Answerer, text: str) -> None:
    assert ask(plausible, text).decision == "abstain"


def test_the_same_question_from_three_accounts_has_three_answers(small: Answerer) -> None:
    text = "what is my run limit"
    quotes = [ask(small, text, values=given).quote for given in (values("Pro", 50000), values("Max", None), None)]
    assert "Acme is on Pro with 50,000 runs a month." in (quotes[0] or "")
    assert "Acme is on Max with unlimited runs a month." in (quotes[1] or "")
    assert quotes[2]
    assert not {"Acme", "50,000", "unlimited"} & set(quotes[2].split())


def test_a_japanese_question_is_answered_in_japanese(small: Answerer) -> None:
    made = ask(small, "実行回数の上限を知りたい", values=values("Pro", 50000))
    assert made.citation is not None
    assert (made.decision, made.citation.lang, made.other_language) == ("answer", "ja", False)


def test_an_answer_that_exists_in_the_other_language_only_says_so(small: Answerer) -> None:
    made = ask(small, "シングルサインオン（SAML）を設定したい")
    assert made.citation is not None
    assert (made.citation.article_id, made.other_language) == ("en/single-sign-on", True)


def test_a_feature_outside_the_plan_is_named(small: Answerer) -> None:
    text = "how do I set up single sign-on with SAML?"
    outside = ask(small, text, asker=Asker(plan="pro"))
    assert outside.restricted is not None
    assert (outside.restricted.feature, outside.restricted.plans) == ("sso", ["business", "enterprise"])
    assert ask(small, text, asker=Asker(plan="business")).restricted is None
    assert ask(small, text).restricted is None


def test_a_chosen_article_is_quoted_without_deciding(small: Answerer) -> None:
    made = ask(small, "whatever", article_id="en/billing")
    assert made.citation is not None
    assert (made.decision, made.citation.article_id) == ("answer", "en/billing")
    with pytest.raises(NotFound):
        ask(small, "whatever", article_id="en/none")


def test_a_quote_is_clean_markdown_with_absolute_links(small: Answerer) -> None:
    made = ask(small, "change my credit card", article_id="en/billing")
    assert made.quote is not None
    assert "![The page](https://help.example.com/" in made.quote
    assert made.citation is not None
    assert made.citation.url == "https://help.example.com/en/billing#change-the-card"


def test_an_article_is_shown_whole_as_safe_html(small: Answerer) -> None:
    made = small.article("en", "run-limits")
    assert made.article_id == "en/run-limits"
    assert "Sign in to see your own number of runs." in made.html
    assert '<a href="https://help.example.com/en/billing"' in made.html
    with pytest.raises(NotFound):
        small.article("en", "none")


@pytest.mark.parametrize("text", ["🙂🙂🙂", "…", "?!"])
def test_a_question_without_words_is_not_answered(small: Answerer, text: str) -> None:
    assert ask(small, text).decision == "abstain"


def test_an_empty_question_is_an_error(small: Answerer) -> None:
    for text in (" ", "\x00\x07", "\u200b"):
        with pytest.raises(UserError, match="empty"):
            ask(small, text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 7*7 }} {{ account.name }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "word " * 4_000,
        "Как дела?",
        "\x1b[31mruns\x00",
    ],
)
def test_hostile_and_foreign_questions_do_no_harm(small: Answerer, text: str) -> None:
    made = ask(small, text)
    assert "49" not in (made.quote or "")


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_is_answered_clarified_abstained_or_refused(small: Answerer, text: str) -> None:
    with contextlib.suppress(UserError):
        assert ask(small, text).decision in ("answer", "clarify", "abstain")


def test_an_article_that_is_left_out_is_not_found(small: Answerer) -> None:
    found = small.find("how do I change the credit card?", "en")
    rest = small.find("how do I change the credit card?", "en", without={"en/billing"})
    ids = [[small.index.articles[one.article].id for one in each.candidates] for each in (found, rest)]
    assert ids[0][0] == "en/billing"
    assert "en/billing" not in ids[1]
    assert set(ids[1]) == set(ids[0]) - {"en/billing"}
    assert rest.chance < found.chance
    every = {article.id for article in small.index.articles}
    assert small.find("how do I change the credit card?", "en", without=every).candidates == []


CHATTY = (
    "Hi there! I hope you are well. {} We have been customers for two years. Thanks a lot, Mia",
    "Hello Plausible team,\nI hope you had a good weekend.\n{}\n\nBest regards\nJohn Doe\nSales, Berlin office",
    "My colleague is on holiday, so I am writing instead.\n{}\nSorry for the trouble!\nSent from my iPhone",
    "{} I have asked my colleague already and she does not know either. Sorry for the trouble!",
)


@pytest.mark.parametrize("letter", CHATTY)
def test_what_stands_around_a_question_changes_nothing(plausible: Answerer, letter: str) -> None:
    """Greetings, thanks, a signature and sentences about whoever asks: they took the place of the subject before."""
    for text in ("How do I invite a colleague to see our stats?", "Where can I download my invoices?"):
        plain, around = ask(plausible, text), ask(plausible, letter.format(text))
        assert (around.decision, around.citation, around.quote) == (plain.decision, plain.citation, plain.quote)


def test_two_sentences_that_are_both_about_the_help_content_are_both_read(plausible: Answerer) -> None:
    both = plausible.search("We want to see button clicks. How do I add a custom event?", None, None, 3)
    assert both[0].article_id.startswith("custom-event")
