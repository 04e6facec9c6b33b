"""The page of all settings."""

from __future__ import annotations

from kit import configuration
from kit.settings import Settings


def test_the_page_is_up_to_date() -> None:
    """Made anew, it is what is in docs/: run `python -m kit.configuration` after changing a setting."""
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.page()


def test_every_setting_is_on_it_with_what_it_does() -> None:
    """One row each, with words; and no secret has a default."""
    rows = [line for line in configuration.page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert [row for row in rows if row.endswith("|  |")] == []
    assert [row for row in rows if "| secret |" in row and "| secret | – |" not in row] == []
