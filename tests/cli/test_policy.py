"""`kotae policy` as a support lead reads it; what needs the running bot is in `tests/stack/test_policy.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

RULE = "mode: takeover, priority: high, within_minutes: 15, reason: {en: Wants to leave, ja: 解約を希望}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy with a rule behind another that holds whenever it does, and an intent that nothing is understood as."""
    path = tmp_path / "escalation.yml"
    rules = (
        f"{{id: any, when: {{band: at_risk}}, {RULE}}}",
        f"{{id: late, when: {{band: at_risk, intent: cancell}}, {RULE}}}",
    )
    path.write_text("rules:\n" + "".join(f"  - {rule}\n" for rule in rules))
    return path


def kotae(*words: str, status: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "150"})
    assert done.exit_code == status, done.output
    return done.output


def test_rules_that_cannot_fire_are_said_to(file: Path) -> None:
    """The file is right, and yet not what was meant."""
    said = kotae("policy", "check", "--policy", str(file))
    assert "late never fires: any, before it, holds whenever it does." in said
    assert "late: no message is ever understood as cancell. Did you mean cancel?" in said


def test_the_default_policy_has_nothing_to_say_of() -> None:
    """All its rules can fire, and their intents are the bot's."""
    said = kotae("policy", "check")
    assert "never" not in said
    assert "cancel_at_risk" in said


def test_explained_is_what_decides_and_what_the_others_miss(file: Path) -> None:
    """In words, of an intent alone, for a visitor."""
    said = kotae("policy", "explain", "--intent", "cancel", "--policy", str(file))
    assert "No rule fires" in said
    assert "band: at_risk, but is unknown" in said
    asked = kotae("policy", "explain", "--intent", "ask_human")
    assert "wish fires: a CSM takes over; normal, within 30 business minutes, to the pool." in asked
    assert "The CSM reads: The customer asks for a person" in asked
