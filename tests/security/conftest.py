"""The front door as a process of its own, on the real database: what is attacked is what is shipped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts.records import put_account, put_person
from accounts.schemas import PutAccount, PutPerson
from api import keys
from api.identity import sign
from kit.clock import now
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from tests.support import ROOT, free_ports

Identity = Callable[[str, str], str]


@dataclass
class Door:
    """A front door and how it is reached."""

    url: str
    settings: Settings
    log: Path

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=20, trust_env=False, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=20, trust_env=False, **more)

    def put(self, path: str, **more: Any) -> httpx.Response:
        return httpx.put(self.url + path, timeout=20, trust_env=False, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return httpx.delete(self.url + path, timeout=20, trust_env=False, **more)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def front_door(settings: Settings, database_url: str, log: Path, **more: str) -> Iterator[Door]:
    """`python -m api` with a port of its own. No bot runs: a turn ends by telling the customer so."""
    api, rasa, knowledge = free_ports(3)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")} | {
        "DATABASE_URL": database_url,
        "KOTAE_HOME": str(settings.home),
        "KOTAE_API_PORT": str(api),
        "KOTAE_RASA_PORT": str(rasa),
        "KOTAE_KNOWLEDGE_BASE_PORT": str(knowledge),
        "KOTAE_TURN_BUDGET_SECONDS": "1",
        "KOTAE_LOG_LEVEL": "debug",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    door = Door(f"http://127.0.0.1:{api}", settings, log)
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            end = time.monotonic() + 60
            while True:
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < end, log.read_text()[-2000:]
                with contextlib.suppress(httpx.HTTPError):
                    door.get("/healthz")
                    break
                time.sleep(0.05)
            yield door
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="package")
def door(settings: Settings, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The front door in development, which trusts loopback to say who is behind it."""
    with front_door(settings, database_url, tmp_path_factory.mktemp("door") / "api.log") as made:
        yield made


@pytest.fixture(scope="package")
async def known(database: Database) -> None:
    """Two accounts with a person each."""
    async with database.begin() as session:
        for account, person in (("sec-a", "sec-ann"), ("sec-b", "sec-bob")):
            await put_account(session, account, PutAccount(name=account, plan="pro", seats=5), now())
            await put_person(session, person, PutPerson(account_id=account, name=person), now())


@pytest.fixture
def identity(door: Door, known: None) -> Identity:
    """Signs as the company's backend does."""
    return lambda account, person: sign(door.settings, account, person, now(), timedelta(hours=1))


@pytest.fixture(scope="package")
async def key(database: Database) -> str:
    """An API key that may do everything."""
    async with database.begin() as session:
        return await keys.add(session, new_id("attack"), keys.SCOPES, now())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


SECRETS = {
    "KOTAE_SECRET_KEY": "a7Qm2Xw9Lr4Tz8Kp1Vn6Yb3Hc5Jd0Gf_",
    "KOTAE_IDENTITY_SECRET": "Zu8Re4Wq7Ty1Ui5Op9As3Df6Gh2Jk0L_",
}


def company(folder: Path) -> Path:
    """A company's folder that is not the sample's."""
    made = folder / "company"
    shutil.copytree(ROOT / "demo", made, ignore=shutil.ignore_patterns("accounts.yml", "csms.yml"))
    return made
