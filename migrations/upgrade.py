"""Brings a database to the newest form."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config


def config(url: str) -> Config:
    """Alembic's configuration for this project.

    Args:
        url: of the database.
    """
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str) -> None:
    """Applies what is missing; all of it or nothing.

    Args:
        url: of the database.
    """
    command.upgrade(config(url), "head")
