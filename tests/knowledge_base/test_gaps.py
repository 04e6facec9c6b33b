"""Questions without an answer are grouped by meaning, and feedback becomes labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from knowledge_base.answering import Answerer
from knowledge_base.feedback import Said, outcomes
from knowledge_base.gaps import Asked, find_gaps, group

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
QUESTIONS = [
    ("is there a mobile app", "acme"),
    ("do you have an app for my phone", "blue"),
    ("mobile app for iphone?", "acme"),
    ("can I pay by bank transfer", None),
    ("スマホアプリはありますか", "cyan"),
    ("🙂", "acme"),
]


def asked() -> list[Asked]:
    return [
        Asked(text, "en", account, NOW - timedelta(hours=n), "abstained") for n, (text, account) in enumerate(QUESTIONS)
    ]


def test_questions_of_one_meaning_are_one_gap(small: Answerer) -> None:
    found = find_gaps(small, asked())
    assert [gap.count for gap in found] == [3, 1, 1]
    first = found[0]
    assert {first.question, *first.examples} == {text for text, _ in QUESTIONS[:3]}
    assert (first.accounts, first.why, first.last_asked) == (("acme", "blue"), {"abstained": 3}, NOW)
    assert first.nearest_id is not None
    assert {gap.question: gap.lang for gap in found}["スマホアプリはありますか"] == "ja"
    assert {gap.question: gap.accounts for gap in found}["can I pay by bank transfer"] == ()


def test_nothing_asked_is_no_gap(small: Answerer) -> None:
    assert find_gaps(small, []) == []
    assert find_gaps(small, [Asked("?!", "en", None, NOW, "abstained")]) == []


def test_groups_by_hand() -> None:
    vectors = np.array([[1, 0], [0.98, 0.199], [0, 1]], np.float32)
    assert [members.tolist() for members in group(vectors, 0.0)] in ([[0, 1], [2]], [[2], [0, 1]])
    assert group(vectors[:1], 0.0)[0].tolist() == [0]
    assert group(vectors[:0], 0.0) == []


def test_what_people_said_becomes_labelled_questions(small: Answerer) -> None:
    made = outcomes(
        small,
        [
            Said("what is my run limit", "en", "en/run-limits", True),
            Said("change the card", "en", "en/vacuum", True),
            Said("change the card", "en", "https://help.example.com/en/billing", True),
            Said("lint in the sewing machine", "en", "en/vacuum", False),
            Said("lint in the sewing machine, again", "en", "en/billing", False),  # not what comes first: says nothing
            Said("something", "en", "en/gone", True),  # an article that is gone says nothing
        ],
    )
    assert [(one.question.text, sorted(one.question.right), one.right) for one in made] == [
        ("what is my run limit", ["en/run-limits"], True),
        ("change the card", ["en/billing", "en/vacuum"], True),
        ("lint in the sewing machine", [], False),
    ]
    assert all(one.features for one in made)
