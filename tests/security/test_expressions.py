"""Regular expressions that read what strangers write: none can be made to go back and forth for long, which would keep everybody waiting."""

from __future__ import annotations

import importlib
import multiprocessing
import pkgutil
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

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


@dataclass(frozen=True)
class Case:
    """An expression, and a text to look through with it: a part again and again, with an end that fits nothing."""

    where: str
    pattern: re.Pattern[str]
    part: str
    length: int


def too_long(cases: Sequence[Case]) -> Case | None:
    """The first case that takes longer than it may; None where there is none. In a process of its own, which the system ends then: an
    exception out of a signal, in the middle of an expression, once took the whole run with it."""
    context = multiprocessing.get_context("spawn")
    place = context.Value("i", 0)
    process = context.Process(target=_look_through, args=(cases, place))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGPROF), process.exitcode
    return cases[place.value] if process.exitcode else None


def _look_through(cases: Sequence[Case], place: Any) -> None:
    for place.value, case in enumerate(cases):
        text = (case.part * case.length)[: case.length] + "\x01"
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        for _ in case.pattern.finditer(text):
            pass
        signal.setitimer(signal.ITIMER_PROF, 0)


def test_no_expression_can_be_kept_busy(root: Path) -> None:
    """One letter or sign, or a word the expression looks for, again and again."""
    tried = expressions(root)
    assert len(tried) > 100
    cases = []
    for where, pattern in tried.items():
        words = re.findall(r"[A-Za-z]{3,}|[ぁ-んァ-ヶ一-龯]{2,}", pattern.pattern)[:6]
        length = LONGER.get(where.partition(" ")[0].rpartition(".")[0], LONG)
        cases += [Case(where, pattern, part, length) for part in (*PARTS, *(f"{word} " for word in words))]
    assert too_long(cases) is None


def test_such_an_expression_would_be_found() -> None:
    """Words that may be cut up in any way, as they once were."""
    harmless = Case("harmless", re.compile("a+b"), "a", LONG)
    once = Case("once", re.compile(r"^(?:\W*\w+){0,6}\W*\bit\b"), "a", LONG)
    assert too_long([harmless, once, harmless]) == once
