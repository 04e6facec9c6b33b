"""`make bench`: every benchmark there is, one after the other."""

from __future__ import annotations

import sys

from benchmarks import quality, turn

if __name__ == "__main__":
    sys.exit(quality.main() or turn.main())
