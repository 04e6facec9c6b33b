"""What commands print: tables and progress for people, one JSON document for programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
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


def print_figures(figures: Mapping[str, Any], indent: int = 0) -> None:
    """Figures for people, a line each: those within others under their name, the points of a curve on one line."""
    for name, value in figures.items():
        label = f"{'  ' * indent}{name:{18 - 2 * indent}}"
        if not isinstance(value, Mapping):
            screen.print(f"{label} {_figure(value)}")
        elif all(key.replace(".", "").isdigit() for key in value):
            screen.print(f"{label} {'  '.join(f'{key}: {_figure(point)}' for key, point in value.items())}")
        else:
            screen.print(label.rstrip())
            print_figures(value, indent + 1)


def _figure(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
