"""The articles of a shelf that may answer a question, best first.

Both sides see whole articles: the dense score of an article is its best row's (a window of a passage, or one of its
questions), the lexical score is BM25 over its full text. They are brought to a common scale over the candidates of this
question and added with fixed weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from knowledge_base.articles import Article
from knowledge_base.decision import Candidate
from knowledge_base.index import Index, Shelf
from knowledge_base.lexical import tokens

Floats = npt.NDArray[np.float32]

DENSE_WEIGHT = 0.7
POOL_ROWS = 200
"""Nearest rows that make their articles candidates."""
POOL_ARTICLES = 50
"""Articles with the best lexical scores that become candidates too."""
LEXICAL_IN_ARTICLE = 0.15
"""How much the best lexical passage of an article gains, in units of the dense score, when its passage is chosen."""
PERSONAL_IN_ARTICLE = 0.1
"""What a passage with values of the account gains within its article, where the asker has an account: "how many runs do I
have" is then answered with their own number rather than with the general rule beside it."""
COMMUNITY_PENALTY = 0.1
"""What a community topic loses in fused score against the company's own articles."""


def rank(
    index: Index,
    shelf: Shelf,
    text: str,
    vector: Floats,
    k: int,
    weigh: Callable[[Article], float] | None = None,
    *,
    personal: bool = False,
) -> list[Candidate]:
    """The best articles of a shelf.

    Args:
        index: the index.
        shelf: of it.
        text: the question, cleaned.
        vector: of the question, by the shelf's encoder.
        k: how many at most.
        personal: whether the asker has an account whose values articles may use.
        weigh: what an article gains or loses for this asker, in units of the fused score.
    """
    if not len(shelf.articles):
        return []
    terms = tokens(text)
    lexical = shelf.whole.scores(terms)
    pool = _pool(shelf, vector, lexical)
    dense = np.array([_best_row(shelf, place, vector) for place in pool], np.float32)
    fused = fuse(dense, lexical[pool])
    order = np.argsort(-fused, kind="stable")[: max(k, 10)]
    parts = shelf.parts.scores(terms)
    found = [
        Candidate(
            article=int(shelf.articles[pool[n]]),
            passage=best_passage(shelf, pool[n], vector, parts, personal=personal),
            score=float(fused[n]),
            dense=float(dense[n]),
            lexical=float(lexical[pool[n]]),
            coverage=shelf.whole.coverage(terms, int(pool[n])),
        )
        for n in order
    ]
    if weigh is not None:
        found = _reweighed(index, found, weigh)
    return found[:k]


def fuse(dense: Floats, lexical: Floats, weight: float = DENSE_WEIGHT) -> Floats:
    """Dense and lexical scores of the same candidates as one: each from 0 (worst) to 1 (best), then weighted."""
    made: Floats = weight * _scaled(dense) + (1 - weight) * _scaled(lexical)
    return made


def _scaled(scores: Floats) -> Floats:
    low, high = float(scores.min()), float(scores.max())
    made: Floats = (scores - low) / (high - low) if high > low else np.zeros_like(scores)
    return made


def best_passage(shelf: Shelf, place: int, vector: Floats, parts: Floats, *, personal: bool) -> int:
    """Position of the passage of one article that answers best; -1 where it has none."""
    first, last = shelf.article_passages[place], shelf.article_passages[place + 1]
    if first == last:
        return -1
    scores = np.full(last - first, -1.0, np.float32)
    rows = slice(shelf.article_rows[place], shelf.article_rows[place + 1])
    own = shelf.row_passage[rows] >= 0  # the article's questions say which article it is, not which passage
    np.maximum.at(scores, shelf.row_passage[rows][own] - first, shelf.dense.vectors[rows][own] @ vector)
    words = parts[first:last]
    if words.max() > 0:
        scores = scores + LEXICAL_IN_ARTICLE * words / words.max()
    if personal:
        scores = scores + PERSONAL_IN_ARTICLE * shelf.personal[first:last]
    return int(shelf.passages[first + int(np.argmax(scores))])


def _best_row(shelf: Shelf, place: int, vector: Floats) -> float:
    rows = shelf.dense.vectors[shelf.article_rows[place] : shelf.article_rows[place + 1]]
    return float((rows @ vector).max()) if len(rows) else 0.0


def _pool(shelf: Shelf, vector: Floats, lexical: Floats) -> list[int]:
    """Places on the shelf of the articles worth a closer look."""
    _, rows = shelf.dense.search(vector, POOL_ROWS)
    near = np.searchsorted(shelf.article_rows, rows, side="right") - 1
    wanted = min(POOL_ARTICLES, len(lexical))
    worded = np.argpartition(-lexical, wanted - 1)[:wanted]
    return sorted({*near.tolist(), *worded[lexical[worded] > 0].tolist()}) or [0]


def _reweighed(index: Index, found: Sequence[Candidate], weigh: Callable[[Article], float]) -> list[Candidate]:
    return sorted(found, key=lambda candidate: -(candidate.score + weigh(index.articles[candidate.article])))
