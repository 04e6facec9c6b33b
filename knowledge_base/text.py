"""Script, words and lengths of English and Japanese text."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = Literal["en", "ja"]

_JAPANESE = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ue000-\uf8ff]"
)
_UNIT = re.compile(rf"{_JAPANESE.pattern}|[^\s]+?(?=\s|{_JAPANESE.pattern}|$)")
JAPANESE_SHARE = 0.15
"""Share of Japanese characters among all letters from which a text counts as Japanese: Japanese help text is full of
English product words, while an English text quotes a Japanese word at most."""
_WAY = re.compile(
    r"\b(how (do|does|can|could|should|would|to)|how's|where|why)\b|どこ|どうやって|どうすれば|どのように|方法|手順|やり方|仕方|なぜ|どうして",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])[ \t]+(?=\S)|(?<=[。！？])|\n+")
_ENDS = (".", ",", "!", "。", "、")
SUBJECT_WORDS = 3
"""Words from which the first line of a question says what it is about; "Hello," does not."""
QUESTION_CHARACTERS = 4_000
"""What is read of a question: several times what any encoder here takes in."""


def clean_question(text: str) -> str:
    """A question without control characters, in NFKC (full-width Latin letters become ASCII), cut to a readable length."""
    text = unicodedata.normalize("NFKC", text[: 2 * QUESTION_CHARACTERS])
    return _CONTROL.sub(" ", text).strip()[:QUESTION_CHARACTERS]


def has_words(text: str) -> bool:
    """Whether there is a letter or digit in it at all."""
    return any(character.isalnum() for character in text)


def asks_for_a_way(text: str) -> bool:
    """Whether a question asks how, where or why rather than for a value: what an account has is no answer to it."""
    return _WAY.search(text) is not None


def parts_of_question(text: str) -> list[str]:
    """A question as it is and, where it has one, its subject line: in a forum that says what the lines of a log would drown."""
    subject = subject_line(text)
    return [text, subject] if subject and subject != text else [text]


def subject_line(text: str) -> str:
    """The first line of several that says something, unless a letter begins there: a subject has no full stop or comma at its
    end. Empty where there is none."""
    lines = [line.strip() for line in text.split("\n")]
    first = next((line for line in lines if length(line) >= SUBJECT_WORDS), "")
    return first if first != text and not first.endswith(_ENDS) else ""


def sentences(text: str) -> list[str]:
    """The sentences of a text, and its lines."""
    return [piece.strip() for piece in _SENTENCE.split(text) if piece.strip()]


def is_japanese(text: str) -> bool:
    """Whether a text is written in Japanese."""
    letters = sum(character.isalpha() for character in text)
    return letters > 0 and len(_JAPANESE.findall(text)) >= JAPANESE_SHARE * letters


def length(text: str) -> float:
    """Length in English words; two Japanese characters count as one."""
    japanese = len(_JAPANESE.findall(text))
    return japanese / 2 + len(_JAPANESE.sub(" ", text).split())


def windows(text: str, size: int, stride: int) -> list[str]:
    """A text in overlapping windows.

    Args:
        text: plain text.
        size: length of a window, as `length` counts.
        stride: distance from the start of one window to the start of the next.
    """
    if length(text) <= size:
        return [text]
    units = [(match.start(), match.end(), 0.5 if _JAPANESE.match(match[0]) else 1.0) for match in _UNIT.finditer(text)]
    made: list[str] = []
    first = 0
    while first < len(units):
        total, last = 0.0, first
        following = None
        while last < len(units) and total < size:
            if following is None and total >= stride:
                following = last
            total += units[last][2]
            last += 1
        made.append(text[units[first][0] : units[last - 1][1]])
        if last >= len(units):
            break
        first = following or last
    return made
