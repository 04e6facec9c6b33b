"""Rasa serves this bot without TensorFlow, which is left out where it is started. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027, E402  # unittest: pytest is not in `.venv-bot`; imports after what they import was decided

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import yaml

from bot import without_tensorflow

without_tensorflow.apply()

import rasa.__main__
import rasa.core.agent
import rasa.core.run
import rasa.server
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.classifiers.diet_classifier import DIETClassifier
from rasa.shared.importers.importer import TrainingDataImporter

ROOT = Path(__file__).parents[3]


class WithoutTensorFlow(unittest.TestCase):
    """What serving imports, and what becomes of what is left out."""

    def test_all_that_serves_the_bot_is_there_without_it(self) -> None:
        importlib.import_module("bot.channel")
        importlib.import_module("bot.tracker_store")
        named = yaml.safe_load((ROOT / "config.yml").read_text())
        recipe = DefaultV1Recipe()
        for part in [*named["pipeline"], *named["policies"]]:
            name = part["name"]
            if "." in name:
                importlib.import_module(name.rpartition(".")[0])
                name = name.rpartition(".")[2]
            self.assertIsNotNone(recipe._from_registry(name).clazz)
        importer = TrainingDataImporter.load_from_config(str(ROOT / "config.yml"), str(ROOT / "domain.yml"), [])
        self.assertTrue(importer.get_domain().action_names_or_texts)
        self.assertFalse({name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras", "jax")})

    def test_what_is_left_out_says_so_when_it_is_used(self) -> None:
        self.assertEqual(DIETClassifier.__name__, "DIETClassifier")
        self.assertFalse(issubclass(rasa.core.agent.Agent, DIETClassifier))
        for use in (DIETClassifier, lambda: DIETClassifier.load({}, None, None, None)):
            with self.assertRaisesRegex(without_tensorflow.LeftOut, "DIETClassifier needs TensorFlow"):
                use()

    def test_each_module_that_is_left_out_imports_it_and_no_other_is(self) -> None:
        for name in without_tensorflow.LEFT_OUT:
            with self.subTest(name):
                parent, _, last = name.rpartition(".")
                (folder,) = importlib.import_module(parent).__path__
                tree = ast.parse((Path(folder) / f"{last}.py").read_text())
                imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
                imported |= {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
                self.assertTrue(any(one.split(".")[0] == "tensorflow" for one in imported))

    def test_it_is_refused_too_late_and_with_another_rasa(self) -> None:
        with mock.patch.object(without_tensorflow, "version", return_value="3.6.22"):
            self.assertRaisesRegex(without_tensorflow.LeftOut, "3.6.22", without_tensorflow.apply)
        late = "import rasa.utils.tensorflow.callback; from bot import without_tensorflow as w; w.apply()"
        done = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("was imported before it could be left out", done.stderr)

    def test_it_is_there_for_what_trains(self) -> None:
        self.assertIsNotNone(find_spec("tensorflow"))


if __name__ == "__main__":
    unittest.main()
