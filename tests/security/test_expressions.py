"""Regular expressions that read what strangers write: none can be made to go back and forth for long, which would keep everybody waiting."""

from __future__ import annotations

import importlib
import pkgutil
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

ROOMS = ("kit", "knowledge_base", "accounts", "conversations", "escalations", "actions", "api")
OF_RASA = ("bot.parts", "bot.language", "bot.logs")
"""Modules of the other environment that need nothing of it."""
LONG = 1000
LONGER = {"kit.logging": 60_000, "bot.logs": 60_000}
"""Where not a message or a value is read but what a request says of itself: an address may be as long as its head."""
MOST_SECONDS = 0.1
"""Of processor time for the text of that length; twice the length may take four times as long, no more."""
PARTS = ["a", "1", " ", "\t", "\n", "-", ".", "_", "/", "<", "[", "(", "{", "`", "|", ">", "#", "@", ":", "=", '"', "é", "あ", "ァ", "。", "?",
         "a ", "a. ", "1 ", "1,", "a-", "[a](", "<a ", "<!--", "{{", "a@a.", "://", "&a=", "。 ", "eyJ", "A1 "]  # fmt: skip


def modules() -> Iterator[ModuleType]:
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)
    yield from map(importlib.import_module, OF_RASA)


def compiled(value: Any) -> Iterator[re.Pattern[str]]:
    """The expressions in a value of a module, in lists and tables too."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from compiled(each)
    elif isinstance(value, dict):
        yield from compiled(list(value.values()))


def expressions(root: Path) -> dict[str, re.Pattern[str]]:
    """Every expression of the first-party modules, and the moods' cues, by where it stands."""
    found = {}
    for module in modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(compiled(value)):
                found[f"{module.__name__}.{name} {number}"] = pattern
    with (root / "bot" / "mood" / "cues.csv").open(encoding="utf-8") as file:
        for line in file:
            found[f"cue {line.strip()[:40]}"] = re.compile(line.strip().split("|", 1)[1])
    return found


class TooLong(Exception):
    """The expression did not come to an end."""


def _too_long(_: int, __: FrameType | None) -> None:
    raise TooLong


def seconds(pattern: re.Pattern[str], text: str) -> float:
    """Processor time for looking through a text."""
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 4 * MOST_SECONDS)
    try:
        for _ in pattern.finditer(text):
            pass
    except TooLong:
        return float("inf")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.process_time() - began


@pytest.fixture
def timer() -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _too_long)
    yield
    signal.signal(signal.SIGPROF, before)


def test_no_expression_can_be_kept_busy(timer: None, root: Path) -> None:
    """One letter or sign, or a word the expression looks for, again and again, with an end that fits nothing."""
    tried = expressions(root)
    assert len(tried) > 100
    slow = {}
    for where, pattern in tried.items():
        words = re.findall(r"[A-Za-z]{3,}|[ぁ-んァ-ヶ一-龯]{2,}", pattern.pattern)[:6]
        for part in (*PARTS, *(f"{word} " for word in words)):
            long = LONGER.get(where.partition(" ")[0].rpartition(".")[0], LONG)
            text = (part * long)[:long] + "\x01"
            if seconds(pattern, text) > MOST_SECONDS:
                slow[where] = part
                break
    assert slow == {}


def test_such_an_expression_would_be_found(timer: None) -> None:
    """Words that may be cut up in any way, as they once were."""
    assert seconds(re.compile(r"^(?:\W*\w+){0,6}\W*\bit\b"), "a" * LONG) == float("inf")
