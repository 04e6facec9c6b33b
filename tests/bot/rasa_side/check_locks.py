"""Turns go on without Redis. Run inside `.venv-bot` by `test_rasa_side.py`, which says where Redis's program is."""

# ruff: noqa: PT009  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
import unittest

import redis
from rasa.utils.endpoints import EndpointConfig

from bot.locks import SparingLockStore

PROGRAM = os.environ.get("KOTAE_TEST_REDIS", "")


@unittest.skipUnless(PROGRAM, "a server is needed: test_rasa_side.py gives one")
class Locks(unittest.TestCase):
    """With a real Redis, which is frozen and killed."""

    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.serve()
        self.addCleanup(self.end)

    def serve(self) -> None:
        words = [PROGRAM, "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        with redis.StrictRedis("127.0.0.1", self.port) as client:
            until = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.05)
                else:
                    return

    def end(self) -> None:
        self.server.kill()
        self.server.wait()

    def store(self) -> SparingLockStore:
        """That of a process of its own."""
        return SparingLockStore(EndpointConfig("127.0.0.1", port=self.port, socket_timeout=0.5))

    def test_processes_share_a_lock(self) -> None:
        async def run() -> None:
            one, other = self.store(), self.store()
            async with one.lock("shared"):
                self.assertTrue(other.get_or_create_lock("shared").is_locked(99))
            self.assertIsNone(other.get_lock("shared"))

        asyncio.run(run())

    def turn(self, store: SparingLockStore, conversation: str) -> float:
        """Seconds it takes to have a lock and give it back."""
        began = time.monotonic()

        async def run() -> None:
            async with store.lock(conversation):
                pass

        asyncio.run(run())
        return time.monotonic() - began

    def test_frozen_it_costs_a_moment_once(self) -> None:
        store = self.store()
        self.turn(store, "before")
        self.server.send_signal(signal.SIGSTOP)
        with self.assertLogs("bot.locks", "WARNING"):
            self.assertLess(self.turn(store, "frozen"), 1)
        self.assertLess(max(self.turn(store, f"frozen {number}") for number in range(5)), 0.2)
        self.server.send_signal(signal.SIGCONT)
        store._rests_until = 0.0
        self.turn(store, "thawed")
        self.assertEqual({}, store._own.conversation_locks)

    def test_killed_in_the_middle_of_a_turn_it_is_not_missed(self) -> None:
        async def run() -> None:
            store = self.store()
            with self.assertLogs("bot.locks", "WARNING"):
                async with store.lock("killed"):
                    self.end()
            order = []

            async def turn(name: str) -> None:
                async with store.lock("killed", wait_time_in_seconds=0.05):
                    order.append(f"{name} begins")
                    await asyncio.sleep(0.1)
                    order.append(f"{name} ends")

            await asyncio.gather(turn("first"), turn("second"))
            self.assertEqual(["first begins", "first ends", "second begins", "second ends"], order)
            self.serve()
            store._rests_until = 0.0
            async with store.lock("back"):
                self.assertIsNotNone(self.store().get_lock("back"))

        asyncio.run(run())


if __name__ == "__main__":
    unittest.main()
