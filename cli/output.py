"""What commands print: tables and progress for people, one JSON document for programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from rich.console import Console

from kit import postgres
from kit.database import Database
from kit.settings import Settings

T = TypeVar("T")
_WIDTH = None if sys.stdout.isatty() else 160
"""Columns of a file or a pipe, which have no width of their own: enough for every table."""
screen = Console(highlight=False, width=_WIDTH)
"""Standard output, for people."""
notes = Console(stderr=True, highlight=False)
"""Standard error: progress and remarks, so that standard output stays the result."""


def print_json(value: object) -> None:
    """One JSON document on standard output, and nothing else there."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


def _plain(value: object) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump is not None else str(value)


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs some work on the database: the running stack's, or one started for the moment.

    Args:
        work: gets the database; what it returns is returned.
    """

    async def inside(url: str) -> T:
        database = Database(url, pool_size=2)
        try:
            return await work(database)
        finally:
            await database.close()

    with postgres.running(settings) as url:
        from migrations.upgrade import upgrade

        upgrade(url)
        return asyncio.run(inside(url))
