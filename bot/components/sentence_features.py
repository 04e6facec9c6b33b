"""Sentence features from the knowledge base's encoder."""

from __future__ import annotations

import logging
from typing import Any, Dict, List

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.constants import FEATURIZER_CLASS_ALIAS
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot import quiet
from bot.components.spelling import text_for_features
from bot.knowledge_base import URL_VARIABLE, Encoder, EncoderUnavailable

logger = logging.getLogger(__name__)

BATCH = 64
TRAINING_TIMEOUT_SECONDS = 120.0


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class KnowledgeBaseFeaturizer(DenseFeaturizer, GraphComponent):
    """Gives each message the vector of its meaning as a dense sentence feature, shape (1, dimension).

    At training the knowledge base must run. At run time a message goes without features while it does not, so that
    components behind this one must cope with none.
    """

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """Names and defaults of the settings."""
        return {
            **DenseFeaturizer.get_default_config(),
            # Seconds to wait at run time before a message goes without features. An encoded sentence takes
            # about 10 ms; this leaves room for a busy machine and stays far below the budget of a turn.
            "timeout": 0.8,
        }

    def __init__(self, config: Dict[str, Any], name: str) -> None:
        """Args:
        config: see `get_default_config`.
        name: of this node, unless the configuration has an alias.
        """
        super().__init__(name, config)
        self._encoder = Encoder()
        self._out = False

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> KnowledgeBaseFeaturizer:
        """Creates the component (see the parent class)."""
        return cls(config, execution_context.node_name)

    @classmethod
    def validate_config(cls, config: Dict[str, Any]) -> None:
        """Checks the settings (see the parent class)."""

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Adds features to every training example that has a text.

        Raises:
            RasaException: the knowledge base gives no vectors.
        """
        messages = [message for message in training_data.training_examples if message.get(TEXT)]
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            try:
                vectors = self._encoder.encode(
                    [text_for_features(message) for message in batch], TRAINING_TIMEOUT_SECONDS
                )
            except EncoderUnavailable as error:
                raise RasaException(
                    f"Training needs the knowledge base for sentence features, and it did not answer ({error}). "
                    f"Start it, or set {URL_VARIABLE} to where it runs."
                ) from None
            self._add(batch, vectors)
            quiet.progress("sentence features", start + len(batch), len(messages))
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds features, or none while the knowledge base is out."""
        with_text = [message for message in messages if message.get(TEXT)]
        if not with_text:
            return messages
        try:
            vectors = self._encoder.encode(
                [text_for_features(message) for message in with_text], self._config["timeout"]
            )
        except EncoderUnavailable as error:
            if not self._out:
                logger.warning("no sentence features, going on with characters and words alone (%s)", error)
            self._out = True
            return messages
        if self._out:
            logger.warning("sentence features are back")
        self._out = False
        self._add(with_text, vectors)
        return messages

    def _add(self, messages: List[Message], vectors: np.ndarray) -> None:
        for message, vector in zip(messages, vectors, strict=True):
            features = Features(
                vector.reshape(1, -1),
                FEATURE_TYPE_SENTENCE,
                TEXT,
                self._config[FEATURIZER_CLASS_ALIAS] or self._identifier,
            )
            message.add_features(features)
