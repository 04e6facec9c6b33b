"""`python -m cli.indexing`: builds the index of the company's help content for `kotae up`, which would keep what it loads for it.

Each line on standard output is a JSON object: what `Progress.update` is told; at the end of a build that is refused, `message` and `hint`.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.progress import Progress, TaskID

from cli import prepare
from kit.company import load_company
from kit.errors import KotaeError
from kit.settings import load_settings


class _Lines(Progress):
    """Progress of one task, told to another process."""

    def update(self, task_id: TaskID, **told: Any) -> None:
        """Tells it."""
        _tell(told)


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Builds it.

    Returns:
        0; 1 where the content or the settings are wrong.
    """
    try:
        settings = load_settings()
        prepare.index(settings, load_company(settings.company), _Lines(disable=True))
    except KotaeError as error:
        _tell({"message": error.message, "hint": error.hint})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
