"""The stepped half of a fitted health score: boosted trees that look at one column each, or at two that are named as a pair.

Their sum is a sum of one function a column and one a pair, which are read off by moving those columns alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from accounts.fit_table import Floats, Ints, Table, Texts
from accounts.smooth import Pair

LEAVES = 5
BAGS = 3
MANY = 30_000
"""Rows from which on fewer are as good: what differs from one to the other is chance, and there is little of it."""


class Stepped:
    """Several boosted models, each stopped on another part that was held back."""

    def __init__(self, table: Table, texts: Mapping[str, Texts], pairs: Sequence[Pair] = ()) -> None:
        self.names = {name: sorted(set(values.tolist())) for name, values in texts.items()}
        # Texts first: the library moves them there without moving the names of the pairs along.
        self.columns = [*texts, *table.numbers]
        coded = [np.searchsorted(np.array(self.names[name]), values).astype(float) for name, values in texts.items()]
        features = np.column_stack([*coded, *table.numbers.values()])
        allowed = [{place} for place in range(len(self.columns))]
        allowed += [{self.columns.index(one), self.columns.index(two)} for one, two in pairs]
        bags = BAGS if len(table.target) < MANY else 1
        self.models = [
            self._fit(features, table.target, seed, len(texts), allowed, LEAVES if pairs else 3) for seed in range(bags)
        ]
        self.middle = np.array([np.nanmedian(column) if not np.isnan(column).all() else 0.0 for column in features.T])
        self.intercept = float(self._odds(self.middle[None, :])[0])

    @staticmethod
    def _fit(
        features: Floats, target: Ints, seed: int, texts: int, allowed: list[set[int]], leaves: int
    ) -> HistGradientBoostingClassifier:
        many = len(target) >= MANY
        model = HistGradientBoostingClassifier(
            interaction_cst=allowed,
            categorical_features=[place < texts for place in range(features.shape[1])],
            learning_rate=0.1 if many else 0.05,
            max_iter=600,
            max_leaf_nodes=leaves,
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
        return np.asarray(total / len(self.models))

    def _moved(self, moved: Mapping[str, Floats]) -> Floats:
        """What it adds to move these columns away from the middle, row by row."""
        features = np.repeat(self.middle[None, :], len(next(iter(moved.values()))), axis=0)
        for name, values in moved.items():
            features[:, self.columns.index(name)] = values
        return self._odds(features) - self.intercept

    def _coded(self, name: str, values: Floats | Texts) -> Floats:
        if name not in self.names:
            return values.astype(float)
        place = {text: float(number) for number, text in enumerate(self.names[name])}
        texts, found = np.unique(values, return_inverse=True)
        return np.array([place.get(text, math.nan) for text in texts.tolist()])[found]

    def log_odds(self, table: Table, texts: Mapping[str, Texts]) -> Floats:
        columns: dict[str, Floats | Texts] = {**table.numbers, **texts}
        return self._odds(np.column_stack([self._coded(name, columns[name]) for name in self.columns]))

    def curve(self, name: str, x: Floats) -> Floats:
        return self._moved({name: x})

    def missing(self, name: str) -> float:
        return float(self._moved({name: np.array([math.nan])})[0])

    def levels(self, name: str, texts: Texts) -> Floats:
        return self._moved({name: self._coded(name, texts)})

    def pair(self, pair: Pair, first: Floats | Texts, second: Floats | Texts) -> Floats:
        """What the two columns add together beyond what each adds alone, at each of the first by each of the second."""
        one, two = self._coded(pair[0], first), self._coded(pair[1], second)
        rows, columns = np.repeat(one, len(two)), np.tile(two, len(one))
        both = self._moved({pair[0]: rows, pair[1]: columns}).reshape(len(one), len(two))
        return both - self._moved({pair[0]: one})[:, None] - self._moved({pair[1]: two})[None, :]
