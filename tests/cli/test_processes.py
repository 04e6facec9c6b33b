"""Watching processes: what ends or hangs is started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cli import processes
from cli.processes import Process
from tests.chaos.front import until
from tests.support import free_ports


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    """A process that serves files of an empty folder, and is watched by one of little patience."""
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(processes, "MISSES", 3)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    made = Process("files", command, port, "/", {}, alive_path="/none")
    await made.start(tmp_path / "logs")
    await made.until_ready(tmp_path / "logs")
    watching = asyncio.create_task(processes.watch(made, tmp_path / "logs"))
    yield made
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    made.kill()


async def serves(process: Process) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(trust_env=False, timeout=1) as http:
            return (await http.get(f"http://127.0.0.1:{process.port}/")).status_code == 200
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_what_ends_or_hangs_is_started_again(watched: Process, how: signal.Signals) -> None:
    """Killed, or stuck with its port open; the new one serves. One that answers, were it 404, is left alone."""
    handle = watched.handle
    assert handle is not None
    # That it is left alone can only be seen by waiting.
    await asyncio.sleep(2 * processes.MISSES * processes.LOOK_SECONDS)
    assert (watched.restarts, watched.handle) == (0, handle)
    handle.send_signal(how)

    async def again() -> bool:
        return watched.restarts == 1 and await serves(watched)

    await until(again)
    assert handle.returncode == -signal.SIGKILL
