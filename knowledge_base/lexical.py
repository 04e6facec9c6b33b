"""Search by words: BM25 (bm25s) over stemmed English words and Japanese character pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer

Scores = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]
Integers = npt.NDArray[np.integer[Any]]

K1 = 1.5
B = 0.75
ALL_UP_TO = 20_000
"""Texts up to which the scores of all take less time than looking a thousand of them up."""
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


@lru_cache(64)  # of one question they are asked for several times
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
    """BM25 over a list of texts (Lucene's variant, as bm25s computes it).

    What bm25s computes when it is built is the share of each term in the score of each text that has it, term by term (`_having`,
    `_shares`, from `_begins` on). They are added up here: for all texts, or for those few that are looked at.
    """

    def __init__(self, index: Any, size: int) -> None:
        self._index = index
        self._terms: dict[str, int] = index.vocab_dict
        # As plain arrays: each slice of a `memmap` takes twice as long as the slice itself.
        self._begins, self._having, self._shares = (
            np.asarray(index.scores[name]) for name in ("indptr", "indices", "data")
        )
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
        return cls(bm25s.BM25.load(str(folder), mmap=True, load_corpus=False, show_progress=False, verbosity=0), size)

    def save(self, folder: Path) -> None:
        """Writes it into a folder."""
        self._index.save(str(folder), show_progress=False)

    def scores(self, terms: Sequence[str]) -> Scores:
        """The score of each text."""
        made: Scores = np.zeros(self.size, np.float32)
        for first, last in map(self._stretch, terms):
            np.add.at(made, self._having[first:last], self._shares[first:last])  # half the time of `made[…] += …`
        return made

    def of(self, terms: Sequence[str]) -> Scored:
        """The scores of those texts that will be asked for, which are few."""
        if self.size <= ALL_UP_TO:
            return Scored(self.scores(terms), self._having, self._shares, [])
        return Scored(None, self._having, self._shares, [at for at in map(self._stretch, terms) if at[1] > at[0]])

    def coverage(self, terms: Sequence[str], places: Sequence[int] | Integers) -> npt.NDArray[np.float64]:
        """Share of the terms that each text has, each term counted by its rarity among all texts; 0 to 1."""
        wanted: Numbers = np.asarray(places, np.int32)  # of another kind they would be brought to one at every search
        total, found = 0.0, np.zeros(len(wanted))
        for term in set(terms):
            first, last = self._stretch(term)
            rarity = math.log(1 + (self.size - (last - first) + 0.5) / (last - first + 0.5))
            total += rarity
            if last > first:
                having = self._having[first:last]
                found += rarity * (having.take(having.searchsorted(wanted), mode="clip") == wanted)
        return found / total if total else found

    def _stretch(self, term: str) -> tuple[int, int]:
        """Where the texts that have a term begin and end."""
        number = self._terms.get(term)
        return (0, 0) if number is None else (int(self._begins[number]), int(self._begins[number + 1]))


class Scored:
    """Scores of texts for some words, added up for those alone that are asked for.

    Args:
        every: the scores of all texts; None: they are added up.
        having, shares: the texts that have a term, in order, and its share in the score of each; term after term.
        terms: where the words that count begin and end there.
    """

    def __init__(self, every: Scores | None, having: Numbers, shares: Scores, terms: Sequence[tuple[int, int]]) -> None:
        self._every = every
        self._having, self._shares, self._terms = having, shares, terms

    def among(self, first: Integers, lengths: Integers) -> Scores:
        """Of texts that follow one another: from each first one on as many as that length says, one stretch after the other."""
        if self._every is not None:
            return self._every[stretches(first, lengths)]
        total = int(lengths.sum())
        if not self._terms or not total:
            return np.zeros(total, np.float32)
        ends: Numbers = np.concatenate([first, first + lengths]).astype(np.int32)
        found = np.array([begin + self._having[begin:end].searchsorted(ends) for begin, end in self._terms])
        begins, ends = found[:, : len(first)].ravel(), found[:, len(first) :].ravel()
        at = stretches(begins, ends - begins)
        moved = np.tile(first - (np.cumsum(lengths) - lengths), len(self._terms))
        rows = self._having[at] - np.repeat(moved, ends - begins)
        return np.bincount(rows, self._shares[at], total).astype(np.float32)


def stretches(first: Integers, lengths: Integers) -> npt.NDArray[np.int64]:
    """The numbers from each first one on, as many as that length says."""
    ends = lengths.cumsum()
    made: npt.NDArray[np.int64] = (first - ends + lengths).repeat(lengths)
    made += np.arange(len(made))
    return made
