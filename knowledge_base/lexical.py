"""Search by words: BM25 (bm25s) over stemmed English words and Japanese character pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer

Scores = npt.NDArray[np.float32]

K1 = 1.5
B = 0.75
_CJK = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff々〆"
_PIECE = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W_{_CJK}]+)?")
# Only from where a word begins: tried from each letter of a long one it would take a second for 20,000 of them.
_JOINED = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:[._/\-][A-Za-z0-9]+)+|(?<![A-Za-z])[A-Za-z]+_[A-Za-z0-9_]+")
_JAPANESE = re.compile(rf"[{_CJK}]")
_HIRAGANA = re.compile(r"[\u3041-\u309f]+")
STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "anyone",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "but",
        "by",
        "can",
        "can't",
        "cannot",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "don't",
        "dont",
        "each",
        "for",
        "from",
        "get",
        "gets",
        "getting",
        "give",
        "given",
        "go",
        "had",
        "has",
        "have",
        "having",
        "hello",
        "help",
        "hey",
        "hi",
        "how",
        "i",
        "i'd",
        "i'll",
        "i'm",
        "i've",
        "if",
        "im",
        "in",
        "into",
        "is",
        "isn't",
        "it",
        "it's",
        "its",
        "just",
        "know",
        "let",
        "like",
        "look",
        "looking",
        "make",
        "may",
        "me",
        "might",
        "mine",
        "more",
        "most",
        "much",
        "must",
        "my",
        "need",
        "needs",
        "no",
        "not",
        "now",
        "of",
        "off",
        "on",
        "once",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "please",
        "really",
        "s",
        "same",
        "seem",
        "seems",
        "should",
        "so",
        "some",
        "somehow",
        "someone",
        "something",
        "still",
        "such",
        "t",
        "than",
        "thank",
        "thanks",
        "that",
        "that's",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "things",
        "this",
        "those",
        "to",
        "too",
        "try",
        "trying",
        "under",
        "until",
        "up",
        "us",
        "use",
        "using",
        "very",
        "want",
        "wants",
        "was",
        "way",
        "we",
        "were",
        "what",
        "what's",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "won't",
        "would",
        "yes",
        "yet",
        "you",
        "your",
        "yours",
    ]
)


@cache
def _stemmer() -> Any:
    return Stemmer.Stemmer("english")


def tokens(text: str) -> list[str]:
    """The terms of a text: English words stemmed and without stop words, Japanese in overlapping pairs of characters, and
    codes such as `SQL-204` or `file_lock` also whole."""
    words, others, codes = _terms(text)
    return others + words + codes


def terms_and_pairs(text: str) -> list[str]:
    """The terms of a text and each two English words that follow one another: `file lock` says more than both apart."""
    words, others, codes = _terms(text)
    return others + words + codes + [f"{first} {second}" for first, second in pairwise(words)]


def telling(terms: list[str]) -> list[str]:
    """The terms of a question without pairs of hiragana, which are particles and endings more than words, unless it has no
    other: 「ログインできません」 is about logging in, not about whatever else cannot be done."""
    return [term for term in terms if not _HIRAGANA.fullmatch(term)] or terms


def _terms(text: str) -> tuple[list[str], list[str], list[str]]:
    """Stemmed words in their order, pairs of Japanese characters, and codes."""
    text = text.lower()
    words: list[str] = []
    pairs: list[str] = []
    for piece in _PIECE.findall(text):
        if _JAPANESE.match(piece):
            pairs.extend(piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        elif piece not in STOP_WORDS:
            words.append(piece.replace("’", "'"))
    return _stemmer().stemWords(words), pairs, [match for match in _JOINED.findall(text) if len(match) <= 60]


class Lexical:
    """BM25 over a list of texts (Lucene's variant, as bm25s computes it)."""

    def __init__(self, index: Any, size: int) -> None:
        self._index = index
        self.size = size

    @classmethod
    def build(cls, texts: Sequence[Sequence[str]]) -> Lexical:
        """From the terms of each text."""
        index = bm25s.BM25(k1=K1, b=B, method="lucene")
        # A corpus without a single term would have no vocabulary to save.
        index.index([list(terms) or [""] for terms in texts] or [[""]], show_progress=False)
        return cls(index, len(texts))

    @classmethod
    def open(cls, folder: Path, size: int) -> Lexical:
        """What `save` wrote, mapped into memory."""
        index = bm25s.BM25.load(str(folder), mmap=True, load_corpus=False, show_progress=False, verbosity=0)
        index.scores = {name: np.asarray(array) for name, array in index.scores.items()}  # see `dense.mapped`
        return cls(index, size)

    def save(self, folder: Path) -> None:
        """Writes it into a folder."""
        self._index.save(str(folder), show_progress=False)

    def scores(self, terms: Sequence[str]) -> Scores:
        """The score of each text."""
        known = [term for term in terms if term in self._index.vocab_dict]
        if not known:
            return np.zeros(self.size, np.float32)
        return np.asarray(self._index.get_scores(known), dtype=np.float32)

    def coverage(self, terms: Sequence[str], places: Sequence[int]) -> npt.NDArray[np.float64]:
        """Share of the terms that each text has, each term counted by its rarity among all texts; 0 to 1."""
        arrays = self._index.scores
        total, found = 0.0, np.zeros(len(places))
        for term in set(terms):
            number = self._index.vocab_dict.get(term)
            first, last = (arrays["indptr"][number], arrays["indptr"][number + 1]) if number is not None else (0, 0)
            rarity = math.log(1 + (self.size - (last - first) + 0.5) / (last - first + 0.5))
            total += rarity
            if last > first:
                having = arrays["indices"][first:last]
                at = np.minimum(np.searchsorted(having, places), len(having) - 1)
                found += rarity * (having[at] == places)
        return found / total if total else found
