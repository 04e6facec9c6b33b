"""Log files of the processes: a file a day, kept for as long as the settings say."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from kit.clock import now
from kit.settings import Settings

_LOOK_SECONDS = 60.0


async def keep(settings: Settings) -> None:
    """Closes each day's files and removes those that have had their time, until cancelled."""
    day = now().date()
    while True:
        today = now().date()
        await asyncio.to_thread(close, settings.logs_dir, today, rolled=today != day)
        await asyncio.to_thread(forget, settings.logs_dir, today, settings.keep_logs_days)
        day = today
        await asyncio.sleep(_LOOK_SECONDS)


def close(logs: Path, today: date, *, rolled: bool = False) -> None:
    """Moves what was written before today into a file of its day.

    A process keeps its file open, so the file is copied and emptied; processes append, and go on at its new end.

    Args:
        rolled: a day ended just now: everything there is was written before; else only what nobody wrote to today.
    """
    for path in logs.glob("*.log"):
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        if _day(path) is None and path.stat().st_size and (rolled or written < today):
            day = min(written, today - timedelta(days=1))
            with path.open("rb") as old, path.with_name(f"{path.stem}-{day}.log").open("ab") as closed:
                shutil.copyfileobj(old, closed)
            with path.open("r+b") as file:
                file.truncate()


def forget(logs: Path, today: date, keep_days: int) -> None:
    """Removes closed files that have had their time.

    Args:
        keep_days: 0: none.
    """
    for path in logs.glob("*.log"):
        day = _day(path)
        if day is not None and keep_days and day < today - timedelta(days=keep_days):
            path.unlink()


def _day(path: Path) -> date | None:
    """The day of a closed file; None for one that is written to."""
    try:
        return date.fromisoformat(path.stem[-10:])
    except ValueError:
        return None
