"""How a message sounds: angry, worried, blocked, an outage, a deadline, urgent. Each with a score of its own.

A customer may be several of these at once, or none, so these are six independent questions and no intent. Learnt from the
labelled sentences of `bot/mood/sentences.csv`; measured on others (`tests/bot/mood`), see `docs/decisions/mood.md`.
"""

from __future__ import annotations

import csv
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Pattern, Sequence, Tuple, Type

import numpy as np
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.nlu.featurizers.featurizer import Featurizer
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.sparse import csr_matrix, hstack, vstack
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bot.components.intent_model import Characters, centred, centres_of, normalise
from bot.components.learner import DENSE, SPARSE, Learner, suited
from bot.knowledge_base import Encoder, EncoderUnavailable
from bot.language import written_in

MOODS = ("anger", "worry", "blocked", "outage", "deadline", "urgency")
MOOD = "mood"
"""Key of what is found, in what Rasa understood of a message: `{mood: score from 0 to 1}`."""

FOLDER = Path(__file__).resolve().parents[1] / "mood"
SENTENCES = FOLDER / "sentences.csv"
CUES = FOLDER / "cues.csv"
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:no|not|never|without|nothing|isn't|aren't|wasn't|don't|doesn't|no longer)\b|n't)[^.,;!?]{0,24}$"
)
_DENIED_AFTER = re.compile(r"^[^。、！？]{0,12}?(?:ません(?!か)|ではな|わけでは|必要な|しなくて|解消|復旧|特にな)")
TRAINING_TIMEOUT_SECONDS = 120.0
CHARACTERS = 1.0
"""Weight of the character features beside the sentence vector, which has length 1."""
HEARD = 0.5
"""Weight of the words that speak of a mood (`bot/mood/cues.csv`)."""
LOOSENESS = 8.0
"""scikit-learn's C of the logistic regressions; this and what stands around it by cross-validation on the training sentences."""
BALANCE = 0.75
"""How far a rare mood is made up for: 0, as often as among the training sentences; 1, as if every second sentence had it."""
JOINED = 400
"""Messages made of two training sentences each, with the moods of both: people seldom write one sentence."""
CALM = frozenset(
    {
        "greet", "thanks", "goodbye", "affirm", "deny", "choose", "ask_plan", "ask_usage", "ask_renewal", "ask_invoice",
        "ask_onboarding", "ask_capabilities", "switch_language",
    }
)  # fmt: skip
"""Intents whose training sentences show no mood. Without them "yes please" would sound urgent."""
BATCH = 64


def read(path: Path) -> Tuple[List[str], np.ndarray]:
    """Labelled sentences: lines `labels|text`, labels separated by semicolons, none for a neutral one.

    Returns:
        the texts, and their labels as 0 or 1, shape (n, 6) in the order of `MOODS`.
    Raises:
        ValueError: a label that is no mood.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    labels = np.zeros((len(rows), len(MOODS)), dtype=np.int64)
    for number, row in enumerate(rows):
        for name in filter(None, row["labels"].split(";")):
            labels[number, MOODS.index(name)] = 1
    return [row["text"] for row in rows], labels


def calm_of(training_data: TrainingData) -> List[str]:
    """Of the bot's own training sentences those that speak of no mood: small talk, and questions about the account."""
    examples = training_data.intent_examples
    return sorted({example.get(TEXT) for example in examples if example.get(INTENT) in CALM and example.get(TEXT)})


def learnable(calm: Sequence[str]) -> Tuple[List[str], np.ndarray]:
    """What is learnt from: the sentences of `bot/mood/sentences.csv`, some pairs of them in one message, and calm ones.

    Args:
        calm: see `calm_of`.
    Returns:
        see `read`.
    """
    texts, labels = read(SENTENCES)
    chance = np.random.default_rng(0)
    groups = [
        [n for n, text in enumerate(texts) if (written_in(text) == "ja") is japanese] for japanese in (False, True)
    ]
    pairs = [chance.choice(group, 2, replace=False) for group in groups for _ in range(JOINED // len(groups))]
    joined = [_one_message(texts[first], texts[second]) for first, second in pairs]
    of_both = [labels[first] | labels[second] for first, second in pairs]
    return [*texts, *joined, *calm], np.vstack([labels, *of_both, np.zeros((len(calm), len(MOODS)), labels.dtype)])


def _one_message(first: str, second: str) -> str:
    ends = first[-1] in ".!?。！？"
    if written_in(first + second) == "ja":
        return f"{first}{'' if ends else '。'}{second}"
    return f"{first}{'' if ends else '.'} {second}"


class MoodModel:
    """One logistic regression a mood, over meaning, characters, words that speak of it, and how loudly it is written."""

    def __init__(self, state: Dict[str, Any]) -> None:
        """Args:
        state: what `fit` learnt; estimators of scikit-learn only, so that it can be stored safely.
        """
        self.state = state

    @classmethod
    def fit(cls, texts: Sequence[str], labels: np.ndarray, vectors: Optional[np.ndarray]) -> MoodModel:
        """Learns. Each text is looked at twice, half as much each time: as it is, and without its words that speak of a mood.
        Those alone would explain most training sentences, and nothing would be learnt of the many that hold none of them.

        Args:
            texts: sentences.
            labels: shape (n, 6), see `read`.
            vectors: of unit length, shape (n, d); None for a model that does without.
        """
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True)
        characters.fit([normalise(text) for text in texts])
        centres = None if vectors is None else centres_of(texts, vectors)
        model = cls({"characters": characters, "centres": centres, "moods": []})
        features = vstack([model._features(texts, vectors, hearing) for hearing in (HEARD, 0.0)])
        for column in labels.T:
            one = LogisticRegression(C=LOOSENESS, max_iter=1000)
            model.state["moods"].append(one.fit(features, np.tile(column, 2), np.tile(_weights(column) / 2, 2)))
        return model

    def scores(self, texts: Sequence[str], vectors: Optional[np.ndarray]) -> np.ndarray:
        """How much each text sounds like each mood, 0 to 1, shape (n, 6)."""
        first, rest = self._weights
        if len(texts) == 1:
            columns, values = self._characters.weights(normalise(texts[0]))
            spoken = (values @ first[columns])[None]
        else:
            spoken = self.state["characters"].transform([normalise(text) for text in texts]) @ first
        return expit(self._biases + CHARACTERS * spoken + np.hstack(self._full(texts, vectors)) @ rest)

    @cached_property
    def _weights(self) -> Tuple[np.ndarray, np.ndarray]:
        """Of all regressions, shape (characters, 6) and (all others, 6): products for all, where scikit-learn checks its input for each."""
        together = np.column_stack([one.coef_[0] for one in self.state["moods"]])
        characters = len(self.state["characters"].vocabulary_)
        return together[:characters], together[characters:]

    @cached_property
    def _biases(self) -> np.ndarray:
        return np.concatenate([one.intercept_ for one in self.state["moods"]])

    @cached_property
    def _characters(self) -> Characters:
        return Characters(self.state["characters"])

    def _features(self, texts: Sequence[str], vectors: Optional[np.ndarray], hearing: float) -> csr_matrix:
        characters = CHARACTERS * self.state["characters"].transform([normalise(text) for text in texts])
        return hstack([characters, *(csr_matrix(part) for part in self._full(texts, vectors, hearing))]).tocsr()

    def _full(self, texts: Sequence[str], vectors: Optional[np.ndarray], hearing: float = HEARD) -> List[np.ndarray]:
        """The features beside characters in their order, in blocks of columns.

        Args:
            hearing: weight of the words that speak of a mood.
        """
        parts = [
            np.array([_loudness(text) for text in texts]),
            hearing * np.array([heard(text) for text in texts]),
        ]
        return parts if vectors is None else [*parts, centred(texts, vectors, self.state["centres"])]


def _weights(column: np.ndarray) -> np.ndarray:
    """How much each training sentence counts for one mood."""
    share = column.mean()
    return (0.5 / np.where(column == 1, share, 1 - share)) ** BALANCE


@lru_cache(maxsize=1)
def _cues() -> List[Tuple[int, Pattern[str]]]:
    with CUES.open(encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()[1:]
    return [(MOODS.index(mood), re.compile(words)) for mood, words in (line.split("|", 1) for line in lines)]


def heard(text: str) -> np.ndarray:
    """Words that speak of a mood, and such words denied ("not urgent", 「急ぎではありません」): 1 where there are any.

    Returns:
        shape (12,): said, in the order of `MOODS`, then denied.
    """
    plain = normalise(text).replace("\u2019", "'")
    found = np.zeros(2 * len(MOODS))
    for mood, words in _cues():
        for match in words.finditer(plain):
            denied = _DENIED_BEFORE.search(plain[: match.start()]) or (
                not match.group().isascii() and _DENIED_AFTER.search(plain[match.end() :])
            )
            found[mood + (len(MOODS) if denied else 0)] = 1.0
    return found


def _loudness(text: str) -> Tuple[float, float]:
    """Exclamation marks, and capitals among the letters where there are enough of them to tell; each 0 to 1."""
    letters = [letter for letter in text if letter.isascii() and letter.isalpha()]
    capitals = sum(letter.isupper() for letter in letters) / len(letters) if len(letters) >= 6 else 0.0
    return min(text.count("!") + text.count("！"), 3) / 3, capitals


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class MoodScorer(Learner):
    """Adds `mood` to what is understood of a message. Touches neither intent nor entities."""

    @classmethod
    def required_components(cls) -> List[Type[Any]]:
        """What must come before it."""
        return [Featurizer]

    _models: Dict[str, MoodModel]

    def train(self, training_data: TrainingData) -> Resource:
        """Learns from its own sentences: with sentence vectors, and without for when they are missing.

        Raises:
            RasaException: the knowledge base gives no vectors.
        """
        texts, labels = learnable(calm_of(training_data))
        try:
            vectors = vectors_of(texts)
        except EncoderUnavailable as error:
            raise RasaException(f"Training needs the knowledge base for sentence features ({error}).") from None
        self._models = {DENSE: MoodModel.fit(texts, labels, vectors), SPARSE: MoodModel.fit(texts, labels, None)}
        return self._keep({kind: model.state for kind, model in self._models.items()})

    def _restore(self, learnt: Dict[str, Any]) -> None:
        self._models = {kind: MoodModel(state) for kind, state in learnt.items()}

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the scores of each message."""
        for message in messages:
            if message.get(TEXT):
                _, model, vector = suited(self._models, message)
                scores = model.scores([message.get(TEXT)], vector)[0]
                found = {name: round(float(score), 3) for name, score in zip(MOODS, scores, strict=True)}
                message.set(MOOD, found, add_to_output=True)
        return messages


def vectors_of(texts: Sequence[str]) -> np.ndarray:
    """Sentence vectors, shape (n, d).

    Raises:
        EncoderUnavailable: the knowledge base does not answer.
    """
    encoder = Encoder()
    parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    return np.concatenate([encoder.encode(list(part), TRAINING_TIMEOUT_SECONDS) for part in parts])
