"""The chat on a company's website: `widget.js`, one ES module, and `site/`, a sample company's site."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters

import rjsmin

HERE = Path(__file__).parent
SCRIPT = HERE / "widget.js"
SITE = HERE / "site"
"""A small company site for the demo, to be served under `/demo/` in development."""


def served() -> bytes:
    """`widget.js` as it is served: without comments and spare white space, in the code and in the styles it holds.

    The file in the repository runs as it is; this only keeps its documentation off the wire, a third of its size.
    """
    script = re.sub(r"(const (?:STYLE|DARK) = `)(.*?)(?=`;)", _squeeze, SCRIPT.read_text("utf-8"), flags=re.DOTALL)
    small: str = rjsmin.jsmin(_PROPERTY.sub(_shortened(script), script))
    for spare, instead in _SPARE:
        small = re.sub(spare, instead, small)
    return small.encode()


_SPARE = ((r"\}\n", "}"), (r";\}", "}"), (r" \?\? ", "??"), (r"\bconst(?=[ {\[])", "let"))
"""What is left by a minifier that cannot know that here every statement ends with a semicolon."""
_PROPERTY = re.compile(r"(?<![\w-])--(?!kotae-)([a-z-]+)")
"""A custom property of our own styles; those that begin with `kotae` are set by the page."""


def _shortened(script: str) -> Callable[[re.Match[str]], str]:
    names = list(dict.fromkeys(_PROPERTY.findall(script)))
    return lambda found: f"--{ascii_letters[names.index(found[1])]}"


def _squeeze(styles: re.Match[str]) -> str:
    """Styles without the white space that means nothing there. A space before a colon begins a selector and stays."""
    text = re.sub(r"/\*.*?\*/|\s+", " ", styles[2])
    return styles[1] + re.sub(r" ?([{};,]) ?|(:) ", r"\1\2", text).replace(";}", "}")
