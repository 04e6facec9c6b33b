"""A fitted health score against gradient boosting that may combine all columns as it likes: what does being readable cost?

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

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from accounts.fit_table import read_columns, typed, who_left, without_leaks
from accounts.fitting import FitReport, fit_health
from benchmarks.quality import EVAL
from tests.accounts import tables

TELCO = EVAL / "telco-churn" / "Telco-Customer-Churn.csv"
LEAVES = (4, 15)
"""Of the trees that are tried; the better counts, chosen on the very parts it is judged on, in its favour."""


def boosted(path: Path, outcome: str) -> float:
    """The cross-validated AUC of the better of two boosted models."""
    columns = read_columns(path)
    target = who_left(columns.pop(outcome), outcome, None)[0]
    table = without_leaks(typed(columns, target, set(), set())[0], outcome, set())[0]
    # Boosting takes at most 255 texts a column.
    texts = [np.unique(values, return_inverse=True)[1].clip(0, 254).astype(float) for values in table.texts.values()]
    features = np.column_stack([*texts, *table.numbers.values()])
    best = 0.0
    with threadpool_limits(limits=1):
        for leaves in LEAVES:
            aucs = []
            for learn, test in StratifiedKFold(5, shuffle=True, random_state=0).split(features, target):
                model = HistGradientBoostingClassifier(
                    categorical_features=[place < len(texts) for place in range(features.shape[1])],
                    learning_rate=0.05,
                    max_leaf_nodes=leaves,
                    max_iter=500,
                    l2_regularization=1.0,
                    early_stopping=True,
                    random_state=0,
                )
                model.fit(features[learn], target[learn])
                aucs.append(roc_auc_score(target[test], model.predict_proba(features[test])[:, 1]))
            best = max(best, float(np.mean(aucs)))
    return best


def measured(path: Path, outcome: str) -> tuple[FitReport, float, float]:
    """The report, the seconds it took, and the AUC of boosting."""
    started = time.perf_counter()
    report = fit_health(path, outcome)
    return report, time.perf_counter() - started, boosted(path, outcome)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=[*tables.TABLES, "telco"])
    parser.add_argument("--rows", type=int, help="of each table that is made up")
    given = parser.parse_args(arguments)
    shown = Table("table", "customers", "left", "score", "boosting", "the rule itself", "pairs", "seconds")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.tables:
            best = "–"
            path, outcome = TELCO, "Churn"
            if name != "telco":
                columns, odds, outcome = tables.TABLES[name](**({"count": given.rows} if given.rows else {}))
                path = tables.written(Path(folder) / f"{name}.csv", columns)
                left = [str(value).lower() in ("1", "true", "churned") for value in columns[outcome]]
                best = f"{roc_auc_score(left, odds):.4f}"
            elif not path.exists():
                continue
            report, seconds, other = measured(path, outcome)
            pairs = sum(column.grid is not None for column in report.columns)
            share = f"{report.left / report.rows:.1%}"
            cells = [name, f"{report.rows:,}", share, f"{report.auc:.4f}", f"{other:.4f}", best, str(pairs)]
            shown.add_row(*cells, f"{seconds:.0f}")
    Console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
