"""What the components that learn have in common: they keep what they learnt in one file that can be read safely."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Dict, Mapping, Optional, Tuple, TypeVar

import numpy as np
import skops.io
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

Model = TypeVar("Model")
FILE = "learnt.skops"
DENSE = "dense"
"""Of two models the one that knows sentence vectors."""
SPARSE = "sparse"
"""And the one that serves while the knowledge base gives none."""
EXPECTED_TYPES = ["scipy.sparse._csr.csr_matrix"]
"""What a stored file may hold beside what skops trusts by itself."""


class Learner(GraphComponent):
    """A component that learns from training data and leaves it as it is."""

    def __init__(self, config: Dict[str, Any], model_storage: ModelStorage, resource: Resource) -> None:
        """Args:
        config: see `get_default_config`.
        model_storage: where it is kept.
        resource: under which name.
        """
        self._config = config
        self._model_storage = model_storage
        self._resource = resource

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Learner:
        """Creates an untrained component (see the parent class)."""
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Learner:
        """Loads a trained component.

        Raises:
            RasaException: the file holds types that are not scikit-learn's, SciPy's or NumPy's.
        """
        component = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            unknown = set(skops.io.get_untrusted_types(file=folder / FILE)) - set(EXPECTED_TYPES)
            if unknown:
                raise RasaException(f"What {cls.__name__} learnt holds types that are not expected: {sorted(unknown)}.")
            component._restore(skops.io.load(folder / FILE, trusted=EXPECTED_TYPES))
        return component

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Leaves the training data as it is."""
        return training_data

    @abstractmethod
    def _restore(self, learnt: Dict[str, Any]) -> None:
        """Takes up what `_keep` was given."""

    def _keep(self, learnt: Dict[str, Any]) -> Resource:
        """Stores what was learnt: arrays, texts, and estimators of scikit-learn."""
        with self._model_storage.write_to(self._resource) as folder:
            skops.io.dump(learnt, folder / FILE)
        return self._resource


def vector_of(message: Message) -> Optional[np.ndarray]:
    """The sentence vector of a message, shape (1, d); None where the knowledge base gave none.

    Rasa's `get_dense_features` copies it with all that it is made of, which takes longer than to find an intent with it.
    """
    for one in message.features:
        if one.is_dense() and one.attribute == TEXT and one.type == FEATURE_TYPE_SENTENCE:
            return np.asarray(one.features).reshape(1, -1)
    return None


def suited(models: Mapping[str, Model], message: Message) -> Tuple[str, Model, Optional[np.ndarray]]:
    """Of two models the one that can read a message: its kind, it, and the vector to give it."""
    vector = vector_of(message) if DENSE in models else None
    kind = SPARSE if vector is None else DENSE
    return kind, models[kind], vector
