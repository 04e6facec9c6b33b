"""Questions that were not answered, grouped by meaning, so that a writer knows what to write next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from knowledge_base.answering import Answerer, question_language
from knowledge_base.encoders import Vectors
from knowledge_base.text import Language, clean_question, has_words

EXAMPLES = 3
MOST = 4_000
"""Questions that are grouped, the newest: comparing each with each takes memory by their square (64 MB)."""
TOGETHER = 0.5
"""How far from "no more alike than any two articles" (0) to "the same" (1) the questions of a group are on average. A share,
since encoders differ in how alike they find unrelated texts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was not answered.

    Attributes:
        account_id: who asked; None: a visitor.
        why: in a word.
    """

    text: str
    lang: Language | None
    account_id: str | None
    asked_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions of one meaning.

    Attributes:
        question: the one most like the others.
        count: how often it was asked.
        examples: other wordings, newest first.
        why: how often for each reason.
        accounts: who asked, without visitors.
        nearest_id, nearest_title: the article that came nearest; None: there is none.
        confidence: the estimated chance that it answers.
    """

    question: str
    lang: Language
    count: int
    examples: tuple[str, ...]
    why: dict[str, int]
    accounts: tuple[str, ...]
    last_asked: datetime
    nearest_id: str | None
    nearest_title: str | None
    confidence: float


def find_gaps(answerer: Answerer, asked: Sequence[Asked]) -> list[Gap]:
    """The gaps behind some questions, the most frequent first.

    Args:
        answerer: the help content they were asked of.
        asked: newest first; what has no words is left out, and what is older than the newest `MOST`.
    """
    made: list[Gap] = []
    usable = [one for one in asked if has_words(clean_question(one.text))][:MOST]
    for lang in ("en", "ja"):
        own = [one for one in usable if question_language(clean_question(one.text), one.lang) == lang]
        if own:
            made.extend(_gaps_of(answerer, own, "ja" if lang == "ja" else "en"))
    return sorted(made, key=lambda gap: (-gap.count, -gap.last_asked.timestamp()))


def _gaps_of(answerer: Answerer, asked: Sequence[Asked], lang: Language) -> list[Gap]:
    encoder = answerer.encoders.of(lang)
    texts = [clean_question(one.text) for one in asked]
    vectors = encoder.questions(texts)
    titles = encoder.questions([article.title for article in answerer.index.articles if article.lang == lang][:500])
    groups = group(vectors, _unrelated(titles if len(titles) > 1 else vectors))
    made: list[Gap] = []
    for members in groups:
        middle = members[int(np.argmax(vectors[members] @ vectors[members].mean(axis=0)))]
        found = answerer.find(texts[middle], lang, k=1)
        nearest = answerer.index.articles[found.candidates[0].article] if found.candidates else None
        wordings = dict.fromkeys(texts[n] for n in members if texts[n] != texts[middle])
        made.append(
            Gap(
                question=texts[middle],
                lang=lang,
                count=len(members),
                examples=tuple(wordings)[:EXAMPLES],
                why=dict(Counter(asked[n].why for n in members)),
                accounts=tuple(sorted({account for n in members if (account := asked[n].account_id)})),
                last_asked=max(asked[n].asked_at for n in members),
                nearest_id=nearest.id if nearest else None,
                nearest_title=nearest.title if nearest else None,
                confidence=found.chance,
            )
        )
    return made


def group(vectors: Vectors, unrelated: float) -> list[npt.NDArray[np.int64]]:
    """Groups vectors of like meaning (average linkage).

    Args:
        vectors: a row each, of length 1.
        unrelated: inner product of two texts that have nothing to do with one another.
    Returns:
        positions of the members of each group.
    """
    if len(vectors) < 2:
        return [np.arange(len(vectors))] if len(vectors) else []
    # A report asks for it now and then; the process that answers every turn would start a second later for it, and keep 50 MB.
    from sklearn.cluster import AgglomerativeClustering

    distances = 1 - np.clip(vectors @ vectors.T, -1, 1)
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=(1 - TOGETHER) * (1 - unrelated)
    )
    labels = model.fit_predict(distances)
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _unrelated(vectors: Vectors) -> float:
    """The mean inner product of two different rows."""
    number = len(vectors)
    return float((np.square(vectors.sum(axis=0)).sum() - number) / (number * (number - 1))) if number > 1 else 0.0
