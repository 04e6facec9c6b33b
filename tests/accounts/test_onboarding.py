"""How far onboarding has come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from accounts.onboarding import Onboarding, progress

START = datetime(2026, 11, 1, 23, tzinfo=UTC)
STEPS = Onboarding.model_validate(
    {
        "steps": [
            {"id": "invite", "title": "Invite", "event": "invited", "due_days": 3},
            {"id": "connect", "title": "Connect", "event": "connected", "due_days": 5},
            {"id": "sso", "title": "SSO", "due_days": 30, "plans": ["business"]},
        ]
    }
)


def test_a_step_is_overdue_from_the_day_after_its_day() -> None:
    """Due on the 4th: not overdue on the 4th, overdue on the 5th."""
    for day, overdue in ((4, 0), (5, 1), (6, 1), (7, 2)):
        made = progress(STEPS, plan="pro", since=START, done={}, now=datetime(2026, 11, day, 12, tzinfo=UTC))
        assert made.overdue == overdue
    assert made.steps[0].due == date(2026, 11, 4)


def test_the_current_step_is_the_first_not_done() -> None:
    """Steps may be done out of order; what is done after now is not done yet."""
    done = {"connect": START, "invite": START + timedelta(days=2)}
    made = progress(STEPS, plan="business", since=START, done=done, now=START + timedelta(days=1))
    assert [step.done for step in made.steps] == [False, True, False]
    assert made.current is not None
    assert made.current.id == "invite"
    assert made.percent == 33


def test_all_done_is_all_and_only_then() -> None:
    """The per cent is rounded down; without steps there is nothing left to do."""
    done = {"connect": START, "invite": START}
    assert progress(STEPS, plan="pro", since=START, done=done, now=START).percent == 100
    assert progress(STEPS, plan="business", since=START, done=done, now=START).percent == 66
    assert progress(Onboarding(), plan=None, since=START, done={}, now=START).percent == 100
