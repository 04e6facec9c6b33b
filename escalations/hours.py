"""Business hours: when people answer, and when a service level is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from kit.company import Support, Weekday

_DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HORIZON_DAYS = 60
"""How far ahead an opening is looked for: longer than any company closes."""


def on_duty(support: Support, now: datetime) -> bool:
    """Whether people answer at this moment. A company without hours is always open."""
    return not support.hours or any(start <= now < end for start, end in _openings(support, now))


def next_opening(support: Support, now: datetime) -> datetime | None:
    """When people answer next: `now` where they do already; None where no opening is in sight."""
    if on_duty(support, now):
        return now
    return next((start for start, _ in _openings(support, now) if start >= now), None)


def due(support: Support, now: datetime, minutes: int) -> datetime:
    """When a service level of so many business minutes, begun now, ends.

    Args:
        support: hours, holidays and time zone.
        now: aware.
        minutes: of open time.
    """
    left = timedelta(minutes=minutes)
    if not support.hours:
        return now + left
    for start, end in _openings(support, now):
        begin = max(start, now)
        if begin >= end:
            continue
        if begin + left <= end:
            return begin + left
        left -= end - begin
    return now + timedelta(days=_HORIZON_DAYS)


def _openings(support: Support, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Opening hours from today on, in UTC. Local times are converted day by day, so clock changes come out right."""
    zone = ZoneInfo(support.timezone)
    today = now.astimezone(zone).date()
    for offset in range(_HORIZON_DAYS):
        day = today + timedelta(days=offset)
        hours = support.hours.get(_DAYS[day.weekday()])
        if hours is None or day in support.holidays:
            continue
        start, end = (datetime.combine(day, clock, tzinfo=zone).astimezone(UTC) for clock in hours)
        yield start, end
