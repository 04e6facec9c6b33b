"""How wrong an answerer may be, given how often it was seen to be."""

from __future__ import annotations

from scipy.stats import beta

CONFIDENCE = 0.90


def clopper_pearson(wrong: int, answered: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the risk behind `wrong` errors among `answered` answers.

    Exact one-sided binomial bound (Clopper and Pearson, 1934).
    """
    return 1.0 if wrong >= answered else float(beta.ppf(confidence, wrong + 1, answered - wrong))
