"""Search by meaning: inner products with FAISS."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from knowledge_base.encoders import Vectors

Rows = npt.NDArray[np.int64]


class Dense:
    """Exact search over rows of vectors.

    Args:
        vectors: one row each, as a matrix (it may be mapped from a file).
    """

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self._index: Any = faiss.IndexFlatIP(vectors.shape[1])
        if len(vectors):
            self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(self, vector: npt.NDArray[np.float32], k: int) -> tuple[npt.NDArray[np.float32], Rows]:
        """Scores and rows of the nearest, best first; fewer than `k` where there are not so many."""
        k = min(k, len(self.vectors))
        if k == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        scores, rows = self._index.search(np.ascontiguousarray(vector, dtype=np.float32)[None, :], k)
        return scores[0], rows[0]
