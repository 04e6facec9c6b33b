"""Brings a database to the newest form."""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError

LOCK_SECONDS = 3
TRIES = 20
PAUSE_SECONDS = 1.0


def config(url: str) -> Config:
    """Alembic's configuration for this project.

    Args:
        url: of the database.
    """
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("lock_timeout", f"{LOCK_SECONDS}s")
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str) -> None:
    """Applies what is missing; all of it or nothing. The version that runs goes on meanwhile, and afterwards.

    A migration that cannot have a table within `LOCK_SECONDS` lets go and tries again: waiting longer, it would hold up
    everyone who comes after it.

    Args:
        url: of the database.
    """
    for number in range(TRIES):
        try:
            command.upgrade(config(url), "head")
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable) or number == TRIES - 1:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
