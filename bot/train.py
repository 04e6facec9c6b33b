"""Trains the bot: `python -m bot.train --out FOLDER`. The knowledge base must be running."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from bot import quiet

ROOT = Path(__file__).resolve().parents[1]

MODEL_NAME = "kotae"


def train(out: Path, name: str = MODEL_NAME) -> Path:
    """Trains understanding and dialogue from `config.yml`, `domain.yml` and `bot/data`.

    Args:
        out: folder of the model.
        name: file name without `.tar.gz`; an older model of that name is replaced once the new one is whole.
    Returns:
        the file of the model.
    Raises:
        RasaException: the training data is wrong or the knowledge base is not there.
    """
    from rasa.model_training import train as rasa_train

    result = rasa_train(
        domain=str(ROOT / "domain.yml"),
        config=str(ROOT / "config.yml"),
        training_files=[str(ROOT / "bot" / "data")],
        output=str(out),
        fixed_model_name=name,
        force_training=True,
    )
    return Path(result.model)


def main() -> int:
    """Entry point.

    Returns:
        0 trained, 1 could not.
    """
    parser = argparse.ArgumentParser(prog="python -m bot.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--name", default=MODEL_NAME, help="file name without .tar.gz (default: %(default)s)")
    arguments = parser.parse_args()
    quiet.prepare()
    started = time.monotonic()
    print("training the bot (about half a minute)", file=sys.stderr, flush=True)

    from rasa.shared.exceptions import RasaException
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.WARNING)
    try:
        path = train(arguments.out, arguments.name)
    except RasaException as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"trained in {time.monotonic() - started:.0f} s: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
