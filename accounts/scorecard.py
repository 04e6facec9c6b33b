"""An additive score: what is fitted, and how."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from accounts.fit_table import MOST_LEVELS, Floats, Ints, Table, Texts, knots
from accounts.health import OTHER
from accounts.smooth import TRIED_ON, Pair, Smooth, strongest_pairs, thinned
from accounts.stepped import Stepped

GRID = 64
PAIR_GRID = 20
PAIR_LEVELS = 12
"""Texts a column of a pair may have, for its grid to fit on a page."""
PAIR_STRENGTH = 3.0
"""Standard deviations above chance from which on two columns tell something together."""
ROUNDS, A_ROUND = 4, 2
"""At most eight pairs, two at a time."""
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)
SHARED_ON = 20_000
"""Rows on which the share of the two models is chosen."""
SAME = 0.995
"""Rank correlation from which on two numbers are one."""
LEAST_PAIR = 0.2
"""Log-odds between the ends of a pair under which it is not worth a place in the file."""


@dataclass(frozen=True)
class Curve:
    """Log-odds of leaving against one number; `missing` is what a missing value adds."""

    x: Floats
    y: Floats
    missing: float | None

    def add(self, values: Floats) -> Floats:
        gone = np.isnan(values)
        found = np.interp(np.where(gone, self.x[0], values), self.x, self.y)
        return np.where(gone, self.missing or 0.0, found)

    @property
    def ends(self) -> list[float]:
        return [*self.y.tolist(), *([] if self.missing is None else [self.missing])]


@dataclass(frozen=True)
class Levels:
    """Log-odds of leaving by text; `*` is any text that is not listed."""

    points: dict[str, float]

    def add(self, values: Texts) -> Floats:
        texts, places = np.unique(values, return_inverse=True)
        return np.array([self.points.get(str(text), self.points.get(OTHER, 0.0)) for text in texts])[places]

    @property
    def ends(self) -> list[float]:
        return list(self.points.values())


@dataclass(frozen=True)
class Grid:
    """Log-odds of leaving against two columns, at the crossings of lines, straight between them; nothing where either is missing.

    Attributes:
        parts: what was taken out of it, by line of the first and of the second: what each column adds alone.
    """

    pair: Pair
    axes: tuple[Floats | Texts, Floats | Texts]
    y: Floats
    parts: tuple[Floats, Floats]

    def add(self, first: Floats | Texts, second: Floats | Texts) -> Floats:
        padded = np.zeros((self.y.shape[0] + 2, self.y.shape[1] + 2))
        padded[: self.y.shape[0], : self.y.shape[1]] = self.y
        (row, down), (column, right) = _between(first, self.axes[0]), _between(second, self.axes[1])
        near = padded[row, column] * (1 - right) + padded[row, column + 1] * right
        far = padded[row + 1, column] * (1 - right) + padded[row + 1, column + 1] * right
        return np.asarray(near * (1 - down) + far * down)

    def of(self, table: Table) -> Floats:
        columns: dict[str, Floats | Texts] = {**table.numbers, **table.texts}
        return self.add(*(columns[name] for name in self.pair))

    def axis(self, name: str) -> Floats | Texts:
        return self.axes[self.pair.index(name)]

    def alone(self, name: str, values: Floats | Texts) -> Floats:
        """What one column adds alone, at these values."""
        axis, part = self.axis(name), self.parts[self.pair.index(name)]
        if axis.dtype.kind == "f":
            return np.interp(values, axis, part)  # type: ignore[arg-type]  # numbers
        by_text = dict(zip(axis.tolist(), part.tolist(), strict=True))
        return np.array([by_text.get(str(text), 0.0) for text in values.tolist()])

    def simplified(self) -> Grid:
        """The same with the fewest lines that keep every crossing within a twentieth of its height, or a tenth of log-odds."""
        tolerance = max(float(np.ptp(self.y)) / 20, 0.1)
        kept: list[Ints] = [np.arange(len(axis)) for axis in self.axes]
        while True:
            tried = []
            for side in (0, 1):
                axis = self.axes[side]
                if axis.dtype.kind == "f":
                    for place in kept[side][1:-1]:
                        fewer = [*kept]
                        fewer[side] = kept[side][kept[side] != place]
                        tried.append((float(np.abs(self._redrawn(fewer) - self.y).max()), side, int(place)))
            if not tried or min(tried)[0] > tolerance:
                break
            _, side, place = min(tried)
            kept[side] = kept[side][kept[side] != place]
        axes = (self.axes[0][kept[0]], self.axes[1][kept[1]])
        return Grid(self.pair, axes, self.y[np.ix_(kept[0], kept[1])], self.parts)

    def _redrawn(self, kept: Sequence[Ints]) -> Floats:
        """The crossings as they would be with some lines alone."""
        y = self.y[np.ix_(kept[0], kept[1])]
        if self.axes[0].dtype.kind == "f":
            y = np.array([np.interp(self.axes[0], self.axes[0][kept[0]], column) for column in y.T]).T  # type: ignore[arg-type]
        if self.axes[1].dtype.kind == "f":
            y = np.array([np.interp(self.axes[1], self.axes[1][kept[1]], row) for row in y])  # type: ignore[arg-type]
        return y

    @property
    def ends(self) -> list[float]:
        return [0.0, *self.y.ravel().tolist()]


Part = Curve | Levels | Grid


@dataclass(frozen=True)
class Scorecard:
    """An additive score: log-odds of leaving = intercept + the sum over columns."""

    intercept: float
    curves: dict[str, Curve] = field(default_factory=dict)
    levels: dict[str, Levels] = field(default_factory=dict)
    grids: dict[Pair, Grid] = field(default_factory=dict)

    def log_odds(self, table: Table) -> Floats:
        total = np.full(len(table.target), self.intercept)
        for name, curve in self.curves.items():
            total = total + curve.add(table.numbers[name])
        for name, levels in self.levels.items():
            total = total + levels.add(table.texts[name])
        for grid in self.grids.values():
            total = total + grid.of(table)
        return total

    @property
    def parts(self) -> dict[str, Part]:
        """Everything that is added up, by the name it has in the file."""
        grids = {" with ".join(pair): grid for pair, grid in self.grids.items()}
        return {**self.curves, **self.levels, **grids}

    @property
    def weights(self) -> dict[str, float]:
        return {name: max(part.ends) - min(part.ends) for name, part in self.parts.items()}


def fit_scorecard(table: Table, *, monotone: bool = False) -> Scorecard:
    """The additive score of a table.

    Args:
        monotone: curves rise or fall all along, whichever is nearer to what is found, and no two columns are taken together.
    """
    texts = {name: _common(values) for name, values in table.texts.items()}
    pairs, smooth = ([], Smooth(table, texts)) if monotone else _pairs(table, texts)
    model = _Blend(smooth, Stepped(table, texts, pairs), _share(table, texts, pairs, smooth.penalty))
    grids = {pair: _grid(table, texts, pair, model) for pair in pairs}
    card = Scorecard(model.intercept)
    middle = 0.0
    for name, values in table.numbers.items():
        moved = [grid for pair, grid in grids.items() if name in pair]
        x = np.unique(np.concatenate([knots(values, GRID), *(grid.axis(name) for grid in moved)]))
        y = model.curve(name, x) + sum(grid.alone(name, x) for grid in moved)
        gone = np.isnan(values)
        if monotone and len(x) > 1:
            y = _monotone(x, y, values[~gone])
        missing = model.missing(name) if gone.any() else None
        # Centred on the mean customer, so that a column about which nothing is known adds nothing.
        centre = float(np.where(gone, missing or 0.0, np.interp(np.where(gone, x[0], values), x, y)).mean())
        card.curves[name] = _simplified(Curve(x, y - centre, None if missing is None else missing - centre))
        middle += centre
    for name, labels in texts.items():
        known, counts = np.unique(labels, return_counts=True)
        odds = model.levels(name, known)
        odds = odds + sum(grid.alone(name, known) for pair, grid in grids.items() if name in pair)
        centre = float(np.average(odds, weights=counts))
        card.levels[name] = Levels({str(text): float(value - centre) for text, value in zip(known, odds, strict=True)})
        middle += centre
    for pair, grid in grids.items():
        if np.ptp(grid.y) >= LEAST_PAIR:
            card.grids[pair] = grid.simplified()
    return _calibrated(replace(card, intercept=card.intercept + middle), table)


def _monotone(x: Floats, y: Floats, values: Floats) -> Floats:
    """The nearest to a curve that rises all along, or falls, counting each place by the customers there."""
    near = np.bincount(np.searchsorted((x[1:] + x[:-1]) / 2, values), minlength=len(x)) + 1e-3
    both = [IsotonicRegression(increasing=rises).fit(x, y, near).predict(x) for rises in (True, False)]
    return np.asarray(min(both, key=lambda fitted: float(near @ (fitted - y) ** 2)))


@dataclass(frozen=True)
class _Blend:
    """The two models, and the share of the stepped one."""

    smooth: Smooth
    stepped: Stepped
    share: float

    def _mixed(self, smooth: Floats, stepped: Floats) -> Floats:
        return (1 - self.share) * smooth + self.share * stepped

    @property
    def intercept(self) -> float:
        return (1 - self.share) * self.smooth.intercept + self.share * self.stepped.intercept

    def curve(self, name: str, x: Floats) -> Floats:
        return self._mixed(self.smooth.curve(name, x), self.stepped.curve(name, x))

    def missing(self, name: str) -> float:
        return (1 - self.share) * self.smooth.missing(name) + self.share * self.stepped.missing(name)

    def levels(self, name: str, texts: Texts) -> Floats:
        return self._mixed(self.smooth.levels(name, texts), self.stepped.levels(name, texts))

    def pair(self, pair: Pair, first: Floats | Texts, second: Floats | Texts) -> Floats:
        return self._mixed(self.smooth.pair(pair, first, second), self.stepped.pair(pair, first, second))


def _share(table: Table, texts: Mapping[str, Texts], pairs: Sequence[Pair], penalty: float) -> float:
    """The share of the stepped model that does best on a third of the customers, of whom neither saw any."""
    few = thinned(table.target, SHARED_ON)
    learn, test = train_test_split(few, test_size=0.33, random_state=2, stratify=table.target[few])
    parts = [{name: labels[rows] for name, labels in texts.items()} for rows in (learn, test)]
    smooth = Smooth(table.rows(learn), parts[0], pairs, penalty).log_odds(table.rows(test), parts[1])
    stepped = Stepped(table.rows(learn), parts[0], pairs).log_odds(table.rows(test), parts[1])
    losses = {
        share: log_loss(table.target[test], 1 / (1 + np.exp(-((1 - share) * smooth + share * stepped))), labels=[0, 1])
        for share in SHARES
    }
    return min(losses, key=lambda share: losses[share])


def _pairs(table: Table, texts: Mapping[str, Texts]) -> tuple[list[Pair], Smooth]:
    """The pairs that tell something together, the strongest first, and the smooth model with them.

    In rounds: what two columns tell may be told as well by others, such as minutes and what they cost.
    """
    pairs: list[Pair] = []
    smooth = Smooth(table, texts)
    numbers: dict[str, Floats | Texts] = {**table.numbers}
    columns = numbers | {name: labels for name, labels in texts.items() if len(set(labels.tolist())) <= PAIR_LEVELS}
    for name in _again(table):
        del columns[name]
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-smooth.log_odds(table, texts)))
        found = [
            pair
            for pair in strongest_pairs(
                columns, table.target - chance, chance * (1 - chance), 4 * A_ROUND, PAIR_STRENGTH
            )
            if pair not in pairs
        ][:A_ROUND]
        if not found:
            break
        pairs += found
        smooth = Smooth(table, texts, pairs, smooth.penalty)
    return pairs, smooth


def _again(table: Table) -> set[str]:
    """Numbers that go up and down with one before them, such as minutes and what they cost."""
    few = thinned(table.target, TRIED_ON)
    ranks = {name: rankdata(np.nan_to_num(values[few], nan=-np.inf)) for name, values in table.numbers.items()}
    found: set[str] = set()
    for one, two in itertools.combinations(ranks, 2):
        varied = one not in found and np.ptp(ranks[one]) > 0 and np.ptp(ranks[two]) > 0
        if varied and abs(float(np.corrcoef(ranks[one], ranks[two])[0, 1])) > SAME:
            found.add(two)
    return found


def _grid(table: Table, texts: Mapping[str, Texts], pair: Pair, model: _Blend) -> Grid:
    """What a pair adds beyond what each column adds alone, at the mean of the other; that is kept aside, for the curves."""
    columns: dict[str, Floats | Texts] = {**table.numbers, **texts}
    axes = [_places(columns[name]) for name in pair]
    y = model.pair(pair, *axes)
    shares = [_shares(columns[name], axis) for name, axis in zip(pair, axes, strict=True)]
    first = y @ shares[1]
    second = shares[0] @ (y - first[:, None])
    grid = Grid(pair, (axes[0], axes[1]), y - first[:, None] - second[None, :], (first, second))
    values = [columns[name] for name in pair]
    there = _given(values[0]) & _given(values[1])
    centre = float(grid.add(*values)[there].mean()) if there.any() else 0.0
    return replace(grid, y=grid.y - centre, parts=(first + centre, second))


def _given(values: Floats | Texts) -> npt.NDArray[np.bool_]:
    return np.asarray(~np.isnan(values) if values.dtype.kind == "f" else values != "")


def _places(values: Floats | Texts) -> Floats | Texts:
    """Where a grid has its lines: at up to a dozen values of a number, at every text."""
    if values.dtype.kind == "f":
        return knots(values, PAIR_GRID)  # type: ignore[arg-type]  # numbers
    return np.unique(values[values != ""])


def _shares(values: Floats | Texts, axis: Floats | Texts) -> Floats:
    """Which share of the customers stands at each line."""
    at, share = _between(values, axis)
    weight = np.bincount(at, weights=1 - share, minlength=len(axis) + 1)
    weight += np.bincount(at + 1, weights=share, minlength=len(axis) + 2)[: len(axis) + 1]
    return np.asarray(weight[: len(axis)] / max(weight[: len(axis)].sum(), 1e-12))


def _between(values: Floats | Texts, axis: Floats | Texts) -> tuple[Ints, Floats]:
    """The line at or before each value, and how far it is on the way to the next; those that are missing stand at the end."""
    if axis.dtype.kind != "f":
        found = np.searchsorted(axis, values).clip(0, len(axis) - 1)
        other = np.flatnonzero(axis == OTHER)
        strange = axis[found] != values
        fallback = int(other[0]) if len(other) else len(axis)
        return np.where(strange, np.where(values == "", len(axis), fallback), found), np.zeros(len(values))
    there = ~np.isnan(values)
    lines = axis.astype(float)
    known = np.clip(np.where(there, values, lines[0]).astype(float), lines[0], lines[-1])
    at = np.clip(np.searchsorted(lines, known, side="right") - 1, 0, max(len(lines) - 2, 0))
    width = lines[at + 1] - lines[at] if len(lines) > 1 else np.ones(len(values))
    return np.where(there, at, len(lines)), np.where(there, (known - lines[at]) / width, 0.0)


def _common(values: Texts) -> Texts:
    """The same with rare texts taken together."""
    texts, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    least = max(5, len(values) // 500)
    common = set(texts[np.argsort(-counts)][:MOST_LEVELS][np.sort(-counts)[:MOST_LEVELS] <= -least].tolist())
    return np.array([text if text in common or text == "" else OTHER for text in texts.tolist()])[places]


def _simplified(curve: Curve) -> Curve:
    """The fewest points that keep the curve within a fiftieth of its height, or a twentieth of log-odds (Ramer, Douglas and Peucker, vertically)."""
    tolerance = max(float(np.ptp(curve.y)) / 50, 0.05)
    kept = {0, len(curve.x) - 1}
    stretches = [(0, len(curve.x) - 1)]
    while stretches:
        first, last = stretches.pop()
        if last - first < 2:
            continue
        inner = slice(first + 1, last)
        straight = np.interp(curve.x[inner], curve.x[[first, last]], curve.y[[first, last]])
        off = np.abs(curve.y[inner] - straight)
        if off.max() > tolerance:
            middle = first + 1 + int(off.argmax())
            kept.add(middle)
            stretches += [(first, middle), (middle, last)]
    places = sorted(kept)
    return Curve(curve.x[places], curve.y[places], curve.missing)


def _calibrated(card: Scorecard, table: Table) -> Scorecard:
    """The same with the intercept at which the expected number of leavers is the observed one."""
    odds = card.log_odds(table)
    shift = 0.0
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(odds + shift)))
        step = (table.target.sum() - chance.sum()) / max(float((chance * (1 - chance)).sum()), 1e-9)
        shift += max(-2.0, min(2.0, float(step)))
        if abs(step) < 1e-9:
            break
    return replace(card, intercept=card.intercept + shift)
