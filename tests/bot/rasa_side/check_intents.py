"""One text is understood as among many. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import unittest

import numpy as np

from bot.components.intent_model import Characters, IntentModel, normalise
from bot.components.mood import MOODS, MoodModel

TEXTS = [
    "how many seats do we use?",
    "how many seats are left?",
    "what do we pay a month?",
    "which plan are we on?",
    "hello there",
    "good morning",
    "何席使っていますか？",
    "残りの席数を教えてください",
    "プランは何ですか？",
    "こんにちは",
    "who won the match yesterday?",
    "昨日の試合はどうでしたか",
]
LABELS = ["usage", "usage", "plan", "plan", "greet", "greet", "usage", "usage", "plan", "greet", "other", "other"]
ASKED = ["How many SEATS have we?", "席は何席ありますか", "zzz", "?", "hello", "plan プラン"]


def vectors(texts: list, seed: int) -> np.ndarray:
    """Vectors in two blocks, one a language, zero in the other."""
    made = np.zeros((len(texts), 16), dtype=np.float32)
    draw = np.random.default_rng(seed)
    for row, text in enumerate(texts):
        block = slice(0, 8) if text.isascii() else slice(8, 16)
        made[row, block] = draw.normal(size=8)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


class OneText(unittest.TestCase):
    """By another way than many, to the same end."""

    def test_intents(self) -> None:
        for known in (None, vectors(TEXTS, 1)):
            model = IntentModel.fit(TEXTS, LABELS, known, "other")
            self.alike(model.confidences, None if known is None else vectors(ASKED, 2))

    def test_moods(self) -> None:
        labels = np.array(
            [[row % 2, row % 3 == 0, row % 4 == 0, row < 5, row > 7, row % 5 == 0] for row in range(len(TEXTS))]
        )
        self.assertEqual(labels.shape[1], len(MOODS))
        for known in (None, vectors(TEXTS, 1)):
            model = MoodModel.fit(TEXTS, labels.astype(np.int64), known)
            self.alike(model.scores, None if known is None else vectors(ASKED, 2))

    def alike(self, understand: object, given: np.ndarray | None) -> None:
        """Each text alone has what it has among the others."""
        together = understand(ASKED, given)
        for row, text in enumerate(ASKED):
            alone = understand([text], None if given is None else given[row : row + 1])
            np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-6, err_msg=text)

    def test_a_text_without_any_known_character_has_no_weights(self) -> None:
        model = IntentModel.fit(TEXTS, LABELS, None, "other")
        columns, values = Characters(model.state["features"]).weights(normalise("§§§"))
        self.assertEqual((len(columns), len(values)), (0, 0))


if __name__ == "__main__":
    unittest.main()
