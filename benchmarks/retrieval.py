"""Finding by words, by meaning and by both, side by side on every set there is; and the passage shown of what is found.

    python -m benchmarks.retrieval [--all-japanese]

The first run reads the content of all sets, which takes about two minutes, and keeps it; then it takes one. `--all-japanese` reads all 800
Japanese articles in place of every fourth, which takes some minutes more.

The sets are those of the evaluation folder that have a corpus, the sample company's own questions, and Japanese support articles
that are asked for by the titles taken out of them, in Japanese and by the words of their English address. `passages.jsonl` has
questions with the headings whose section answers them, as `article#anchor` (nothing after `#`: what is above the first heading).
It was written from lists of headings alone, before any passage was looked at, but for what asks for an article as a whole (`asks`), which
its first passage answers, or the first with numbered steps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.quality import EVAL, ROOT
from kit.settings import Settings, load_settings
from knowledge_base import evaluation, offline
from knowledge_base.answering import Answerer
from knowledge_base.encoders import Encoder
from knowledge_base.evaluation import Labelled
from knowledge_base.index import Shelf
from knowledge_base.lexical import telling, terms_and_pairs, tokens
from knowledge_base.pieces import Reading
from knowledge_base.progress import Meter, Progress, Report
from knowledge_base.ranking import best_passage
from knowledge_base.text import clean_question, has_words, is_japanese, parts_of_question

Ranking = Callable[[Answerer, str], list[str]]
SAID_EVERY = 5.0
"""Seconds between two lines of progress."""
SAMPLED = 4
"""Of so many Japanese articles one is taken: the encoder reads about fifty passages a second."""


def lexical(answerer: Answerer, text: str) -> list[str]:
    """By BM25 over whole articles."""
    shelf = _shelf(answerer, text)
    return _ids(answerer, shelf, shelf.whole.scores(telling(terms_and_pairs(clean_question(text)))))


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


WAYS: tuple[Ranking, ...] = (lexical, dense, fused)


def figures(
    answerer: Answerer, questions: list[Labelled], ranking: Ranking, meter: Meter
) -> tuple[float, float, float]:
    """hit@1, hit@3 and MRR@10 over the answerable questions."""
    ranks = []
    for question in questions:
        found = ranking(answerer, question.text) if has_words(question.text) else []
        ranks.append(next((n for n, id in enumerate(found[:10], 1) if id in question.right), 0))
        meter.advance(1)
    number = len(ranks)
    return (
        sum(rank == 1 for rank in ranks) / number,
        sum(0 < rank <= 3 for rank in ranks) / number,
        sum(1 / rank for rank in ranks if rank) / number,
    )


def sets(settings: Settings, every: int) -> dict[str, Path]:
    """Folders with labelled questions, by name.

    Args:
        every: so many Japanese articles are passed over for one that is taken, itself included.
    """
    found = {"sample company": ROOT / "demo" / "questions"} if settings.index_dir.exists() else {}
    articles = EVAL / "alchemy-ja" / "articles.jsonl"
    if articles.exists():
        name = "alchemy-ja" if every == 1 else f"alchemy-ja, 1 in {every}"
        found[name] = alchemy(articles, settings.home / "evaluation" / f"alchemy-ja-beir-{every}", every)
    return found | {path.parent.name: path.parent for path in sorted(EVAL.glob("*/corpus.jsonl"))}


def alchemy(articles: Path, folder: Path, every: int) -> Path:
    """Writes Japanese support articles as a BEIR folder: without their titles, which become questions, as do the words of their
    English addresses. Every second article is asked for; the others are there to be mistaken for it.

    Args:
        articles: the file of all.
        folder: where to.
        every: as for `sets`.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    corpus, queries, labels = [], [], ["query-id\tcorpus-id\tscore"]
    for number, line in enumerate(articles.read_text().splitlines()[::every]):
        row = json.loads(line)
        lines = row["text"].splitlines()
        text = "\n".join(lines[1:] if lines[0].startswith("#") else lines).strip()
        corpus.append({"_id": row["id"], "title": "", "text": text})
        if number % 2 == 0 and text:
            asked = {"ja": re.sub(r"^\d+\s+", "", row["title"]), "en": row["en_slug"].replace("-", " ")}
            queries += [{"_id": f"{language}-{number}", "text": words} for language, words in asked.items()]
            labels += [f"{language}-{number}\t{row['id']}\t1" for language in asked]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("\n".join(labels) + "\n")
    return folder


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of a question whose section is known.

    Attributes:
        article: whether the first article is right.
        within: whether the passage that is chosen of a right article is right.
        both: whether the first article and its passage are.
    """

    article: bool
    within: bool
    both: bool


def shown(answerer: Answerer, text: str, right: frozenset[str]) -> Shown:
    """Asks for one passage.

    Args:
        right: `article#anchor` of each that answers.
    """
    found = answerer.find(text)
    if found.shelf is None:
        raise SystemExit("the index has nothing in that question's language")
    first = found.candidates[0]
    article = min(id.partition("#")[0] for id in right)
    place = int(np.flatnonzero(found.shelf.articles == answerer.index.position[article])[0])
    asked = answerer.encode(answerer.encoders.named(found.shelf.encoder), [clean_question(text)])[0]
    chosen = best_passage(found.shelf, place, asked, found.shelf.parts.of(telling(tokens(text))), personal=False)
    return Shown(
        answerer.index.articles[first.article].id in {id.partition("#")[0] for id in right},
        _section(answerer, chosen) in right,
        _section(answerer, first.passage) in right,
    )


def passages(settings: Settings) -> Table:
    """How often the passage that is shown is the one that answers."""
    lines = [json.loads(line) for line in (Path(__file__).with_name("passages.jsonl")).read_text().splitlines()]
    table = Table("content", "questions", "article", "passage in it", "both")
    for name, answerer in contents(settings).items():
        asked = [line for line in lines if line["content"] == name]
        for language, asks in itertools.product(("en", "ja"), ("section", "article")):
            own = [
                line
                for line in asked
                if line["right"][0].startswith("ja/") == (language == "ja") and line.get("asks", "section") == asks
            ]
            made = [shown(answerer, line["text"], frozenset(line["right"])) for line in own]
            if made:
                shares = (np.mean([getattr(one, kind) for one in made]) for kind in ("article", "within", "both"))
                table.add_row(f"{name} ({language}, {asks})", str(len(made)), *(f"{share:.3f}" for share in shares))
    return table


def contents(settings: Settings) -> dict[str, Answerer]:
    """Help centres with questions whose section is known, by name, where they are there."""
    found = {"sample company": offline.open_index(settings)} if settings.index_dir.exists() else {}
    docs = EVAL / "plausible-docs" / "docs"
    if docs.is_dir():
        place = settings.home / "evaluation" / "plausible-docs"
        offline.build_index(settings, docs, place, "https://plausible.io/docs")
        found["plausible-docs"] = offline.open_index(settings, place)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all-japanese", action="store_true", help="all 800 articles of alchemy-ja, not every fourth")
    every = 1 if parser.parse_args(arguments).all_japanese else SAMPLED
    settings = load_settings()
    table = Table("set", "questions", "way", "hit@1", "hit@3", "MRR@10")
    for name, folder in sets(settings, every).items():
        tell = teller(name)
        questions = [question for question in evaluation.load_questions(folder) if question.right]
        answerer = remembering(offline.answerer_for(settings, folder, report=tell))
        for language in ("en", "ja"):
            own = [question for question in questions if is_japanese(question.text) == (language == "ja")]
            for way in WAYS if own else ():
                meter = Meter(tell, f"{way.__name__} ({language})", len(own))
                made = figures(answerer, own, way, meter)
                table.add_row(f"{name} ({language})", str(len(own)), way.__name__, *(f"{one:.3f}" for one in made))
    Console(width=100).print(table, passages(settings))
    return 0


def teller(name: str) -> Report:
    """Says on standard error how far a set is, at most every few seconds."""
    stage, at = "", 0.0

    def tell(reached: Progress) -> None:
        nonlocal stage, at
        done, now = reached.done == reached.total, time.monotonic()
        if reached.stage != stage or done or now - at > SAID_EVERY:
            stage, at = reached.stage, now
            left = "" if reached.seconds_left is None or done else f", {reached.seconds_left:.0f} s left"
            print(f"{name}: {stage} {reached.done}/{reached.total}, {reached.rate:.0f}/s{left}", file=sys.stderr)

    return tell


def remembering(answerer: Answerer) -> Answerer:
    """The same, which reads each question once: all three ways ask it."""
    encode = answerer.encode
    read: dict[tuple[str, str], Reading] = {}

    def remembered(encoder: Encoder, texts: list[str]) -> list[Reading]:
        missing = [text for text in texts if (encoder.name, text) not in read]
        read.update(((encoder.name, text), one) for text, one in zip(missing, encode(encoder, missing), strict=True))
        return [read[encoder.name, text] for text in texts]

    return Answerer(answerer.index, answerer.encoders, remembered)


def _section(answerer: Answerer, position: int) -> str:
    passage = answerer.index.passages[position]
    return f"{passage.article_id}#{passage.anchor}"


@cache  # two ways ask for it
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
