"""Pictures of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.fitting import Bin, FitReport
from cli import pictures
from kit.errors import UserError


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
    with pytest.raises(UserError, match=name.split("/")[-1]):
        pictures.calibration(report(), tmp_path / name)


@pytest.mark.parametrize(
    ("share", "number", "low", "high"), [(0.0, 10, 0.0, 0.2775), (0.5, 10, 0.2366, 0.7634), (1.0, 10, 0.7225, 1.0)]
)
def test_the_interval_by_hand(share: float, number: int, low: float, high: float) -> None:
    """0 of 10: 3.8415 / 13.8415 = .2775; symmetric about a half."""
    assert pictures.wilson(share, number) == pytest.approx((low, high), abs=1e-4)
