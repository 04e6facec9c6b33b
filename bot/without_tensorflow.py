"""Rasa without TensorFlow. No component of this bot uses it, and Rasa imports it with all that it could have: half of the memory of its
process, and of the time until it serves.

In place of the modules of Rasa that import it stand others whose classes can be named, asked for their kind, and not used.
To be put in place before Rasa is imported.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any, NoReturn

WRITTEN_FOR = "3.6.21"

LEFT_OUT = (
    "rasa.core.policies.ted_policy",
    "rasa.core.policies.unexpected_intent_policy",
    "rasa.nlu.classifiers.diet_classifier",
    "rasa.nlu.featurizers.dense_featurizer.convert_featurizer",
    "rasa.nlu.featurizers.dense_featurizer.lm_featurizer",
    "rasa.nlu.selectors.response_selector",
    "rasa.utils.tensorflow.callback",
    "rasa.utils.tensorflow.data_generator",
)
"""Modules that import TensorFlow when they are imported, of those that serving a bot imports."""


class LeftOut(Exception):
    """Something of Rasa was used that needs TensorFlow, or Rasa is another than this was written for. Its text says which."""


class _Kind(type):
    """Of classes that are not there: nothing of them can be used."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        cls._refuse()

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        cls._refuse()

    def _refuse(cls) -> NoReturn:
        raise LeftOut(
            f"{cls.__name__} needs TensorFlow, which is left out where the bot is served. "
            "Serve it with `python -m rasa`, or take it out of config.yml."
        )


class _Module(ModuleType):
    """Has a class of every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


def apply() -> None:
    """Puts them in place; doing it again changes nothing.

    Raises:
        LeftOut: this is another Rasa than they were written for, or it was imported before.
    """
    if version("rasa") != WRITTEN_FOR:
        raise LeftOut(
            f"bot/without_tensorflow.py was written for Rasa {WRITTEN_FOR}, and this is {version('rasa')}. "
            "Install the pinned version, or see which modules import TensorFlow now and say so in WRITTEN_FOR."
        )
    for name in LEFT_OUT:
        there = sys.modules.setdefault(name, _Module(name))
        if not isinstance(there, _Module):
            raise LeftOut(f"{name} was imported before it could be left out")
