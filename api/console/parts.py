"""Small pieces of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def menu(text: str, mark: str) -> Iterator[None]:
    """A button that opens a column of more buttons: what is made inside. The browser opens and closes it.

    Args:
        mark: as for a button.
    """
    with ui.element("details").classes("menu"):
        ui.html(str(escape(text)), sanitize=False, tag="summary").classes("button").props(f"data-do={mark}")
        with ui.element("div").classes("menu-items"):
            yield
