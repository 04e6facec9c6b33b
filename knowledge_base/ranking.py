"""The articles of a shelf that may answer a question, best first.

Both sides see whole articles. The dense score of an article is that of its best row (a window of a passage, or one of its
questions) and a share of its second best, the mean over the question and its subject line. There are two lexical scores: BM25
over its full text, with pairs of words, and that of its best passage, since words that stand together say more than words
spread over a long article: the more, the more of the question's words there are in one article at all. Each is brought to a
scale from 0 (like any article) to 1 (the best one here), and they are added with weights. Then the best of them are read more closely, word piece by word piece (`pieces.py`), which counts as one
more side. `docs/decisions/retrieval.md` has the figures behind each choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from knowledge_base.articles import Article
from knowledge_base.decision import Candidate, Signals
from knowledge_base.index import Index, Shelf
from knowledge_base.lexical import terms_and_pairs, tokens
from knowledge_base.pieces import Reading
from knowledge_base.text import parts_of_question

Floats = npt.NDArray[np.float32]

WORDS = 0.3
"""Weight of the lexical score of the whole article."""
WORDS_TOGETHER = 0.35
"""Weight of that of its best passage, where some article has every word of the question …"""
WORDS_APART = 0.4
"""… and the share of the words, by rarity, up to which it has none: the question is put in other words than the help content."""
SECOND_ROW = 0.3
"""What an article's second best row counts: an article that is about the question throughout goes before one that mentions it."""
POOL_ROWS = 200
"""Nearest rows that make their articles candidates."""
POOL_ARTICLES = 50
"""Articles with the best lexical scores that become candidates too."""
REREAD = 20
"""Articles read more closely, word piece by word piece."""
REREAD_ROWS = 12
"""Rows of each that are at most, the nearest: of a very long article not all."""
REREAD_WEIGHT = 0.2
"""What that counts beside the sides together."""
UNMATCHED = 0.5
"""Likeness below which a word piece of the question has no match in a text."""
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
    vectors = np.stack([part.vector for part in asked])
    worded = [shelf.whole.scores(terms_and_pairs(part)) for part in parts_of_question(text)]
    lexical = worded[0]
    pool = [place for place in _pool(shelf, vectors, lexical) if shelf.articles[place] not in without]
    if not pool:
        return []
    rows = _Rows(shelf, pool)
    best, second = _best_rows(rows, vectors)
    dense = best + SECOND_ROW * second
    parts = shelf.parts.scores(tokens(text))
    floor = (1 + SECOND_ROW) * float((vectors @ shelf.centres[0]).mean())
    sides = (dense, lexical[pool], _best_parts(shelf, pool, parts))
    fused = fuse(sides, (floor, 0.0, 0.0), weights(_most_covered(shelf, text, lexical)))
    fused, matches = _reread(shelf, asked, vectors, pool, fused)
    order = np.argsort(-fused, kind="stable")[: max(k, 10)]
    signals = _Signals(shelf, text, vectors, np.sum(worded, axis=0), matches)
    fits = signals.of([pool[n] for n in order])
    found = [
        Candidate(
            article=int(shelf.articles[pool[n]]),
            place=pool[n],
            passage=best_passage(shelf, pool[n], asked[0], parts, personal=personal),
            score=float(fused[n]),
            dense=float(best[n]),
            lexical=float(lexical[pool[n]]),
            signals=fit,
        )
        for n, fit in zip(order, fits, strict=True)
    ]
    if weigh is not None:
        found = _reweighed(index, found, weigh)
    found = found[:k]
    crowd, alone = signals.crowd(found[0].place, rows), signals.alone([one.place for one in found])
    return [replace(found[0], crowd=crowd, alone=alone), *found[1:]]


class _Signals:
    """What tells whether an article answers, apart from how it ranks.

    Everything alike is measured from the centre of the help content: what all its articles share (a product's name, the
    manner of a help centre) says nothing about any of them.
    """

    def __init__(
        self, shelf: Shelf, text: str, vectors: Floats, lexical: Floats, matches: Mapping[int, Floats]
    ) -> None:
        self.shelf = shelf
        self.matches = matches
        self.terms = [tokens(part) for part in parts_of_question(text)]
        self.asked, self.asked_title = (_from(centre, vectors) for centre in shelf.centres[:2])
        self.lexical = lexical
        self.mean, self.spread = float(lexical.mean()), max(float(lexical.std()), 1e-6)

    def of(self, places: Sequence[int]) -> list[Signals]:
        """Of several articles, all at once."""
        rows = _Rows(self.shelf, places)
        about = rows.best(self.asked @ _from(self.shelf.centres[0], rows.vectors).T).mean(axis=0)
        titles = self.asked_title @ _from(self.shelf.centres[1], self.shelf.titles[places]).T
        coverage = np.mean([self.shelf.whole.coverage(terms, places) for terms in self.terms], axis=0)
        lexical = (self.lexical[places] - self.mean) / self.spread
        read = [self.matches.get(place) for place in places]
        matched = [own.mean() if own is not None else 0.0 for own in read]
        unmatched = [(own < UNMATCHED).mean() if own is not None else 0.0 for own in read]
        columns = zip(about, titles.mean(axis=0), coverage, lexical, matched, unmatched, strict=True)
        return [Signals(*map(float, column)) for column in columns]

    def alone(self, places: Sequence[int]) -> float:
        """By how much the first of some articles matches the question's pieces better than all others, in the mean."""
        others = [self.matches[place] for place in places[1:] if place in self.matches]
        own = self.matches.get(places[0])
        if own is None or not others:
            return 0.0
        return float(np.maximum(own - np.max(others, axis=0), 0).mean())

    def crowd(self, place: int, pool: _Rows) -> float:
        """How alike an article is to the ones nearest to it. A question no more alike to it than they are has only hit on
        its subject (cross-domain similarity local scaling, Conneau et al. 2018)."""
        seen = _from(self.shelf.centres[0], pool.vectors)
        at = pool.places.index(place)
        own = seen[pool.ends[at] - pool.lengths[at] : pool.ends[at]]
        others = pool.lengths > 0
        others[at] = False
        if not len(own) or not others.any():
            return 0.0
        alike = pool.best((own @ seen.T).max(axis=0)[None])[0]
        return float(np.sort(alike[others])[-NEIGHBOURS:].mean())


class _Rows:
    """The rows of some articles, one article after the other.

    Attributes:
        places: the articles, by their places on the shelf.
        vectors: their rows.
        lengths, ends: how many rows each has, and where in `vectors` they end.
    """

    def __init__(self, shelf: Shelf, places: Sequence[int]) -> None:
        self.places = list(places)
        first = shelf.article_rows[self.places]
        self.lengths = shelf.article_rows[np.add(self.places, 1)] - first
        self.ends = np.cumsum(self.lengths)
        self._there = self.lengths > 0
        self._starts = (self.ends - self.lengths)[self._there]
        # Where in the matrix each row is: the first of its article, and how many rows of it came before.
        number = np.arange(self.ends[-1] if len(self.ends) else 0)
        self.vectors: Floats = shelf.dense.vectors[number + np.repeat(first - (self.ends - self.lengths), self.lengths)]

    def best(self, scores: Floats) -> Floats:
        """The best score of each article, for each line of scores of the rows; 0 where it has no row."""
        made: Floats = np.zeros((len(scores), len(self.places)), np.float32)
        if len(self._starts):
            made[:, self._there] = np.maximum.reduceat(scores, self._starts, axis=1)
        return made


def _from(centre: Floats, vectors: Floats) -> Floats:
    """Vectors as seen from there, of length 1."""
    moved = vectors - centre
    made: Floats = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
    return made


def _alike(centre: Floats, vectors: Floats, asked: Floats) -> Floats:
    """How alike each is to one that is asked for, as seen from there."""
    made: Floats = _from(centre, vectors) @ _from(centre, asked[None])[0]
    return made


def weights(covered: float) -> tuple[float, float, float]:
    """Of the dense score, the lexical one of the whole article, and that of its best passage.

    Args:
        covered: share of the question's words that an article has, 0 to 1.
    """
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


def _most_covered(shelf: Shelf, text: str, lexical: Floats) -> float:
    """Share of the question's words that the article with the best words has."""
    return float(shelf.whole.coverage(tokens(text), [int(lexical.argmax())])[0])


def _reread(
    shelf: Shelf, asked: Sequence[Reading], vectors: Floats, pool: Sequence[int], fused: Floats
) -> tuple[Floats, dict[int, Floats]]:
    """The best articles read more closely.

    Args:
        asked: the question and, where it has one, its subject line, which alone decides the rank.
        vectors: of these.
        pool: places of the candidates.
        fused: their scores.
    Returns:
        the scores, those of the best articles mixed with how well their rows match the question piece by piece; and what
        the best row of each of these has of each piece of the whole question, by place.
    """
    parts = [part.pieces for part in asked if part.pieces is not None and len(part.pieces)]
    if shelf.pieces is None or len(parts) < len(asked):
        return fused, {}
    top = np.argsort(-fused, kind="stable")[:REREAD]
    rows = [_nearest_rows(shelf, pool[n], vectors) for n in top]
    has = shelf.pieces.matches(parts, [row for own in rows for row in own])
    # Squared: a piece that is there as it was asked for says more than two that are somewhat like it.
    scores = np.square(np.maximum(has[-1], 0)).mean(axis=1)
    best, matches = np.zeros(len(top), np.float32), {}
    end = 0
    for at, own in enumerate(rows):
        begin, end = end, end + len(own)
        if own:
            row = begin + int(scores[begin:end].argmax())
            best[at], matches[pool[top[at]]] = scores[row], has[0][row]
    made: Floats = (1 - REREAD_WEIGHT) * fused
    made[top] += REREAD_WEIGHT * _scaled(best, float(best.min()))
    return made, matches


def _nearest_rows(shelf: Shelf, place: int, vectors: Floats) -> list[int]:
    first, last = int(shelf.article_rows[place]), int(shelf.article_rows[place + 1])
    if last - first <= REREAD_ROWS:
        return list(range(first, last))
    nearest = np.argsort(-(vectors @ shelf.dense.vectors[first:last].T).max(axis=0), kind="stable")[:REREAD_ROWS]
    return [first + int(row) for row in nearest]


def _scaled(scores: Floats, floor: float) -> Floats:
    high = float(scores.max())
    if high <= floor:
        return np.zeros_like(scores)
    made: Floats = np.clip((scores - floor) / (high - floor), 0, 1)
    return made


def best_passage(shelf: Shelf, place: int, asked: Reading, parts: Floats, *, personal: bool) -> int:
    """Position of the passage of one article that answers best; -1 where it has none."""
    first, last = shelf.article_passages[place], shelf.article_passages[place + 1]
    if first == last:
        return -1
    rows = slice(shelf.article_rows[place], shelf.article_rows[place + 1])
    own = shelf.row_passage[rows] >= 0  # the article's questions say which article it is, not which passage
    texts = _alike(shelf.centres[0], shelf.dense.vectors[rows][own], asked.vector)
    scores = HEADING_IN_ARTICLE * _alike(
        shelf.centres[2], shelf.headings[shelf.passage_heading[first:last]], asked.vector
    )
    best = np.full(last - first, -1.0, np.float32)
    np.maximum.at(best, shelf.row_passage[rows][own] - first, texts)
    scores += best
    words = parts[first:last]
    if words.max() > 0:
        scores += LEXICAL_IN_ARTICLE * words / words.max()
    if personal:
        scores += PERSONAL_IN_ARTICLE * shelf.personal[first:last]
    return int(shelf.passages[first + int(np.argmax(scores))])


def _best_parts(shelf: Shelf, places: Sequence[int], parts: Floats) -> Floats:
    """Lexical score of the best passage of each article; 0 where it has none."""
    bounds = ((shelf.article_passages[place], shelf.article_passages[place + 1]) for place in places)
    return np.array([parts[first:last].max(initial=0.0) for first, last in bounds], np.float32)


def _best_rows(rows: _Rows, vectors: Floats) -> tuple[Floats, Floats]:
    """For each article the score of its best row, the mean over the question's parts; and of its second best for the whole
    question (the best again, where it has one row). 0 where it has none."""
    scores: Floats = vectors @ rows.vectors.T
    best = rows.best(scores)
    # The best row of each article out of the way, the second is the best: the first of those that reach the best is it.
    reached = np.flatnonzero(scores[0] == np.repeat(best[0], rows.lengths))
    article = np.searchsorted(rows.ends, reached, side="right")
    left = scores[:1].copy()
    left[0, reached[np.unique(article, return_index=True)[1]]] = -np.inf
    return best.mean(axis=0), np.where(rows.lengths > 1, rows.best(left)[0], best[0])


def _pool(shelf: Shelf, vectors: Floats, lexical: Floats) -> list[int]:
    """Places on the shelf of the articles worth a closer look."""
    rows = np.concatenate([shelf.dense.search(vector, POOL_ROWS)[1] for vector in vectors])
    near = np.searchsorted(shelf.article_rows, rows, side="right") - 1
    wanted = min(POOL_ARTICLES, len(lexical))
    worded = np.argpartition(-lexical, wanted - 1)[:wanted]
    return sorted({*near.tolist(), *worded[lexical[worded] > 0].tolist()}) or [0]


def _reweighed(index: Index, found: Sequence[Candidate], weigh: Callable[[Article], float]) -> list[Candidate]:
    return sorted(found, key=lambda candidate: -(candidate.score + weigh(index.articles[candidate.article])))
