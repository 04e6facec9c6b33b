"""`python -m kit.configuration`: writes docs/configuration.md from the settings, so that the two cannot differ."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kit.settings import ROOT, Settings

PAGE = ROOT / "docs" / "configuration.md"
_HEAD = """# Configuration

Made by `python -m kit.configuration` from `kit/settings.py`; a test sees to it that it is up to date.

Each setting is an environment variable, or a line of `.env` in the folder Kotae is started from; the environment wins. They are read once, at the
start. Lists are written as JSON: `["https://www.example.com"]`. What the company says and does, such as its name, plans and rules, is not here but in the files of
its folder (`KOTAE_COMPANY`).

In production (`KOTAE_MODE=production`) Kotae does not start without `KOTAE_SECRET_KEY` and `KOTAE_IDENTITY_SECRET`, with secrets that were made for
development or are placeholders, with the sample company, or with addresses that are not https.

| variable | kind | by default | what it does |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


def _row(name: str, field: FieldInfo) -> str:
    variable = "DATABASE_URL" if name == "database_url" else f"KOTAE_{name.upper()}"
    text = (field.description or "").replace("|", "\\|")
    return f"| `{variable}` | {_kind(field.annotation)} | {_default(field)} | {text} |\n"


def _kind(annotation: Any) -> str:
    parts = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if get_origin(annotation) is list:
        return "list"
    if parts:
        return _kind(parts[0])
    return {str: "text", int: "number", float: "number", bool: "yes or no", Path: "path", SecretStr: "secret"}[
        annotation
    ]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "–"
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT)}` of the checkout"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    main()
