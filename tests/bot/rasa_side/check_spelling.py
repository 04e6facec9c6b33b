"""Slips are mended, and words are not. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import os
import re
import tempfile
import threading
import unittest
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.loading import load_data
from rasa.shared.nlu.training_data.message import Message

from bot.components.spelling import (
    CONTENT_VARIABLE,
    READER,
    Speller,
    SpellingCorrector,
    help_texts,
    text_for_features,
)
from bot.knowledge_base import served

ROOT = Path(__file__).resolve().parents[3]
LEARNT = Speller.of(
    [example.get("text") or "" for example in load_data(str(ROOT / "bot" / "data" / "nlu")).nlu_examples]
)


class Words(unittest.TestCase):
    """Of the company's help content, whichever company it is."""

    def test_no_title_or_question_of_the_help_content_is_changed(self) -> None:
        articles = help_texts({CONTENT_VARIABLE: str(ROOT / "demo" / "help")})
        speller = LEARNT.knowing(articles)
        lines = [line for text in articles for line in re.findall(r"^(?:title: |  - |#+ )(.+)$", text, re.MULTILINE)]
        self.assertGreater(len(lines), 100)
        self.assertEqual([line for line in lines if speller.mend(line) != line.lower()], [])

    def test_another_company_needs_no_training(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "en").mkdir()
            article = "# Tracking stats\nDeploy the tracker on Netlify, sign in with Entra, read the stats."
            (Path(folder) / "en" / "stats.md").write_text(article, encoding="utf-8")
            speller = LEARNT.knowing(help_texts({CONTENT_VARIABLE: folder}))
        for words in ("tracking on netlify", "stats", "sign in with entra"):
            with self.subTest(words=words):
                self.assertNotEqual(LEARNT.mend(words), words)
                self.assertEqual(speller.mend(words), words)
        self.assertEqual(speller.mend("trakcing with netlfy"), "tracking with netlify")

    def test_the_words_of_a_new_article_are_known_once_it_is_served(self) -> None:
        corrector = SpellingCorrector({}, None, None)
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {CONTENT_VARIABLE: folder}):
            corrector._restore({"words": np.array(["track"]), "times": np.array([3])})
            (Path(folder) / "new.md").write_text("# Deploy on Netlify", encoding="utf-8")
            self.assertEqual(self.seen(corrector, "deploy on netlfy"), "deploy on netlfy")
            with patch.object(served, "build", "the build with it"):
                self.seen(corrector, "hello")
                for thread in threading.enumerate():
                    if thread.name == READER:
                        thread.join()
                self.assertEqual(self.seen(corrector, "deploy on netlfy"), "deploy on netlify")

    def seen(self, corrector: SpellingCorrector, text: str) -> str:
        message = Message({TEXT: text})
        corrector.process([message])
        return text_for_features(message)

    def test_a_name_that_nothing_knows_is_left_alone(self) -> None:
        self.assertEqual(LEARNT.mend("does it work on Netlify"), "does it work on netlify")
        self.assertEqual(LEARNT.mend("HOW DO I INVTE HIM"), "how do i invite him")

    def test_no_content_is_no_fault(self) -> None:
        self.assertEqual(help_texts({}), [])
        self.assertEqual(LEARNT.knowing([]).mend("hw do i invte a colegue"), "hw do i invite a colleague")
