"""BM25 agrees with the formula written out, and terms fit both languages."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base import lexical
from knowledge_base.lexical import K1, B, Lexical, telling, tokens

TEXTS = ["red fox fox runs", "the lazy dog sleeps all day long", "a red dog", "実行回数の上限", ""]


def bm25(texts: list[list[str]], query: list[str]) -> list[float]:
    """Lucene's BM25, straight from the formula (Kamphuis et al. 2020, table 1)."""
    average = sum(len(text) for text in texts) / len(texts)
    scores = []
    for text in texts:
        counts = Counter(text)
        score = 0.0
        for term in query:
            present = sum(term in other for other in texts)
            if not present:
                continue
            idf = math.log(1 + (len(texts) - present + 0.5) / (present + 0.5))
            score += idf * counts[term] / (counts[term] + K1 * (1 - B + B * len(text) / average))
        scores.append(score)
    return scores


def test_scores_are_those_of_the_formula() -> None:
    terms = [tokens(text) or [""] for text in TEXTS]
    index = Lexical.build(terms)
    for query in ("red fox", "dogs", "実行の上限", "nothing known", "red red dog"):
        assert index.scores(tokens(query)) == pytest.approx(bm25(terms, tokens(query)), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12), min_size=2, max_size=8),
    st.lists(st.sampled_from("abcdefghxyz"), max_size=6),
)
def test_scores_are_those_of_the_formula_for_any_texts(texts: list[list[str]], query: list[str]) -> None:
    assert Lexical.build(texts).scores(query) == pytest.approx(bm25(texts, query), abs=1e-4)


def test_the_scores_of_a_few_texts_are_those_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above and below the number of texts from which only those that are asked for are looked at; in any order."""
    index = Lexical.build([tokens(text) or [""] for text in TEXTS])
    for query in ("red fox", "red red dog", "実行の上限", "nothing known", ""):
        every = index.scores(tokens(query))
        for most in (len(TEXTS), len(TEXTS) - 1):
            monkeypatch.setattr(lexical, "ALL_UP_TO", most)
            for first, lengths in (([0], [5]), ([3, 0, 2], [2, 2, 0]), ([4], [1]), ([0], [0])):
                found = index.of(tokens(query)).among(np.array(first), np.array(lengths))
                wanted = [n for begin, length in zip(first, lengths, strict=True) for n in range(begin, begin + length)]
                assert found == pytest.approx(every[wanted], abs=1e-6)


def test_coverage_counts_rare_terms_more() -> None:
    texts = [["a", "b"], ["a"], ["a", "c"]]
    index = Lexical.build(texts)
    idf = {term: math.log(1 + (3 - n + 0.5) / (n + 0.5)) for term, n in {"a": 3, "b": 1, "z": 0}.items()}
    assert index.coverage(["a", "b"], [1])[0] == pytest.approx(idf["a"] / (idf["a"] + idf["b"]))
    assert index.coverage(["a", "b"], [0])[0] == pytest.approx(1)
    assert index.coverage(["a", "z"], [0])[0] == pytest.approx(idf["a"] / (idf["a"] + idf["z"]))
    assert index.coverage([], [0])[0] == 0


def test_what_was_saved_scores_the_same(tmp_path: Path) -> None:
    index = Lexical.build([tokens(text) for text in TEXTS])
    index.save(tmp_path)
    again = Lexical.open(tmp_path, len(TEXTS))
    assert np.array_equal(again.scores(tokens("red dog")), index.scores(tokens("red dog")))


def test_terms_are_stemmed_words_codes_and_japanese_pairs() -> None:
    assert tokens("How do I exclude my visits?") == ["exclud", "visit"]
    assert tokens("MQRC_OBJECT_NOT_FOUND 2085") == ["mqrc", "object", "found", "2085", "mqrc_object_not_found"]
    assert tokens("実行回数") == ["実行", "行回", "回数"]
    assert tokens("SSOを設定") == ["を設", "設定", "sso"]
    assert tokens("🙂 …") == []


def test_endings_and_particles_of_a_japanese_question_are_no_words_of_it() -> None:
    assert telling(tokens("ログインできません")) == ["ログ", "グイ", "イン", "ンで"]
    assert telling(tokens("SSOを設定したい")) == ["を設", "設定", "定し", "sso"]
    assert telling(tokens("やめたい")) == ["やめ", "めた", "たい"]
    assert telling(tokens("cancel my plan")) == tokens("cancel my plan")
