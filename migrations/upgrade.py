"""Brings a database to the newest form."""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from kit.database import async_url
from kit.errors import Unavailable

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


def check(url: str) -> None:
    """Makes sure that a database has what this version needs. One of a newer version has: a version goes on, and starts, beside the next.

    Args:
        url: of the database.
    Raises:
        Unavailable: it is of an older version, or of none.
    """
    scripts = ScriptDirectory.from_config(config(url))
    older = {one.revision for one in scripts.walk_revisions()} - set(scripts.get_heads())
    engine = create_engine(async_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        there = MigrationContext.configure(connection).get_current_revision()
    if there is None or there in older:
        raise Unavailable(
            "the database is not in the form that this version needs", "run `kotae migrate` of this version"
        )


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
