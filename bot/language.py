"""Which language to answer in."""

from __future__ import annotations

import re
from typing import Optional

_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9d]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")

ENGLISH_WORDS = 3
"""Latin words, without a Japanese character, that make a text English: below that it may be a name or a code."""

_NAMES = re.compile(r"\S+@\S+|\bhttps?://\S+|\b(?:[\w-]+\.)+[a-z]{2,}\S*", re.IGNORECASE)
"""Addresses: they are written in no language."""

_WISHES = {
    "ja": re.compile(r"japanese|日本語|nihongo", re.IGNORECASE),
    "en": re.compile(r"english|英語|eigo", re.IGNORECASE),
}


def written_in(text: str) -> Optional[str]:
    """The language a text is written in, or None where it shows none (a number, an address, a product name)."""
    if _JAPANESE.search(text):
        return "ja"
    if len(_LATIN_WORD.findall(_NAMES.sub(" ", text))) >= ENGLISH_WORDS:
        return "en"
    return None


def asked_for(text: str) -> Optional[str]:
    """The language that a wish for another language names first; None where it names neither."""
    found = {lang: match.start() for lang, pattern in _WISHES.items() for match in [pattern.search(text)] if match}
    return min(found, key=lambda lang: found[lang]) if found else None
