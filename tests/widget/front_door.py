"""The product's own front door, as a process of a test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import httpx

from accounts.records import put_accounts, put_people
from accounts.schemas import PutAccount, PutPerson
from kit.clock import now
from kit.database import Database
from kit.settings import Settings
from tests.support import ROOT, free_ports


class FrontDoor:
    """The front door's own process, which can be killed.

    Args:
        more: settings of this one, as environment variables.
    """

    def __init__(self, settings: Settings, database_url: str, **more: str) -> None:
        api, rasa, knowledge = free_ports(3)
        self.url = f"http://127.0.0.1:{api}"
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")} | {
            "DATABASE_URL": database_url,
            "KOTAE_HOME": str(settings.home),
            "KOTAE_API_PORT": str(api),
            "KOTAE_RASA_PORT": str(rasa),
            "KOTAE_KNOWLEDGE_BASE_PORT": str(knowledge),
            "KOTAE_TURN_BUDGET_SECONDS": "1",
            "PYTHONPATH": str(ROOT),
            **more,
        }

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=self._environment)
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/v1/widget-config")
                return
            assert self._process.poll() is None, "the front door ended"
            assert time.monotonic() < end, "the front door did not start"
            time.sleep(0.1)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(by)
        self._process.wait(30)


async def add_customer(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as session:
        await put_accounts(session, [("widget-acme", PutAccount(name="Acme", plan="pro", seats=3), now())])
        await put_people(session, [("widget-amy", PutPerson(account_id="widget-acme", name="Amy"), now())])
    await database.close()
