"""Moments in words."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

_EN_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_JA_DAYS = "月火水木金土日"


def day_words(day: date, lang: str) -> str:
    """A day as people write it: `8 December 2026`, `2026年12月8日`."""
    return f"{day.year}年{day.month}月{day.day}日" if lang == "ja" else f"{day.day} {day:%B %Y}"


def clock_words(moment: datetime, now: datetime, zone: str, lang: str) -> str:
    """A coming moment as people say it: `15:00`, `tomorrow 09:00`, `Monday 09:00`, with the zone's name.

    Args:
        moment: aware.
        now: aware.
        zone: time zone it is said in.
        lang: `en` or `ja`.
    """
    local, today = moment.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    days = (local.date() - today).days
    clock = f"{local:%H:%M}"
    if lang == "ja":
        day = (
            "" if days == 0 else "明日" if days == 1 else f"{local.month}月{local.day}日（{_JA_DAYS[local.weekday()]}）"
        )
        return f"{day}{clock}"
    if days == 0:
        day = ""
    elif days == 1:
        day = "tomorrow "
    elif 1 < days < 7:
        day = f"{_EN_DAYS[local.weekday()]} "
    else:
        day = f"{local:%B} {local.day}, "
    return f"{day}{clock} ({local.tzname()})"
