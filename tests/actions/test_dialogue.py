"""What a customer means by an answer to buttons."""

from __future__ import annotations

from typing import Any

import pytest

from actions import answering, dialogue, forms
from conversations.bodies import Choice, Choices, Text

SHOWN = [
    {"id": "article:a", "label": "Run limits"},
    {"id": "article:b", "label": "API limits"},
    {"id": "none", "label": "None of these"},
]


def said(text: str, clicked: str | None = None) -> dict[str, Any]:
    return {"text": text, "entities": [{"entity": "choice", "value": clicked}] if clicked else []}


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("the second one", "article:b"),
        ("first", "article:a"),
        ("2", "article:b"),
        ("the last one", "none"),
        ("API limits please", "article:b"),
        ("run limits", "article:a"),
        ("none of these", "none"),
        ("2番目", "article:b"),
        ("一つ目です", "article:a"),
        ("最後の", "none"),
        ("一つ目を開いて下さい", "article:a"),
        ("the fourth", None),
        ("one please", "article:a"),
        ("no, the other one", None),
        ("the cheaper one", None),
        ("not that one", None),
        ("以上です", None),
        ("something else entirely", None),
        ("limits", None),
    ],
)
def test_a_button_may_be_named_by_place_or_words(text: str, id_: str | None) -> None:
    """By its number, its name, or as the last; not where it is unclear."""
    assert dialogue.chosen(said(text), {"choices": SHOWN}) == id_


def test_a_single_button_has_no_place_in_a_list() -> None:
    """ "The first" means no person who was merely offered; the button's own words do."""
    offered = {"choices": [{"id": "human", "label": "Talk to a person"}]}
    assert dialogue.chosen(said("the first"), offered) is None
    assert dialogue.chosen(said("talk to a person"), offered) == "human"


def test_a_click_needs_no_words() -> None:
    """The id that came with it counts, whatever the text says."""
    assert dialogue.chosen(said("the second one", clicked="human"), {"choices": SHOWN}) == "human"


def test_nothing_shown_is_nothing_chosen() -> None:
    """Out of the blue it names nothing."""
    assert dialogue.chosen(said("the second one"), {}) is None


def test_what_was_shown_is_remembered_and_forgotten() -> None:
    """Buttons and offer stand for one turn."""
    shown = Choices(text="?", choices=[Choice(id="human", label="Talk to a person")])
    kept = {event["name"]: event["value"] for event in dialogue.remember([Text(text="…"), shown])}
    assert kept == {"choices": [{"id": "human", "label": "Talk to a person"}], "offer": "human"}
    gone = {event["name"]: event["value"] for event in dialogue.remember([Text(text="…")])}
    assert gone == {"choices": None, "offer": None}


def test_a_person_offered_beside_articles_is_no_offer_to_say_yes_to() -> None:
    """ "Yes" to "which of these do you mean?" calls nobody."""
    shown = Choices(text="?", choices=[Choice(id="article:a", label="A"), Choice(id="human", label="Talk to a person")])
    assert {event["name"]: event["value"] for event in dialogue.remember([shown])}["offer"] is None


@pytest.mark.parametrize(
    ("text", "leans"),
    [
        ("and on the Pro plan?", True),
        ("how much is that?", True),
        ("what about webhooks", True),
        ("does it work on starter too?", True),
        ("how much?", True),
        ("いくらですか", True),
        ("プロプランの場合は？", True),
        ("それはいくらですか", True),
        ("how do I invite a colleague to my workspace?", False),
        ("where do I download invoices?", False),
        ("請求書はどこからダウンロードできますか", False),
    ],
)
def test_a_follow_up_is_told_from_a_new_question(text: str, leans: bool) -> None:
    """Only words that lean on something take the subject with them."""
    assert dialogue.follows(text) == leans


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("??", True),
        ("😀", True),
        ("…", True),
        ("12", True),
        ("ok", False),
        ("はい", False),
        ("429", False),
        ("429 error", False),
    ],
)
def test_a_message_without_a_letter_says_nothing(text: str, empty: bool) -> None:
    """Of any script; a number may still name a button, or be an error's."""
    assert dialogue.wordless(text) == empty


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("How do I do this?", []),
        ("Dear team, hello to all of you! We were charged twice last month. Best, Kim", 2),
        ("お世話になっております。先週からフローが途中で止まってしまいます。再実行する方法を教えてください。", 2),
    ],
)
def test_only_a_letter_is_read_by_sentences(text: str, found: int | list[str]) -> None:
    """Three sentences make a letter; courtesies of a word or two ask nothing."""
    sentences = answering.sentences(text)
    assert (len(sentences) if isinstance(found, int) else sentences) == found


def test_a_form_asks_again_once_and_then_waits() -> None:
    """Rasa counts the run that asks as one of them."""
    began = [{"event": "action", "name": "callback_form"}, {"event": "active_loop", "name": "callback_form"}]
    run = [
        {"event": "user"},
        {"event": "action", "name": "action_answer"},
        {"event": "action", "name": "callback_form"},
    ]
    assert forms.runs_since(began) == 0
    assert forms.runs_since(began + run) == forms.NUDGES
    assert forms.runs_since(began + run + run) == forms.NUDGES + 1


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("the last one", True),
        ("2", True),
        ("number 3 please", True),
        ("最後の", True),
        ("二つ目でお願いします", True),
        ("the last one is wrong", False),
        ("the first invoice was never paid", False),
        ("最後の請求書が間違っています", False),
    ],
)
def test_a_place_alone_chooses_and_one_that_says_more_does_not(text: str, alone: bool) -> None:
    """ "The last one is wrong" is no choice."""
    assert dialogue.names_place_alone(text) is alone


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("how much does it cost", True),
        ("and what does it cost?", True),
        ("how much is that?", True),
        ("いくらですか？", True),
        ("料金はいくらですか", True),
        ("how much does a seat cost", False),
        ("how much is Pro?", False),
        ("請求書の料金が違います", False),
        ("how much storage do I have", False),
    ],
)
def test_a_price_of_nothing_named_is_told_from_that_of_something(text: str, alone: bool) -> None:
    """ "How much does it cost" names nothing that has a price."""
    assert dialogue.asks_price_alone(text) is alone


@pytest.mark.parametrize(
    ("text", "disputes"),
    [
        ("the last one is wrong", True),
        ("that is not correct", True),
        ("最後のは間違っています", True),
        ("the last one please", False),
    ],
)
def test_what_says_that_something_is_wrong_disputes_it(text: str, disputes: bool) -> None:
    """Words alone tell."""
    assert dialogue.disputes(text) is disputes


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("Show me how", True),
        ("How do I do that?", True),
        ("ok, how does it work?", True),
        ("How do I do this step?", True),
        ("Please show me how to do it.", True),
        ("どうやるのですか？", True),
        ("やり方を教えてください", True),
        ("How do I delete it?", False),
        ("How do I invite a colleague?", False),
        ("How long does it take?", False),
        ("how much is that?", False),
        ("エクスポートの方法", False),
    ],
)
def test_how_to_do_what_was_just_named_is_told_from_another_question(text: str, alone: bool) -> None:
    """Asked after the next step of the onboarding, it is about that step."""
    assert dialogue.asks_how_alone(text) is alone


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("and after that?", True),
        ("done, what do I do next", True),
        ("what's next?", True),
        ("その次は？", True),
        ("次に何をすればいいですか", True),
        ("and after that step the flow fails", False),
        ("次の請求日は", False),
        ("next month?", False),
    ],
)
def test_what_comes_next_is_asked_in_words_that_name_nothing(text: str, asks: bool) -> None:
    """What names something is a question of its own."""
    assert dialogue.asks_next_alone(text) is asks


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("no, the other one", True),
        ("not that one", True),
        ("もう一つの方です", True),
        ("いいえ、別の記事", True),
        ("another question", False),
        ("the other day it failed", False),
        ("the second one", False),
    ],
)
def test_another_is_wanted_in_words_that_do_not_name_it(text: str, wants: bool) -> None:
    """ "The second one" names its place, and "the other day" no thing."""
    assert dialogue.wants_other(text) is wants


@pytest.mark.parametrize(
    ("text", "unsolved"),
    [
        ("tried that already, nothing in the list", True),
        ("still not working", True),
        ("checked spam, nothing", True),
        ("まだ届かない", True),
        ("試しましたが動きません", True),
        ("is it still possible", False),
        ("how do I test it", False),
    ],
)
def test_what_did_not_help_is_heard(text: str, unsolved: bool) -> None:
    """It is said by what was tried, or by what still happens."""
    assert dialogue.says_unsolved(text) is unsolved


@pytest.mark.parametrize(
    ("text", "nobody"),
    [
        ("actually no, forget it, I don't need a person anymore", True),
        ("I do not want to talk to anyone", True),
        ("担当者は不要です", True),
        ("I need a person", False),
        ("I don't want a robot, get me a person", False),
        ("I do not want to talk to a bot but to a human", False),
        ("担当の方なら誰でも結構です", False),
        ("担当者と話したいです", False),
        ("can nobody help me, I want a human", False),
    ],
)
def test_that_nobody_is_wanted_is_no_wish_for_a_person(text: str, nobody: bool) -> None:
    """What is turned down must be the person."""
    assert dialogue.wants_nobody(text) is nobody


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("what else can I try?", True),
        ("any other ideas", True),
        ("ほかには？", True),
        ("ほかに方法はありますか", True),
        ("what else does Pro have", False),
        ("ほかのプランは？", False),
    ],
)
def test_what_else_there_is_is_asked_without_a_name(text: str, asked: bool) -> None:
    """What names a thing is a question of its own."""
    assert dialogue.asks_what_else(text) is asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("is there an app?", True),
        ("do you have a mobile app", True),
        ("アプリはありますか", True),
        ("is there a way to copy a flow into another workspace?", False),
        ("アプリを接続する方法はありますか", False),
        ("do you have it", True),
    ],
)
def test_whether_there_is_a_thing_at_all(text: str, asked: bool) -> None:
    """Not whether there is a way to do something."""
    assert dialogue.asks_whether_there_is(text) is asked


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("増やせますか", True),
        ("超えたらどうなる", True),
        ("Slackの方は？", False),
        ("権限は後から変えられますか", False),
        ("tell me more", False),
    ],
)
def test_japanese_words_without_a_noun_name_nothing(text: str, nothing: bool) -> None:
    """English ones cannot be told apart so."""
    assert dialogue.names_nothing(text) is nothing
