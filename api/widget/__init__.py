"""The chat on a company's website: `widget.js`, one ES module, and `site/`, a sample company's site."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT = HERE / "widget.js"
SITE = HERE / "site"
"""A small company site for the demo, to be served under `/demo/` in development."""
_MINIFY = 'import sys, minify; sys.stdout.write(minify.string("application/javascript", sys.stdin.read()))'


@cache
def served() -> bytes:
    """`widget.js` as it is served: without comments and spare white space, its own names short.

    The file in the repository runs as it is; this only keeps its documentation off the wire, two fifths of its size. The minifier brings a
    runtime of its own (Go), so it works in a process of its own, once, for a tenth of a second.

    Raises:
        subprocess.CalledProcessError: the file is not JavaScript.
    """
    minify = [sys.executable, "-X", "utf8", "-c", _MINIFY]
    return subprocess.run(minify, input=SCRIPT.read_bytes(), capture_output=True, check=True).stdout
