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
from knowledge_base.lexical import Scored, stretches, telling, terms_and_pairs, tokens
from knowledge_base.pieces import Reading
from knowledge_base.text import is_japanese, parts_of_question

Floats = npt.NDArray[np.float32]

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
    vectors = np.stack([part.vector for part in asked])
    parts_asked = parts_of_question(text)
    terms = [telling(tokens(part)) for part in parts_asked]
    worded = [shelf.whole.scores(telling(terms_and_pairs(part))) for part in parts_asked]
    lexical = worded[0]
    pool = [place for place in _pool(shelf, vectors, lexical) if shelf.articles[place] not in without]
    if not pool:
        return []
    rows = _Rows(shelf, pool)
    scores: Floats = vectors @ rows.vectors.T
    best, second = _best_rows(rows, scores)
    dense = best + SECOND_ROW * second
    parts = shelf.parts.of(terms[0])
    floor = (1 + SECOND_ROW) * float((vectors @ shelf.rows.centre).mean())
    covered = float(shelf.whole.coverage(terms[0], [int(lexical.argmax())])[0])
    across = is_japanese(text) != (shelf.lang == "ja")
    sides = (dense, lexical[pool], _best_parts(shelf, pool, parts))
    fused = fuse(sides, (floor, 0.0, 0.0), weights(covered, across=across))
    fused, matches = _reread(shelf, asked, rows, scores, fused)
    order = np.argsort(-fused, kind="stable")[: max(k, 10)]
    close = _Rows(shelf, [pool[n] for n in order])
    alike = shelf.rows.alike(vectors, close.numbers, close.vectors)
    signals = _signals(shelf, close, alike, vectors, terms, np.sum(worded, axis=0), matches)
    passages = _best_passages(shelf, close, alike[0], vectors[0], parts, personal=personal)
    found = [
        Candidate(
            article=int(shelf.articles[pool[n]]),
            place=pool[n],
            passage=passage,
            score=float(fused[n]),
            dense=float(best[n]),
            lexical=float(lexical[pool[n]]),
            signals=fit,
        )
        for n, passage, fit in zip(order, passages, signals, strict=True)
    ]
    if weigh is not None:
        found = _reweighed(index, found, weigh)
    found = found[:k]
    crowd, alone = _crowd(shelf, found[0].place, rows), _alone([one.place for one in found], matches)
    return [replace(found[0], crowd=crowd, alone=alone), *found[1:]]


def in_keeping(shelf: Shelf, said: Sequence[str], read: Sequence[Reading]) -> list[str]:
    """Of the sentences of a question those that are about anything here, in their order.

    Args:
        shelf: where it is looked for.
        said: the sentences; at least one.
        read: the same, as the shelf's encoder reads them.
    """
    if not len(shelf.row_passage):
        return list(said)
    alike = []
    for one in read:
        rows = shelf.dense.search(one.vector, NEAREST_ROWS)[1]
        alike.append(float(shelf.rows.alike(one.vector[None], rows).max()))
    least = IN_KEEPING * max(alike)
    return [sentence for sentence, near in zip(said, alike, strict=True) if near >= least]


class _Rows:
    """The rows of some articles, one article after the other.

    Attributes:
        places: the articles, by their places on the shelf.
        numbers, vectors: their rows.
        lengths, starts: how many rows each has, and where in `vectors` they start.
    """

    def __init__(self, shelf: Shelf, places: Sequence[int]) -> None:
        self.places = list(places)
        first = shelf.article_rows[self.places]
        self.lengths = shelf.article_rows[np.add(self.places, 1)] - first
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.numbers = stretches(first, self.lengths)
        self.vectors: Floats = shelf.dense.vectors[self.numbers]
        self._there = self.lengths > 0

    def of(self, at: int) -> slice:
        """Where in `vectors` those of one of the articles are."""
        return slice(int(self.starts[at]), int(self.starts[at] + self.lengths[at]))

    def best(self, scores: Floats) -> Floats:
        """The best score of each article, for each line of scores of the rows; 0 where it has no row."""
        made: Floats = np.zeros((len(scores), len(self.places)), np.float32)
        if len(self.numbers):
            made[:, self._there] = np.maximum.reduceat(scores, self.starts[self._there], axis=1)
        return made


def _signals(
    shelf: Shelf,
    rows: _Rows,
    alike: Floats,
    vectors: Floats,
    terms: Sequence[Sequence[str]],
    lexical: Floats,
    matches: Mapping[int, Floats],
) -> list[Signals]:
    """What tells whether an article answers, apart from how it ranks.

    Args:
        rows: of the articles.
        alike: each part of the question to these, as seen from the centre.
        vectors, terms: of the parts of the question.
        lexical: score of every article, by the words of all parts.
        matches: of the question's pieces, by place (`_reread`).
    """
    places = rows.places
    titles = shelf.titles.alike(vectors, np.array(places)).mean(axis=0)
    coverage = np.mean([shelf.whole.coverage(own, places) for own in terms], axis=0)
    standard = (lexical[places] - lexical.mean()) / max(float(lexical.std()), 1e-6)
    matched, unmatched = np.zeros((2, len(places)))
    read = [n for n, place in enumerate(places) if place in matches]
    if read:
        own = np.stack([matches[places[n]] for n in read])
        matched[read], unmatched[read] = own.mean(axis=1), (own < UNMATCHED).mean(axis=1)
    about = rows.best(alike).mean(axis=0)
    columns = zip(about, titles, coverage, standard, matched, unmatched, strict=True)
    return [Signals(*map(float, column)) for column in columns]


def _alone(places: Sequence[int], matches: Mapping[int, Floats]) -> float:
    """By how much the first of some articles matches the question's pieces better than all others, in the mean."""
    others = [matches[place] for place in places[1:] if place in matches]
    own = matches.get(places[0])
    if own is None or not others:
        return 0.0
    return float(np.maximum(own - np.max(others, axis=0), 0).mean())


def _crowd(shelf: Shelf, place: int, pool: _Rows) -> float:
    """How alike an article is to the ones nearest to it. A question no more alike to it than they are has only hit on its
    subject (cross-domain similarity local scaling, Conneau et al. 2018)."""
    at = pool.places.index(place)
    own = pool.vectors[pool.of(at)]
    others = pool.lengths > 0
    others[at] = False
    if not len(own) or not others.any():
        return 0.0
    alike = pool.best(shelf.rows.alike(own, pool.numbers, pool.vectors).max(axis=0)[None])[0]
    return float(np.sort(alike[others])[-NEIGHBOURS:].mean())


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
) -> tuple[Floats, dict[int, Floats]]:
    """The best articles read more closely.

    Args:
        asked: the question and, where it has one, its subject line, which alone decides the rank.
        pool: rows of the candidates.
        scores: of these rows, for each part of the question.
        fused: scores of the candidates.
    Returns:
        the latter, those of the best articles mixed with how well their rows match the question piece by piece; and what
        the best row of each of these has of each piece of the whole question, by place.
    """
    parts = [part.pieces for part in asked if part.pieces is not None and len(part.pieces)]
    if shelf.pieces is None or len(parts) < len(asked):
        return fused, {}
    top = np.argsort(-fused, kind="stable")[:REREAD]
    rows = [_nearest_rows(pool, int(n), scores) for n in top]
    if not any(map(len, rows)):
        return fused, {}
    has = shelf.pieces.matches(parts, np.concatenate(rows))
    # Squared: a piece that is there as it was asked for says more than two that are somewhat like it.
    match = np.square(np.maximum(has[-1], 0)).mean(axis=1)
    best, matches = np.zeros(len(top), np.float32), {}
    end = 0
    for at, own in enumerate(rows):
        begin, end = end, end + len(own)
        if end > begin:
            row = begin + int(match[begin:end].argmax())
            best[at], matches[pool.places[top[at]]] = match[row], has[0][row]
    made: Floats = (1 - REREAD_WEIGHT) * fused
    made[top] += REREAD_WEIGHT * _scaled(best, float(best.min()))
    return made, matches


def _nearest_rows(pool: _Rows, at: int, scores: Floats) -> npt.NDArray[np.int64]:
    """Of one of the articles, in their order."""
    own = pool.of(at)
    if pool.lengths[at] <= REREAD_ROWS:
        return pool.numbers[own]
    nearest = np.argsort(-scores[:, own].max(axis=0), kind="stable")[:REREAD_ROWS]
    return pool.numbers[own][np.sort(nearest)]


def _scaled(scores: Floats, floor: float) -> Floats:
    high = float(scores.max())
    if high <= floor:
        return np.zeros_like(scores)
    made: Floats = np.clip((scores - floor) / (high - floor), 0, 1)
    return made


def best_passage(shelf: Shelf, place: int, asked: Reading, parts: Scored, *, personal: bool) -> int:
    """Position of the passage of one article that answers best; -1 where it has none.

    Args:
        parts: lexical scores of the passages.
        personal: whether the asker has an account whose values articles may use.
    """
    rows = _Rows(shelf, [place])
    alike = shelf.rows.alike(asked.vector[None], rows.numbers, rows.vectors)[0]
    return _best_passages(shelf, rows, alike, asked.vector, parts, personal=personal)[0]


def _best_passages(
    shelf: Shelf, rows: _Rows, alike: Floats, asked: Floats, parts: Scored, *, personal: bool
) -> list[int]:
    """The same for several articles at once.

    Args:
        rows: of the articles.
        alike: the question to each of these, as seen from the centre.
        asked: its vector.
    """
    first = shelf.article_passages[rows.places]
    lengths = shelf.article_passages[np.add(rows.places, 1)] - first
    starts = np.cumsum(lengths) - lengths
    numbers = stretches(first, lengths)
    texts = np.full(len(numbers), -1.0, np.float32)
    passage = shelf.row_passage[rows.numbers]
    own = passage >= 0  # the article's questions say which article it is, not which passage
    np.maximum.at(texts, (passage + np.repeat(starts - first, rows.lengths))[own], alike[own])
    headed = shelf.headings.alike(asked[None], shelf.passage_heading[numbers])[0]
    scores = texts + HEADING_IN_ARTICLE * headed
    whole = np.full(len(rows.places), -1.0, np.float32)
    np.maximum.at(whole, np.repeat(np.arange(len(rows.places)), rows.lengths)[~own], alike[~own])
    if personal:
        scores += PERSONAL_IN_ARTICLE * shelf.personal[numbers]
    words = parts.among(first, lengths)
    chosen = []
    for at, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        here = slice(start, start + length)
        if length and not personal:
            most_headed = headed[here].max()
            if headed[start] >= most_headed:
                scores[start] += INTRODUCTION_IN_ARTICLE
            if whole[at] > max(most_headed, texts[here].max()):
                scores[start + shelf.main[rows.places[at]]] += MAIN_IN_ARTICLE
        most = float(words[here].max(initial=0.0))
        gained = scores[here] + LEXICAL_IN_ARTICLE * words[here] / most if most > 0 else scores[here]
        chosen.append(int(shelf.passages[numbers[start + int(gained.argmax())]]) if length else -1)
    return chosen


def _best_parts(shelf: Shelf, places: Sequence[int], parts: Scored) -> Floats:
    """Lexical score of the best passage of each article; 0 where it has none."""
    first = shelf.article_passages[places]
    lengths = shelf.article_passages[np.add(places, 1)] - first
    made: Floats = np.zeros(len(places), np.float32)
    there = lengths > 0
    if there.any():
        made[there] = np.maximum.reduceat(parts.among(first, lengths), (np.cumsum(lengths) - lengths)[there])
    return made


def _best_rows(rows: _Rows, scores: Floats) -> tuple[Floats, Floats]:
    """For each article the score of its best row, the mean over the question's parts; and of its second best for the whole
    question (the best again, where it has one row). 0 where it has none."""
    best = rows.best(scores)
    # The best row of each article out of the way, the second is the best: the first of those that reach the best is it.
    reached = np.flatnonzero(scores[0] == np.repeat(best[0], rows.lengths))
    article = np.searchsorted(rows.starts + rows.lengths, reached, side="right")
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
