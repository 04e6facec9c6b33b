"""A health score fitted to who really left."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from accounts.fitting import FitReport, fit_health
from accounts.health import Health, assess
from kit.errors import UserError

EVAL = Path(os.environ.get("KOTAE_EVAL_DIR", Path(__file__).resolve().parents[3] / "shared" / "eval"))
TELCO_FLOOR = 0.84
NOW = datetime(2026, 11, 18, tzinfo=UTC)


def customers(count: int = 1200, seed: int = 3) -> tuple[list[dict[str, Any]], np.ndarray[Any, Any]]:
    """Customers who leave by a rule with a hump, a jump, a level and gaps; and the true log-odds."""
    chance = np.random.default_rng(seed)
    use, price, tickets = chance.normal(0, 1, count), chance.uniform(0, 100, count), chance.poisson(2, count)
    plan = chance.choice(["basic", "plus", "max"], count)
    odds = 2.5 * np.abs(use) - 4 + 2.0 * (price > 60) + np.where(plan == "max", -1.5, 0.5) + 0.4 * tickets
    left = chance.random(count) < 1 / (1 + np.exp(-odds))
    gap = chance.random(count) < 0.1
    rows = [
        {
            "customer_id": 5000 + row,
            "use": "" if gap[row] else f"{use[row]:.3f}",
            "price": f"${price[row]:.2f}",
            "tickets": tickets[row],
            "plan": plan[row],
            "same": "x",
            "Status": "Churned" if left[row] else "Stayed",
        }
        for row in range(count)
    ]
    return rows, np.where(gap, odds - 2.5 * np.abs(use) + 2, odds)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as a CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitReport, list[dict[str, Any]], float]:
    """A report, its customers, and the AUC of the rule they were made by."""
    rows, odds = customers()
    path = written(tmp_path_factory.mktemp("fit") / "c.csv", rows)
    best = float(roc_auc_score([row["Status"] == "Churned" for row in rows], odds))
    return fit_health(path, "Status"), rows, best


def test_effects_that_are_no_lines_are_found(fitted: tuple[FitReport, list[dict[str, Any]], float]) -> None:
    """Nearly as good as the rule itself, which nothing can beat; the hump goes both ways."""
    report, _, best = fitted
    assert report.positive == "Churned"
    assert report.auc > best - 0.03
    assert report.brier < 0.75 * report.brier_of_guessing
    assert report.lift_worst_decile > 1.5
    found = {column.name: column for column in report.columns}
    assert found["use"].direction == "both ways"
    assert found["tickets"].direction == "more is worse"
    assert found["plan"].levels is not None
    assert max(found["plan"].levels, key=found["plan"].levels.__getitem__) == "max"


def test_predicted_and_observed_agree(fitted: tuple[FitReport, list[dict[str, Any]], float]) -> None:
    """In each tenth, within what chance allows."""
    report, _, _ = fitted
    assert sum(each.customers for each in report.calibration) == report.rows
    for each in report.calibration:
        assert abs(each.predicted - each.observed) < 0.17


def test_what_says_nothing_is_left_out(fitted: tuple[FitReport, list[dict[str, Any]], float]) -> None:
    """An id and a column that is the same for everybody."""
    report, _, _ = fitted
    assert report.left_out == {"customer_id": "looks like an id", "same": "is the same for everybody"}
    assert report.warnings == []


def test_the_file_scores_as_the_report_says(fitted: tuple[FitReport, list[dict[str, Any]], float]) -> None:
    """Pasted as health.yml it orders the same customers at least as well as was promised for others."""
    report, rows, _ = fitted
    health = Health.model_validate(yaml.safe_load(report.health_yml))
    made = [assess(health, {key: str(value) for key, value in row.items()}, now=NOW) for row in rows]
    left = [row["Status"] == "Churned" for row in rows]
    assert all(each.coverage == 1 for each in made)
    assert roc_auc_score(left, [-(each.score or 0) for each in made]) >= report.auc
    bands = [each.band for each in made]
    worst = [gone for gone, band in zip(left, bands, strict=True) if band == "at_risk"]
    assert sum(worst) / len(worst) > report.left / report.rows


def bent(kind: str, count: int = 2500, seed: int = 11) -> tuple[list[dict[str, Any]], np.ndarray[Any, Any]]:
    """Customers who leave by one effect that no line follows, beside columns that say nothing; and the true log-odds."""
    chance = np.random.default_rng(seed)
    x, z, w = chance.normal(0, 1, count), chance.uniform(-3, 3, count), chance.exponential(10, count)
    level, gap = chance.choice(list("abcdefgh"), count), chance.random(count) < 0.15
    odds = {
        "hump": 3 * np.exp(-2 * x * x) - 2.2,
        "wave": 2.5 * np.sin(2 * z) - 1,
        "jump": 3.0 * (z > 1.2) + 1.5 * (w < 3) - 2,
        "saturation": 3 * np.exp(-w / 4) - 2,
        "levels": np.select([level == text for text in "abcdgh"], [2, -2, 1.5, -1, -3, 1], 0) - 0.5,
        "gap": np.where(gap, 2.0, x - 1),
    }[kind]
    left = chance.random(count) < 1 / (1 + np.exp(-odds))
    rows = [
        {
            "x": "" if kind == "gap" and gap[row] else f"{x[row]:.4f}",
            "z": f"{z[row]:.4f}",
            "w": f"{w[row]:.3f}",
            "level": level[row],
            "churn": "yes" if left[row] else "no",
        }
        for row in range(count)
    ]
    return rows, odds


@pytest.mark.parametrize("kind", ["hump", "wave", "jump", "saturation", "levels", "gap"])
def test_little_is_left_on_the_table(tmp_path: Path, kind: str) -> None:
    """Within .025 of the AUC of the rule the customers were made by, which nothing can beat; also where the gap is what tells."""
    rows, odds = bent(kind)
    report = fit_health(written(tmp_path / "c.csv", rows), "churn")
    best = float(roc_auc_score([row["churn"] == "yes" for row in rows], odds))
    print(f"{kind}: AUC {report.auc}, at best {best:.4f}")
    assert report.auc > best - 0.025
    assert report.warnings == []


@pytest.mark.parametrize("flips", [0, 12])
def test_the_outcome_renamed_is_refused(tmp_path: Path, flips: int) -> None:
    """Also with a hundredth of it wrong; kept by name it is used, and it shows."""
    rows, _ = customers(600)
    for place, row in enumerate(rows):
        gone = row["Status"] == "Churned"
        row["closing_call"] = "done" if gone != (place % 50 == 0 and place < 50 * flips) else ""
    path = written(tmp_path / "c.csv", rows)
    report = fit_health(path, "Status")
    assert "closing_call" in report.left_out
    assert "closing_call alone tells who left" in report.warnings[0]
    assert report.auc < 0.95
    assert fit_health(path, "Status", keep=["closing_call"]).auc > 0.95


@pytest.mark.parametrize(
    ("values", "outcome", "positive"),
    [
        (("Yes", "No"), "Churn", "Yes"),
        (("1", "0"), "Exited", "1"),
        (("Attrited Customer", "Existing Customer"), "Flag", "Attrited Customer"),
        (("0", "1"), "retained", "0"),
        (("gone", "Active"), "state", "gone"),
    ],
)
def test_the_value_for_having_left_is_found_from_the_words(
    tmp_path: Path, values: tuple[str, str], outcome: str, positive: str
) -> None:
    """Whichever way round the company says it."""
    chance = np.random.default_rng(0)
    rows = [{"x": f"{chance.normal() + row % 2:.3f}", outcome: values[row % 2]} for row in range(120)]
    assert fit_health(written(tmp_path / "c.csv", rows), outcome).positive == positive


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"a": n, "b": n % 2} for n in range(60)], "no column 'Left': it has a, b"),
        ([{"a": n % 7, "Left": "no"} for n in range(60)], "has only one value"),
        ([{"a": n % 7, "Left": "xyz"[n % 3]} for n in range(90)], "has 3 values"),
        ([{"a": n % 7, "Left": n % 2} for n in range(30)], "only 15 customers of one outcome"),
        ([{"a": "same", "Left": n % 2} for n in range(60)], "no column to tell from: a: is the same for everybody"),
    ],
)
def test_a_table_that_cannot_be_used_is_said_to_be_so(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    """One line, with the way out."""
    with pytest.raises(UserError, match=words):
        fit_health(written(tmp_path / "c.csv", rows), "Left")


@pytest.mark.skipif(not (EVAL / "telco-churn").is_dir(), reason=f"no evaluation data in {EVAL} (set KOTAE_EVAL_DIR)")
def test_the_telco_floor() -> None:
    """Seven thousand real customers; the figure is printed."""
    report = fit_health(EVAL / "telco-churn" / "Telco-Customer-Churn.csv", "Churn")
    print(f"telco: AUC {report.auc} {report.auc_folds}, Brier {report.brier}, lift {report.lift_worst_decile}")
    assert report.auc >= TELCO_FLOOR
    assert report.lift_worst_decile > 2.5
    assert report.warnings == []
