"""`make chaos`: the kill test at full size, on the shape of deploy/."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Size, run


def main() -> int:
    """Entry point.

    Returns:
        0 where everything was kept, 1 where not.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--strikes", type=int, default=30, help="processes killed or stopped (default: %(default)s)")
    parser.add_argument("--conversations", type=int, default=50, help="at the same time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=8, help="of every random choice (default: %(default)s)")
    parser.add_argument("--gap", type=float, default=7.0, help="seconds between two faults (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=8.0, help="seconds between a customer's messages (%(default)s)")
    parser.add_argument("--bots", type=int, choices=(1, 2), default=2, help="replicas of rasa and knowledge_base")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is stopped then, too
    size = Size(
        conversations=chosen.conversations,
        strikes=chosen.strikes,
        gap=chosen.gap,
        longest=30.0,
        pace=chosen.pace,
        replicas={"rasa": chosen.bots, "knowledge_base": chosen.bots},
    )
    with tempfile.TemporaryDirectory(prefix="kotae-chaos-") as home:
        Path(home).chmod(0o755)  # PostgreSQL runs as a user of its own
        found = asyncio.run(run(size, chosen.seed, Path(home), lambda line: print(line, flush=True)))
    print(found.report())
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
