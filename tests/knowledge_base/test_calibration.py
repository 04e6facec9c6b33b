"""Thresholds keep their promise where the true risk is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from kit.errors import UserError
from knowledge_base.bounds import clopper_pearson
from knowledge_base.calibration import calibrate, fit, threshold
from knowledge_base.decision import FEATURES, Model
from knowledge_base.evaluation import Labelled, Outcome


@pytest.mark.parametrize(("wrong", "answered"), [(0, 22), (1, 40), (5, 100), (30, 200)])
def test_the_bound_is_where_so_few_errors_become_unlikely(wrong: int, answered: int) -> None:
    assert binom.cdf(wrong, answered, clopper_pearson(wrong, answered)) == pytest.approx(0.1)


def test_nothing_answered_bounds_nothing() -> None:
    assert clopper_pearson(0, 0) == 1.0
    assert clopper_pearson(3, 3) == 1.0
    assert clopper_pearson(0, 21) > 0.10 > clopper_pearson(0, 22)


def test_the_promise_holds_in_nine_of_ten_draws() -> None:
    """Chances are drawn with a known truth: at threshold t the true risk is known exactly."""
    random = np.random.default_rng(5)
    broken = drawn = 0
    for _ in range(150):
        chances = random.uniform(0, 1, 300)
        right = random.uniform(0, 1, 300) >= (1 - chances) ** 2
        found = threshold(chances, right.tolist())
        if found is None:
            continue
        drawn += 1
        true_risk = (1 - found) ** 2 / 3  # the mean of (1 - c)^2 over a uniform c in (found, 1)
        broken += true_risk > 0.10
    assert drawn > 100
    assert broken / drawn <= 0.10 + 3 * np.sqrt(0.09 / drawn)


def test_no_threshold_is_given_where_none_can_promise() -> None:
    random = np.random.default_rng(1)
    assert threshold(random.uniform(0, 1, 300), (random.uniform(0, 1, 300) < 0.5).tolist()) is None


def test_the_fit_finds_the_feature_that_decides() -> None:
    random = np.random.default_rng(2)
    rows = random.normal(size=(20_000, len(FEATURES)))
    right = (2 * rows[:, 0] - 1 + random.logistic(size=20_000) > 0).tolist()
    weights, bias = fit(rows, right)
    assert weights[FEATURES[0]] == pytest.approx(2, abs=0.6)
    assert bias == pytest.approx(-1, abs=0.4)
    assert all(abs(weights[name]) < 0.5 for name in FEATURES[1:])


def outcome(number: int, values: tuple[float, ...], right: bool) -> Outcome:
    question = Labelled(str(number), "x", frozenset({"a"}) if right else frozenset())
    return Outcome(question, ("a",), values, "minilm", 0.5, "answer", 0.0)


def test_calibrate_gives_a_model_with_its_promise() -> None:
    random = np.random.default_rng(4)
    rows = random.normal(size=(600, len(FEATURES)))
    made = [outcome(n, tuple(row), bool(4 * row[0] + random.logistic() > 0)) for n, row in enumerate(rows)]
    model, promise = calibrate(made)
    assert promise.kept
    assert promise.bound == clopper_pearson(promise.wrong, promise.answered) <= promise.risk
    assert 0.2 < promise.coverage < 0.7
    answered = [m.right for m in made if model.chance(m.features) >= model.answer]
    assert np.mean(answered) >= 0.9


def test_without_a_promise_the_threshold_is_where_no_more_was_wrong_than_allowed() -> None:
    """Forty questions of which the surest fifteen are right: too few to bound anything, enough to answer those."""
    random = np.random.default_rng(6)
    rows = random.normal(0, 0.05, (60, len(FEATURES)))
    rows[:, 0] += np.linspace(3, -3, 60)
    made = [outcome(n, tuple(row), n < 15) for n, row in enumerate(rows)]
    model, promise = calibrate(made)
    assert not promise.kept
    assert 0 < promise.answered < 22
    assert promise.wrong <= 0.1 * promise.answered
    assert promise.bound > promise.risk
    assert model.clarify <= model.answer


def test_a_choice_is_offered_from_where_it_has_the_right_article_often_enough() -> None:
    """The second article is the right one wherever the first feature is above 0, and none is below."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(400, len(FEATURES)))
    made = []
    for n, row in enumerate(rows):
        first = bool(3 * (row[0] - 1) + random.logistic() > 0)
        right = {"a"} if first else {"b"} if row[0] > 0 else set()
        made.append(
            Outcome(Labelled(str(n), "x", frozenset(right)), ("a", "b"), tuple(row), "minilm", 0.5, "answer", 0.0)
        )
    model, _ = calibrate(made)
    offered = [m for m in made if model.clarify <= model.chance(m.features) < model.answer]
    silent = [m for m in made if model.chance(m.features) < model.clarify]
    assert np.mean([bool(m.question.right) for m in offered]) > 0.5 > np.mean([bool(m.question.right) for m in silent])


def test_questions_whose_answer_was_left_out_teach_the_model_but_are_not_promised_about() -> None:
    """The second feature is high where the answer is missing: only questions that were left out show it."""
    random = np.random.default_rng(8)
    rows = random.normal(size=(600, len(FEATURES)))
    made = [outcome(n, tuple(row), bool(4 * row[0] + random.logistic() > 0)) for n, row in enumerate(rows)]
    without = [outcome(n, (row[0], row[1] + 3, *row[2:]), right=False) for n, row in enumerate(rows) if made[n].right]
    plain, _ = calibrate(made)
    model, promise = calibrate(made, without)
    assert (promise.questions, promise.kept) == (600, True)
    second = FEATURES[1]
    assert model.weights[second] < plain.weights[second] - 0.3
    chances = [model.chance(one.features) for one in made]
    assert np.mean(chances) == pytest.approx(np.mean([one.right for one in made]), abs=0.01)


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(UserError, match="too few"):
        calibrate([outcome(n, (0.0,) * len(FEATURES), n % 2 == 0) for n in range(20)])


def test_a_chance_stays_a_chance_for_extreme_features() -> None:
    model = Model(weights=dict.fromkeys(FEATURES, 1e6), bias=0, answer=0.5, clarify=0.2)
    assert 0 <= model.chance((1e6,) * len(FEATURES)) <= 1
    assert 0 <= model.chance((-1e6,) * len(FEATURES)) <= 1
