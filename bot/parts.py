"""Messages that hold more than one turn: two questions at once, or a correction of the question before."""

from __future__ import annotations

import re
from typing import List, Optional

MOST = 3
"""Questions of one message that are answered one by one; with more of them it is a story, and read as one."""

MOST_SENTENCES = 8
"""Sentences of a message that are heard one by one for a wish; each costs an encoding."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"[^\W\d_]{2}")
_ENDS = re.compile(r"(?<=[?？。])\s*|(?<=[a-z0-9])\.\s+(?=[A-Z])")
_IS = r"(?:['’]re|['’]?s)?"
"""What hangs on a word that asks, in a chat often without its apostrophe: "whats", "where's"."""
_JOINED = re.compile(
    rf"(?:[,;]|(?<!\s))\s+(?:and|also|plus|&)\s+(?:also\s+)?(?=(?:(?:how|what|when|where|which|who|why){_IS}|can|could|do|does|is|are)\b)"
    rf"|[,;]\s+(?=how(?: (?:much|many|do|can|long)|['’]?s)\b|(?:what|where|which|who){_IS}\b|(?:when|why) (?:do|does|is|are|will|can)\b)"
    r"|(?:それと|それから|あと|また)[、,]\s*",
    re.IGNORECASE,
)
_LINK = re.compile(r"^(?:and|also|plus|&)[\s,]+(?:also[\s,]+)?", re.IGNORECASE)
_ASKS = re.compile(
    rf"^(?:(?:how|what|where|which|who|why){_IS}|can|could|do|does|is|are|will|should|when{_IS}(?! (?:i|we|it|you|they|he|she|the|my|our|a)\b))\b",
    re.IGNORECASE,
)
_ASKS_JA = re.compile(r"(?:か|は|ですか|ますか|教えて(?:ください)?|ください|知りたい(?:です)?)[?？。]?$")
_ASIDE = re.compile(
    r"^(?:no|nope|sorry|not that|wait|actually)?[\s,.:!-]*"
    r"(?:I (?:actually )?(?:meant|mean|asked about|was asking about|am asking about)|what I meant (?:is|was))"
    r"\s+(?P<meant>.+?)(?:,? (?:and )?not (?!working\b|able\b)[\w -]{1,40})?[.!]*$",
    re.IGNORECASE,
)
_ASIDE_JA = re.compile(
    r"^(?:いや|いえ|いいえ|違います|違う|すみません)?[、。\s]*(?P<meant>.{2,}?)(?:のこと|の話)(?:です|だよ)?。?$"
)


def questions(text: str) -> List[str]:
    """The questions of a message, where it is nothing but two or three of them; else none."""
    pieces = [piece.strip(" ,、") for end in _ENDS.split(text) for piece in _JOINED.split(end)]
    pieces = [_LINK.sub("", piece) for piece in pieces if piece]
    if not 2 <= len(pieces) <= MOST or not all(_ASKS.search(one) or _ASKS_JA.search(one) for one in pieces):
        return []
    return pieces


def sentences(text: str) -> List[str]:
    """The sentences of a message that has several, without what is no word; none of one that has one, or is a long letter."""
    pieces = [piece.strip() for piece in _SENTENCE.split(text) if _WORD.search(piece)]
    return pieces if 2 <= len(pieces) <= MOST_SENTENCES else []


def corrected(text: str) -> Optional[str]:
    """What a correction says was meant ("no, I meant API keys"), or None."""
    found = _ASIDE.match(text.strip()) or _ASIDE_JA.match(text.strip())
    return found.group("meant").strip() if found else None
