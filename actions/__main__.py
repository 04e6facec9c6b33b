"""`python -m actions`: the action server as a process of its own; `kotae up` starts it."""

from __future__ import annotations

from actions.server import create
from kit import postgres, production, tracing
from kit.logging import configure
from kit.settings import load_settings


def main() -> None:
    """Serves until told to stop."""
    settings = load_settings()
    configure(settings, "actions")
    tracing.configure(settings, "actions")
    production.check(settings)
    with postgres.running(settings) as url:
        create(settings, url).run(
            host=settings.internal_host, port=settings.actions_port, single_process=True, access_log=False, motd=False
        )


if __name__ == "__main__":
    main()
