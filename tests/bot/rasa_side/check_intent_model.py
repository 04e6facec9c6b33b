"""What the intent model learns: exact predictions for what is left out, and a threshold. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import unittest

import numpy as np

from bot.components.intent_model import MOST_REFUSED, RIDGE, IntentModel, _solve, _threshold, _topics

TEXTS = ["pay by card", "card payment", "pay now", "track parcel", "where is my parcel", "parcel late", "opening hours"]
LABELS = ["pay", "pay", "pay", "parcel", "parcel", "parcel", "hours"]


class LeftOut(unittest.TestCase):
    """Predictions for rows that were not there."""

    def test_they_are_those_of_a_regression_without_these_rows(self) -> None:
        numbers = np.random.default_rng(7)
        points = numbers.normal(size=(12, 4))
        kernel = np.exp(-((points[:, None] - points[None]) ** 2).sum(2)).astype(np.float64)
        targets = np.eye(4)[np.repeat(np.arange(4), 3)]
        topics = np.repeat([0, 1], 6)
        _, one, topic = _solve(kernel.copy(), targets, topics)
        for row in range(12):
            for found, out in ((one, np.arange(12) == row), (topic, topics == topics[row])):
                weights = np.linalg.solve(kernel[~out][:, ~out] + RIDGE * np.eye((~out).sum()), targets[~out])
                expected = kernel[row, ~out] @ weights
                if found is topic:
                    expected[targets[out].any(axis=0)] = 0
                np.testing.assert_allclose(found[row], expected, atol=1e-6)

    def test_topics_hold_whole_intents_and_outside_belongs_to_none(self) -> None:
        features = np.array([[1.0, 0], [0.9, 0.1], [0, 1.0], [-1.0, 0], [0.5, 0.5]])
        topics = _topics(features, np.array([0, 0, 1, 2, 3]), np.array([False, False, False, True]))
        self.assertEqual(topics[0], topics[1])
        self.assertEqual(len({topics[0], topics[2], topics[3]}), 3)
        self.assertEqual(topics[4], -1)


class Threshold(unittest.TestCase):
    """Where understanding and refusing together are worth most."""

    def test_strangers_below_all_others_cost_nothing(self) -> None:
        self.assertAlmostEqual(_threshold(np.array([0.5, 0.7, 0.9]), np.array([0.1, 0.2])), 0.5)

    def test_many_strangers_among_the_least_sure_are_worth_refusing_those_too(self) -> None:
        understood = np.concatenate([[0.2] * 5, np.linspace(0.6, 0.9, 95)])
        self.assertGreater(_threshold(understood, np.full(50, 0.3)), 0.3)
        self.assertAlmostEqual(_threshold(understood, np.concatenate([[0.3], np.full(49, 0.1)])), 0.2)

    def test_it_never_refuses_more_than_a_tenth(self) -> None:
        understood = np.linspace(0.1, 0.9, 200)
        threshold = _threshold(understood, np.full(50, 0.85))
        self.assertGreaterEqual((understood >= threshold).mean(), 1 - MOST_REFUSED - 0.01)

    def test_nothing_understood_has_one_all_the_same(self) -> None:
        self.assertGreater(_threshold(np.array([]), np.array([0.4])), 0)


class Odd(unittest.TestCase):
    """Training data as it comes."""

    def test_an_intent_of_one_sentence_and_no_strangers(self) -> None:
        model = IntentModel.fit(TEXTS, LABELS, None, "out_of_scope")
        found = model.confidences(["card payment please", "zzz qqq"], None)
        self.assertEqual(model.labels[found[0].argmax()], "pay")
        self.assertGreaterEqual(found[0].max(), 0.5)
        self.assertLess(found[1].max(), 0.5)

    def test_one_intent_against_strangers(self) -> None:
        labels = ["pay" if label == "pay" else "out_of_scope" for label in LABELS]
        model = IntentModel.fit(TEXTS, labels, None, "out_of_scope")
        (pay, parcel) = model.confidences(["card payment please", "my parcel is late"], None)
        self.assertGreaterEqual(pay[model.labels.index("pay")], 0.5)
        self.assertLess(parcel[model.labels.index("pay")], 0.5)


if __name__ == "__main__":
    unittest.main()
