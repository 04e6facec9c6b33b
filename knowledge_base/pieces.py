"""Vectors of word pieces, as a sentence encoder has them before it makes one vector of a text: kept at eight bits, and
compared piece by piece (late interaction, as in ColBERT, Khattab and Zaharia 2020).

One vector of a passage says what it is about. Whether each word of a question meets its like in the passage is seen only
piece by piece, which is too much for all passages and little for those of the best articles. Of the directions in which
pieces may differ the few in which those of this help content do are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numkong
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Packed = npt.NDArray[np.int8]
"""Vectors of length 1, in steps of 1/127."""

_STEPS = 127
_TOGETHER = 4
ASKED = 64
"""Pieces of a question that are compared. What is longer is a log or a letter, and its subject line is looked for alone."""
AXES = 128
"""Directions in which pieces are kept. They tell as much as all 384 and make every row of the best articles affordable."""
FITTED_ON = 256
"""Rows the directions are fitted on. A build keeps those of the build before, unless that was fitted on fewer than half as
many as could be now."""
ROWS_UP_TO = 100_000
"""Rows up to which pieces are kept: a window takes about 20 kB, so these take 2 GB of disk, and as much to copy at each build."""
FILE, PLACES = "pieces.bin", "pieces.npz"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an encoder makes of a text.

    Attributes:
        vector: of the whole.
        pieces: a row of length 1 for each word piece, without those the encoder puts before and after a text; None: this
            encoder does not tell them.
    """

    vector: Floats
    pieces: Floats | None = None


def unit(vectors: npt.ArrayLike) -> Floats:
    """Rows of length 1."""
    rows = np.asarray(vectors, np.float32)
    made: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return made


def pack(vectors: Floats) -> Packed:
    """Rows of length 1 at eight bits."""
    return np.rint(vectors * _STEPS).astype(np.int8)


def best_matches(asked: Floats, stretches: Sequence[Packed], lengths: Integers) -> Floats:
    """How well each text has what is asked: the inner product of each piece of the question with the piece of the text most
    like it; 0 for a text without pieces.

    Args:
        asked: a row a piece of the question; at least one.
        stretches: pieces of the texts, one text after the other, in parts that are compared one at a time.
        lengths: how many each text has.
    Returns:
        a row a text, a column a piece of the question.
    """
    made = np.zeros((len(lengths), len(asked)), np.float32)
    # At eight bits, too, each in steps of its own largest number: a tenth of the error the texts have.
    steps = _STEPS / np.maximum(np.abs(asked).max(axis=1), 1e-6)
    # Four at a time are compared; what is left over would take longer than four.
    whole = np.zeros((-(-len(asked) // _TOGETHER) * _TOGETHER, asked.shape[1]), np.int8)
    np.rint(asked * steps[:, None], out=whole[: len(asked)], casting="unsafe")
    packed = numkong.dots_pack(whole, dtype="int8")
    likeness = np.empty((int(lengths.sum()), len(whole)), np.int32)
    end = 0
    for stretch in stretches:
        begin, end = end, end + len(stretch)
        if end > begin:
            likeness[begin:end] = numkong.dots_packed(stretch, packed)
    filled = lengths > 0
    if filled.any():
        best = np.maximum.reduceat(likeness, (np.cumsum(lengths) - lengths)[filled])
        made[filled] = best[:, : len(asked)] / (_STEPS * steps)
    return made


@dataclass(frozen=True, eq=False)
class Basis:
    """The directions in which the pieces of some help content differ most (principal axes, through the origin).

    Attributes:
        axes: a column each, at most `AXES`.
        rows: it was fitted on.
    """

    axes: Floats
    rows: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Basis) and np.array_equal(self.axes, other.axes)

    @classmethod
    def fit(cls, read: Sequence[Floats]) -> Basis:
        """From the pieces of some rows."""
        every = np.concatenate(read)
        axes = np.linalg.eigh(every.T @ every)[1][:, ::-1][:, :AXES]
        return cls(np.ascontiguousarray(axes, np.float32), len(read))

    def along(self, pieces: Floats) -> Floats:
        """Pieces in these directions alone, of length 1."""
        return unit(pieces @ self.axes)


class Pieces:
    """The pieces of the rows of a shelf, in their file.

    Args:
        packed: of all rows (it may be mapped from a file).
        ends: where the pieces of each row end, which follow those of the row before.
        basis: in which they are kept.
    """

    def __init__(self, packed: Packed, ends: Integers, basis: Basis) -> None:
        self._packed = packed
        self._bounds = np.concatenate([[0], ends])
        self.basis = basis

    @classmethod
    def open(cls, folder: Path) -> Pieces | None:
        """Those of a folder, mapped; None where it has none."""
        if not (folder / PLACES).exists():
            return None
        with np.load(folder / PLACES) as kept:
            ends, basis = kept["ends"], Basis(kept["axes"], int(kept["rows"]))
        return cls(_mapped(folder / FILE, basis), ends, basis)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def of(self, row: int) -> Packed:
        """The pieces of a row."""
        return self._packed[self._bounds[row] : self._bounds[row + 1]]

    def matches(self, asked: Sequence[Floats], rows: npt.NDArray[np.integer[Any]]) -> list[Floats]:
        """How well each of these rows has what is asked (`best_matches`), for each part of a question.

        Args:
            asked: the pieces of the parts, as their encoder reads them; at least one in each.
            rows: at least one.
        """
        parts = [part[:ASKED] for part in asked]
        # Rows that follow one another are one stretch of the file.
        gaps = np.flatnonzero(np.diff(rows) != 1)
        begins, ends = self._bounds[rows[np.append(0, gaps + 1)]], self._bounds[rows[np.append(gaps, -1)] + 1]
        stretches = [self._packed[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        lengths = self._bounds[rows + 1] - self._bounds[rows]
        found = best_matches(self.basis.along(np.concatenate(parts)), stretches, lengths)
        ends = accumulate(map(len, parts), initial=0)
        return [found[:, begin:end] for begin, end in pairwise(ends)]


class Writer:
    """Writes the pieces of rows as they come, so that they need not fit into memory. To be used with `with`.

    Args:
        folder: of the shelf.
        rows: how many there will be.
        basis: in which they are kept; None: it is fitted to the first `FITTED_ON` of them.
    """

    def __init__(self, folder: Path, rows: int, basis: Basis | None) -> None:
        self.basis = basis
        self._folder = folder
        self._places = np.zeros((rows, 2), np.int64)  # where those of each row begin and end: they come in any order
        self._waiting: dict[int, Floats] = {}
        self._written = 0

    def __enter__(self) -> Self:
        self._file = (self._folder / FILE).open("wb")
        return self

    def add(self, row: int, pieces: Floats) -> None:
        """Those of one row, as its encoder reads it."""
        self._waiting[row] = pieces
        if self.basis is not None or len(self._waiting) == FITTED_ON:
            self._flush()

    def copy(self, row: int, packed: Packed) -> None:
        """Those of one row, kept in this basis before."""
        self._file.write(packed.tobytes())
        self._places[row] = self._written, self._written + len(packed)
        self._written += len(packed)

    def _flush(self) -> None:
        if self.basis is None:
            self.basis = Basis.fit(list(self._waiting.values()))
        for row, pieces in self._waiting.items():
            self.copy(row, pack(self.basis.along(pieces)))
        self._waiting.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._waiting:
            self._flush()
        self._file.close()
        if self.basis is not None:
            self._put_in_order(self.basis)
            ends = np.cumsum(self._places[:, 1] - self._places[:, 0])
            np.savez(self._folder / PLACES, ends=ends, axes=self.basis.axes, rows=self.basis.rows)

    def _put_in_order(self, basis: Basis) -> None:
        """Row after row, so that those of one article are read as one stretch."""
        file = self._folder / FILE
        if not self._written or np.array_equal(self._places[1:, 0], self._places[:-1, 1]):
            return
        mixed = _mapped(file, basis)
        ordered = file.with_suffix(".ordered")
        with ordered.open("wb") as out:
            for begin, end in self._places.tolist():
                out.write(mixed[begin:end].tobytes())
        del mixed
        ordered.replace(file)


def _mapped(file: Path, basis: Basis) -> Packed:
    if not file.stat().st_size:
        return np.zeros((0, basis.axes.shape[1]), np.int8)
    # As a plain array: each slice of a `memmap` takes twice as long as the slice itself.
    return np.asarray(np.memmap(file, np.int8, mode="r")).reshape(-1, basis.axes.shape[1])
