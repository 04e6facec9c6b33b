"""Service levels run in business hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from escalations import hours
from kit.company import Support

NINE_TO_SIX = (time(9), time(18))
TOKYO = Support(
    email="a@b.co",
    timezone="Asia/Tokyo",
    hours={"mon": NINE_TO_SIX, "tue": NINE_TO_SIX, "fri": NINE_TO_SIX},
    holidays=[date(2026, 11, 24)],
)


def tokyo(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC).replace(hour=hour) - (
        datetime(2026, 11, 1, 9, tzinfo=UTC) - datetime(2026, 11, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("begun", "minutes", "due"),
    [
        (tokyo(23, 10), 30, tokyo(23, 10, 30)),  # Monday, open
        (tokyo(23, 17, 30), 30, tokyo(23, 18)),  # ends exactly at closing
        (tokyo(23, 17, 50), 30, tokyo(27, 9, 20)),  # Tuesday is a holiday, Wednesday and Thursday are closed
        (tokyo(22, 12), 15, tokyo(23, 9, 15)),  # Sunday
        (tokyo(23, 3), 15, tokyo(23, 9, 15)),  # before opening
    ],
)
def test_due_counts_open_minutes(begun: datetime, minutes: int, due: datetime) -> None:
    """Nights, weekends and holidays do not count."""
    assert hours.due(TOKYO, begun, minutes) == due


def test_on_duty_at_the_edges() -> None:
    """Open from the first minute, closed from the last."""
    assert hours.on_duty(TOKYO, tokyo(23, 9))
    assert not hours.on_duty(TOKYO, tokyo(23, 18))
    assert hours.next_opening(TOKYO, tokyo(23, 18)) == tokyo(27, 9)


def test_clock_changes_come_out_right() -> None:
    """Nine o'clock is nine o'clock after the clocks went back."""
    berlin = Support(email="a@b.co", timezone="Europe/Berlin", hours={"mon": NINE_TO_SIX, "fri": NINE_TO_SIX})
    friday = datetime(2026, 10, 23, 15, 50, tzinfo=UTC)  # 17:50 in summer time
    assert hours.due(berlin, friday, 20) == datetime(2026, 10, 26, 8, 10, tzinfo=UTC)  # 09:10 in winter time


def test_without_hours_always_open() -> None:
    """A company that says nothing is taken to be there."""
    support = Support(email="a@b.co")
    assert hours.on_duty(support, tokyo(22, 3))
    assert hours.due(support, tokyo(22, 3), 10) == tokyo(22, 3, 10)
