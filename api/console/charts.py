"""Charts as small pictures in the page: SVG that takes its colours from the style sheet, light and dark.

The numbers always stand in a table beside them as well. A library of charts would bring a megabyte of script for four
shapes, and draw them in colours that do not follow the theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

WIDTH, HEIGHT = 640, 150
_SIDE, _FOOT, _TOP = 34, 20, 8
"""Room for the numbers at the side, the days below, and above."""


def line(points: Sequence[tuple[date, float]], low: float, high: float, *, borders: Sequence[float] = ()) -> Markup:
    """A line over days.

    Args:
        points: oldest first. Empty: an empty string.
        low, high: ends of the scale.
        borders: values at which a thin line is drawn.
    """
    if not points:
        return Markup()
    first, span = points[0][0], max(1, (points[-1][0] - points[0][0]).days)
    places = [(_x((day - first).days / span), _y(value, low, high), day, value) for day, value in points]
    path = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y, *_) in enumerate(places))
    marks = [_border(value, low, high) for value in (low, *borders, high)]
    dots = [
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="7" class="touch"><title>{}: {:.0f}</title></circle>').format(
            x, y, day, value
        )
        for x, y, day, value in places
    ]
    end = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" class="end"/>').format(places[-1][0], places[-1][1])
    drawn = Markup('<path d="{}" class="line"/>').format(path)
    return _svg([*marks, drawn, end, *dots, *_ends(points[0][0], points[-1][0])])


def bars(values: Sequence[tuple[date, int]]) -> Markup:
    """A bar for each day, oldest first. Empty: an empty string."""
    if not values:
        return Markup()
    high = max(1, *(number for _, number in values))
    step = (WIDTH - _SIDE) / len(values)
    drawn = []
    for index, (day, number) in enumerate(values):
        top = _y(number, 0, high)
        drawn.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar"><title>{}: {}</title></rect>'
            ).format(_SIDE + index * step + step * 0.1, top, max(1.0, step * 0.8), HEIGHT - _FOOT - top, day, number)
        )
    return _svg([_border(0, 0, high), _border(high, 0, high), *drawn, *_ends(values[0][0], values[-1][0])])


def spark(values: Sequence[float]) -> Markup:
    """A line without words, for the side of something."""
    high = max([1.0, *values])
    step = 100 / max(1, len(values) - 1)
    path = " ".join(
        f"{'L' if index else 'M'}{index * step:.1f} {23 - 21 * value / high:.1f}" for index, value in enumerate(values)
    )
    return Markup(
        '<svg viewBox="0 0 100 24" preserveAspectRatio="none" class="spark" aria-hidden="true"><path d="{}" class="line"/></svg>'
    ).format(path)


def shares(parts: Sequence[tuple[str, int, str]]) -> Markup:
    """One bar cut into shares.

    Args:
        parts: name, number and class of each.
    """
    whole = sum(number for _, number, _ in parts)
    if not whole:
        return Markup()
    cut = [
        Markup('<i class="{}" style="width: {:.2f}%" title="{}: {}"></i>').format(
            kind, number * 100 / whole, name, number
        )
        for name, number, kind in parts
        if number
    ]
    return Markup('<div class="shares" role="img">{}</div>').format(Markup().join(cut))


def levels(parts: Sequence[tuple[str, float]]) -> Markup:
    """A bar for each share, from nothing to the whole; one beyond the whole makes the others shorter, one below nothing is marked.

    Args:
        parts: name and percent of each.
    """
    whole = max([100.0, *(abs(percent) for _, percent in parts)])
    rows = [
        Markup('<span>{}</span><i class="track"><b class="{}" style="width: {:.2f}%"></b></i><em>{:g} %</em>').format(
            name, "below" if percent < 0 else "", abs(percent) * 100 / whole, percent
        )
        for name, percent in parts
    ]
    return Markup('<div class="levels">{}</div>').format(Markup().join(rows)) if rows else Markup()


def _svg(parts: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" class="chart" role="img">{}</svg>').format(
        WIDTH, HEIGHT, Markup().join(parts)
    )


def _x(share: float) -> float:
    return _SIDE + share * (WIDTH - _SIDE - 6)


def _y(value: float, low: float, high: float) -> float:
    share = (min(max(value, low), high) - low) / (high - low)
    return HEIGHT - _FOOT - share * (HEIGHT - _FOOT - _TOP)


def _border(value: float, low: float, high: float) -> Markup:
    y = _y(value, low, high)
    return Markup(
        '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" class="border"/><text x="{}" y="{:.1f}" class="number">{:g}</text>'
    ).format(_SIDE, WIDTH, y, y, _SIDE - 6, y + 4, value)


def _ends(first: date, last: date) -> list[Markup]:
    text = Markup('<text x="{}" y="{}" class="day {}">{}</text>')
    return [text.format(_SIDE, HEIGHT - 4, "", first), text.format(WIDTH, HEIGHT - 4, "last", last)]
