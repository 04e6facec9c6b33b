"""Runs what must run inside Rasa's own Python: the checks in `rasa_side/`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploy import local

CHECKS = sorted(path.stem for path in (Path(__file__).parent / "rasa_side").glob("check_*.py"))


@pytest.mark.parametrize("check", CHECKS)
def test_checks_inside_rasa_pass(root: Path, database_url: str, check: str) -> None:
    """Every check of that file passes on Python 3.10 with Rasa."""
    run = subprocess.run(
        [root / ".venv-bot" / "bin" / "python", "-m", "unittest", f"tests.bot.rasa_side.{check}"],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "PYTHONWARNINGS": "ignore",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KOTAE_TEST_TRACKER_URL": database_url,
            "KOTAE_TEST_REDIS": local.need("redis-server"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
