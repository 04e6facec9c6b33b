"""What must be set before Rasa is imported: no telemetry, and log lines that mean something."""

from __future__ import annotations

import logging
import os
import sys
import warnings

ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow comes with Rasa; nothing here uses it
    "TQDM_DISABLE": "1",
    "RASA_MAX_CACHE_SIZE": "0",  # its cache does not see a change in code that a component imports
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


def prepare(level: int = logging.WARNING) -> None:
    """Sets what is not set yet. To be called before the first import of Rasa.

    Args:
        level: the least level that Rasa logs.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("LOG_LEVEL", logging.getLevelName(level))
    warnings.showwarning = _silent  # filters do not last: libraries behind Rasa set their own
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")


def failed(why: str) -> int:
    """Says in one line why a command could not be done, as `kotae` does.

    Returns:
        its exit status.
    """
    print(f"kotae: {' '.join(why.split())}", file=sys.stderr)
    return 1


def progress(what: str, done: int, of: int) -> None:
    """Shows on a terminal how far something is; a file or another program gets nothing of it."""
    if sys.stderr.isatty():
        print(f"\r{what}: {done} of {of}", end="\n" if done >= of else "", file=sys.stderr, flush=True)


def _silent(*args: object, **kwargs: object) -> None:
    """Deprecations of libraries that Rasa pins are nothing that a reader could act on."""
