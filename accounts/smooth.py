"""The smooth half of a fitted health score: a ridge logistic regression on piecewise linear curves, by Newton's method.

A number is written in hat functions, of which only two are not nothing at any value, so that a hundred thousand rows by hundreds of
coefficients stay small. What is held small are the bends, and a little the steps, between neighbours: a curve goes straight on where the data says
nothing, and is level where it says nothing at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import linalg, sparse
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from accounts.fit_table import Floats, Ints, Table, Texts, knots

KNOTS, FEWEST_KNOTS, A_KNOT = 20, 4, 75
"""At most and at least of a curve, and the customers that it takes for one: a curve of three hundred customers bends at chance where it may bend often."""
PAIR_KNOTS = 6
PENALTIES = (30.0, 10.0, 3.0, 1.0)
"""Strengths of the ridge that are tried, strongest first."""
TRIED_ON = 12_000
"""Rows on which they are compared."""
FITTED_ON = 40_000
"""Rows the curves are fitted on where there are more: beyond, they do not move by what could be drawn."""
STEP, BEND = 0.1, 3.0
"""What a step between two neighbours costs, and a change from one step to the next."""
_ALMOST_FREE = 1e-3

Pair = tuple[str, str]


class Axis:
    """One column as hat functions at its knots, or as one indicator a text; nothing at all where it is missing."""

    def __init__(self, values: Floats | Texts, most: int) -> None:
        self.numeric = values.dtype.kind == "f"
        self.at: list[float] | list[str]
        if self.numeric:
            self.at = knots(values, most).tolist()  # type: ignore[arg-type]  # numbers
        else:
            self.at = sorted(set(values.tolist()))

    @property
    def width(self) -> int:
        return len(self.at)

    def basis(self, values: Floats | Texts) -> sparse.csr_array:
        rows = np.arange(len(values))
        if not self.numeric:
            found = np.searchsorted(np.array(self.at), values).clip(0, self.width - 1)
            right = np.array(self.at)[found] == values
            return sparse.csr_array((np.ones(right.sum()), (rows[right], found[right])), (len(values), self.width))
        at = np.array(self.at, dtype=float)
        there = ~np.isnan(values)
        rows, known = rows[there], np.clip(values[there].astype(float), at[0], at[-1])
        if self.width == 1:
            return sparse.csr_array((np.ones(len(rows)), (rows, np.zeros(len(rows), int))), (len(values), 1))
        low = np.searchsorted(at, known, side="right").clip(1, self.width - 1) - 1
        share = (known - at[low]) / (at[low + 1] - at[low])
        data, columns = np.concatenate([1 - share, share]), np.concatenate([low, low + 1])
        return sparse.csr_array((data, (np.concatenate([rows, rows]), columns)), (len(values), self.width))

    def roughness(self) -> Floats:
        """The matrix of the sum of squared bends, and a little of squared steps; of squared values where there is no order."""
        if not self.numeric or self.width == 1:
            return np.eye(self.width)
        steps = np.diff(np.eye(self.width), axis=0)
        bends = np.diff(steps, axis=0)
        bent = STEP * steps.T @ steps + BEND * bends.T @ bends if len(bends) else steps.T @ steps
        return np.asarray(bent + _ALMOST_FREE * np.eye(self.width))


class Smooth:
    """Curves, levels and pairs of columns, fitted together."""

    def __init__(
        self, table: Table, texts: Mapping[str, Texts], pairs: Sequence[Pair] = (), penalty: float | None = None
    ) -> None:
        """Fits.

        Args:
            texts: the columns of texts, rare ones taken together.
            penalty: strength of the ridge; by default the one of `PENALTIES` that does best on parts that were held back.
        """
        columns: dict[str, Floats | Texts] = {**table.numbers, **texts}
        most = min(KNOTS, max(FEWEST_KNOTS, len(table.target) // A_KNOT))
        self.axes = {name: Axis(values, most) for name, values in columns.items()}
        self.pair_axes = {
            pair: (Axis(columns[pair[0]], PAIR_KNOTS), Axis(columns[pair[1]], PAIR_KNOTS)) for pair in pairs
        }
        chosen = thinned(table.target, FITTED_ON)
        features, rough = self._features({name: values[chosen] for name, values in columns.items()})
        self.penalty = penalty if penalty is not None else _best_penalty(features, table.target[chosen], rough)
        self.weights = newton(features, table.target[chosen], self.penalty * rough)
        self.intercept = float(self.weights[0])

    def _features(self, columns: Mapping[str, Floats | Texts]) -> tuple[sparse.csr_array, Floats]:
        count = len(next(iter(columns.values())))
        blocks = [sparse.csr_array(np.ones((count, 1)))]
        penalties = [np.zeros((1, 1))]
        self.place: dict[str | Pair, slice] = {}
        width = 1
        for name, axis in self.axes.items():
            block = [axis.basis(columns[name])]
            cost = axis.roughness()
            if axis.numeric:
                block.append(sparse.csr_array(np.isnan(columns[name])[:, None].astype(float)))
                cost = linalg.block_diag(cost, np.eye(1))
            blocks += block
            penalties.append(cost)
            self.place[name] = slice(width, width + len(cost))
            width += len(cost)
        for pair, (first, second) in self.pair_axes.items():
            one, two = first.basis(columns[pair[0]]), second.basis(columns[pair[1]])
            blocks.append(_crossed(one, two))
            size = first.width * second.width
            rough = np.kron(first.roughness(), np.eye(second.width)) + np.kron(np.eye(first.width), second.roughness())
            penalties.append(rough / 2 + 0.3 * np.eye(size))
            self.place[pair] = slice(width, width + size)
            width += size
        return sparse.csr_array(sparse.hstack(blocks, format="csr")), linalg.block_diag(*penalties)

    def log_odds(self, table: Table, texts: Mapping[str, Texts]) -> Floats:
        return np.asarray(self._features({**table.numbers, **texts})[0] @ self.weights)

    def curve(self, name: str, x: Floats) -> Floats:
        return np.interp(x, np.array(self.axes[name].at, dtype=float), self.weights[self.place[name]][:-1])

    def missing(self, name: str) -> float:
        return float(self.weights[self.place[name]][-1])

    def levels(self, name: str, texts: Texts) -> Floats:
        return np.asarray(self.axes[name].basis(texts) @ self.weights[self.place[name]])

    def pair(self, pair: Pair, first: Floats | Texts, second: Floats | Texts) -> Floats:
        """What the two columns add together, at each of the first by each of the second."""
        one, two = self.pair_axes[pair]
        weights = self.weights[self.place[pair]].reshape(one.width, two.width)
        return np.asarray(one.basis(first) @ weights @ two.basis(second).toarray().T)


def _crossed(one: sparse.csr_array, two: sparse.csr_array) -> sparse.csr_array:
    """Each function of the one times each of the other, row by row."""
    return sparse.csr_array(
        sparse.hstack([two.multiply(one[:, [place]]) for place in range(one.shape[1])], format="csr")
    )


def thinned(target: Ints, most: int) -> Ints:
    """Every so many-th of the rows, leavers and stayers alike."""
    if len(target) <= most:
        return np.arange(len(target))
    order = np.random.default_rng(0).permutation(len(target))
    return np.sort(order[:most])


def _best_penalty(features: sparse.csr_array, target: Ints, rough: Floats) -> float:
    """The strength that does best on parts that were held back."""
    few = thinned(target, TRIED_ON)
    tried, truth = features[few], target[few]
    losses = dict.fromkeys(PENALTIES, 0.0)
    for learn, test in StratifiedKFold(3, shuffle=True, random_state=1).split(few, truth):
        weights = None
        for strength in PENALTIES:
            weights = newton(tried[learn], truth[learn], strength * rough, weights)
            losses[strength] += log_loss(truth[test], _chance(tried[test] @ weights), labels=[0, 1])
    return min(losses, key=lambda strength: losses[strength])


def newton(features: sparse.csr_array, target: Ints, penalty: Floats, start: Floats | None = None) -> Floats:
    """The weights w that make the log-loss + w' penalty w / 2 least.

    The curvature is worked out anew only when a step with the last one no longer helps much: it is what takes the time.
    """
    base = float(np.clip(target.mean(), 1e-6, 1 - 1e-6))
    weights = np.zeros(features.shape[1]) if start is None else start.copy()
    if start is None:
        weights[0] = np.log(base / (1 - base))
    factor, before = None, np.inf
    turned = features.T.tocsr()
    for _ in range(60):
        chance = _chance(features @ weights)
        gradient = turned @ (chance - target) + penalty @ weights
        size = float(np.abs(gradient).max())
        if size < 1e-4 * len(target) ** 0.5:
            break
        if factor is None or size > 0.3 * before:
            curved = turned.multiply(chance * (1 - chance)).tocsr() @ features
            # A little on the diagonal keeps what no row and no penalty decides at rest.
            factor = linalg.cho_factor(curved.toarray() + penalty + 1e-6 * len(target) * np.eye(len(weights)))
        before = size
        step = linalg.cho_solve(factor, gradient)
        weights = weights - step / max(1.0, float(np.abs(step).max()) / 4)
    return weights


def _chance(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -35, 35))))


def strongest_pairs(
    columns: Mapping[str, Floats | Texts], residual: Floats, spread: Floats, most: int, least: float
) -> list[Pair]:
    """The pairs of columns that tell something together which neither tells alone.

    Each pair is cut into cells; where only chance is at work, the sum over the cells of (sum of residuals)² / (sum of their variances) is
    about the number of cells. How many standard deviations it is above is compared.

    Args:
        residual: outcome less chance, by a score of single columns.
        spread: chance x (1 - chance).
        most: how many pairs.
        least: standard deviations under which a pair is nothing.
    """
    cells = {name: _cut(values) for name, values in columns.items()}
    found: list[tuple[float, Pair]] = []
    for one, two in itertools.combinations(cells, 2):
        (first, width), (second, other) = cells[one], cells[two]
        place = first * other + second
        surplus = np.bincount(place, weights=residual, minlength=width * other)
        variance = np.bincount(place, weights=spread, minlength=width * other)
        full = variance > 1
        excess = float((surplus[full] ** 2 / variance[full]).sum()) - full.sum()
        strength = excess / max(1.0, (2 * full.sum()) ** 0.5)
        if strength >= least:
            found.append((strength, (one, two)))
    found.sort(reverse=True)
    return [pair for _, pair in found[:most]]


def _cut(values: Floats | Texts) -> tuple[Ints, int]:
    if values.dtype.kind == "f":
        edges = knots(values, 9)[1:-1] if len(np.unique(values[~np.isnan(values)])) > 8 else knots(values, 9)[1:]  # type: ignore[arg-type]
        place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
        return place.astype(np.int64), len(edges) + 2
    texts, found = np.unique(values, return_inverse=True)
    return found.astype(np.int64), len(texts)
