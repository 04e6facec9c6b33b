"""`make bench`: the benchmarks that need nothing running, one after the other; the larger ones at a bounded size."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

EACH = (
    ["quality"],
    ["retrieval"],
    ["search"],
    ["turn"],
    ["health"],
    ["accounts", "--accounts", "10000", "--events", "10000"],
    ["load", "--replicas", "1"],
)
MOST_SECONDS = 900
"""Of one benchmark, on a machine that has little time for it; docs/performance.md says how long they take."""
_STOP_SECONDS = 60


def main() -> int:
    """Runs each, whatever became of the others, and says how long it took.

    Returns:
        1 where one of them failed, as where a figure is below its floor, or took too long.
    """
    began, failed = time.monotonic(), []
    for number, words in enumerate(EACH, 1):
        started = time.monotonic()
        print(f"\n== {number} of {len(EACH)}: python -m benchmarks.{' '.join(words)}", flush=True)
        status = _run(words)
        said = {0: "", None: f", stopped after {MOST_SECONDS} s"}.get(status, f", status {status}")
        print(f"== {words[0]}: {time.monotonic() - started:.0f} s{said}", flush=True)
        failed += [words[0]] if status != 0 else []
    print(f"\n== all: {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _run(words: list[str]) -> int | None:
    """The exit status of a benchmark; None: it was stopped, with what it had started."""
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]])
    try:
        return process.wait(MOST_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # as from the keyboard: it stops what it has started
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        return None


if __name__ == "__main__":
    sys.exit(main())
