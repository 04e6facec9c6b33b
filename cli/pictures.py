"""Pictures of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accounts.fitting import FitReport
from kit.errors import UserError
from knowledge_base import evaluation
from knowledge_base.evaluation import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def calibration(report: FitReport, path: Path) -> None:
    """Draws predicted against observed: each tenth of the customers as a point with its 95 % interval, and where it should lie.

    The interval is Wilson's, which also holds near 0 and 1.

    Args:
        path: written; its ending says in which form.
    Raises:
        UserError: another ending, or it cannot be written.
    """
    check(path)
    from matplotlib.figure import Figure  # takes a moment to import; no window is ever opened

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    seen = [(each.predicted, each.observed, *wilson(each.observed, each.customers)) for each in report.calibration]
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as predicted")
    axes.errorbar(
        [each[0] for each in seen],
        [each[1] for each in seen],
        yerr=[[each[1] - each[2] for each in seen], [each[3] - each[1] for each in seen]],
        fmt="o",
        capsize=3,
        label="a tenth of the customers, with its 95 % interval",
    )
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="predicted chance of leaving",
        ylabel="share who left",
        title=f"{report.outcome}: AUC {report.auc:.3f}, Brier {report.brier:.3f}, {report.rows} customers",
    )
    axes.legend(loc="upper left")
    _save(figure, path)


def risk_and_coverage(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draws which share of the answers is wrong, by the share of the questions that are answered, the surest first; and where the
    thresholds of today stand.

    Args:
        path: written; its ending says in which form.
    Raises:
        UserError: another ending, or it cannot be written.
    """
    check(path)
    from matplotlib.figure import Figure

    curve = evaluation.risk_coverage(outcomes)
    answered = [outcome for outcome in outcomes if outcome.decision == "answer"]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([100 * coverage for coverage, _ in curve], [100 * risk for _, risk in curve])
    if answered:
        share, wrong = len(answered) / len(outcomes), sum(not one.right for one in answered) / len(answered)
        now = f"answered now: {share:.0%}, {wrong:.0%} of it wrong"
        axes.plot([100 * share], [100 * wrong], "o", label=now)
        axes.legend(loc="upper left")
    axes.set(xlabel="answered (% of questions)", ylabel="wrong (% of answered)", xlim=(0, 100), ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    _save(figure, path)


def check(path: Path) -> None:
    """That a picture can be written there, before what is drawn is worked out.

    Raises:
        UserError: its ending names no form of picture, or there is no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path} is no picture that can be drawn", f"end its name in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written (there is no folder {path.parent})", "choose another place")


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})", "choose another place") from None


def wilson(share: float, number: int) -> tuple[float, float]:
    """The 95 % interval of a share observed in so many cases.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    z = 1.959964
    middle = share + z * z / (2 * number)
    spread = z * ((share * (1 - share) + z * z / (4 * number)) / number) ** 0.5
    whole = 1 + z * z / number
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)
