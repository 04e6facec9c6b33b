"""The kill test in short; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Size, run

pytestmark = pytest.mark.stack
SHORT = Size(
    conversations=16,
    strikes=5,
    gap=4.0,
    longest=5.0,
    pace=4.0,
    replicas={"rasa": 1, "knowledge_base": 1},
)


@pytest.mark.timeout(600)
async def test_nothing_is_lost_doubled_or_stuck_when_each_process_dies(tmp_path: Path) -> None:
    """Every accepted message in the log once and in order, every turn settled once, every escalation and notification there."""
    found = await run(SHORT, seed=7, home=tmp_path, tell=print)
    print(found.report())
    assert found.broken == []
    assert len(found.silences) > SHORT.conversations
