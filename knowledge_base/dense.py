"""Search by meaning: inner products with FAISS."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from knowledge_base.encoders import Vectors

Rows = npt.NDArray[np.int64]


class Dense:
    """Exact search over rows of vectors, which stay where they are: a matrix mapped from a file is not copied into memory.

    Args:
        vectors: one row each, as a matrix (it may be mapped from a file).
    """

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def search(self, vector: npt.NDArray[np.float32], k: int) -> tuple[npt.NDArray[np.float32], Rows]:
        """Scores and rows of the nearest, best first; fewer than `k` where there are not so many."""
        k = min(k, len(self.vectors))
        if k == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        asked = np.ascontiguousarray(vector, dtype=np.float32)[None, :]
        scores, rows = faiss.knn(asked, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores[0], rows[0]
