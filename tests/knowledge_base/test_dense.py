"""FAISS finds what brute force finds."""

from __future__ import annotations

import numpy as np

from knowledge_base.dense import Dense


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
