"""Search by meaning: inner products with FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from knowledge_base.encoders import Vectors

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

EXACT_UP_TO = 4_000
"""Rows up to which comparing with every one takes no longer than comparing codes and then the best exactly."""
_BITS = 4
_TRAINED_ON = 8_192
_CLOSER = 400
"""Rows whose exact scores decide: codes put the ten nearest among them with a probability above .99 at a million rows."""
_SPARE = 2
"""Rows looked at closer for each wanted, where that is more."""
_PART = 50_000
_LEAST = 1e-6
"""Length below which a vector has no direction."""


class Dense:
    """Search over rows of vectors, which stay in their file: a mapped matrix is not copied into memory.

    Args:
        vectors: one row each, as a matrix (it may be mapped from a file).
        codes: made by `build_codes`; without, every row is compared exactly.
    """

    def __init__(self, vectors: Vectors, codes: Any = None) -> None:
        self.vectors = vectors
        self._codes = codes

    @classmethod
    def open(cls, file: Path) -> Dense:
        """The matrix of a file, mapped, with its codes where there are some."""
        vectors = mapped(file)
        beside = file.with_suffix(".codes")
        if not beside.exists():
            return cls(vectors)
        codes: Any = faiss.read_index(str(beside))
        if codes.ntotal != len(vectors):
            raise ValueError(f"{beside.name} has {codes.ntotal} rows for {len(vectors)}")
        return cls(vectors, codes)

    def search(self, vector: Floats, k: int) -> tuple[Floats, Rows]:
        """Scores and rows of the nearest, best first; fewer than `k` where there are not so many."""
        return self.search_each(vector[None], k)[0]

    def search_each(self, vectors: Floats, k: int) -> list[tuple[Floats, Rows]]:
        """The same for several vectors, one a row, which takes less time than one after the other."""
        k = min(k, len(self.vectors))
        if k == 0:
            return [(np.zeros(0, np.float32), np.zeros(0, np.int64)) for _ in vectors]
        asked = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._codes is None:
            return list(zip(*faiss.knn(asked, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT), strict=True))
        near = self._codes.search(asked, max(_CLOSER, _SPARE * k))[1]
        return [self._closer(vector, np.sort(rows[rows >= 0]), k) for vector, rows in zip(asked, near, strict=True)]

    def _closer(self, vector: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
        exact = self.vectors.take(rows, 0) @ vector  # half the time of `vectors[rows]`, here and below
        order = (-exact).argsort(kind="stable")[:k]
        return exact[order], rows[order]


class Centred:
    """Vectors as they are seen from their mean: what is common to all of them (a product's name, the manner of a help centre)
    says nothing about any.

    Args:
        vectors: one row each (they may be mapped from a file).
        centre: their mean.
        distances: of each from it.
    """

    def __init__(self, vectors: Vectors, centre: Floats, distances: Floats) -> None:
        self.vectors = vectors
        self.centre = centre
        self._distances = distances

    @staticmethod
    def write(file: Path, vectors: Vectors) -> None:
        """Keeps beside the file of some vectors what `open` reads."""
        centre = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
        distances = np.zeros(len(vectors), np.float32)
        for start in range(0, len(vectors), _PART):
            distances[start : start + _PART] = np.linalg.norm(vectors[start : start + _PART] - centre, axis=1)
        np.savez(file.with_suffix(".centre.npz"), centre=centre, distances=distances)

    @classmethod
    def open(cls, file: Path) -> Centred:
        """The vectors of a file, mapped."""
        with np.load(file.with_suffix(".centre.npz")) as kept:
            return cls(mapped(file), kept["centre"], kept["distances"])

    def alike(self, asked: Floats, rows: npt.NDArray[np.integer[Any]], vectors: Floats | None = None) -> Floats:
        """The cosine of each vector with each of some rows, all seen from the centre.

        Args:
            asked: vectors, one row each.
            rows: which.
            vectors: of these rows, where they were fetched before.
        Returns:
            a line for each vector that is asked for.
        """
        made = self._along(asked, self.vectors.take(rows, 0) if vectors is None else vectors)
        made /= np.maximum(self._distances[rows], _LEAST)
        return made

    def nearest(self, asked: Floats, rows: npt.NDArray[np.integer[Any]], vectors: Floats) -> Floats:
        """The same with whichever of the vectors is most like each row."""
        made: Floats = self._along(asked, vectors).max(axis=0)
        made /= np.maximum(self._distances[rows], _LEAST)
        return made

    def between(self, bounds: npt.NDArray[np.integer[Any]]) -> Floats | None:
        """How alike each two stretches of rows are, which is how alike the two rows of them are that are most alike; a line for each
        stretch, 0 for one without rows. None: there are so many rows that it would take long.

        Args:
            bounds: where each stretch begins, with one more at the end.
        """
        if len(self.vectors) > EXACT_UP_TO:
            return None
        made = np.zeros((len(bounds) - 1, len(bounds) - 1), np.float32)
        there = np.flatnonzero(np.diff(bounds))
        rows = np.arange(len(self.vectors))
        for number, stretch in enumerate(there):
            begin, others = bounds[stretch], there[number:]
            own = self.vectors[begin : bounds[stretch + 1]]
            best = np.maximum.reduceat(self.nearest(own, rows[begin:], self.vectors[begin:]), bounds[others] - begin)
            made[stretch, others] = made[others, stretch] = best
        return made

    def _along(self, asked: Floats, vectors: Floats) -> Floats:
        """How far each of some rows is from the centre in the direction of each vector."""
        towards: Floats = asked - self.centre
        towards /= np.maximum(np.sqrt(np.vecdot(towards, towards))[:, None], _LEAST)
        made: Floats = towards @ vectors.T
        made -= (towards @ self.centre)[:, None]
        return made


def mapped(file: Path) -> Vectors:
    """The matrix of a file, mapped. As a plain array: each slice of a `memmap` takes twice as long as the slice itself."""
    made: Vectors = np.asarray(np.load(file, mmap_mode="r"))
    return made


def build_codes(file: Path) -> None:
    """Writes a short code for each row of a matrix beside it, where there are so many that it pays.

    Product quantisation (Jégou et al. 2011): each two numbers become four bits, and the codes are compared many at a time in
    the processor's registers (André et al. 2017). A sixteenth of the matrix is read for a search, every row of it: unlike
    cells of which some are looked into, it misses no row for where it lies.
    """
    vectors: Vectors = np.load(file, mmap_mode="r")
    number, width = vectors.shape
    if number <= EXACT_UP_TO:
        return
    pieces = width // 2 if width % 2 == 0 else width
    codes = faiss.IndexPQFastScan(width, pieces, _BITS, faiss.METRIC_INNER_PRODUCT)
    codes.pq.cp.niter = 10
    codes.train(np.ascontiguousarray(vectors[:: -(-number // _TRAINED_ON)], dtype=np.float32))
    for start in range(0, number, _PART):
        codes.add(np.ascontiguousarray(vectors[start : start + _PART], dtype=np.float32))
    faiss.write_index(codes, str(file.with_suffix(".codes")))
