"""The health score: `health.yml`, and what it makes of an account's facts. Pure: facts and `now` in, score and reasons out.

    score = sum(weight x points) / sum(weight), over the indicators whose fact is known

Each indicator turns one fact into 0-100 points by a curve. An indicator's weight is its own times that of its group in
the account's lifecycle profile, shared among the indicators of the group: so a profile decides what a group counts for, however many
indicators it has. What is not known is left out and the rest renormalised; `coverage` is the share of weight that was known.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kit.company import Localised

Fact = float | str | None
Facts = Mapping[str, Fact]
Band = Literal["healthy", "neutral", "at_risk"]
Group = Literal["relationship", "usage", "satisfaction"]
Stage = str


OTHER = "*"
"""Among the levels of an indicator: any text that is not listed."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Axis(_Frozen):
    """One side of a grid: a fact, and the numbers or the texts at which points are given."""

    fact: str
    date: str = Field("", description="as of an indicator")
    at: list[float] | list[str] = Field(min_length=1, description="numbers that rise, or texts; `*` is any other text")

    @field_validator("at", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if isinstance(value, list) and any(isinstance(item, str | bool) for item in value):
            return [as_text(item) for item in value]
        return value

    @model_validator(mode="after")
    def _rising(self) -> Axis:
        if any(isinstance(later, float) and later <= earlier for earlier, later in itertools.pairwise(self.at)):  # type: ignore[operator]
            raise ValueError(f"the numbers of {self.fact} must rise")
        return self

    def shares(self, fact: Fact) -> list[tuple[int, float]]:
        """Where a fact stands: one place, or two and how near it is to each. Nowhere where it is not known."""
        if isinstance(self.at[0], str):
            found = [] if fact in (None, "") else [text for text in (as_text(fact), OTHER) if text in self.at]
            return [(self.at.index(found[0]), 1.0)] if found else []
        value, places = _number(fact, self.date), [float(place) for place in self.at]
        if value is None:
            return []
        value = min(max(value, places[0]), places[-1])
        after = next(place for place, edge in enumerate(places) if value <= edge)
        if after == 0:
            return [(0, 1.0)]
        share = (value - places[after - 1]) / (places[after] - places[after - 1])
        return [(after - 1, 1 - share), (after, share)]


class Grid(_Frozen):
    """Points by two facts together: a row for each place of the one, in it a number for each of the other; straight between places."""

    rows: Axis
    columns: Axis
    points: list[list[float]]

    @model_validator(mode="after")
    def _shape(self) -> Grid:
        if [len(row) for row in self.points] != [len(self.columns.at)] * len(self.rows.at):
            raise ValueError(f"points needs {len(self.rows.at)} rows of {len(self.columns.at)}")
        return self

    def worth(self, row: Fact, column: Fact) -> float | None:
        """What the two facts are worth, 0-100; None where either is not known."""
        down, right = self.rows.shares(row), self.columns.shares(column)
        if not down or not right:
            return None
        worth = math.fsum(one * two * self.points[place][other] for place, one in down for other, two in right)
        return min(max(worth, 0.0), 100.0)


class Indicator(_Frozen):
    """One fact, or two together, and what it is worth.

    Exactly one of `curve` (for a number: points between which the line is straight, level outside them), `levels`
    (for a text: points by value; `*` is any value that is not listed, and without it such a value
    is not known) and `grid` (for two facts that mean something only together).
    """

    group: Group
    label: Localised
    fact: str = Field("", description="the fact it reads; by default the indicator's own name")
    unit: str = ""
    date: str = Field(
        "", description="how a date is written, as strptime has it; its curve counts days from 0001-01-01"
    )
    weight: float = Field(1, gt=0)
    curve: list[tuple[float, float]] | None = Field(None, min_length=1)
    levels: dict[str, float] | None = Field(None, min_length=1)
    grid: Grid | None = None
    missing: float | None = Field(
        None, ge=0, le=100, description="points where the fact is missing, if that says something"
    )

    @field_validator("levels", mode="before")
    @classmethod
    def _text_keys(cls, value: object) -> object:
        # YAML reads the level No as a boolean and 1 as a number; the fact is compared as text.
        if isinstance(value, dict):
            return {as_text(key): points for key, points in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Indicator:
        if sum(part is not None for part in (self.curve, self.levels, self.grid)) != 1:
            raise ValueError("needs exactly one of curve, levels and grid")
        if self.curve is not None:
            xs = [x for x, _ in self.curve]
            if any(later <= earlier for earlier, later in itertools.pairwise(xs)):
                raise ValueError("the curve's first numbers must rise from point to point")
        points = [y for _, y in self.curve or []] + list((self.levels or {}).values())
        points += [y for row in (self.grid.points if self.grid else []) for y in row]
        if not all(0 <= y <= 100 for y in points):
            raise ValueError("points go from 0 to 100")
        return self

    def reads(self, name: str) -> list[str]:
        """The facts it looks at.

        Args:
            name: its own, which is the fact's where no other is given.
        """
        return [self.grid.rows.fact, self.grid.columns.fact] if self.grid else [self.fact or name]

    def given(self, name: str, facts: Facts) -> Fact:
        """What it looks at, as a person reads it: the fact, or both of them."""
        found = [facts.get(fact) for fact in self.reads(name)]
        return (
            found[0]
            if self.grid is None
            else " with ".join("nothing" if each is None else as_text(each) for each in found)
        )

    def worth(self, name: str, facts: Facts) -> float | None:
        """What the facts are worth, 0-100; None where they say nothing."""
        if self.grid is None:
            return self.points(facts.get(self.fact or name))
        found = self.grid.worth(*(facts.get(fact) for fact in self.reads(name)))
        return self.missing if found is None else found

    def points(self, fact: Fact) -> float | None:
        """What one fact is worth, 0-100; None where it says nothing."""
        if self.levels is not None:
            found = None if fact in (None, "") else self.levels.get(as_text(fact), self.levels.get(OTHER))
            return self.missing if found is None else found
        value = _number(fact, self.date)
        if value is None:
            return self.missing
        return interpolate(self.curve or [], value)


_BOOLEAN = {"true": "Yes", "yes": "Yes", "false": "No", "no": "No"}
_WHOLE = re.compile(r"(-?\d+)\.0+")


def as_text(value: object) -> str:
    """A level as levels are compared: true is Yes and 1.0 is 1, however a file or a backend writes them."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else _BOOLEAN.get(text.lower(), text)


def _number(fact: Fact, form: str = "") -> float | None:
    if isinstance(fact, str):
        return read_number(fact) if form in ("", ISO) else read_date(fact, form)
    return None if fact is None or math.isnan(fact) else float(fact)


ISO = "%Y-%m-%d"
_AROUND = str.maketrans("", "", " ,$€£¥%\u00a0")
_COMMA = re.compile(r"[^\d]*(0,\d+|\d+,\d{1,2}|\d+,\d{4,}|\d{1,3}(\.\d{3})+,\d+)[^\d]*")
_CLOCK = re.compile(r"[ T]\d{1,2}:\d{2}.*$")


def read_number(text: str) -> float | None:
    """A number as tables have it, also with thousands, a decimal comma, a currency or a per cent sign; a date is its days. None where it is neither.

    A comma before exactly three digits parts thousands: a table that means it otherwise says so in its mapping.
    """
    if _COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    try:
        value = float(text.translate(_AROUND))
    except ValueError:
        try:
            return float(date.fromisoformat(text.strip()[:10].replace("/", "-")).toordinal())
        except ValueError:
            return None
    return value if math.isfinite(value) else None


def read_date(text: str, form: str) -> float | None:
    """The days of a date that is written in a form of `strptime`, whatever its time of day; None where it is not."""
    try:
        return float(datetime.strptime(_CLOCK.sub("", text.strip()), form).toordinal())  # a day
    except ValueError:
        return None


def interpolate(curve: list[tuple[float, float]], x: float) -> float:
    """The curve at x: straight between its points, level outside them."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x <= x1:
            # Weighted mean of the two ends: stays between them whatever the rounding.
            share = (x - x0) / (x1 - x0)
            return min(max(y0 * (1 - share) + y1 * share, min(y0, y1)), max(y0, y1))
    return curve[-1][1]


class Condition(_Frozen):
    """A condition on one fact. A fact that is not known meets none."""

    below: float | None = None
    at_least: float | None = None

    def holds(self, fact: Fact) -> bool:
        value = _number(fact)
        if value is None:
            return False
        return (self.below is None or value < self.below) and (self.at_least is None or value >= self.at_least)


class Profile(_Frozen):
    """What counts how much in one stage of an account's life. Without conditions in `when` it always holds."""

    id: Stage
    when: dict[str, Condition] = Field(default_factory=dict)
    groups: dict[Group, float]
    weights: dict[str, float] = Field(default_factory=dict, description="weights of indicators, instead of their own")


class Bands(_Frozen):
    """From which score an account is healthy, and below which it is at risk."""

    healthy: float = 75
    at_risk: float = 50
    margin: float = Field(2, ge=0, description="a band is left only when the score is this far past its border")

    @model_validator(mode="after")
    def _order(self) -> Bands:
        if self.at_risk + 2 * self.margin >= self.healthy:
            raise ValueError("healthy must lie above at_risk by more than twice the margin")
        return self

    def of(self, score: float, before: Band | None = None) -> Band:
        """The band of a score, given the band it was in."""
        healthy, at_risk = self.healthy, self.at_risk
        if before == "healthy":
            healthy -= self.margin
        elif before is not None:
            healthy += self.margin
        if before == "at_risk":
            at_risk += self.margin
        elif before is not None:
            at_risk -= self.margin
        if score >= healthy:
            return "healthy"
        return "at_risk" if score < at_risk else "neutral"


class Signal(_Frozen):
    """Something a CSM should hear of, whatever the score: all its conditions hold."""

    label: Localised
    when: dict[str, Condition] = Field(min_length=1)


class Health(_Frozen):
    """`health.yml`."""

    bands: Bands = Field(default_factory=Bands)
    profiles: list[Profile] = Field(min_length=1, description="the first whose conditions hold is taken, else the last")
    indicators: dict[str, Indicator] = Field(min_length=1)
    signals: dict[str, Signal] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Health:
        if len({profile.id for profile in self.profiles}) < len(self.profiles):
            raise ValueError("two profiles have the same id")
        for profile in self.profiles:
            unknown = set(profile.weights) - set(self.indicators)
            if unknown:
                raise ValueError(f"profile {profile.id} weighs {min(unknown)}, which is no indicator")
            if not any(self._weights_in(profile).values()):
                raise ValueError(f"profile {profile.id} gives no indicator any weight")
        return self

    def profile(self, facts: Facts) -> Profile:
        """The profile of an account."""
        for profile in self.profiles:
            if all(condition.holds(facts.get(name)) for name, condition in profile.when.items()):
                return profile
        return self.profiles[-1]

    def weights(self, profile: Profile) -> dict[str, float]:
        """The weight of every indicator in a profile; those of a group add up to the group's."""
        return self._weights[profile.id]

    @cached_property
    def _weights(self) -> dict[Stage, dict[str, float]]:
        return {profile.id: self._weights_in(profile) for profile in self.profiles}

    def _weights_in(self, profile: Profile) -> dict[str, float]:
        own = {name: profile.weights.get(name, indicator.weight) for name, indicator in self.indicators.items()}
        total: dict[Group, float] = {}
        for name, indicator in self.indicators.items():
            total[indicator.group] = total.get(indicator.group, 0) + own[name]
        return {
            name: profile.groups.get(indicator.group, 0) * own[name] / total[indicator.group]
            if total[indicator.group]
            else 0.0
            for name, indicator in self.indicators.items()
        }

    def signals_of(self, facts: Facts) -> list[str]:
        """The signals of an account, in the order of the file."""
        return [
            name
            for name, signal in self.signals.items()
            if all(condition.holds(facts.get(fact)) for fact, condition in signal.when.items())
        ]

    def facts_read(self) -> set[str]:
        """All facts that anything here looks at."""
        read = {fact for name, indicator in self.indicators.items() for fact in indicator.reads(name)}
        for profile in self.profiles:
            read |= set(profile.when)
        for signal in self.signals.values():
            read |= set(signal.when)
        return read


class Reason(_Frozen):
    """What one indicator did to the score. The points lost by all of them add up to 100 less the score."""

    indicator: str
    group: Group
    label: Localised
    fact: float | str | None
    unit: str
    points: float
    weight: float = Field(description="share of the whole, after leaving out what is not known")
    lost: float


class Assessment(_Frozen):
    """A health score. Internal."""

    at: datetime
    score: float | None = Field(description="0-100; None where nothing was known")
    band: Band | None
    coverage: float = Field(ge=0, le=1, description="share of the weight whose facts were known")
    profile: Stage
    reasons: list[Reason] = Field(description="worst first")
    groups: dict[Group, float] = Field(description="score of each group of which anything was known")
    signals: list[str] = Field(description="names of the signals that fired")


def weigh(health: Health, facts: Facts) -> tuple[Profile, float, float | None, dict[str, tuple[float, float]]]:
    """The numbers of an assessment.

    Returns:
        The profile; the coverage; the score, None where nothing was known; and for each indicator that was known its points and
        its share of the weight.
    """
    profile = health.profile(facts)
    weights = health.weights(profile)
    known: dict[str, tuple[float, float]] = {}
    for name, indicator in health.indicators.items():
        if weights[name] > 0:
            points = indicator.worth(name, facts)
            if points is not None:
                known[name] = points, weights[name]
    # fsum rounds once, so the order of indicators cannot change the last digit.
    total = math.fsum(weight for _, weight in known.values())
    if not total:
        return profile, 0.0, None, {}
    score = round(min(math.fsum(weight * points for points, weight in known.values()) / total, 100), 2)
    coverage = round(min(total / math.fsum(weights.values()), 1), 3)
    return profile, coverage, score, {name: (points, weight / total) for name, (points, weight) in known.items()}


def assess(health: Health, facts: Facts, *, now: datetime, before: Band | None = None) -> Assessment:
    """The health of an account.

    Args:
        health: indicators, profiles and bands.
        facts: what is known of the account at `now`, by name; anything may be missing.
        now: when that is.
        before: the band it was in, which it leaves only past the margin.
    """
    profile, coverage, score, known = weigh(health, facts)
    reasons = [_reason(health, name, facts, points, weight) for name, (points, weight) in known.items()]
    reasons.sort(key=lambda reason: (-reason.lost, reason.indicator))
    return Assessment(
        at=now,
        score=score,
        band=None if score is None else health.bands.of(score, before),
        coverage=coverage,
        profile=profile.id,
        reasons=reasons,
        groups=_groups(reasons),
        signals=health.signals_of(facts),
    )


def _reason(health: Health, name: str, facts: Facts, points: float, weight: float) -> Reason:
    indicator = health.indicators[name]
    return Reason(
        indicator=name,
        group=indicator.group,
        label=indicator.label,
        fact=indicator.given(name, facts),
        unit=indicator.unit,
        points=points,
        weight=weight,
        lost=weight * (100 - points),
    )


def _groups(reasons: list[Reason]) -> dict[Group, float]:
    made: dict[Group, float] = {}
    for group in ("relationship", "usage", "satisfaction"):
        mine = [reason for reason in reasons if reason.group == group]
        if mine:
            weight = math.fsum(reason.weight for reason in mine)
            made[group] = round(math.fsum(reason.weight * reason.points for reason in mine) / weight, 2)
    return made
