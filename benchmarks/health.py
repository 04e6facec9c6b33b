"""A fitted health score against gradient boosting that may combine all columns as it likes, and against a line: what does being readable cost?

    python -m benchmarks.health [TABLE …] [--rows 100000]

Both are judged on the same five parts of the same columns, each by a model that was made without them. The tables are those of the tests,
made up by a known rule whose own AUC nothing can beat, and, where the evaluation data is there, the customers of Telco.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from accounts.fit_table import Ints, read_columns, typed, who_left, without_leaks
from accounts.fit_table import Table as Usable
from accounts.fitting import FitReport, fit_health
from benchmarks.quality import EVAL
from tests.accounts import tables

TELCO = EVAL / "telco-churn" / "Telco-Customer-Churn.csv"
LEAVES = (4, 15)
"""Of the trees that are tried; the better counts, chosen on the very parts it is judged on, in its favour."""


def _usable(path: Path, outcome: str) -> Usable:
    """The columns that the fitted score uses, and who left."""
    columns = read_columns(path)
    target = who_left(columns.pop(outcome), outcome, None)[0]
    return without_leaks(typed(columns, target, set(), set())[0], outcome, set())[0]


def _judged(model: Any, features: Any, target: Ints) -> float:
    """The mean AUC over the five parts."""
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    with threadpool_limits(limits=1):
        return float(cross_val_score(model, features, target, cv=parts, scoring="roc_auc").mean())


def boosted(path: Path, outcome: str) -> float:
    """The cross-validated AUC of the better of two boosted models."""
    table = _usable(path, outcome)
    # Boosting takes at most 255 texts a column.
    texts = [np.unique(values, return_inverse=True)[1].clip(0, 254).astype(float) for values in table.texts.values()]
    features = np.column_stack([*texts, *table.numbers.values()])
    return max(
        _judged(
            HistGradientBoostingClassifier(
                categorical_features=[place < len(texts) for place in range(features.shape[1])],
                learning_rate=0.05,
                max_leaf_nodes=leaves,
                max_iter=500,
                l2_regularization=1.0,
                early_stopping=True,
                random_state=0,
            ),
            features,
            table.target,
        )
        for leaves in LEAVES
    )


def linear(path: Path, outcome: str) -> float:
    """The cross-validated AUC of logistic regression on the numbers as they are and one column a text."""
    table = _usable(path, outcome)
    features = np.empty((len(table.target), len(table.numbers) + len(table.texts)), dtype=object)
    for place, values in enumerate([*table.numbers.values(), *table.texts.values()]):
        features[:, place] = values
    count = len(table.numbers)
    kinds = (
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), range(count)),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=10), range(count, features.shape[1])),
    )
    read = make_column_transformer(*((step, [*places]) for step, places in kinds if places))
    return _judged(make_pipeline(read, LogisticRegression(max_iter=2000, C=0.3)), features, table.target)


def measured(path: Path, outcome: str) -> tuple[FitReport, float]:
    """The report, and the seconds of processor time it took."""
    started = time.process_time()
    report = fit_health(path, outcome)
    return report, time.process_time() - started


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=[*tables.TABLES, "telco"])
    parser.add_argument("--rows", type=int, help="of each table that is made up")
    given = parser.parse_args(arguments)
    shown = Table("table", "customers", "left", "score", "boosting", "linear", "the rule itself", "pairs", "CPU s")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.tables:
            best = "–"
            path, outcome = TELCO, "Churn"
            if name != "telco":
                columns, odds, outcome = tables.TABLES[name](**({"count": given.rows} if given.rows else {}))
                path = tables.written(Path(folder) / f"{name}.csv", columns)
                left = who_left([str(value) for value in columns[outcome]], outcome, None)[0]
                best = f"{roc_auc_score(left, odds):.4f}"
            elif not path.exists():
                continue
            report, seconds = measured(path, outcome)
            others = [f"{judge(path, outcome):.4f}" for judge in (boosted, linear)]
            pairs = sum(column.grid is not None for column in report.columns)
            share = f"{report.left / report.rows:.1%}"
            cells = [name, f"{report.rows:,}", share, f"{report.auc:.4f}", *others, best, str(pairs)]
            shown.add_row(*cells, f"{seconds:.0f}")
    Console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
