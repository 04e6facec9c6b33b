"""Fits when to answer to labelled questions, with a bound that holds for a finite number of them.

Two halves of the questions play two parts: one fits the logistic model, the other sets the threshold. On the second the
number of wrong answers above any fixed threshold is binomial, so its Clopper-Pearson upper bound holds with the stated
confidence. Thresholds are tried from the strictest to the loosest, from where enough is answered to promise anything, and
the last one before the first failure is taken, which keeps the confidence without a correction for trying many (fixed-sequence testing, as in "Learn then Test", Angelopoulos et
al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from kit.errors import UserError
from knowledge_base.decision import CLARIFY_SHARE, FEATURES, Model, Promise
from knowledge_base.evaluation import Outcome

RISK = 0.10
"""At most this share of what is answered may be wrong …"""
CONFIDENCE = 0.90
"""… with this confidence."""
FEWEST = 40
"""Labelled questions below which nothing can be promised: even without one error, 22 answered ones are needed."""
REGULARISATION = 0.1
"""Inverse strength: weights fitted on one set of questions hold better on another when they are kept small."""
_STEPS = np.round(np.arange(0.98, 0.28, -0.02), 2)


def clopper_pearson(wrong: int, answered: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the risk behind `wrong` errors among `answered` answers.

    Exact one-sided binomial bound (Clopper and Pearson, 1934).
    """
    return 1.0 if wrong >= answered else float(beta.ppf(confidence, wrong + 1, answered - wrong))


def fit(features: npt.ArrayLike, right: Sequence[bool]) -> tuple[dict[str, float], float]:
    """Weights and bias of the logistic model on plain feature values.

    Args:
        features: a row a question, in the order of `FEATURES`.
        right: whether its first article answers it.
    """
    scaler = StandardScaler()
    model = LogisticRegression(C=REGULARISATION, max_iter=1_000).fit(
        scaler.fit_transform(np.asarray(features)), list(right)
    )
    weights = model.coef_[0] / scaler.scale_
    bias = float(model.intercept_[0] - weights @ scaler.mean_)
    return {name: float(weight) for name, weight in zip(FEATURES, weights, strict=True)}, bias


def threshold(
    chances: npt.ArrayLike, right: Sequence[bool], risk: float = RISK, confidence: float = CONFIDENCE
) -> float | None:
    """The lowest threshold at which the risk of what is answered is bounded; None where no threshold can promise it.

    Args:
        chances: for questions that had no part in fitting the model.
        right: whether the first article answers them.
        risk: that may not be exceeded.
        confidence: with which.
    """
    values, good = np.asarray(chances), np.asarray(right, dtype=bool)
    found: float | None = None
    for step in _STEPS:
        answered = values >= step
        count, wrong = int(answered.sum()), int((answered & ~good).sum())
        if clopper_pearson(min(1, count), count, confidence) > risk:
            continue  # so few are answered that a single slip, or none, would end the search
        if clopper_pearson(wrong, count, confidence) > risk:
            break
        found = float(step)
    return found


def calibrate(outcomes: Sequence[Outcome]) -> tuple[Model, Promise]:
    """A model for one encoder from its labelled questions.

    Each question's chance comes from a model that was fitted without it (five folds); on these the threshold is set. The
    model that is kept is fitted on all.

    Raises:
        UserError: too few questions, or all of one kind.
    """
    usable = [outcome for outcome in outcomes if outcome.features]
    right = [outcome.right for outcome in usable]
    if len(usable) < FEWEST or min(sum(right), len(right) - sum(right)) < 5:
        raise UserError(
            f"{len(usable)} labelled questions ({sum(right)} found right) are too few to calibrate on",
            f"label {FEWEST} or more, some of them without an answer",
        )
    rows = np.array([outcome.features for outcome in usable])
    chances = np.zeros(len(rows))
    for kept, held in StratifiedKFold(5, shuffle=True, random_state=0).split(rows, right):
        weights, bias = fit(rows[kept], [right[n] for n in kept])
        part = Model(weights=weights, bias=bias, answer=1, clarify=1)
        chances[held] = [part.chance(row) for row in rows[held]]
    weights, bias = fit(rows, right)
    found = threshold(chances, right)
    answer = found if found is not None else float(_STEPS[0])
    model = Model(weights=weights, bias=bias, answer=answer, clarify=answer * CLARIFY_SHARE)
    coverage = float((chances >= answer).sum()) / len(outcomes)
    return model, Promise(
        risk=RISK, confidence=CONFIDENCE, coverage=coverage, kept=found is not None, questions=len(outcomes)
    )
