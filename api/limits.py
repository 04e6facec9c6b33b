"""How often one address, one conversation or one person may do what costs something or guesses at something.

Counted in this process (library `limits`, a moving window of a minute): n replicas allow n times as much, which is still far below
what guessing takes, and a message costs no write for it.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import HTTPConnection

from api.texts import TEXTS
from conversations.models import Conversation
from kit.errors import TooMany
from kit.metrics import REFUSED
from kit.settings import Settings

Kind = Literal[
    "conversations", "messages", "person_messages", "address_messages", "signs", "searches", "refusals", "sign_ins"
]
CONVERSATION_WINDOWS = 20
"""Windows that may be open on one conversation: people have tabs, and several devices."""
_SIGNS = 5
"""Signs of typing and reading that go with one message, at most."""
_IPV6_NETWORK = 64
"""A household or an office has a whole network of this length: one of its addresses is as good as another."""
_PUT_BACK_SECONDS = 1.0
"""A clock that loses more than this at once was put back."""


def _ahead() -> float:
    """Seconds of the clock beyond those that have passed since some moment: the same, unless it is put forward or back."""
    return time.time() - time.monotonic()


class Limits:
    """Counts what is done.

    Args:
        settings: how much of each kind a minute has; 0: any number.
    """

    def __init__(self, settings: Settings) -> None:
        self._counted = MemoryStorage()
        self._counter = MovingWindowRateLimiter(self._counted)
        self._clock = _ahead()
        self._windows: Counter[str] = Counter()
        self._address_windows = settings.address_windows
        self._development = settings.mode == "development"
        allowed: dict[Kind, int] = {
            "conversations": settings.conversations_per_minute,
            "messages": settings.messages_per_minute,
            "person_messages": settings.person_messages_per_minute,
            "address_messages": settings.address_messages_per_minute,
            "signs": settings.messages_per_minute * _SIGNS,
            "searches": settings.searches_per_minute,
            "refusals": settings.refusals_per_minute,
            "sign_ins": settings.sign_ins_per_minute,
        }
        self._allowed = {kind: RateLimitItemPerMinute(number) for kind, number in allowed.items() if number}

    def message(self, connection: HTTPConnection, conversation: Conversation) -> None:
        """Counts a message against its conversation, its person and the address it comes from.

        Raises:
            TooMany: one of them is used up; says in the conversation's language when to try again.
        """
        for kind, key in self._of_message(connection, conversation):
            self._take(kind, key, conversation.lang)

    def allow(self, connection: HTTPConnection, conversation: Conversation) -> bool:
        """Whether a message may be taken; nothing is counted."""
        self._mind_the_clock()
        of_message = self._of_message(connection, conversation)
        return all(
            self._counter.test(self._allowed[kind], kind, key) for kind, key in of_message if kind in self._allowed
        )

    def count(self, connection: HTTPConnection, conversation: Conversation) -> None:
        """Counts a message that has been taken."""
        for kind, key in self._of_message(connection, conversation):
            if kind in self._allowed:
                self._counter.hit(self._allowed[kind], kind, key)

    def _of_message(self, connection: HTTPConnection, conversation: Conversation) -> list[tuple[Kind, str]]:
        address = self._address(connection)
        if address is None:
            return []
        counted: list[tuple[Kind, str]] = [("messages", conversation.id), ("address_messages", address)]
        if conversation.person_id is not None:
            counted.insert(1, ("person_messages", f"{conversation.account_id}/{conversation.person_id}"))
        return counted

    @contextmanager
    def window(self, connection: HTTPConnection, conversation_id: str) -> Iterator[None]:
        """One more window that is open, while the block lasts.

        Raises:
            TooMany: as many are open as the conversation or the address may have.
        """
        address = self._address(connection)
        most = {} if address is None else {conversation_id: CONVERSATION_WINDOWS, address: self._address_windows}
        if any(number and self._windows[key] >= number for key, number in most.items()):
            REFUSED.labels("windows").inc()
            raise TooMany("too many windows are open", retry_after=60)
        self._windows.update(most.keys())
        try:
            yield
        finally:
            for key in most:
                self._windows[key] -= 1
                if not self._windows[key]:
                    del self._windows[key]

    def sign(self, connection: HTTPConnection, conversation_id: str) -> None:
        """Counts a sign of typing or reading, a rating, or a question whether the line still stands.

        Raises:
            TooMany: this minute's are used up.
        """
        if self._address(connection) is not None:
            self._take("signs", conversation_id, "en")

    def take(self, kind: Kind, connection: HTTPConnection, lang: str = "en") -> None:
        """Counts one of the caller's address.

        Args:
            lang: in which it is said when to try again.
        Raises:
            TooMany: this minute's are used up.
        """
        address = self._address(connection)
        if address is not None:
            self._take(kind, address, lang)

    def check(self, kind: Kind, connection: HTTPConnection) -> None:
        """Makes sure that some are left, without counting one.

        Raises:
            TooMany: this minute's are used up.
        """
        address = self._address(connection)
        self._mind_the_clock()
        allowed = self._allowed.get(kind)
        if allowed is not None and address is not None and not self._counter.test(allowed, kind, address):
            raise self._too_many(allowed, kind, address, "en")

    def _take(self, kind: Kind, key: str, lang: str) -> None:
        self._mind_the_clock()
        allowed = self._allowed.get(kind)
        if allowed is not None and not self._counter.hit(allowed, kind, key):
            REFUSED.labels(kind).inc()
            raise self._too_many(allowed, kind, key, lang)

    def _mind_the_clock(self) -> None:
        """Forgets what was counted where the clock has been put back: the library counts by it, and would wait until it is as late again."""
        ahead = _ahead()
        if ahead < self._clock - _PUT_BACK_SECONDS:
            self._counted.reset()
        self._clock = ahead

    def _too_many(self, allowed: RateLimitItemPerMinute, kind: Kind, key: str, lang: str) -> TooMany:
        free_at = self._counter.get_window_stats(allowed, kind, key).reset_time
        seconds = max(1, math.ceil(free_at - time.time()))
        return TooMany(TEXTS.say("too_fast", lang, seconds=seconds), retry_after=seconds)

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
