"""The console's look: one style sheet, one script, one picture."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from api.console.paths import ROOT
from api.console.texts import TEXTS

STATIC = Path(__file__).with_name("static")
FAVICON = STATIC / "favicon.svg"
_IN_BROWSER = ("late_by", "due_in", "due_at", "waiting", "just_now", "aside_until")
"""Texts that the browser fills in, because they change with the clock."""


@cache
def address(name: str) -> str:
    """Where a file of `static/` is served; it changes with the file, so that browsers may keep what they have."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{ROOT}/static/{name}?{digest}"


def head(lang: str) -> str:
    """What every page has in its head."""
    texts = {key: TEXTS.template(key, lang) for key in _IN_BROWSER}
    return (
        f'<link rel="stylesheet" href="{address("console.css")}">'
        f'<script>window.kotae = {{lang: "{lang}", texts: {json.dumps(texts)}}};</script>'
        f'<script defer src="{address("console.js")}"></script>'
    )
