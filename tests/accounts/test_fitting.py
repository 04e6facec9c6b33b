"""A health score fitted to who really left."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import Catalog
from accounts.fit_table import typed, who_left, without_leaks
from accounts.fitting import FitReport, fit_health
from accounts.health import Health, Indicator, assess
from accounts.importing import import_csv
from accounts.scoring import score_accounts
from benchmarks.health import boosted
from kit.errors import UserError
from kit.files import read_yaml
from tests.accounts import tables

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


def test_simpler_rules_on_request(tmp_path: Path) -> None:
    """Every curve goes one way; what goes one way by itself is found as well as otherwise, and a hump is not."""
    rows, _ = customers(800)
    path = written(tmp_path / "c.csv", rows)
    simple, free = (fit_health(path, "Status", monotone=monotone) for monotone in (True, False))
    for column in simple.columns:
        assert column.direction in ("more is better", "more is worse", "by level")
        assert column.grid is None
        if column.curve is not None:
            points = [y for _, y in column.curve]
            assert points in (sorted(points), sorted(points, reverse=True))
    assert 0.6 < simple.auc < free.auc


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
        ([{"a": "", "Left": n % 2} for n in range(60)], "no column to tell from: a: is empty"),
        ([{"Left": n % 2} for n in range(60)], "no column to tell from: it has Left alone"),
        ([{"a": n, "Left": ""} for n in range(60)], "has only one value"),
        ([{"a": n, "a ": n, "Left": n % 2} for n in range(60)], "two columns 'a'"),
    ],
)
def test_a_table_that_cannot_be_used_is_said_to_be_so(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    """One line, with the way out."""
    with pytest.raises(UserError, match=words):
        fit_health(written(tmp_path / "c.csv", rows), "Left")


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        ("crossed", {"a with mode", "b with c"}),
        ("telephone", {"Total day minutes with Voice mail plan", "Total intl calls with International plan"}),
    ],
)
def test_what_two_columns_tell_together_is_found(tmp_path: Path, kind: str, pairs: set[str]) -> None:
    """An exclusive-or, a product, a plan against a bill: as grids, and at most .01 behind boosting that may combine all columns."""
    columns, odds, outcome = tables.TABLES[kind]()
    path = tables.written(tmp_path / "c.csv", columns)
    report = fit_health(path, outcome)
    left = [value in ("Churned", "True") for value in columns[outcome]]
    other, best = boosted(path, outcome), float(roc_auc_score(left, odds))
    print(f"{kind}: AUC {report.auc}, boosting {other:.4f}, at best {best:.4f}")
    assert report.auc > other - 0.01
    assert pairs <= {column.name for column in report.columns if column.grid is not None}


def test_a_column_of_many_places_tells_by_each_of_them(tmp_path: Path) -> None:
    """Two hundred branches of five and twenty customers each: as good as boosting, and within .06 of a rule that knows every branch."""
    columns, odds, outcome = tables.branches(5000)
    path = tables.written(tmp_path / "c.csv", columns)
    report = fit_health(path, outcome)
    other, best = boosted(path, outcome), float(roc_auc_score(columns[outcome], odds))
    print(f"AUC {report.auc}, boosting {other:.4f}, at best {best:.4f}")
    assert report.auc > max(other - 0.01, best - 0.06)
    (branch,) = [column for column in report.columns if column.name == "branch"]
    assert len(branch.levels or {}) == 200


def test_what_is_written_down_once_they_left_is_refused(tmp_path: Path) -> None:
    """A score, a reason and a category beside an outcome of three values; what was known before is used."""
    columns, odds, outcome = tables.extended(2500)
    report = fit_health(tables.written(tmp_path / "c.csv", columns), outcome)
    assert report.positive == "Churned"
    assert {name for name in report.left_out if name.startswith("Churn ")} == {
        name for name in columns if "Churn " in name
    }
    best = float(roc_auc_score([value == "Churned" for value in columns[outcome]], odds))
    assert report.auc > best - 0.03


async def test_accounts_are_scored_by_the_pasted_file_in_the_order_that_was_promised(
    session: AsyncSession, catalog: Catalog, tmp_path: Path
) -> None:
    """Through the file that `kotae policy check` and every command read, with what an import leaves in the database: dates, booleans, gaps, prices."""
    columns, _, outcome = tables.software(1500, middle=-2.5)
    columns["signed_up"] = [f"{value[8:]}/{value[5:7]}/{value[:4]}" for value in columns["signed_up"]]
    path = tables.written(tmp_path / "c.csv", columns, delimiter=";")
    report = fit_health(path, outcome)
    assert {"signed_up": "%d/%m/%Y", "last_seen": "%Y-%m-%d"}.items() <= dates(report.health_yml).items()
    file = tmp_path / "health.yml"
    file.write_text(report.health_yml)
    health = read_yaml(file, Health)
    given = [name for name in columns if name not in ("account", outcome)]
    kept = tables.written(tmp_path / "i.csv", {"id": columns["account"]} | {name: columns[name] for name in given})
    await import_csv(session, kept, None, now=NOW)
    await score_accounts(session, replace(catalog, health=health), NOW)
    rows = await session.execute(text("SELECT account_id, score, coverage FROM health_scores"))
    scored = {row.account_id: (float(row.score), float(row.coverage)) for row in rows}
    left = [value == "TRUE" for value in columns[outcome]]
    auc = roc_auc_score(left, [-scored[account][0] for account in columns["account"]])
    assert {coverage for _, coverage in scored.values()} == {1.0}
    assert auc >= report.auc


def dates(health_yml: str) -> dict[str, str]:
    """How the dates of a file are written, by indicator."""
    indicators = yaml.safe_load(health_yml)["indicators"]
    return {name: each["date"] for name, each in indicators.items() if "date" in each}


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "cp1252"), ("\t", "utf-16"), ("|", "utf-8"), (",", "cp932")])
def test_files_as_spreadsheets_write_them_are_read(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """Other separators and encodings, decimal commas; the levels keep their letters."""
    levels = ("東京", "大阪") if encoding == "cp932" else ("Genève", "Zürich")
    chance = np.random.default_rng(4)
    columns = {
        "ville": [levels[row % 2] for row in range(400)],
        "prix": [f"{1000 + row % 7:.0f},{row % 90:02}" for row in range(400)],
        "churn": [int(chance.random() < 0.2 + 0.6 * (row % 2)) for row in range(400)],
    }
    report = fit_health(tables.written(tmp_path / "c.csv", columns, delimiter, encoding), "Churn")
    found = {column.name: column for column in report.columns}
    assert set(found["ville"].levels or {}) == set(levels)
    curve = found["prix"].curve or [] if "prix" in found else [(1000.0, 0.0)]
    assert all(1000 <= place < 1008 for place, _ in curve)
    assert report.auc > 0.7


@pytest.mark.parametrize("word", ["-", "None", "not asked"])
def test_a_word_for_none_does_not_make_texts_of_numbers(word: str) -> None:
    """A fifth of the cells hold it: numbers, and days as they are written, stay what they are, and a score reads the word as missing."""
    count = 500
    numbers = [word if row % 5 == 0 else f"{row / 7:.2f}" for row in range(count)]
    days = [word if row % 5 == 0 else f"{1 + row % 28}.{1 + row % 12}.2025" for row in range(count)]
    table, why = typed({"n": numbers, "d": days}, np.arange(count) % 2, set(), set())
    assert (sorted(table.numbers), table.dates, why) == (["d", "n"], {"d": "%d.%m.%Y"}, {})
    assert all(np.isnan(values).sum() == count / 5 for values in table.numbers.values())
    curve = Indicator(group="usage", label="n", curve=[(0, 10), (1, 20)], missing=5)
    assert curve.points(word) == 5


def test_one_outcome_may_be_spelled_in_several_ways() -> None:
    """Yes, yes and YES."""
    target, positive, warnings, _ = who_left(["Yes", "yes", "YES", "no", "No"] * 30, "Churn", "YES")
    assert (int(target.sum()), positive.lower(), warnings) == (90, "yes", [])
    assert int(who_left(["Yes", "yes", "No"] * 30, "Churn", None)[0].sum()) == 60


def test_a_value_that_only_leavers_have_is_refused(tmp_path: Path) -> None:
    """The reason they gave, and the day they went, noted for some of them."""
    rows, _ = customers(800)
    for place, row in enumerate(rows):
        gone = row["Status"] == "Churned" and place % 3 == 0
        row["reason"] = ["price", "moved"][place % 2] if gone else ""
        row["ended"] = f"2026-0{1 + place % 9}-11" if gone else ""
    report = fit_health(written(tmp_path / "c.csv", rows), "Status")
    assert {"reason", "ended"} <= set(report.left_out)
    assert sum("only" in warning or "alone" in warning or "nobody" in warning for warning in report.warnings) == 2


def _leaks(left: Any, chance: np.random.Generator) -> dict[str, tuple[dict[str, list[Any]], str]]:
    """Ways in which the outcome gets among the columns, and what becomes of each: `refused`, `asked` about, or `no column` at all."""
    count, today = len(left), date(2026, 11, 1)

    def ago(days: Any) -> list[str]:
        return [(today - timedelta(days=int(n))).isoformat() for n in days]

    def wrong(share: float) -> list[int]:
        return np.where(chance.random(count) < share, ~left, left).astype(int).tolist()

    third, sixth = chance.integers(0, 3, count), chance.integers(0, 6, count)
    order = np.argsort(np.argsort(~left, kind="stable"), kind="stable")
    gone = ago(chance.integers(1, 900, count))
    return {
        "renamed": ({"state": np.where(left, "gone", "here").tolist()}, "refused"),
        "in two columns": ({"is_gone": left.astype(int).tolist(), "is_here": (~left).astype(int).tolist()}, "refused"),
        "its reason in three": ({f"why_{n}": (left & (third == n)).astype(int).tolist() for n in range(3)}, "refused"),
        "its reason in six": ({f"why_{n}": (left & (sixth == n)).astype(int).tolist() for n in range(6)}, "refused"),
        "a hundredth wrong": ({"flag": wrong(0.01)}, "refused"),
        "a tenth wrong": ({"flag": wrong(0.1)}, "asked"),
        "under noise": ({"risk": (left + chance.normal(0, 0.3, count)).round(3).tolist()}, "refused"),
        "under more noise": ({"risk": (left + chance.normal(0, 0.5, count)).round(3).tolist()}, "asked"),
        "an id by outcome": ({"record_id": (order + 1).tolist()}, "no column"),
        "another order": ({"place": (3 * order + 5).tolist()}, "refused"),
        "the day they left": ({"end": np.where(left, gone, "").tolist()}, "refused"),
        "no end in sight": ({"end": np.where(left, gone, "9999-12-31").tolist()}, "refused"),
        "last seen": (
            {"last": ago(np.where(left, chance.integers(40, 900, count), chance.integers(0, 30, count)))},
            "refused",
        ),
        "a closing bill": ({"fee": np.where(left, chance.integers(10, 90, count), 0).tolist()}, "refused"),
        "half of them asked": ({"told": np.where(left & (chance.random(count) < 0.5), "us", "").tolist()}, "refused"),
    }


def test_the_outcome_in_disguise_is_refused_or_asked_about() -> None:
    """Whole, in pieces, under noise, in an order, as a day or a bill; and what was known before is used, whatever stands beside it."""
    columns, _, outcome = tables.bank(2000, seed=7)
    left = np.array(columns.pop(outcome)) == 1
    known = {name: [str(value) for value in values] for name, values in columns.items()}
    honest = set(typed(known, left.astype(np.int64), set(), set())[0].numbers)
    found: dict[str, set[str]] = {}
    expected: dict[str, set[str]] = {}
    for kind, (more, fate) in _leaks(left, np.random.default_rng(3)).items():
        table, ids = typed(
            known | {name: [str(value) for value in values] for name, values in more.items()},
            left.astype(np.int64),
            set(),
            set(),
        )
        usable, leaks, suspects = without_leaks(table, outcome, set())
        assert honest <= set(usable.numbers), kind
        fates = {"refused": leaks, "asked": suspects, "no column": ids}
        found[kind] = {each for name in more for each, names in fates.items() if name in names} or {"used"}
        expected[kind] = {fate}
    assert found == expected


def test_what_gives_it_away_only_together_is_asked_about(tmp_path: Path) -> None:
    """When they joined and how long they stayed: who stayed less than that has left, though neither tells by itself."""
    columns, _, outcome = tables.bank(800, seed=7)
    chance = np.random.default_rng(3)
    since = chance.integers(100, 1500, 800)
    stayed = np.where(np.array(columns[outcome]) == 1, since * chance.random(800), since)
    columns["joined"] = [(date(2026, 11, 1) - timedelta(days=int(n))).isoformat() for n in since]
    columns["months"] = (stayed // 30).astype(int).tolist()
    report = fit_health(tables.written(tmp_path / "c.csv", columns), outcome)
    assert report.auc > 0.95
    assert "months and joined: known before a customer leaves?" in report.warnings[-1]


def test_rows_of_one_customer_do_not_judge_each_other(tmp_path: Path) -> None:
    """Each customer six times with a number that only they have: no score can tell who leaves, and none seems to. The same row again counts once."""
    chance = np.random.default_rng(2)
    left, own = chance.random(120) < 0.4, chance.normal(0, 1, 120)
    rows = [
        {"customerid": f"c{n}", "own": f"{own[n]:.5f}", "month": month, "churn": int(left[n])}
        for n in range(120)
        for month in range(6)
    ]
    report = fit_health(written(tmp_path / "c.csv", [*rows, *rows[:50]]), "churn")
    assert report.warnings[0] == "50 rows are there twice, and counted once"
    assert "customerid has several rows for a customer" in report.warnings[1]
    assert report.rows == 720
    assert report.auc < 0.65


def test_numbers_that_differ_only_in_their_last_digits(tmp_path: Path) -> None:
    """Are told apart in the file as well."""
    chance = np.random.default_rng(2)
    rows = [{"since": 1_600_000_000 + n, "churn": int(chance.random() < n / 400)} for n in chance.permutation(400)]
    report = fit_health(written(tmp_path / "c.csv", rows), "churn")
    assert report.auc > 0.75
    assert Health.model_validate(yaml.safe_load(report.health_yml)).indicators["since"].curve


@pytest.mark.skipif(not (EVAL / "telco-churn").is_dir(), reason=f"no evaluation data in {EVAL} (set KOTAE_EVAL_DIR)")
def test_the_telco_floor() -> None:
    """Seven thousand real customers; the figure is printed."""
    report = fit_health(EVAL / "telco-churn" / "Telco-Customer-Churn.csv", "Churn")
    print(f"telco: AUC {report.auc} {report.auc_folds}, Brier {report.brier}, lift {report.lift_worst_decile}")
    assert report.auc >= TELCO_FLOOR
    assert report.lift_worst_decile > 2.5
    assert report.warnings == []
