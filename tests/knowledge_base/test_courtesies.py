"""A question is told from the letter around it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.courtesies import without_courtesies
from knowledge_base.text import has_words


@pytest.mark.parametrize(
    ("letter", "question"),
    [
        ("Hi there! I hope you are well. How do I cancel? Thanks a lot, Mia", "How do I cancel?"),
        ("Hi Orimono support team,\n\nHow do I export?\n\nKind regards,\nMia Smith\nBerlin", "How do I export?"),
        ("My flow is stuck.\nPlease help\nSent from my iPhone", "My flow is stuck."),
        ("Good morning.\nIt fails.\nWhy?\n\nThank you in advance!", "It fails.\nWhy?"),
        (
            "こんにちは。いつもお世話になっております。ログインできません。よろしくお願いいたします。",
            "ログインできません。",
        ),
        ("株式会社オリモノ\nサポートご担当者様\n請求書がほしい。", "株式会社オリモノ\n請求書がほしい。"),
        ("担当者様の変更方法は？", "担当者様の変更方法は？"),
        ("お世話になります。\n請求書がほしい。\n何卒よろしくお願い申し上げます。", "請求書がほしい。"),
    ],
)
def test_a_letter_is_brought_down_to_its_question(letter: str, question: str) -> None:
    assert without_courtesies(letter) == question


@pytest.mark.parametrize(
    "text",
    [
        "hello", "Thanks!", "please help", "よろしくお願いします", "Sent from my iPhone",
        "hi how do i cancel", "Hi where is my invoice. I need it for taxes.", "I hope you can help me with exporting. It fails.",
        "thanks for the invoice template, where is it?", "best plan for a small team", "すみません、昨日から止まっています",
        "line one\n\n    indented\nline three",
    ],
)  # fmt: skip
def test_what_asks_something_is_left_as_it_is_and_so_is_what_is_nothing_but_polite(text: str) -> None:
    assert without_courtesies(text) == text


@given(st.text())
def test_words_are_never_taken_from_whoever_has_some(text: str) -> None:
    assert has_words(without_courtesies(text)) == has_words(text)


@pytest.mark.parametrize(
    "text", ["thanks for your " + "a" * 4000, "hi " + "A " * 2000, "thanks for the a b c " * 200, "hope you " * 450, "a. " * 1300]
)  # fmt: skip
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    began = time.process_time()
    without_courtesies(text)
    assert time.process_time() - began < 0.5
