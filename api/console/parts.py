"""Small pieces of pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import escape
from nicegui import ui
from nicegui.events import GenericEventArguments


def button(text: str, on_click: Callable[[], Any] | None, mark: str, *, primary: bool = False) -> ui.html:
    """A button.

    Args:
        on_click: run on the server; None where the browser does it all.
        mark: a name for it, for keys and tests.
    """
    made = ui.html(str(escape(text)), sanitize=False, tag="button").props(f"type=button data-do={mark}")
    made.classes("button primary" if primary else "button")
    if on_click is not None:
        clicked = on_click

        def handle(_: GenericEventArguments) -> Any:
            return clicked()

        made.on("click", handle)
    return made
