"""`kotae bot`: training, checking and measuring the bot."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli import prepare, processes
from cli.output import notes, screen
from kit.errors import KotaeError, Unavailable, UserError
from kit.files import read_text
from kit.settings import ROOT, Settings, load_settings

app = typer.Typer(help="The Rasa bot.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
CONVERSATIONS = "tests/bot/conversations"
MOODS = "tests/bot/mood/sentences.csv"


@app.command()
def train() -> None:
    """Train the bot, where config.yml, domain.yml or bot/ changed."""
    settings = load_settings()
    with knowledge_base(settings), prepare.progress() as show:
        path = asyncio.run(prepare.trained(settings, show))
    screen.print(f"The bot is trained: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")


@app.command()
def check() -> None:
    """Rasa's own checks: the data's consistency, and the test conversations."""
    settings = load_settings()
    model = prepare.model(settings)
    if not model.exists():
        train()
    data = ["--domain", "domain.yml", "--data", "bot/data", "--config", "config.yml"]
    _rasa(settings, "the training data", ["data", "validate", "--fail-on-warnings", *data])
    out = settings.home / "rasa-test"
    words = ["test", "core", "--model", str(model), "--stories", CONVERSATIONS, "--out", str(out)]
    with knowledge_base(settings):
        _rasa(settings, "the test conversations", [*words, "--fail-on-prediction-errors"])


@app.command("eval")
def evaluate(
    train_file: Annotated[Path, typer.Option("--train", help="CSV with sentence,label")],
    test_file: Annotated[Path, typer.Option("--test", help="CSV with sentence,label")],
    oos_label: Annotated[str | None, typer.Option("--oos-label", help="label of what is out of scope")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Train the product's own pipeline on some data, and measure it on other data."""
    settings = load_settings()
    for file in (train_file, test_file):
        if not file.is_file():
            raise UserError(f"{file} {'is a folder' if file.exists() else 'does not exist'}", "name a CSV file")
    words = ["-m", "bot.evaluate", "--train", str(train_file.resolve()), "--test", str(test_file.resolve())]
    _measure(settings, [*words, *(["--oos-label", oos_label] if oos_label else []), *(["--json"] if json else [])])


@app.command()
def mood(
    test_file: Annotated[Path, typer.Option("--test", help="lines labels|text")] = ROOT / MOODS,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """How well anger, worry, outages, deadlines and urgency are heard, on sentences that nothing was learnt from."""
    read_text(test_file)
    words = ["-m", "bot.evaluate_mood", "--test", str(test_file.resolve()), *(["--json"] if json else [])]
    _measure(load_settings(), words)


def _measure(settings: Settings, words: list[str]) -> None:
    """Runs a measurement inside Rasa's Python, beside a knowledge base.

    Raises:
        Exit: it could not be done, and has said why in a line of its own.
        Unavailable: it was ended from outside.
    """
    with knowledge_base(settings):
        done = subprocess.run(
            [str(processes.bot_python()), *words],
            cwd=ROOT,
            env={**os.environ, **processes.rasa_env(settings), "OPENBLAS_NUM_THREADS": str(os.cpu_count() or 1)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode < 0:
        raise Unavailable(f"the measurement was ended by signal {-done.returncode}", "is there enough memory?")
    if done.returncode:
        raise typer.Exit(done.returncode)


@contextmanager
def knowledge_base(settings: Settings) -> Iterator[None]:
    """The knowledge base, the running one or one for the moment: sentence features come from it.

    Raises:
        Unavailable: it does not start.
    """
    import httpx

    try:
        running = httpx.get(f"{settings.knowledge_base_url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        running = False
    if running:
        yield
        return
    _ensure_index(settings)
    logs = settings.logs_dir
    logs.mkdir(parents=True, exist_ok=True)
    made = processes.knowledge_base(settings, {"KOTAE_HOME": str(settings.home), "OMP_NUM_THREADS": "1"})
    with made.log(logs).open("ab") as log:
        handle = subprocess.Popen(
            made.command,
            cwd=ROOT,
            env={**os.environ, **made.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        asyncio.run(made.until_ready(logs))
        yield
    finally:
        handle.terminate()
        handle.wait(10)


def _ensure_index(settings: Settings) -> None:
    from kit.company import load_company

    with prepare.progress() as show:
        prepare.index(settings, load_company(settings.company), show)


def _rasa(settings: Settings, what: str, words: list[str]) -> None:
    """Runs one of Rasa's commands and says in one line how it ended.

    Raises:
        KotaeError: it found something; its words are printed.
    """
    notes.print(f"Rasa checks {what} …")
    done = subprocess.run(
        [str(processes.bot_python()), "-m", "rasa", *words],
        cwd=ROOT,
        env={**os.environ, **processes.rasa_env(settings)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-6000:] + done.stderr[-6000:])
        raise KotaeError(f"Rasa found a fault in {what}", "see the lines above")
    notes.print(f"Rasa found nothing wrong with {what}.")
