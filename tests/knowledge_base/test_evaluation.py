"""Figures by hand-worked cases, and folders that are not as they should be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base.decision import Decision
from knowledge_base.evaluation import (
    Labelled,
    Outcome,
    load_corpus,
    load_questions,
    metrics,
    risk_coverage,
)
from knowledge_base.offline import evaluate


def outcome(ranking: str, right: str, chance: float, decision: Decision) -> Outcome:
    return Outcome(Labelled("q", "x", frozenset(right)), tuple(ranking), (), "minilm", chance, decision, 0.002)


CASES = [
    outcome("abc", "a", 0.9, "answer"),
    outcome("abc", "b", 0.8, "answer"),
    outcome("abc", "ac", 0.6, "clarify"),
    outcome("abc", "", 0.7, "abstain"),
]


def test_the_figures_are_those_worked_out_by_hand() -> None:
    made = metrics(CASES)
    assert (made["n"], made["answerable"]) == (4, 3)
    assert made["hit@1"] == pytest.approx(2 / 3)
    assert made["hit@3"] == 1
    assert made["mrr@10"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    third = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert made["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3) + third) / 3)
    assert made["answerable_auroc"] == pytest.approx(2 / 3)
    selective = made["selective"]
    assert {name: selective[name] for name in ("coverage", "accuracy", "clarified", "abstained")} == {
        "coverage": 0.5, "accuracy": 0.5, "clarified": 0.25, "abstained": 0.25,
    }  # fmt: skip
    assert selective["risk_bound"] == pytest.approx(0.9**0.5)  # one of two wrong: 1 - p^2 = 0.1
    assert selective["risk_at_coverage"]["0.2"] == 0
    assert selective["risk_at_coverage"]["0.5"] == 1 / 2
    assert selective["risk_at_coverage"]["1.0"] == 2 / 4
    assert selective["coverage_at_risk"] == {"0.05": 0.25, "0.10": 0.25, "0.20": 0.25}
    assert selective["aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 1 / 2) / 4)
    assert made["ms_per_query"] == pytest.approx(2)


def test_risk_and_coverage_go_from_the_surest_on() -> None:
    assert risk_coverage(CASES) == [(0.25, 0), (0.5, 1 / 2), (0.75, 2 / 3), (1.0, 2 / 4)]


def beir(folder: Path) -> Path:
    rows = {"a": "Reset a password on the sign-in page.", "b": "Invoices come by e-mail each month."}
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": k, "title": "", "text": v}) + "\n" for k, v in rows.items())
    )
    queries = {"1": "forgot my password", "2": "when do invoices come", "3": "is there a mobile app"}
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in queries.items()))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n2\ta\t0\n")
    return folder


def test_a_folder_is_evaluated_with_an_index_of_its_own(tmp_path: Path, plain_settings: Settings) -> None:
    made = evaluate(plain_settings, beir(tmp_path / "set")).metrics
    assert (made["n"], made["answerable"], made["hit@1"]) == (3, 2, 1.0)
    assert made["answerable_auroc"] == 1.0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("queries.jsonl", '{"_id": "1"}\n', "line 1: no 'text'"),
        ("queries.jsonl", "[1\n", "line 1: not JSON"),
        ("queries.jsonl", "", "no questions"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1 a 1\n", "line 2"),
    ],
)
def test_a_wrong_folder_names_file_and_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    folder = beir(tmp_path / "set")
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=said):
        load_questions(folder)


def test_files_as_other_programs_write_them_are_read(tmp_path: Path) -> None:
    folder = beir(tmp_path / "set")
    text = "one\u2028two\x85three"
    (folder / "queries.jsonl").write_text(
        "\ufeff" + json.dumps({"_id": "1", "text": text}, ensure_ascii=False) + "\r\n\r\n"
    )
    (folder / "qrels" / "test.tsv").write_text("\ufeffquery-id\tcorpus-id\tscore\r\n1\ta\t1\r\n\r\n")
    [question] = load_questions(folder)
    assert (question.text, question.right) == (text, {"a"})


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = beir(tmp_path / "set")
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n')
    with pytest.raises(UserError, match="'a' twice"):
        load_corpus(folder)
    with pytest.raises(UserError, match="is not a folder"):
        load_questions(tmp_path / "none")
