"""`make bench`: the benchmarks that need nothing running, one after the other; those of accounts at a tenth of their size."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import quality, turn

BESIDE = (["benchmarks.health"], ["benchmarks.accounts", "--accounts", "10000", "--events", "10000"])

if __name__ == "__main__":
    failed = quality.main() or turn.main()
    for words in BESIDE:
        failed |= subprocess.run([sys.executable, "-m", *words], check=False).returncode
    sys.exit(failed)
