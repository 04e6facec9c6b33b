"""The patched action call behaves as Rasa's own. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import unittest
from unittest import mock

import jsonschema
import rasa
from rasa.core.actions.action import RemoteAction
from rasa.shared.exceptions import RasaException

ORIGINAL = RemoteAction._validate_action_result

from bot import rasa_patches  # noqa: E402  # after the original was taken

GOOD = [
    {},
    {"events": [], "responses": []},
    {"events": [{"event": "slot", "name": "email", "value": None}], "responses": [{"custom": {"type": "text"}}]},
    {"events": [{"event": "bot", "text": "x", "data": {}, "metadata": {}}]},
    {"events": None or [], "responses": [{"text": "hello"}]},
]
BAD = [
    [],
    {"responses": "text"},
    {"responses": ["text"]},
    {"events": {}},
    {"events": [{"event": "slot"}]},
    {"events": [{"name": "email"}]},
    {"events": [{"event": "no such event"}]},
]


class Validation(unittest.TestCase):
    """Same verdict and same words as the original."""

    def setUp(self) -> None:
        rasa_patches.apply()
        self.action = RemoteAction("action_any", None)

    def test_what_the_original_accepts_is_accepted(self) -> None:
        for result in GOOD:
            with self.subTest(result=result):
                self.assertTrue(ORIGINAL(self.action, result))
                self.assertTrue(self.action._validate_action_result(result))

    def test_what_the_original_refuses_is_refused_in_the_same_words(self) -> None:
        for result in BAD:
            with self.subTest(result=result):
                with self.assertRaises(jsonschema.ValidationError) as before:
                    ORIGINAL(self.action, result)
                with self.assertRaises(jsonschema.ValidationError) as after:
                    self.action._validate_action_result(result)
                self.assertEqual(str(before.exception), str(after.exception))


class Failures(unittest.TestCase):
    """A failed action is noted, and raises as before."""

    def test_a_failed_action_is_noted_and_still_raises(self) -> None:
        rasa_patches.apply()
        noted: list = []
        token = rasa_patches.failed_actions.set(noted)
        try:
            with self.assertRaises(AttributeError):  # no tracker
                asyncio.run(RemoteAction("action_any", None).run(None, None, None, None))
        finally:
            rasa_patches.failed_actions.reset(token)
        self.assertEqual(noted, ["action_any"])


class Version(unittest.TestCase):
    """Written for one version."""

    def test_another_rasa_is_refused(self) -> None:
        with mock.patch.object(rasa, "__version__", "3.6.22"), self.assertRaisesRegex(RasaException, "3.6.22"):
            rasa_patches.apply()


if __name__ == "__main__":
    unittest.main()
