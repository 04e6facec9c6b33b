"""How good finding and deciding are, on labelled questions in BEIR format.

A folder has `queries.jsonl` (`_id`, `text`), `qrels/test.tsv` (or another file there) and, unless the questions are about
an index that exists, `corpus.jsonl` (`_id`, `title`, `text`). A question without a label has no answer in the corpus.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sklearn.metrics import roc_auc_score

from kit.errors import UserError
from kit.files import read_text
from knowledge_base.answering import Answerer
from knowledge_base.articles import Article, Content
from knowledge_base.bounds import clopper_pearson
from knowledge_base.decision import Decision, features
from knowledge_base.progress import Meter, Report, silent
from knowledge_base.text import Language, clean_question, is_japanese

DEPTH = 10
COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the questions at which the risk is reported."""
RISKS = (0.05, 0.10, 0.20)
"""Risks at which it is reported how much can be answered."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with the ids of the articles that answer it; none: it has no answer here."""

    id: str
    text: str
    right: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    Attributes:
        ranking: article ids, best first.
        features: what the decision rested on; empty where nothing was found.
        encoder: whose scores they are.
    """

    question: Labelled
    ranking: tuple[str, ...]
    features: tuple[float, ...]
    encoder: str
    chance: float
    decision: Decision
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the first article is one that answers."""
        return bool(self.ranking) and self.ranking[0] in self.question.right


def load_questions(folder: Path) -> list[Labelled]:
    """The labelled questions of a BEIR folder.

    Raises:
        UserError: the folder is not of this form; names file and line.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "name a folder with queries.jsonl and qrels/test.tsv")
    right: dict[str, set[str]] = {}
    for query, article in _labels(folder):
        right.setdefault(query, set()).add(article)
    questions = [
        Labelled(str(row["_id"]), str(row["text"]), frozenset(right.get(str(row["_id"]), ())))
        for row in _rows(folder / "queries.jsonl", ("_id", "text"))
    ]
    if not questions:
        raise UserError(f"{folder / 'queries.jsonl'} has no questions", "add some")
    return questions


def has_corpus(folder: Path) -> bool:
    """Whether a BEIR folder brings its own articles."""
    return (folder / "corpus.jsonl").exists()


def load_corpus(folder: Path) -> Content:
    """The articles of a BEIR folder, as plain text.

    Raises:
        UserError: a line is not of this form, or an id comes twice.
    """
    articles: dict[str, Article] = {}
    for row in _rows(folder / "corpus.jsonl", ("_id", "text")):
        id, title, text = str(row["_id"]), str(row.get("title") or ""), str(row["text"])
        if id in articles:
            raise UserError(f"{folder / 'corpus.jsonl'} has the id {id!r} twice", "remove one")
        lang: Language = "ja" if is_japanese(f"{title}\n{text}") else "en"
        articles[id] = Article(id=id, title=title or text[:80], body=text, lang=lang, markup="text", path=id)
    if not articles:
        raise UserError(f"{folder / 'corpus.jsonl'} is empty", "add articles")
    return Content(tuple(articles.values()))


def ask_all(answerer: Answerer, questions: Sequence[Labelled], report: Report = silent) -> list[Outcome]:
    """Asks every question, one at a time."""
    meter = Meter(report, "asking", len(questions))
    made = []
    for question in questions:
        made.append(ask(answerer, question))
        meter.advance(1)
    return made


def ask_without_right(answerer: Answerer, questions: Sequence[Labelled], report: Report = silent) -> list[Outcome]:
    """Asks every answerable question as if the articles that answer it were not there: what is nearest then is wrong."""
    answerable = [question for question in questions if question.right]
    meter = Meter(report, "asking without the answers", len(answerable))
    made = []
    for question in answerable:
        made.append(ask(answerer, replace(question, right=frozenset()), without=question.right))
        meter.advance(1)
    return made


def metrics(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `kotae kb eval` reports. Ranks are over answerable questions, the rest over all of them."""
    answerable = [outcome for outcome in outcomes if outcome.question.right]
    ranks = [_rank(outcome) for outcome in answerable]
    answered = [outcome for outcome in outcomes if outcome.decision == "answer"]
    labels = [bool(outcome.question.right) for outcome in outcomes]
    return {
        "n": len(outcomes),
        "answerable": len(answerable),
        **{f"hit@{k}": _mean([float(rank <= k) for rank in ranks]) for k in (1, 3, 10)},
        "mrr@10": _mean([1 / rank if rank <= DEPTH else 0.0 for rank in ranks]),
        "ndcg@10": _mean([_ndcg(outcome) for outcome in answerable]),
        "answerable_auroc": (
            float(roc_auc_score(labels, [outcome.chance for outcome in outcomes])) if len(set(labels)) == 2 else None
        ),
        "selective": {
            "coverage": len(answered) / len(outcomes),
            "accuracy": _mean([float(outcome.right) for outcome in answered]),
            "risk_bound": clopper_pearson(len(answered) - sum(outcome.right for outcome in answered), len(answered)),
            "clarified": _mean([float(outcome.decision == "clarify") for outcome in outcomes]),
            "abstained": _mean([float(outcome.decision == "abstain") for outcome in outcomes]),
            **_at_other_thresholds(outcomes),
        },
        "ms_per_query": 1000 * sum(outcome.seconds for outcome in outcomes) / len(outcomes),
    }


def risk_coverage(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """Coverage and risk (share of wrong ones among the answered) as the threshold falls from the surest question on."""
    made, wrong = [], 0
    for number, outcome in enumerate(sorted(outcomes, key=lambda outcome: -outcome.chance), start=1):
        wrong += not outcome.right
        made.append((number / len(outcomes), wrong / number))
    return made


def _at_other_thresholds(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Points of the risk-coverage curve, and the area under it (0 is best)."""
    curve = risk_coverage(outcomes)
    return {
        "risk_at_coverage": {
            f"{share:.1f}": curve[max(0, math.ceil(share * len(curve) - 1e-9) - 1)][1] for share in COVERAGES
        },
        "coverage_at_risk": {
            f"{most:.2f}": max((coverage for coverage, risk in curve if risk <= most), default=0.0) for most in RISKS
        },
        "aurc": sum(risk for _, risk in curve) / len(curve),
    }


def ask(answerer: Answerer, question: Labelled, lang: Language | None = None, without: Collection[str] = ()) -> Outcome:
    """What becomes of one question, asked in a conversation of that language.

    Args:
        without: ids of articles that are treated as if they were not there.
    """
    began = time.perf_counter()
    if not clean_question(question.text):
        return Outcome(question, (), (), "", 0.0, "abstain", 0.0)
    found = answerer.find(question.text, lang, k=DEPTH, without=without)
    seconds = time.perf_counter() - began
    return Outcome(
        question=question,
        ranking=tuple(answerer.index.articles[candidate.article].id for candidate in found.candidates),
        features=features(found.candidates) if found.candidates else (),
        encoder=found.shelf.encoder if found.shelf else "",
        chance=found.chance,
        decision=found.decision,
        seconds=seconds,
    )


def _rank(outcome: Outcome) -> float:
    return next((n for n, id in enumerate(outcome.ranking, start=1) if id in outcome.question.right), math.inf)


def _ndcg(outcome: Outcome) -> float:
    gains = [
        1 / math.log2(n + 1) for n, id in enumerate(outcome.ranking[:DEPTH], start=1) if id in outcome.question.right
    ]
    best = sum(1 / math.log2(n + 1) for n in range(1, min(DEPTH, len(outcome.question.right)) + 1))
    return sum(gains) / best


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(
        read_text(path).split("\n"), start=1
    ):  # a string of JSON may hold other breaks of lines
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error.msg})", "one JSON object a line") from None
        missing = [name for name in needed if not isinstance(row, dict) or name not in row]
        if missing:
            raise UserError(f"{path}, line {number}: no {missing[0]!r}", "one JSON object a line, as BEIR has it")
        yield row


def _labels(folder: Path) -> Iterator[tuple[str, str]]:
    path = folder / "qrels" / "test.tsv"
    if not path.exists():
        path = next(iter(sorted((folder / "qrels").glob("*.tsv"))), path)
    for number, row in enumerate(csv.reader(read_text(path).split("\n"), delimiter="\t"), start=1):
        if not row or (number == 1 and row[0] == "query-id"):
            continue
        try:
            query, article, score = row[0], row[1], float(row[2])
        except (IndexError, ValueError):
            raise UserError(
                f"{path}, line {number}: not `query-id, corpus-id, score`", "separate them by tabs"
            ) from None
        if score > 0:
            yield query, article
