"""FAISS finds what brute force finds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from knowledge_base.dense import Centred, Dense, build_codes


def test_the_nearest_are_those_of_brute_force() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(500, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    dense = Dense(vectors)
    for query in random.normal(size=(20, 32)).astype(np.float32):
        scores, rows = dense.search(query, 10)
        exact = vectors @ query
        assert rows.tolist() == np.argsort(-exact)[:10].tolist()
        assert np.allclose(scores, np.sort(exact)[::-1][:10], atol=1e-5)


def test_asking_for_more_than_there_are_gives_all() -> None:
    dense = Dense(np.eye(3, dtype=np.float32))
    assert len(dense.search(np.ones(3, np.float32), 10)[1]) == 3
    assert len(Dense(np.zeros((0, 3), np.float32)).search(np.ones(3, np.float32), 10)[1]) == 0


def test_codes_find_what_brute_force_finds(tmp_path: Path) -> None:
    """Texts come in clusters; so do these rows. What is found is scored exactly, in order."""
    random = np.random.default_rng(4)
    centres = random.normal(size=(250, 32))
    vectors = (np.repeat(centres, 90, axis=0) + random.normal(0, 0.5, (22_500, 32))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "vectors.npy", vectors)
    build_codes(tmp_path / "vectors.npy")
    dense = Dense.open(tmp_path / "vectors.npy")
    assert dense._codes is not None
    shared = 0
    for query in vectors[::750]:
        scores, rows = dense.search(query, 10)
        assert np.allclose(scores, vectors[rows] @ query, atol=1e-5)
        assert (np.diff(scores) <= 0).all()
        shared += len(set(rows.tolist()) & set(np.argsort(-(vectors @ query))[:10].tolist()))
    assert shared / 300 >= 0.99


def test_few_rows_have_no_codes(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(3, dtype=np.float32))
    build_codes(tmp_path / "vectors.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.npy"]
    assert Dense.open(tmp_path / "vectors.npy").search(np.array([0, 1, 0], np.float32), 1)[1].tolist() == [1]


def test_codes_of_another_matrix_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(32, dtype=np.float32).repeat(700, axis=0))
    build_codes(tmp_path / "vectors.npy")
    np.save(tmp_path / "vectors.npy", np.eye(32, dtype=np.float32))
    with pytest.raises(ValueError, match="22400 rows for 32"):
        Dense.open(tmp_path / "vectors.npy")


@pytest.mark.parametrize("number", [300, 4_500])
def test_several_at_once_find_what_each_finds_alone(tmp_path: Path, number: int) -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(number, 32)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    build_codes(tmp_path / "vectors.npy")
    dense = Dense.open(tmp_path / "vectors.npy")
    asked = random.normal(size=(3, 32)).astype(np.float32)
    for vector, (scores, rows) in zip(asked, dense.search_each(asked, 10), strict=True):
        alone = dense.search(vector, 10)
        assert rows.tolist() == alone[1].tolist()
        assert scores == pytest.approx(alone[0], abs=1e-5)
    assert [len(rows) for _, rows in Dense(vectors[:0]).search_each(asked, 10)] == [0, 0, 0]


def test_the_nearest_as_seen_from_the_centre_is_the_most_alike_of_all(tmp_path: Path) -> None:
    vectors = np.random.default_rng(6).normal(size=(40, 32)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    Centred.write(tmp_path / "vectors.npy", vectors)
    centred = Centred.open(tmp_path / "vectors.npy")
    rows = np.arange(5, 40)
    away = vectors - vectors.mean(axis=0)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    assert centred.nearest(vectors[:5], rows, vectors[5:]) == pytest.approx(
        (away[:5] @ away[5:].T).max(axis=0), abs=1e-5
    )


def test_two_articles_are_as_alike_as_their_most_alike_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(7).normal(size=(12, 32)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    Centred.write(tmp_path / "vectors.npy", vectors)
    centred = Centred.open(tmp_path / "vectors.npy")
    away = vectors - vectors.mean(axis=0)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    bounds = np.array([0, 3, 3, 8, 12, 12])
    found = centred.between(bounds)
    assert found is not None
    for line, (first, last) in zip(found, pairwise(bounds), strict=True):
        wanted = [(away[first:last] @ away[a:b].T).max(initial=-2) for a, b in pairwise(bounds)]
        assert line == pytest.approx([0.0 if most == -2 else most for most in wanted], abs=1e-5)
    monkeypatch.setattr("knowledge_base.dense.EXACT_UP_TO", 11)
    assert centred.between(bounds) is None
