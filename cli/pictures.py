"""Pictures of evaluations."""

from __future__ import annotations

from pathlib import Path

from accounts.fitting import FitReport
from kit.errors import UserError

FORMATS = (".png", ".svg", ".pdf")


def calibration(report: FitReport, path: Path) -> None:
    """Draws predicted against observed: each tenth of the customers as a point with its 95 % interval, and where it should lie.

    The interval is Wilson's, which also holds near 0 and 1.

    Args:
        path: written; its ending says in which form.
    Raises:
        UserError: another ending, or it cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path} is no picture that can be drawn", f"end its name in {', '.join(FORMATS)}")
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
