"""The chat on a company's website: `widget.js`, one ES module, and `site/`, a sample company's site."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT = HERE / "widget.js"
SITE = HERE / "site"
"""A small company site for the demo, to be served under `/demo/` in development."""

# Comments of the forms our own source uses; none of them occurs inside a string there.
_COMMENTS = (
    re.compile(rb"^[ ]*/\*\*.*?\*/[ ]*$", re.DOTALL | re.MULTILINE),
    re.compile(rb"/\*\* @type \{[^\n]*?\} \*/ ?"),
    re.compile(rb"(?:^[ ]*|(?<=[;,{}]) )// .*$", re.MULTILINE),
)
_SPACE = re.compile(rb"\n\s*")


def served() -> bytes:
    """`widget.js` as it is served: without comments, indentation and empty lines.

    The file in the repository runs as it is; this only keeps its documentation off the wire, a quarter of its size.
    """
    text = SCRIPT.read_bytes()
    for comment in _COMMENTS:
        text = comment.sub(b"", text)
    return _SPACE.sub(b"\n", text)
