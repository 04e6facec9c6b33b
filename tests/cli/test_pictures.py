"""Pictures of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.fitting import Bin, FitReport
from cli import pictures
from kit.errors import UserError
from knowledge_base.evaluation import Labelled, Outcome

ASKED = [
    Outcome(Labelled("1", "x", frozenset("a")), ("a", "b"), (), "minilm", 0.9, "answer", 0.002),
    Outcome(Labelled("2", "y", frozenset()), ("b", "a"), (), "minilm", 0.3, "abstain", 0.002),
]


def report() -> FitReport:
    calibration = [Bin(predicted=0.1, observed=0.0, customers=40), Bin(predicted=0.7, observed=0.75, customers=40)]
    shown: dict[str, Any] = {"outcome": "Churn", "auc": 0.9, "brier": 0.1, "rows": 80}
    return FitReport.model_construct(calibration=calibration, **shown)


@pytest.mark.parametrize(("name", "begins"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml")])
def test_the_picture_is_of_the_form_its_name_says(tmp_path: Path, name: str, begins: bytes) -> None:
    """Also where a tenth is at the very end, from which no interval may reach out."""
    pictures.calibration(report(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize("name", ["c.docx", "nowhere/c.png"])
def test_a_picture_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """One line with the name."""
    for draw in (
        lambda path: pictures.calibration(report(), path),
        lambda path: pictures.risk_and_coverage(ASKED, path),
    ):
        with pytest.raises(UserError, match=name.split("/")[-1]):
            draw(tmp_path / name)


def test_risk_and_coverage_are_a_picture(tmp_path: Path) -> None:
    """Also where nothing is answered, so that no thresholds can be shown."""
    for number, asked in enumerate((ASKED, ASKED[1:])):
        path = tmp_path / f"{number}.png"
        pictures.risk_and_coverage(asked, path)
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("share", "number", "low", "high"), [(0.0, 10, 0.0, 0.2775), (0.5, 10, 0.2366, 0.7634), (1.0, 10, 0.7225, 1.0)]
)
def test_the_interval_by_hand(share: float, number: int, low: float, high: float) -> None:
    """0 of 10: 3.8415 / 13.8415 = .2775; symmetric about a half."""
    assert pictures.wilson(share, number) == pytest.approx((low, high), abs=1e-4)
