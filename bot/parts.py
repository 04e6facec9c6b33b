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
_NOUN_END = r"(?<=[ァ-ヶー一-龥A-Za-z0-9])"
"""A noun ends so, and 「もっと」「あと」, in which と joins nothing, do not."""
_LISTED_JA = re.compile(
    rf"^(?:.*?[、。]\s*)??(?P<first>[^、。\s]{{1,20}}?){_NOUN_END}(?:と|や|および|及び|、)(?:(?P<second>[^、。と\s]{{1,20}}?){_NOUN_END}(?:と|や|および|及び|、))?"
    r"(?P<last>[^、。\s]{1,20}?)(?P<ask>(?:を|は|について|に関して|の(?=[^、。]*(?:方法|仕方|やり方|手順|場所|確認|設定|変更|追加)))[^、。]{0,24}[。？?！!]*)$"
)
"""Nouns that share what is asked of them: 「請求書とシート数を見せて」."""
_NAMED = r"(?:(?:my|our|the|your|current|latest|next|last|recent) ){0,3}[\w-]+(?: [\w-]+)?"
_LISTED = re.compile(
    rf"^(?P<ask>.*?\b(?:show|tell|give|send|see|check|know|need|want|list|what(?:['’]?s| is| are| about)|about|have)\b(?: me| us)?(?: about| of)? )?"
    rf"(?P<first>{_NAMED})(?:, (?P<second>{_NAMED}))?,? (?:and|&|plus)(?: also)? (?P<last>{_NAMED})(?P<tail>(?:,? (?:please|pls|plz|thanks))?\W*)$",
    re.IGNORECASE,
)
"""The same in English, where the request comes first: "show me my invoice and my seats"."""
_TOGETHER = re.compile(
    r"違い|差|比較|関係|連携|接続|同期|組み合わせ|どちら|どっち|両方|間"
    r"|\b(?:between|differences?|versus|vs|both|compare|connect|sync|to|in|on|with|from|how|why|when|where|i|we|it|is|are|do|does|not)\b",
    re.IGNORECASE,
)
"""Words with which nouns are asked about together, or, in English, are no nouns."""
_VERB_JA = re.compile(r"する|した|して|でき|れる|ない")
_SALUTATION = re.compile(
    r"^dear\b.{0,60}$|^(?:hi|hello|hey|good (?:morning|afternoon|evening)|to|attn)\b[^.?!]{0,60}[,:]$|^.{0,24}(?:様|さま|殿|御中|各位)[、,：:]?$",
    re.IGNORECASE,
)
"""The line of a letter that says whom it is for."""
_ASIDE = re.compile(
    r"^(?:no|nope|sorry|apologies|oops|my (?:bad|mistake)|not that|wait|actually)?[\s,.:!-]*"
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


def listed(text: str) -> List[str]:
    """The requests of a message that asks the same of two or three nouns ("show me my invoice and my seats"), each by itself; else none."""
    plain = text.strip()
    found = _LISTED_JA.match(plain) or _LISTED.match(plain)
    if found is None:
        return []
    japanese = found.re is _LISTED_JA
    nouns = [found[name] for name in ("first", "second", "last") if found[name]]
    asked = found["ask"] or ""
    if any(_TOGETHER.search(one) for one in (*nouns, asked if japanese else "")) or any(map(_VERB_JA.search, nouns)):
        return []
    return [f"{noun}{asked}" if japanese else f"{asked}{noun}" for noun in nouns]


def sentences(text: str) -> List[str]:
    """The sentences of a message that has several, without what is no word and whom it is for; none of one that has one, or is a long
    letter."""
    pieces = [piece.strip() for piece in _SENTENCE.split(text) if _WORD.search(piece)]
    pieces = [piece for piece in pieces if not _SALUTATION.match(piece)]
    return pieces if 2 <= len(pieces) <= MOST_SENTENCES else []


def corrected(text: str) -> Optional[str]:
    """What a correction says was meant ("no, I meant API keys"), or None."""
    found = _ASIDE.match(text.strip()) or _ASIDE_JA.match(text.strip())
    return found.group("meant").strip() if found else None
