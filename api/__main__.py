"""`python -m api`: the front door as a process of its own; `kotae up` starts it."""

from __future__ import annotations

import uvicorn

from api.app import create_app
from api.bounded import BoundedProtocol
from kit import postgres, production, tracing
from kit.logging import configure
from kit.settings import load_settings


def main() -> None:
    """Serves until told to stop."""
    settings = load_settings()
    configure(settings, "api")
    tracing.configure(settings, "api")
    production.check(settings)
    with postgres.running(settings) as url:
        uvicorn.run(
            create_app(settings, url),
            host=settings.api_host,
            port=settings.api_port,
            loop="uvloop",
            log_config=None,
            access_log=False,
            http=BoundedProtocol,
            forwarded_allow_ips=settings.trusted_proxies,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=128 * 1024,
            ws_per_message_deflate=False,  # its windows would take most of the memory of an open socket, for frames of a few hundred bytes
            timeout_graceful_shutdown=5,
        )


if __name__ == "__main__":
    main()
