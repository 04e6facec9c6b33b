"""Script, length and windows of English and Japanese."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.text import (
    QUESTION_CHARACTERS,
    asks_for_a_way,
    clean_question,
    has_words,
    is_japanese,
    length,
    parts_of_question,
    windows,
)


def test_scripts_are_told_apart() -> None:
    assert is_japanese("SSOを設定したい")
    assert not is_japanese("How do I write 東京 in a long English sentence of this kind?")
    assert not is_japanese("1234 🙂")
    assert not has_words("🙂 …")


def test_asking_for_a_way_is_not_asking_for_a_value() -> None:
    for way in ("Where do I see my invoices?", "how do i cancel", "請求書はどこで見られますか", "解約の方法を教えて"):
        assert asks_for_a_way(way)
    for value in (
        "how many runs do I have",
        "when does my plan renew",
        "my run limit",
        "いつ更新されますか",
        "how long is it kept",
    ):
        assert not asks_for_a_way(value)


def test_the_subject_line_of_a_forum_is_a_part_of_its_own_and_the_first_line_of_a_letter_is_not() -> None:
    forum, letter = (
        "Queue manager stops after the update\n\nWe see:\nAMQ6109",
        "My colleague is ill, so I write.\nHow do I cancel?",
    )
    assert parts_of_question(forum) == [forum, "Queue manager stops after the update"]
    assert parts_of_question(letter) == [letter]
    assert parts_of_question("Hello\nHow do I cancel?")[1] == "How do I cancel?"
    assert parts_of_question("How do I cancel?") == ["How do I cancel?"]


def test_a_question_is_cleaned_and_cut() -> None:
    assert clean_question("ＳＳＯ\x00\u200b を") == "SSO   を"
    assert len(clean_question("x" * 100_000)) == QUESTION_CHARACTERS


def test_a_long_text_has_overlapping_windows_that_cover_it() -> None:
    words = [f"w{n}" for n in range(250)]
    made = windows(" ".join(words), 110, 90)
    assert [len(text.split()) for text in made] == [110, 110, 70]
    assert made[1].split()[0] == "w90"
    assert made[-1].endswith("w249")


def test_two_japanese_characters_count_as_a_word() -> None:
    assert length("実行回数 abc") == 3
    assert len(windows("あ" * 500, 110, 90)) == 3


@given(st.text(max_size=400))
def test_windows_lose_no_word(text: str) -> None:
    joined = " ".join(windows(text, 5, 4))
    assert all(word in joined or not word.isascii() for word in text.split())
