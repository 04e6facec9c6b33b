"""Messages with two questions, and corrections. `bot.parts` knows nothing of Rasa, so it runs here too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def parts(root: Path) -> ModuleType:
    """The module, loaded by its file: `bot` belongs to another Python."""
    spec = importlib.util.spec_from_file_location("parts", root / "bot" / "parts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("How many runs have I used? When do we renew?", ["How many runs have I used?", "When do we renew?"]),
        (
            "how do I add a webhook and where do I download invoices",
            ["how do I add a webhook", "where do I download invoices"],
        ),
        ("今のプランは何ですか？更新日はいつですか？", ["今のプランは何ですか？", "更新日はいつですか？"]),
        (
            "how do I add a webhook, and how many calls are in Pro? and do you have a status page",
            ["how do I add a webhook", "how many calls are in Pro?", "do you have a status page"],
        ),
        (
            "How do I connect Slack? Also, is there a free trial?",
            ["How do I connect Slack?", "is there a free trial?"],
        ),
        ("My flow is stuck. It says error 429. What should I do?", []),
        ("how do I rename and share a flow", []),
        ("hello", []),
        ("when do we renew, how many runs are left", ["when do we renew", "how many runs are left"]),
        (
            "whats your refund policy and how do i add a teammate",
            ["whats your refund policy", "how do i add a teammate"],
        ),
        ("how do i add a teammate & where's my invoice", ["how do i add a teammate", "where's my invoice"]),
        ("when's the next invoice; whos our contact", ["when's the next invoice", "whos our contact"]),
        ("when it fails, how do I retry", []),
        ("what I need, where is it", ["what I need", "where is it"]),
    ],
)
def test_only_whole_questions_are_parted(parts: ModuleType, text: str, pieces: list[str]) -> None:
    """A story with one question stays whole."""
    assert parts.questions(text) == pieces


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("show me my invoice and my seats", ["show me my invoice", "show me my seats"]),
        ("plan, usage and renewal date pls", ["plan", "usage", "renewal date"]),
        ("what is the difference between the starter and the team plan", []),
        ("how do I rename and share a flow", []),
        ("it is slow and unreliable", []),
        ("すみません、請求書とシート数を見せてください", ["請求書を見せてください", "シート数を見せてください"]),
        ("プラン、請求書と更新日を教えて", ["プランを教えて", "請求書を教えて", "更新日を教えて"]),
        ("使用量や請求額を知りたい", ["使用量を知りたい", "請求額を知りたい"]),
        ("トリガーとステップの違いは？", []),
        ("SlackとGoogleを連携する方法を教えて", []),
        ("プランと使用量を確認したい", ["プランを確認したい", "使用量を確認したい"]),
        ("もっと詳しく教えて", []),
        ("エラーと表示されます", []),
    ],
)
def test_nouns_that_share_a_request_are_parted(parts: ModuleType, text: str, requests: list[str]) -> None:
    """Not those that are asked about together."""
    assert parts.listed(text) == requests


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("no, I meant API keys", "API keys"),
        ("I meant the invoice", "the invoice"),
        ("apologies, I meant the one of October", "the one of October"),
        ("いや、Webhookのことです", "Webhook"),
        ("I asked about webhooks, not emails", "webhooks"),
        ("no thanks", None),
        ("what do you mean", None),
    ],
)
def test_a_correction_is_read_as_what_was_meant(parts: ModuleType, text: str, meant: str | None) -> None:
    """The rest is the new question."""
    assert parts.corrected(text) == meant


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is broken. I want to talk to someone.", ["It is broken.", "I want to talk to someone."]),
        ("動きません。担当者と話したいです", ["動きません。", "担当者と話したいです"]),
        ("I want to talk to someone.", []),
        ("version 2.5 is broken", []),
        ("how many runs have I used? (#4711)", []),
        ("No. " * 9, []),
        (
            "ご担当者様\n接続が切れました。\n再接続の方法を教えてください。",
            ["接続が切れました。", "再接続の方法を教えてください。"],
        ),
        ("Dear customer service agent,\nour sync is broken. What now?", ["our sync is broken.", "What now?"]),
    ],
)
def test_the_sentences_of_a_message_that_has_several(parts: ModuleType, text: str, found: list[str]) -> None:
    """None of one that has one, or is a long letter; whom a letter is for is none of them."""
    assert parts.sentences(text) == found
