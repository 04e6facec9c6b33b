"""The bot is never judged on what it was taught."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

SHORT = 3
"""Words up to which a sentence may be in both: there is one way to say "yes"."""


def _plain(text: str) -> str:
    return re.sub(r"[\s.,!?。、！？]+", " ", re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).casefold()).strip()


def _taught(root: Path) -> set[str]:
    found: set[str] = set()
    for path in (root / "bot" / "data" / "nlu").glob("*/*.yml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["nlu"]:
            found |= {_plain(line.removeprefix("- ")) for line in group["examples"].splitlines()}
    return found


def _judged(root: Path) -> set[str]:
    found: set[str] = set()
    for path in (root / "tests" / "bot" / "conversations").glob("*.yml"):
        for story in yaml.safe_load(path.read_text(encoding="utf-8"))["stories"]:
            found |= {_plain(step["user"]) for step in story["steps"] if "user" in step}
    return found


def test_no_sentence_of_the_test_conversations_was_taught(root: Path) -> None:
    """But for greetings and the like, which can hardly be said otherwise."""
    taught, judged = _taught(root), _judged(root)
    assert len(taught) > 1000
    assert len(judged) > 20
    assert {text for text in judged & taught if len(text.split()) > SHORT} == set()
