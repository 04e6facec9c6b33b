"""The intent of a message, by Rasa's contract for intent classifiers."""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Type

import numpy as np
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.nlu.classifiers.classifier import IntentClassifier as RasaIntentClassifier
from rasa.nlu.featurizers.featurizer import Featurizer
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, INTENT_RANKING_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.components.intent_model import IntentModel
from bot.components.learner import DENSE, SPARSE, Learner, suited, vector_of
from bot.components.spelling import text_for_features

logger = logging.getLogger(__name__)

RANKED = 5
"""How many intents a message keeps; the whole tracker travels to the action server each turn."""

BELIEVED = 0.5
"""The confidence from which an intent is believed; `IntentModel` puts its fitted threshold there."""


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class SupportIntentClassifier(Learner, RasaIntentClassifier):
    """Sets the intent, or `nlu_fallback` below the threshold that training fitted.

    Two models are trained: one with the dense sentence features, one without for when they are missing.
    """

    @classmethod
    def required_components(cls) -> List[Type[Any]]:
        """What must come before it."""
        return [Featurizer]

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """Names and defaults of the settings."""
        return {
            # The intent of training sentences that belong to none of the others.
            "outside": "out_of_scope",
        }

    _models: Dict[str, IntentModel]

    def train(self, training_data: TrainingData) -> Resource:
        """Fits both models, and keeps them.

        Raises:
            RasaException: there are fewer than two intents.
        """
        examples = [example for example in training_data.intent_examples if example.get(TEXT)]
        texts = [example.get(TEXT) for example in examples]
        labels = [example.get(INTENT) for example in examples]
        if len(set(labels)) < 2:
            raise RasaException("Training needs examples of at least two intents.")
        vectors = [vector_of(example) for example in examples]
        known = [vector for vector in vectors if vector is not None]
        self._models = {SPARSE: IntentModel.fit(texts, labels, None, self._config["outside"])}
        if len(known) == len(vectors):
            self._models[DENSE] = IntentModel.fit(texts, labels, np.concatenate(known), self._config["outside"])
        return self._keep({kind: model.state for kind, model in self._models.items()})

    def _restore(self, learnt: Dict[str, Any]) -> None:
        self._models = {kind: IntentModel(state) for kind, state in learnt.items()}

    def process(self, messages: List[Message]) -> List[Message]:
        """Sets intent and ranking of each message."""
        for message in messages:
            if message.get(TEXT) and not message.get(INTENT):
                self._classify(message)
        return messages

    def _classify(self, message: Message) -> None:
        kind, model, vector = suited(self._models, message)
        confidences = model.confidences([text_for_features(message)], vector)[0]
        ranking = [
            {INTENT_NAME_KEY: model.labels[index], PREDICTED_CONFIDENCE_KEY: float(confidences[index])}
            for index in np.argsort(-confidences)[:RANKED]
        ]
        best = ranking[0]
        if best[PREDICTED_CONFIDENCE_KEY] < BELIEVED:
            logger.debug(
                "fell back: %s at %.3f is below %.1f (%s model)",
                best[INTENT_NAME_KEY],
                best[PREDICTED_CONFIDENCE_KEY],
                BELIEVED,
                kind,
            )
            doubt = 1.0 - best[PREDICTED_CONFIDENCE_KEY]
            ranking.insert(0, {INTENT_NAME_KEY: DEFAULT_NLU_FALLBACK_INTENT_NAME, PREDICTED_CONFIDENCE_KEY: doubt})
        message.set(INTENT, ranking[0], add_to_output=True)
        message.set(INTENT_RANKING_KEY, ranking, add_to_output=True)
