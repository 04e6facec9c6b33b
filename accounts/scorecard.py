"""An additive score: what is fitted, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from accounts.fit_table import MOST_LEVELS, Floats, Ints, Table, Texts, knots
from accounts.health import OTHER

KNOTS = 20
GRID = 40
BAGS = 3
STRENGTHS = (0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of the ridge that are tried."""


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
class Scorecard:
    """An additive score: log-odds of leaving = intercept + the sum over columns."""

    intercept: float
    curves: dict[str, Curve] = field(default_factory=dict)
    levels: dict[str, Levels] = field(default_factory=dict)

    def log_odds(self, table: Table) -> Floats:
        total = np.full(len(table.target), self.intercept)
        for name, curve in self.curves.items():
            total = total + curve.add(table.numbers[name])
        for name, levels in self.levels.items():
            total = total + levels.add(table.texts[name])
        return total

    @property
    def weights(self) -> dict[str, float]:
        parts: dict[str, Curve | Levels] = {**self.curves, **self.levels}
        return {name: max(part.ends) - min(part.ends) for name, part in parts.items()}


def fit_scorecard(table: Table) -> Scorecard:
    """The additive score of a table."""
    merged = {name: _common(values) for name, values in table.texts.items()}
    smooth = _Smooth(table, merged)
    stepped = _Stepped(table, merged)
    curves: dict[str, Curve] = {}
    levels: dict[str, Levels] = {}
    middle = 0.0
    for name, values in table.numbers.items():
        x = knots(values, GRID)
        y = (smooth.curve(name, x) + stepped.curve(name, x)) / 2
        gone = np.isnan(values)
        missing = (smooth.missing(name) + stepped.missing(name)) / 2 if gone.any() else None
        # Centred on the mean customer, so that a column about which nothing is known adds nothing.
        centre = float(np.where(gone, missing or 0.0, np.interp(np.where(gone, x[0], values), x, y)).mean())
        curves[name] = _simplified(Curve(x, y - centre, None if missing is None else missing - centre))
        middle += centre
    for name, labels in merged.items():
        texts, counts = np.unique(labels, return_counts=True)
        odds = np.array([(smooth.level(name, str(text)) + stepped.level(name, str(text))) / 2 for text in texts])
        centre = float(np.average(odds, weights=counts))
        points = {str(text): float(value - centre) for text, value in zip(texts, odds, strict=True)}
        levels[name] = Levels(points)
        middle += centre
    card = Scorecard((smooth.intercept + stepped.intercept) / 2 + middle, curves, levels)
    return _calibrated(card, table)


def _common(values: Texts) -> Texts:
    """The same with rare texts taken together."""
    texts, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    least = max(5, len(values) // 500)
    common = set(texts[np.argsort(-counts)][:MOST_LEVELS][np.sort(-counts)[:MOST_LEVELS] <= -least].tolist())
    return np.array([text if text in common or text == "" else OTHER for text in texts.tolist()])[places]


class _Smooth:
    """A ridge logistic regression. A number becomes the steps up a piecewise linear curve; holding those small keeps the curve level where the data says nothing."""

    def __init__(self, table: Table, texts: Mapping[str, Texts]) -> None:
        self.knots = {name: knots(values, KNOTS) for name, values in table.numbers.items()}
        self.names = {name: sorted(set(values.tolist())) for name, values in texts.items()}
        parts: list[Floats] = [np.zeros((len(table.target), 0))]
        self.place: dict[str, slice] = {}
        width = 0
        for name, block in self._blocks(table, texts):
            parts.append(block)
            self.place[name] = slice(width, width + block.shape[1])
            width += block.shape[1]
        model = self._fit(np.hstack(parts), table.target)
        self.weights: Floats = model.coef_[0]
        self.intercept = float(model.intercept_[0])

    def _blocks(self, table: Table, texts: Mapping[str, Texts]) -> list[tuple[str, Floats]]:
        blocks = []
        for name, values in table.numbers.items():
            gone = np.isnan(values)[:, None]
            blocks.append(
                (name, np.hstack([np.where(gone, 0.0, _steps(values, self.knots[name])), gone.astype(float)]))
            )
        for name, labels in texts.items():
            blocks.append((name, (labels[:, None] == np.array(self.names[name])[None, :]).astype(float)))
        return blocks

    @staticmethod
    def _fit(features: Floats, target: Ints) -> LogisticRegression:
        """With the strength that does best on parts that were held back."""

        def made(strength: float) -> LogisticRegression:
            return LogisticRegression(C=strength, solver="newton-cholesky", max_iter=200)

        losses = dict.fromkeys(STRENGTHS, 0.0)
        for learn, test in StratifiedKFold(3, shuffle=True, random_state=1).split(features, target):
            for strength in STRENGTHS:
                model = made(strength).fit(features[learn], target[learn])
                losses[strength] += log_loss(target[test], model.predict_proba(features[test])[:, 1], labels=[0, 1])
        return made(min(losses, key=lambda strength: losses[strength])).fit(features, target)

    def curve(self, name: str, x: Floats) -> Floats:
        return _steps(x, self.knots[name]) @ self.weights[self.place[name]][:-1]

    def missing(self, name: str) -> float:
        return float(self.weights[self.place[name]][-1])

    def level(self, name: str, text: str) -> float:
        return float(self.weights[self.place[name]][self.names[name].index(text)])


def _steps(values: Floats, knots: Floats) -> Floats:
    """How far up each stretch between two knots a value is, 0 to 1."""
    if len(knots) < 2:
        return np.zeros((len(values), 0))
    known = np.nan_to_num(values)[:, None]
    return np.clip((known - knots[None, :-1]) / np.diff(knots)[None, :], 0, 1)


class _Stepped:
    """Boosted trees that look at one column each: their sum is a sum of one step function a column, read off by moving that column alone."""

    def __init__(self, table: Table, texts: Mapping[str, Texts]) -> None:
        self.names = {name: sorted(set(values.tolist())) for name, values in texts.items()}
        self.columns = [*table.numbers, *texts]
        coded = [np.searchsorted(np.array(self.names[name]), values).astype(float) for name, values in texts.items()]
        features = np.column_stack([*table.numbers.values(), *coded])
        self.models = [self._fit(features, table.target, seed, len(table.numbers)) for seed in range(BAGS)]
        self.middle = np.array([np.nanmedian(column) if not np.isnan(column).all() else 0.0 for column in features.T])
        self.intercept = float(self._odds(self.middle[None, :])[0])

    @staticmethod
    def _fit(features: Floats, target: Ints, seed: int, numbers: int) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(
            interaction_cst="no_interactions",
            categorical_features=[place >= numbers for place in range(features.shape[1])],
            learning_rate=0.05,
            max_iter=400,
            max_leaf_nodes=3,
            min_samples_leaf=max(5, min(30, len(target) // 50)),
            l2_regularization=1.0,
            early_stopping=True,
            validation_fraction=0.2,
            n_iter_no_change=20,
            random_state=seed,
        )
        return model.fit(features, target)

    def _odds(self, features: Floats) -> Floats:
        total = sum((model.decision_function(features) for model in self.models), np.zeros(len(features)))
        return total / len(self.models)

    def _moved(self, name: str, values: Floats) -> Floats:
        features = np.repeat(self.middle[None, :], len(values), axis=0)
        features[:, self.columns.index(name)] = values
        return self._odds(features) - self.intercept

    def curve(self, name: str, x: Floats) -> Floats:
        return self._moved(name, x)

    def missing(self, name: str) -> float:
        return float(self._moved(name, np.array([math.nan]))[0])

    def level(self, name: str, text: str) -> float:
        return float(self._moved(name, np.array([float(self.names[name].index(text))]))[0])


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
    return Scorecard(card.intercept + shift, card.curves, card.levels)
