"""`make bench`: every benchmark there is, one after the other."""

from __future__ import annotations

import sys

from benchmarks import quality, retrieval, search

if __name__ == "__main__":
    sys.exit(max(quality.main(), retrieval.main(), search.main([])))
