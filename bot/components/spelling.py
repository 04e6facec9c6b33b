"""Slips of the keyboard, mended towards the words of the training data and of the company's help content."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any, Dict, Iterable, List, Mapping, Match

import numpy as np
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.components.learner import Learner
from bot.knowledge_base import served

MENDED = "mended_text"
"""Attribute of a message: its text as features are to see it. The text itself stays as it was written."""

CONTENT_VARIABLE = "KOTAE_CONTENT"
"""Environment variable: the folder of the help articles. Read where the bot is served, and again when the index is built anew, so that another company's
words need no training and a new article's no restart."""

READER = "articles"
"""Name of the thread that reads them again."""

_WORD = re.compile(r"[a-z]+", re.IGNORECASE)

SHORTEST = 5
"""Letters that a word must have to be mended: shorter ones have too many neighbours."""

TWO_SLIPS = 7
"""Letters from which a word may hold two slips; below it may hold one."""

REMEMBERED = 4096
"""Words whose nearest is remembered: those that the vocabulary lacks and people use come again."""


class Speller:
    """Mends words that the vocabulary lacks to its nearest word with the same first letter, if one is near enough. A name, which
    stands with a capital inside a text, is left alone."""

    def __init__(self, vocabulary: Dict[str, int], content: Mapping[str, int] = MappingProxyType({})) -> None:
        """Args:
        vocabulary: how often each known word occurs in the training data, in lower case.
        content: the same of the help content: such a word is known, and a slip is mended towards it where it is a single one;
            with so many more words, two slips would often make one word of another.
        """
        self.vocabulary = vocabulary
        self._content = content
        self._nearest = lru_cache(REMEMBERED)(self._find_nearest)
        self._by_first: Dict[str, List[str]] = {}
        for word in sorted({*vocabulary, *content}):
            if len(word) >= SHORTEST:
                self._by_first.setdefault(word[0], []).append(word)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Speller:
        """A speller that knows the words of these texts."""
        return cls(_counted(texts))

    def knowing(self, texts: Iterable[str]) -> Speller:
        """A speller that knows the words of this help content too."""
        return Speller(self.vocabulary, _counted(texts))

    def mend(self, text: str) -> str:
        """The text in lower case with its slips mended. Only Latin letters are touched."""
        shouted = text.isupper()

        def mend(match: Match[str]) -> str:
            word = match.group()
            named = word[0].isupper() and not shouted and text[: match.start()].strip() != ""
            return word if named else self._nearest(word.lower())

        return _WORD.sub(mend, text).lower()

    def _find_nearest(self, word: str) -> str:
        if len(word) < SHORTEST or word in self.vocabulary or word in self._content:
            return word
        near = []
        for known in self._by_first.get(word[0], []):
            most = 2 if len(word) >= TWO_SLIPS and known in self.vocabulary else 1
            found = slips(word, known, most)
            if found <= most:
                near.append((found, -self.vocabulary.get(known, 0), -self._content.get(known, 0), known))
        return min(near)[3] if near else word


def _counted(texts: Iterable[str]) -> Counter[str]:
    return Counter(word for text in texts for word in _WORD.findall(text.lower()))


def help_texts(environment: Mapping[str, str]) -> List[str]:
    """The articles of the company, whole: the words of its product stand in titles, questions, headings and text."""
    folder = environment.get(CONTENT_VARIABLE)
    if not folder:
        return []
    return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(Path(folder).rglob("*.md"))]


def slips(one: str, other: str, most: int) -> int:
    """Letters left out, added, changed or swapped with the next (optimal string alignment); `most + 1` if more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: List[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return min(last[-1], most + 1)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class SpellingCorrector(Learner):
    """Gives each message a mended text for the featurizers and classifiers behind it. Its training data holds no slips."""

    _speller: Speller
    _build = ""

    def train(self, training_data: TrainingData) -> Resource:
        """Learns the words of the training data, and keeps them."""
        self._speller = Speller.of([message.get(TEXT) for message in training_data.nlu_examples if message.get(TEXT)])
        words, times = zip(*self._speller.vocabulary.items(), strict=True) if self._speller.vocabulary else ((), ())
        return self._keep({"words": np.array(words, dtype=str), "times": np.array(times, dtype=np.int64)})

    def _restore(self, learnt: Dict[str, Any]) -> None:
        self._speller = Speller(dict(zip(learnt["words"].tolist(), learnt["times"].tolist(), strict=True)))
        self._read_articles()

    def _read_articles(self) -> None:
        self._speller = self._speller.knowing(help_texts(os.environ))

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the mended text. Once the knowledge base serves another build of the help content, its articles are read again, beside
        the messages: those that come meanwhile are mended by the words of before."""
        if self._build != served.build:
            self._build = served.build
            Thread(target=self._read_articles, name=READER, daemon=True).start()
        for message in messages:
            if message.get(TEXT):
                mended = self._speller.mend(message.get(TEXT))
                message.set(MENDED, mended, add_to_output=mended != message.get(TEXT).lower())
        return messages


def text_for_features(message: Message) -> str:
    """The mended text of a message, or its text where none was mended."""
    text: str = message.get(MENDED) or message.get(TEXT)
    return text
