"""`python -m actions`: the action server as a process of its own; `kotae up` starts it."""

from __future__ import annotations

import uvicorn

from actions.server import create
from kit import postgres, production, tracing
from kit.logging import configure
from kit.settings import load_settings

KEPT_SECONDS = 75
"""How long an idle connection is kept: longer than Rasa keeps its end, so that none is closed under a call."""


def main() -> None:
    """Serves until told to stop."""
    settings = load_settings()
    configure(settings, "actions")
    tracing.configure(settings, "actions")
    production.check(settings)
    with postgres.running(settings) as url:
        uvicorn.run(
            create(settings, url),
            host=settings.internal_host,
            port=settings.actions_port,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=5,
        )


if __name__ == "__main__":
    main()
