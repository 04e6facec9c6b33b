"""Fits when to answer to labelled questions, with a bound that holds for a finite number of them.

Each question's chance comes from a logistic model fitted without it (five folds). On such chances the number of wrong answers above any fixed threshold is binomial, so its Clopper-Pearson upper bound holds with the stated
confidence. Thresholds are tried from the strictest to the loosest, from where enough is answered to promise anything, and
the last one before the first failure is taken, which keeps the confidence without a correction for trying many (fixed-sequence
testing, as in "Learn then Test", Angelopoulos et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from kit.errors import UserError
from knowledge_base.bounds import CONFIDENCE, clopper_pearson
from knowledge_base.decision import CHOICES, CLARIFY_SHARE, FEATURES, Model, Promise
from knowledge_base.evaluation import Outcome

RISK = 0.10
"""At most this share of what is answered may be wrong, with the confidence of the bound."""
FEWEST = 40
"""Labelled questions below which nothing can be promised: even without one error, 22 answered ones are needed."""
REGULARISATION = 0.02
"""Inverse strength: weights fitted on one set of questions hold better on another when they are kept small."""
WORTH_OFFERING = 0.5
"""Share of the offered choices, from the least sure up, that have the right article among them at least."""
_BAND = 0.1
"""Width of the range of chances over which that share is taken."""
_STEPS = np.round(np.arange(0.98, 0.28, -0.02), 2)


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


def calibrate(outcomes: Sequence[Outcome], left_out: Sequence[Outcome] = ()) -> tuple[Model, Promise]:
    """A model for one encoder from its labelled questions.

    Each question's chance comes from a model that was fitted without it (five folds); on these the threshold is set. The
    model that is kept is fitted on all.

    Args:
        outcomes: of the questions.
        left_out: of the same ones asked as if the articles that answer them were not there (`evaluation.ask_without_right`).
            Models are fitted to these too, as the hardest of questions without an answer; nothing is promised about them.
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
        weights, bias = _fit_with([usable[n] for n in kept], left_out)
        part = Model(weights=weights, bias=bias, answer=1, clarify=1)
        chances[held] = [part.chance(row) for row in rows[held]]
    weights, bias = _fit_with(usable, left_out)
    found = threshold(chances, right)
    answer = found if found is not None else _seen(chances, right)
    offered = [bool(set(outcome.ranking[:CHOICES]) & outcome.question.right) for outcome in usable]
    model = Model(weights=weights, bias=bias, answer=answer, clarify=_worth_offering(chances, offered, answer))
    answered = chances >= answer
    wrong = int((answered & ~np.array(right)).sum())
    return model, Promise(
        risk=RISK,
        confidence=CONFIDENCE,
        coverage=float(answered.sum()) / len(outcomes),
        kept=found is not None,
        questions=len(outcomes),
        answered=int(answered.sum()),
        wrong=wrong,
        bound=clopper_pearson(wrong, int(answered.sum())),
    )


def _fit_with(outcomes: Sequence[Outcome], left_out: Sequence[Outcome]) -> tuple[dict[str, float], float]:
    """The model of some outcomes and of the left-out ones of the same questions.

    Among all of them fewer are right than among questions as they come, so the bias is set anew: to where the mean chance of
    the latter is the share of them that is right.
    """
    asked = {outcome.question.id for outcome in outcomes}
    every = [*outcomes, *(one for one in left_out if one.features and one.question.id in asked)]
    weights, bias = fit([outcome.features for outcome in every], [outcome.right for outcome in every])
    scores = (
        np.array([outcome.features for outcome in outcomes]) @ np.array([weights[name] for name in FEATURES]) + bias
    )
    share = float(np.mean([outcome.right for outcome in outcomes]))
    return weights, bias + float(brentq(lambda moved: expit(scores + moved).mean() - share, -100, 100))


def _seen(chances: npt.NDArray[np.float64], right: Sequence[bool]) -> float:
    """The lowest threshold at which no more was wrong than is allowed, without any promise: questions are too few for one."""
    good, found = np.asarray(right, dtype=bool), float(_STEPS[0])
    for step in _STEPS:
        answered = chances >= step
        if answered.any() and (answered & ~good).sum() > RISK * answered.sum():
            break
        found = float(step)
    return found


def _worth_offering(chances: npt.NDArray[np.float64], offered: Sequence[bool], answer: float) -> float:
    """The lowest chance from which a choice of articles has the right one often enough.

    Args:
        chances: of questions.
        offered: whether the right article is among the first ones.
        answer: the threshold above which nothing is offered; below a share of it nothing is, either.
    """
    good, found = np.asarray(offered, dtype=bool), answer
    for step in (step for step in _STEPS[::-1] if CLARIFY_SHARE * answer <= step < answer):
        near = (chances >= step) & (chances < min(answer, step + _BAND))
        if near.any() and good[near].mean() >= WORTH_OFFERING:
            return float(step)
    return found
