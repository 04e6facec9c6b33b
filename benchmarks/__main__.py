"""`make bench`: the benchmarks that need nothing running, one after the other; the larger ones at a bounded size."""

from __future__ import annotations

import subprocess
import sys

EACH = (
    ["quality"],
    ["retrieval"],
    ["search"],
    ["turn"],
    ["health"],
    ["accounts", "--accounts", "10000", "--events", "10000"],
    ["load", "--replicas", "1"],
)


def main() -> int:
    """Runs each, whatever became of the others.

    Returns:
        1 where one of them failed, as where a figure is below its floor.
    """
    failed = [
        words[0]
        for words in EACH
        if subprocess.run([sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]], check=False).returncode
    ]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
