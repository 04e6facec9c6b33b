"""Search by meaning: inner products with FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from knowledge_base.encoders import Vectors

Rows = npt.NDArray[np.int64]

EXACT_UP_TO = 20_000
"""Rows up to which comparing with every one takes less than a tenth of the encoder's time."""
_TRAINED_ON = 50_000
_PROBED = 24
"""Cells that are looked into, the nearest to the question."""
_SPARE = 2
"""Rows taken from the cells for each wanted, since cells keep them rounded to eight bits; the exact scores then decide."""
_PART = 50_000


class Dense:
    """Search over rows of vectors, which stay in their file: a mapped matrix is not copied into memory.

    Args:
        vectors: one row each, as a matrix (it may be mapped from a file).
        cells: made by `build_cells`; without, every row is compared.
    """

    def __init__(self, vectors: Vectors, cells: Any = None) -> None:
        self.vectors = vectors
        self._cells = cells

    @classmethod
    def open(cls, file: Path) -> Dense:
        """The matrix of a file, with its cells where there are some, both mapped."""
        vectors: Vectors = np.load(file, mmap_mode="r")
        beside = file.with_suffix(".cells")
        if not beside.exists():
            return cls(vectors)
        cells: Any = faiss.read_index(str(beside), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        if cells.ntotal != len(vectors):
            raise ValueError(f"{beside.name} has {cells.ntotal} rows for {len(vectors)}")
        cells.nprobe = _PROBED
        return cls(vectors, cells)

    def search(self, vector: npt.NDArray[np.float32], k: int) -> tuple[npt.NDArray[np.float32], Rows]:
        """Scores and rows of the nearest, best first; fewer than `k` where there are not so many."""
        k = min(k, len(self.vectors))
        if k == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        asked = np.ascontiguousarray(vector, dtype=np.float32)[None, :]
        if self._cells is None:
            scores, rows = faiss.knn(asked, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
            return scores[0], rows[0]
        found = self._cells.search(asked, _SPARE * k)[1][0]
        found = np.sort(found[found >= 0])
        exact = self.vectors[found] @ asked[0]
        order = np.argsort(-exact, kind="stable")[:k]
        return exact[order], found[order]


def build_cells(file: Path) -> None:
    """Sorts the rows of a matrix into cells around centres (k-means) beside it, where there are so many that it pays.

    Memory: the trained-on sample and the cells, a quarter of the matrix.
    """
    vectors: Vectors = np.load(file, mmap_mode="r")
    number, width = vectors.shape
    if number <= EXACT_UP_TO:
        return
    centres = int(4 * np.sqrt(number))
    cells = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, centres, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    cells.cp.niter = 8
    step = max(1, number // _TRAINED_ON)
    cells.train(np.ascontiguousarray(vectors[::step], dtype=np.float32))
    for start in range(0, number, _PART):
        cells.add(np.ascontiguousarray(vectors[start : start + _PART], dtype=np.float32))
    faiss.write_index(cells, str(file.with_suffix(".cells")))
