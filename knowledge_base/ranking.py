"""The articles of a shelf that may answer a question, best first.

Both sides see whole articles. The dense score of an article is that of its best row (a window of a passage, or one of its
questions) and a share of its second best, the mean over the question and its subject line. There are two lexical scores: BM25
over its full text, with pairs of words, and that of its best passage, since words that stand together say more than words
spread over a long article: the more, the more of the question's words there are in one article at all. Each is brought to a
scale from 0 (like any article) to 1 (the best one here), and they are added with weights. Then the best of them are read more closely, word piece by word piece (`pieces.py`), which counts as one
more side. `docs/decisions/retrieval.md` has the figures behind each choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from knowledge_base.articles import Article
from knowledge_base.decision import Candidate, Signals
from knowledge_base.index import Index, Shelf
from knowledge_base.lexical import Scored, stretches, telling, terms_and_pairs, tokens
from knowledge_base.pieces import Reading
from knowledge_base.text import is_japanese, parts_of_question

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.integer[Any]]

WORDS = 0.3
"""Weight of the lexical score of the whole article."""
WORDS_TOGETHER = 0.35
"""Weight of that of its best passage, where some article has every word of the question …"""
WORDS_APART = 0.4
"""… and the share of the words, by rarity, up to which it has none: the question is put in other words than the help content."""
WORDS_ACROSS = 0.1
"""Weight of both where the question is in another language than the articles: what they share is names, and many articles have those."""
SECOND_ROW = 0.3
"""What an article's second best row counts: an article that is about the question throughout goes before one that mentions it."""
POOL_ROWS = 100
"""Nearest rows that make their articles candidates."""
NEAREST_ROWS = 20
"""Nearest rows of a sentence, of which the one most alike is taken as seen from the centre."""
POOL_ARTICLES = 30
"""Articles with the best lexical scores that become candidates too."""
REREAD = 10
"""Articles read more closely, word piece by word piece."""
REREAD_ROWS = 12
"""Rows of each that are at most, the nearest: of a very long article not all."""
REREAD_WEIGHT = 0.2
"""What that counts beside the sides together."""
UNMATCHED = 0.5
"""Likeness below which a word piece of the question has no match in a text."""
IN_KEEPING = 0.6
"""Likeness to something here, as a share of that of the most alike sentence of a question, below which a sentence is left out: it tells
who asks, not what."""
NEIGHBOURS = 3
"""Articles nearest to the first one, from which it is told apart."""
HEADING_IN_ARTICLE = 1.5
"""How much likeness to the headings above a passage counts beside likeness to its text, when the passage is chosen: a writer's
heading says what the section answers, and a question is as short as a heading."""
LEXICAL_IN_ARTICLE = 0.15
"""How much the best lexical passage of an article gains then, in units of likeness."""
PERSONAL_IN_ARTICLE = 0.25
"""What a passage with values of the account gains within its article, where the asker has an account: "how many runs do I
have" is then answered with their own number rather than with the general rule beside it."""
MAIN_IN_ARTICLE = 0.15
"""What the main passage of an article gains then where one of the article's own questions is more like what is asked than any heading or
text of it, unless values of the account are preferred."""
INTRODUCTION_IN_ARTICLE = 0.05
"""What its first passage gains then where no heading is more like what is asked than the title alone: it is the article as a whole that is
asked for."""
COMMUNITY_PENALTY = 0.1
"""What a community topic loses in fused score against the company's own articles."""


def rank(
    index: Index,
    shelf: Shelf,
    text: str,
    asked: Sequence[Reading],
    k: int,
    weigh: Callable[[Article], float] | None = None,
    *,
    personal: bool = False,
    without: Collection[int] = (),
) -> list[Candidate]:
    """The best articles of a shelf.

    Args:
        index: the index.
        shelf: of it.
        text: the question, cleaned.
        asked: its parts (`text.parts_of_question`), the whole first, as the shelf's encoder reads them.
        k: how many at most.
        personal: whether the asker has an account whose values articles may use.
        without: articles, by their position in the index, that are treated as if they were not there.
        weigh: what an article gains or loses for this asker, in units of the fused score.
    """
    if not len(shelf.articles):
        return []
    vectors = np.array([part.vector for part in asked])
    parts_asked = parts_of_question(text)
    terms = [telling(tokens(part)) for part in parts_asked]
    worded = [shelf.whole.scores(telling(terms_and_pairs(part))) for part in parts_asked]
    lexical = worded[0]
    pool = _pool(shelf, vectors, lexical, without)
    if not len(pool):
        return []
    rows = _Rows.of(shelf, pool)
    scores: Floats = vectors @ rows.vectors.T
    best, second = _best_rows(rows, scores)
    texts = _Passages.of(shelf, pool, shelf.parts.of(terms[0]))
    floor = (1 + SECOND_ROW) * float(_mean(vectors @ shelf.rows.centre))
    covered = [shelf.whole.coverage(own, np.append(pool, lexical.argmax())) for own in terms]
    sides = (best + SECOND_ROW * second, lexical[pool], texts.best(texts.words))
    across = is_japanese(text) != (shelf.lang == "ja")
    fused = fuse(sides, (floor, 0.0, 0.0), weights(float(covered[0][-1]), across=across))
    fused, read, matches = _reread(shelf, asked, rows, scores, fused)
    order = (-fused).argsort(kind="stable")[: max(k, 10)].tolist()
    if weigh is not None:
        gains = {n: weigh(index.articles[shelf.articles[pool[n]]]) for n in order}
        order.sort(key=lambda n: -(float(fused[n]) + gains[n]))
    order = order[:k]
    close = rows.only(order)
    alike = shelf.rows.alike(vectors, close.numbers, close.vectors)
    standard = _standard(sum(worded[1:], lexical), close.places)
    read, matches = read[order], matches[order]
    signals = _signals(shelf, close, alike, vectors, _mean(np.array(covered))[order], standard, read, matches)
    passages = _best_passages(shelf, close, texts.only(order), alike[0], vectors[0], personal=personal)
    found = [
        Candidate(
            article=int(shelf.articles[pool[n]]),
            place=int(pool[n]),
            passage=passage,
            score=float(fused[n]),
            dense=float(best[n]),
            lexical=float(lexical[pool[n]]),
            signals=fit,
        )
        for n, passage, fit in zip(order, passages, signals, strict=True)
    ]
    return [found[0]._replace(crowd=_crowd(shelf, rows, order[0]), alone=_alone(read, matches)), *found[1:]]


def in_keeping(shelf: Shelf, said: Sequence[str], read: Sequence[Reading]) -> list[str]:
    """Of the sentences of a question those that are about anything here, in their order.

    Args:
        shelf: where it is looked for.
        said: the sentences; at least one.
        read: the same, as the shelf's encoder reads them.
    """
    if not len(shelf.row_passage):
        return list(said)
    vectors = np.array([one.vector for one in read])
    near = shelf.dense.search_each(vectors, NEAREST_ROWS)
    alike = [float(shelf.rows.alike(vectors[n : n + 1], rows).max()) for n, (_, rows) in enumerate(near)]
    least = IN_KEEPING * max(alike)
    return [sentence for sentence, near in zip(said, alike, strict=True) if near >= least]


@dataclass(frozen=True, slots=True)
class _Stretches:
    """What some articles have several of, one article after the other.

    Attributes:
        first, lengths: the number of the first of each article, and how many it has.
        starts: where those of each article start here.
        numbers: of all.
    """

    first: Places
    lengths: Places
    starts: Places
    numbers: Places

    def own(self, at: int) -> slice:
        """Where those of one of the articles are."""
        return slice(int(self.starts[at]), int(self.starts[at] + self.lengths[at]))

    def best(self, scores: Floats) -> Floats:
        """The best score of each article, for each line of scores, where there are several; 0 where it has none."""
        if np.count_nonzero(self.lengths) == len(self.lengths):
            made: Floats = np.maximum.reduceat(scores, self.starts, axis=-1)
            return made
        there = self.lengths > 0
        filled: Floats = np.zeros((*scores.shape[:-1], len(there)), np.float32)
        if there.any():
            filled[..., there] = np.maximum.reduceat(scores, self.starts[there], axis=-1)
        return filled

    def where_best(self, scores: Floats) -> Places:
        """Where the best score of each article is that has one; the first of those alike."""
        reached = np.flatnonzero(scores == self.best(scores).repeat(self.lengths))
        return reached[reached.searchsorted(self.starts[self.lengths > 0])]


@dataclass(frozen=True, slots=True)
class _Rows(_Stretches):
    """The rows of some articles.

    Attributes:
        places: the articles, by their places on the shelf.
        vectors: of the rows.
    """

    places: Places
    vectors: Floats

    @classmethod
    def of(cls, shelf: Shelf, places: Places) -> _Rows:
        """Fetched from their file."""
        first = shelf.article_rows[places]
        lengths = shelf.article_rows[places + 1] - first
        numbers = stretches(first, lengths)
        # `take` needs half the time of `vectors[numbers]`.
        vectors: Floats = shelf.dense.vectors.take(numbers, 0)
        return cls(first, lengths, lengths.cumsum() - lengths, numbers, places, vectors)

    def only(self, at: Sequence[int]) -> _Rows:
        """Those of some of the articles."""
        lengths = self.lengths[at]
        own = stretches(self.starts[at], lengths)
        starts = lengths.cumsum() - lengths
        return _Rows(self.first[at], lengths, starts, self.numbers[own], self.places[at], self.vectors.take(own, 0))


@dataclass(frozen=True, slots=True)
class _Passages(_Stretches):
    """The passages of some articles.

    Attributes:
        words: their lexical scores.
    """

    words: Floats

    @classmethod
    def of(cls, shelf: Shelf, places: Places, parts: Scored) -> _Passages:
        """Of those at some places on the shelf."""
        first = shelf.article_passages[places]
        lengths = shelf.article_passages[places + 1] - first
        starts = lengths.cumsum() - lengths
        return cls(first, lengths, starts, stretches(first, lengths), parts.among(first, lengths))

    def only(self, at: Sequence[int]) -> _Passages:
        """Those of some of the articles."""
        lengths = self.lengths[at]
        own = stretches(self.starts[at], lengths)
        return _Passages(self.first[at], lengths, lengths.cumsum() - lengths, self.numbers[own], self.words[own])


def _standard(scores: Floats, places: Places) -> Floats:
    """Scores of some articles in standard deviations above the mean of all."""
    mean = float(_mean(scores))
    deviation = math.sqrt(max(0.0, float(scores @ scores) / len(scores) - mean * mean))
    made: Floats = (scores[places] - mean) / max(deviation, 1e-6)
    return made


def _signals(
    shelf: Shelf,
    rows: _Rows,
    alike: Floats,
    vectors: Floats,
    coverage: npt.NDArray[np.float64],
    standard: Floats,
    read: npt.NDArray[np.bool_],
    matches: Floats,
) -> list[Signals]:
    """What tells whether an article answers, apart from how it ranks.

    Args:
        rows: of the articles.
        alike: each part of the question to these, as seen from the centre.
        vectors: of the parts of the question.
        coverage, standard: of the words of the question, for each article (`Signals`).
        read, matches: which of them were read closely, and of the question's pieces what each has (`_reread`).
    """
    titles = _mean(shelf.titles.alike(vectors, rows.places))
    about = _mean(rows.best(alike))
    matched, unmatched = _mean(matches.T), read * _mean((matches < UNMATCHED).T)
    columns = (about, titles, coverage, standard, matched, unmatched)
    return [Signals(*one) for one in zip(*(column.tolist() for column in columns), strict=True)]


def _mean(lines: npt.NDArray[Any]) -> Any:
    """The mean of some lines, or numbers; NumPy's own way to it takes three times as long for so few."""
    return np.add.reduce(lines) / len(lines)


def _alone(read: npt.NDArray[np.bool_], matches: Floats) -> float:
    """By how much the first of some articles matches the question's pieces better than all others, in the mean.

    Args:
        read, matches: as for `_signals`.
    """
    others = matches[1:][read[1:]]
    if not read[0] or not len(others):
        return 0.0
    return float(_mean(np.maximum(matches[0] - others.max(axis=0), 0)))


def _crowd(shelf: Shelf, pool: _Rows, at: int) -> float:
    """How alike one of the articles is to the ones nearest to it. A question no more alike to it than they are has only hit on
    its subject (cross-domain similarity local scaling, Conneau et al. 2018)."""
    others = pool.lengths > 0
    if not others[at] or np.count_nonzero(others) == 1:
        return 0.0
    others[at] = False
    if shelf.neighbours is not None:
        alike = shelf.neighbours[pool.places[at], pool.places]
    else:
        alike = pool.best(shelf.rows.nearest(pool.vectors[pool.own(at)], pool.numbers, pool.vectors))
    return float(_mean(np.sort(alike[others])[-NEIGHBOURS:]))


def weights(covered: float, *, across: bool = False) -> tuple[float, float, float]:
    """Of the dense score, the lexical one of the whole article, and that of its best passage.

    Args:
        covered: share of the question's words that an article has, 0 to 1.
        across: whether the question is in another language than the articles.
    """
    if across:
        return (1 - WORDS_ACROSS, WORDS_ACROSS, 0.0)
    together = WORDS_TOGETHER * max(0.0, covered - WORDS_APART) / (1 - WORDS_APART)
    return (1 - WORDS - together, WORDS, together)


def fuse(sides: Sequence[Floats], floors: Sequence[float], weights: Sequence[float]) -> Floats:
    """Scores of the same candidates from several sides as one, each side scaled to 1 for its best.

    Args:
        sides: scores of each candidate.
        floors: for each side the score that counts as none.
        weights: of the sides; they sum to 1.
    """
    made: Floats = np.zeros_like(sides[0])
    for scores, floor, weight in zip(sides, floors, weights, strict=True):
        made += weight * _scaled(scores, floor)
    return made


def _reread(
    shelf: Shelf, asked: Sequence[Reading], pool: _Rows, scores: Floats, fused: Floats
) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """The best articles read more closely.

    Args:
        asked: the question and, where it has one, its subject line, which alone decides the rank.
        pool: rows of the candidates.
        scores: of these rows, for each part of the question.
        fused: scores of the candidates.
    Returns:
        the latter, those of the best articles mixed with how well their rows match the question piece by piece; which of the
        candidates were read; and a line for each with what its best row has of each piece of the whole question, zeros where it
        was not read.
    """
    parts = [part.pieces for part in asked if part.pieces is not None and len(part.pieces)]
    read = np.zeros(len(fused), bool)
    top = (-fused).argsort(kind="stable")[:REREAD]
    near = _nearest_rows(pool, top, scores)
    if shelf.pieces is None or len(parts) < len(asked) or not len(near.numbers):
        return fused, read, np.zeros((len(fused), 1), np.float32)
    has = shelf.pieces.matches(parts, near.numbers)
    # Squared: a piece that is there as it was asked for says more than two that are somewhat like it.
    match: Floats = _mean(np.square(np.maximum(has[-1], 0)).T)
    best = near.best(match)
    made: Floats = (1 - REREAD_WEIGHT) * fused
    made[top] += REREAD_WEIGHT * _scaled(best, float(best.min()))
    matches = np.zeros((len(fused), has[0].shape[1]), np.float32)
    some = top[near.lengths > 0]
    read[some], matches[some] = True, has[0][near.where_best(match)]
    return made, read, matches


def _nearest_rows(pool: _Rows, places: Places, scores: Floats) -> _Stretches:
    """The rows of some of the articles in their order; of one with many the nearest."""
    lengths = pool.lengths[places]
    if lengths.max() <= REREAD_ROWS:
        own = stretches(pool.starts[places], lengths)
    else:
        far = -scores.max(axis=0)
        own = np.concatenate([_least(far, pool.own(at)) for at in places.tolist()])
        lengths = np.minimum(lengths, REREAD_ROWS)
    return _Stretches(pool.first[places], lengths, lengths.cumsum() - lengths, pool.numbers[own])


def _least(far: Floats, own: slice) -> Places:
    """Where the least of a stretch are, in their order."""
    made: Places = own.start + np.sort(far[own].argsort(kind="stable")[:REREAD_ROWS])
    return made


def _scaled(scores: Floats, floor: float) -> Floats:
    high = float(scores.max())
    if high <= floor:
        return np.zeros_like(scores)
    made: Floats = np.maximum((scores - floor) / (high - floor), 0)
    return made


def best_passage(shelf: Shelf, place: int, asked: Reading, parts: Scored, *, personal: bool) -> int:
    """Position of the passage of one article that answers best; -1 where it has none.

    Args:
        parts: lexical scores of the passages.
        personal: whether the asker has an account whose values articles may use.
    """
    rows = _Rows.of(shelf, np.array([place]))
    alike = shelf.rows.alike(asked.vector[None], rows.numbers, rows.vectors)[0]
    texts = _Passages.of(shelf, rows.places, parts)
    return _best_passages(shelf, rows, texts, alike, asked.vector, personal=personal)[0]


def _best_passages(
    shelf: Shelf, rows: _Rows, passages: _Passages, alike: Floats, asked: Floats, *, personal: bool
) -> list[int]:
    """The same for several articles at once.

    Args:
        rows, passages: of the articles.
        alike: the question to each of these, as seen from the centre.
        asked: its vector.
    """
    passage = shelf.row_passage[rows.numbers]
    own = passage >= 0  # the article's questions say which article it is, not which passage
    texts = np.full(len(passages.numbers), -1.0, np.float32)
    np.maximum.at(texts, (passage + (passages.starts - passages.first).repeat(rows.lengths))[own], alike[own])
    headed = shelf.headings.alike(asked[None], shelf.passage_heading[passages.numbers])[0]
    scores = texts + HEADING_IN_ARTICLE * headed
    if personal:
        scores += PERSONAL_IN_ARTICLE * shelf.personal[passages.numbers]
    else:
        there = passages.lengths > 0
        starts = passages.starts[there]
        scores[starts[headed[starts] >= passages.best(headed)[there]]] += INTRODUCTION_IN_ARTICLE
        whole = rows.best(np.where(own, np.float32(-1), alike))
        main = (whole > passages.best(np.maximum(headed, texts))) & there
        scores[(passages.starts + shelf.main[rows.places])[main]] += MAIN_IN_ARTICLE
    most = passages.best(passages.words)
    scores += LEXICAL_IN_ARTICLE * passages.words / np.where(most > 0, most, 1).repeat(passages.lengths)
    chosen = np.full(len(passages.lengths), -1)
    chosen[passages.lengths > 0] = shelf.passages[passages.numbers[passages.where_best(scores)]]
    return [int(number) for number in chosen.tolist()]


def _best_rows(rows: _Rows, scores: Floats) -> tuple[Floats, Floats]:
    """For each article the score of its best row, the mean over the question's parts; and of its second best for the whole
    question (the best again, where it has one row). 0 where it has none."""
    best = rows.best(scores)
    left = scores[0].copy()
    left[rows.where_best(left)] = -np.inf
    return _mean(best), np.where(rows.lengths > 1, rows.best(left), best[0])


def _pool(shelf: Shelf, vectors: Floats, lexical: Floats, without: Collection[int]) -> Places:
    """Places on the shelf of the articles worth a closer look, in order."""
    wanted = min(POOL_ARTICLES, len(lexical))
    worded = np.argpartition(-lexical, wanted - 1)[:wanted]
    near = np.zeros(len(lexical), bool)
    near[worded[lexical[worded] > 0]] = True
    for _, rows in shelf.dense.search_each(vectors, POOL_ROWS):
        # As what they are looked for in, which would otherwise be brought to their kind.
        near[shelf.article_rows.searchsorted(rows.astype(np.int32), side="right") - 1] = True
    if not near.any():
        near[0] = True
    if without:
        near[np.isin(shelf.articles, list(without))] = False
    return np.flatnonzero(near)
