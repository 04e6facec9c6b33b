"""How often one address or one conversation may do what costs something or guesses at something.

Counted in this process (library `limits`): n replicas allow n times as much, which is still far below what guessing takes.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection

from kit.errors import TooMany
from kit.metrics import REFUSED
from kit.settings import Settings

Kind = Literal["conversations", "messages", "signs", "searches", "refusals", "sign_ins"]
SECONDS = 60
_SIGNS = 5
"""Signs of typing and reading that go with one message, at most."""
_IPV6_NETWORK = 64
"""A household or an office has a whole network of this length: one of its addresses is as good as another."""


class Limits:
    """Counts what is done.

    Args:
        settings: how much of each kind a minute has; 0: any number.
    """

    def __init__(self, settings: Settings) -> None:
        self._counter = FixedWindowRateLimiter(MemoryStorage())
        self._development = settings.mode == "development"
        allowed: dict[Kind, int] = {
            "conversations": settings.conversations_per_minute,
            "messages": settings.messages_per_minute,
            "signs": settings.messages_per_minute * _SIGNS,
            "searches": settings.searches_per_minute,
            "refusals": settings.refusals_per_minute,
            "sign_ins": settings.sign_ins_per_minute,
        }
        self._allowed = {kind: RateLimitItemPerMinute(number) for kind, number in allowed.items() if number}

    def take(self, kind: Kind, connection: HTTPConnection, key: str | None = None) -> None:
        """Counts one, of the caller's address or of `key`.

        Raises:
            TooMany: this minute's are used up.
        """
        address = self._address(connection)
        allowed = self._allowed.get(kind)
        if allowed is not None and address is not None and not self._counter.hit(allowed, kind, key or address):
            REFUSED.labels(kind).inc()
            raise _too_many()

    def check(self, kind: Kind, connection: HTTPConnection) -> None:
        """Makes sure that some are left, without counting one.

        Raises:
            TooMany: this minute's are used up.
        """
        address = self._address(connection)
        allowed = self._allowed.get(kind)
        if allowed is not None and address is not None and not self._counter.test(allowed, kind, address):
            raise _too_many()

    def _address(self, connection: HTTPConnection) -> str | None:
        """Who is counted; None where nobody is: in development, on this machine."""
        host = connection.client.host if connection.client is not None else "unknown"
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host
        if self._development and address.is_loopback:
            return None
        if address.version == 6:
            return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
        return host


def _too_many() -> TooMany:
    return TooMany("too many requests", f"wait {SECONDS} seconds", retry_after=SECONDS)
