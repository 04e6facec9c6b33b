"""What a process that serves does with what it has loaded."""

from __future__ import annotations

import gc


def keep_loaded() -> None:
    """Takes everything that is there by now out of the sight of the garbage collector.

    It would walk through all of it every so often and find nothing, which takes as long as several turns.
    """
    gc.collect()
    gc.freeze()
