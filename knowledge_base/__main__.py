"""`python -m knowledge_base`: serves the help index."""

from __future__ import annotations

import uvicorn

from kit import tracing
from kit.logging import configure
from kit.settings import load_settings
from knowledge_base.app import create_app


def main() -> None:
    """Serves until it is told to stop."""
    settings = load_settings()
    configure(settings, "knowledge_base")
    tracing.configure(settings, "knowledge_base")
    uvicorn.run(
        create_app(settings), host=settings.internal_host, port=settings.knowledge_base_port, log_config=None, access_log=False,
        timeout_graceful_shutdown=5,
    )  # fmt: skip


if __name__ == "__main__":
    main()
