"""The lock of a conversation, in Redis while that answers."""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional, TypeVar

from rasa.core.lock import TicketLock
from rasa.core.lock_store import InMemoryLockStore, RedisLockStore
from rasa.utils.endpoints import EndpointConfig
from redis import RedisError

logger = logging.getLogger(__name__)

REST_SECONDS = 2.0
"""After a failure Redis is not asked for so long: waiting for one that hangs would hold up all that Rasa does."""
Found = TypeVar("Found")


class SparingLockStore(RedisLockStore):
    """While Redis is away, hangs or is full, the locks are those of this process alone.

    Rasa's own store fails the turn, every turn of every conversation. What the lock keeps apart is kept apart without it: the front door sends one
    turn of a conversation at a time, and of one that outlives its budget the tracker store takes nothing behind a later one.
    """

    def __init__(self, endpoint_config: EndpointConfig) -> None:
        """Args:
        endpoint_config: `url` is the host; the others are those of Rasa's store for Redis.
        """
        super().__init__(host=endpoint_config.url, **endpoint_config.kwargs)
        self._own = InMemoryLockStore()
        self._rests_until = 0.0

    def get_lock(self, conversation_id: str) -> Optional[TicketLock]:
        """The lock, if there is one: that of this process, where it was made without Redis."""
        own = self._own.get_lock(conversation_id)
        return own or self._asked(lambda: super(SparingLockStore, self).get_lock(conversation_id), lambda: None)

    def save_lock(self, lock: TicketLock) -> None:
        """Keeps it where it is, or where it can be kept."""
        if self._own.get_lock(lock.conversation_id) is not None:
            self._own.save_lock(lock)
        else:
            self._asked(lambda: super(SparingLockStore, self).save_lock(lock), lambda: self._own.save_lock(lock))

    def delete_lock(self, conversation_id: str) -> None:
        """Removes it, wherever it is."""
        self._own.delete_lock(conversation_id)
        self._asked(lambda: super(SparingLockStore, self).delete_lock(conversation_id), lambda: None)

    def _asked(self, ask: Callable[[], Found], without: Callable[[], Found]) -> Found:
        if time.monotonic() < self._rests_until:
            return without()
        try:
            return ask()
        except RedisError as error:
            logger.warning("no Redis, locks of this process alone (%s)", type(error).__name__)
            self._rests_until = time.monotonic() + REST_SECONDS
            return without()
