"""Which language a message is written in. `bot.language` knows nothing of Rasa, so it runs here too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("how do I pay", "en"),
        ("ありがとう", "ja"),
        ("Slackと連携したい", "ja"),
        ("ok", None),
        ("Slack API", None),
        ("taro.yamada@mail.example.jp", None),
        ("https://app.example.com/some/long/path", None),
        ("my address is taro@example.jp", "en"),
        ("429", None),
    ],
)
def test_names_and_addresses_show_no_language(root: Path, text: str, written: str | None) -> None:
    """A Japanese customer who sends an address goes on in Japanese."""
    spec = importlib.util.spec_from_file_location("language", root / "bot" / "language.py")
    assert spec is not None
    assert spec.loader is not None
    language = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(language)
    assert language.written_in(text) == written
