"""Stock Rasa bots to compare with: the project that `rasa init` lays down, with one custom action, over REST."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx

from cli.processes import bot_python

Kind = Literal["stock", "sparse"]
"""`stock`: the pipeline and policies that Rasa recommends. `sparse`: this project's kind, character features with a
linear classifier and rules alone, by Rasa's own components."""

_SPARSE = """
pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer
  analyzer: char_wb
  min_ngram: 1
  max_ngram: 4
- name: LogisticRegressionClassifier
policies:
- name: RulePolicy
"""
_ACTION = """
from rasa_sdk import Action


class ActionBot(Action):
    def name(self):
        return "action_bot"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text="I am a bot.")
        return []
"""
_QUIET = {
    "RASA_TELEMETRY_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "PYTHONWARNINGS": "ignore",
    "SANIC_ACCESS_LOG": "false",
    "LOG_LEVEL": "WARNING",
}


def project(folder: Path, kind: Kind) -> Path:
    """Lays the bot's project down and trains it; what is there already is used again.

    Args:
        folder: where the projects are kept, one folder a kind.
    Returns:
        the project's folder.
    """
    made = folder / kind
    if (made / "models" / "bot.tar.gz").exists():
        return made
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(_initial_project(), made, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    _with_action(made)
    config = made / "config.yml"
    if kind == "sparse":
        head = re.split(r"^pipeline:", config.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
        config.write_text(head + _SPARSE)
    _rasa(made, "train", "--fixed-model-name", "bot", "--quiet")
    return made


@contextmanager
def running(made: Path, port: int, actions_port: int) -> Iterator[list[int]]:
    """The bot and its action server, until the end of the block.

    Returns:
        the ids of both processes.
    """
    (made / "endpoints.yml").write_text(f"action_endpoint:\n  url: http://127.0.0.1:{actions_port}/webhook\n")
    (made / "credentials.yml").write_text("rest:\n")
    python = str(bot_python())
    served = ["-m", "rasa", "run", "--model", "models/bot.tar.gz", "--endpoints", "endpoints.yml"]
    commands = [
        [python, "-m", "rasa_sdk", "--actions", "actions", "--port", str(actions_port)],
        [python, *served, "--credentials", "credentials.yml", "--interface", "127.0.0.1", "--port", str(port)],
    ]
    environment = {**os.environ, **_QUIET}
    with (made / "log.txt").open("wb") as log:
        processes = [
            subprocess.Popen(command, cwd=made, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            _until_answers(f"http://127.0.0.1:{port}")
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


def _initial_project() -> Path:
    found = subprocess.run(
        [str(bot_python()), "-c", "import importlib.util as u; print(u.find_spec('rasa').origin)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(found.stdout.strip()).parent / "cli" / "initial_project"


def _with_action(made: Path) -> None:
    (made / "actions" / "actions.py").write_text(_ACTION)
    domain, rules = made / "domain.yml", made / "data" / "rules.yml"
    domain.write_text(domain.read_text() + "\nactions:\n  - action_bot\n")
    rules.write_text(rules.read_text().replace("utter_iamabot", "action_bot"))


def _rasa(folder: Path, *words: str) -> None:
    environment: Mapping[str, str] = {**os.environ, **_QUIET}
    subprocess.run(
        [str(bot_python()), "-m", "rasa", *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )


def _until_answers(url: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            message = {"sender": "ready", "message": "are you a bot?"}
            if httpx.post(f"{url}/webhooks/rest/webhook", json=message, timeout=10).json():
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.2)
    raise TimeoutError(f"the stock bot at {url} does not answer")
