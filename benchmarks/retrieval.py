"""Finding by words, by meaning and by both, side by side on every set there is.

    python -m benchmarks.retrieval

The sets are those of the evaluation folder that have a corpus, and the sample company's own questions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.quality import EVAL, ROOT
from kit.settings import Settings, load_settings
from knowledge_base import evaluation, offline
from knowledge_base.answering import Answerer
from knowledge_base.evaluation import Labelled
from knowledge_base.index import Shelf
from knowledge_base.lexical import terms_and_pairs
from knowledge_base.text import clean_question, has_words, parts_of_question

Ranking = Callable[[Answerer, str], list[str]]


def lexical(answerer: Answerer, text: str) -> list[str]:
    """By BM25 over whole articles."""
    shelf = _shelf(answerer, text)
    return _ids(answerer, shelf, shelf.whole.scores(terms_and_pairs(clean_question(text))))


def dense(answerer: Answerer, text: str) -> list[str]:
    """By the best row of each article."""
    shelf = _shelf(answerer, text)
    question = parts_of_question(clean_question(text))[:1]
    rows = shelf.dense.vectors @ answerer.encode(answerer.encoders.named(shelf.encoder), question)[0].vector
    best = np.full(len(shelf.articles), -1.0, np.float32)
    np.maximum.at(best, np.repeat(np.arange(len(best)), np.diff(shelf.article_rows)), rows)
    return _ids(answerer, shelf, best)


def fused(answerer: Answerer, text: str) -> list[str]:
    """As the product does it."""
    return [answerer.index.articles[one.article].id for one in answerer.find(text).candidates]


def figures(answerer: Answerer, questions: list[Labelled], ranking: Ranking) -> tuple[float, float, float]:
    """hit@1, hit@3 and MRR@10 over the answerable questions."""
    ranks = []
    for question in questions:
        found = ranking(answerer, question.text) if has_words(question.text) else []
        ranks.append(next((n for n, id in enumerate(found[:10], 1) if id in question.right), 0))
    number = len(ranks)
    return (
        sum(rank == 1 for rank in ranks) / number,
        sum(0 < rank <= 3 for rank in ranks) / number,
        sum(1 / rank for rank in ranks if rank) / number,
    )


def sets(settings: Settings) -> dict[str, Path]:
    """Folders with labelled questions, by name."""
    found = {"sample company": ROOT / "demo" / "questions"} if settings.index_dir.exists() else {}
    return found | {path.parent.name: path.parent for path in sorted(EVAL.glob("*/corpus.jsonl"))}


def main() -> int:
    """Measures and prints."""
    settings = load_settings()
    table = Table("set", "questions", "way", "hit@1", "hit@3", "MRR@10")
    for name, folder in sets(settings).items():
        questions = [question for question in evaluation.load_questions(folder) if question.right]
        answerer = offline.answerer_for(settings, folder)
        for way in (lexical, dense, fused):
            made = figures(answerer, questions, way)
            table.add_row(name, str(len(questions)), way.__name__, *(f"{value:.3f}" for value in made))
    Console(width=100).print(table)
    return 0


def _shelf(answerer: Answerer, text: str) -> Shelf:
    found = answerer.find(text, k=1).shelf
    if found is None:
        raise SystemExit("the index has nothing in that question's language")
    return found


def _ids(answerer: Answerer, shelf: Shelf, scores: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[str]:
    order = np.argsort(-scores, kind="stable")[:10]
    return [answerer.index.articles[int(shelf.articles[n])].id for n in order]


if __name__ == "__main__":
    sys.exit(main())
