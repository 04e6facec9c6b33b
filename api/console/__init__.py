"""The CSM's console: NiceGUI pages mounted on the front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from nicegui import app as gui
from nicegui import ui
from starlette.staticfiles import StaticFiles

from api.console import accounts, conversation, inbox, reports, session, settings, trouble
from api.console.assets import FAVICON, STATIC
from api.console.paths import ROOT

if TYPE_CHECKING:
    from api.services import Services


def mount(app: FastAPI, services: Services) -> None:
    """Serves the console under `/console`.

    NiceGUI keeps one application a process: of several front doors made in one process, as tests do, the console
    belongs to the last.

    Args:
        app: the front door. Its own lifespan goes on running, inside NiceGUI's.
        services: what the pages work with.
    """
    gui.state.services = services
    gui.user_middleware.clear()
    gui.middleware_stack = None
    app.mount(f"{ROOT}/static", StaticFiles(directory=STATIC), name="console-static")
    session.install(gui)
    inbox.install()
    conversation.install()
    accounts.install()
    reports.install(gui)
    settings.install()
    trouble.install(gui)
    ui.run_with(
        app,
        mount_path=ROOT,
        title="Kotae",
        favicon=FAVICON,
        dark=None,
        tailwind=False,
        reconnect_timeout=10.0,
        storage_secret=services.settings.signing_key,
        session_middleware_kwargs={
            "session_cookie": session.COOKIE,
            "path": ROOT,
            "max_age": session.SECONDS,
            "same_site": "lax",
            "https_only": services.settings.mode == "production",
        },
        show_welcome_message=False,
    )
