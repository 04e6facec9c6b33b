"""How well moods are heard, on sentences that are not in the training data. Run inside `.venv-bot` by `test_rasa_side.py`.

Without sentence vectors, so that it needs no running knowledge base; the figures with them are in docs/decisions/mood.md.
"""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import unittest
from pathlib import Path

import numpy as np
from rasa.shared.nlu.training_data.loading import load_data
from sklearn.metrics import f1_score, roc_auc_score

from bot.components.intent_model import IntentModel
from bot.components.mood import MOODS, SENTENCES, MoodModel, calm_of, heard, learnable, read

ROOT = Path(__file__).resolve().parents[3]
JUDGED_ON = ROOT / "tests" / "bot" / "mood" / "sentences.csv"
IMPLIED = ROOT / "tests" / "bot" / "mood" / "implied.csv"
FLOOR_AUROC = 0.95
FLOOR_AUROC_IMPLIED = 0.85
FLOOR_F1 = 0.82
LEARNT = learnable(calm_of(load_data(str(ROOT / "bot" / "data" / "nlu"))))
SPARSE = MoodModel.fit(*LEARNT, None)


class Quality(unittest.TestCase):
    """Measured on at least 200 sentences of both languages."""

    def test_every_mood_is_told_from_the_others(self) -> None:
        texts, labels = read(JUDGED_ON)
        self.assertGreaterEqual(len(texts), 200)
        scores = SPARSE.scores(texts, None)
        for number, mood in enumerate(MOODS):
            with self.subTest(mood=mood):
                self.assertGreaterEqual(roc_auc_score(labels[:, number], scores[:, number]), FLOOR_AUROC)
        self.assertGreaterEqual(f1_score(labels, scores >= 0.5, average="macro"), FLOOR_F1)

    def test_a_mood_is_told_where_no_word_of_the_list_speaks_of_it(self) -> None:
        texts, labels = read(IMPLIED)
        scores = SPARSE.scores(texts, None)
        for number, mood in enumerate(MOODS):
            with self.subTest(mood=mood):
                self.assertGreaterEqual(roc_auc_score(labels[:, number], scores[:, number]), FLOOR_AUROC_IMPLIED)

    def test_a_text_alone_is_scored_as_among_others(self) -> None:
        texts, labels = read(SENTENCES)
        moods = MoodModel.fit(texts, labels, None)
        intents = IntentModel.fit(texts, [str(label.argmax()) for label in labels], None, "outside")
        judged = [*read(JUDGED_ON)[0][:60], "", "?!", "zz", "HELP now!! 助けて"]
        for scores in (moods.scores, intents.confidences):
            each = np.concatenate([scores([text], None) for text in judged])
            np.testing.assert_allclose(each, scores(judged, None), atol=1e-3)

    def test_no_judged_sentence_was_learnt_from(self) -> None:
        judged = [*read(JUDGED_ON)[0], *read(IMPLIED)[0]]
        self.assertEqual({_plain(text) for text in LEARNT[0]} & {_plain(text) for text in judged}, set())


def _plain(text: str) -> str:
    return text.casefold().strip(" .!?。")


class WholeCompany(unittest.TestCase):
    """What stops everybody is an outage however it is put; what speaks of everybody otherwise is none."""

    def outage(self, text: str) -> float:
        return float(SPARSE.scores([text], None)[0][MOODS.index("outage")])

    def test_is_heard(self) -> None:
        for said in (
            "全員ログインできません",
            "朝から何も動きません",
            "nobody in our company can log in",
            "everything has been down since this morning",
            "our whole office gets an error on sign in",
            "誰もアクセスできないんですが",
        ):
            with self.subTest(said=said):
                self.assertGreaterEqual(self.outage(said), 0.6)
                self.assertNotIn(said, read(SENTENCES)[0])

    def test_is_not_heard_in_a_question(self) -> None:
        for asked in (
            "can everyone see my flow?",
            "how do I stop everybody from editing",
            "全員が編集できるようにしたい",
        ):
            with self.subTest(asked=asked):
                self.assertLess(self.outage(asked), 0.5)


class Words(unittest.TestCase):
    """What speaks of a mood, and what denies it."""

    def test_a_denied_word_is_heard_as_denied(self) -> None:
        urgent = MOODS.index("urgency")
        for said, denied in (("this is urgent", "this is not urgent"), ("急ぎです", "急ぎではありません")):
            with self.subTest(said=said):
                self.assertEqual((heard(said)[urgent], heard(said)[urgent + len(MOODS)]), (1.0, 0.0))
                self.assertEqual((heard(denied)[urgent], heard(denied)[urgent + len(MOODS)]), (0.0, 1.0))


if __name__ == "__main__":
    unittest.main()
