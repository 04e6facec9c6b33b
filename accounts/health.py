"""The health score: `health.yml`, and what it makes of an account's facts. Pure: facts and `now` in, score and reasons out.

    score = sum(weight x points) / sum(weight), over the indicators whose fact is known

Each indicator turns one fact into 0-100 points by a curve. An indicator's weight is its own times that of its group in
the account's lifecycle profile, shared among the indicators of the group: so a profile decides what a group counts for, however many
indicators it has. What is not known is left out and the rest renormalised; `coverage` is the share of weight that was known.
"""

from __future__ import annotations

import itertools
import math
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


class Indicator(_Frozen):
    """One fact and what it is worth.

    Exactly one of `curve` (for a number: points between which the line is straight, level outside them) and `levels`
    (for a text: points by value; `*` is any value that is not listed, and without it such a value
    is not known).
    """

    group: Group
    label: Localised
    fact: str = Field("", description="the fact it reads; by default the indicator's own name")
    unit: str = ""
    weight: float = Field(1, gt=0)
    curve: list[tuple[float, float]] | None = Field(None, min_length=1)
    levels: dict[str, float] | None = Field(None, min_length=1)
    missing: float | None = Field(
        None, ge=0, le=100, description="points where the fact is missing, if that says something"
    )

    @field_validator("levels", mode="before")
    @classmethod
    def _text_keys(cls, value: object) -> object:
        # YAML reads the level No as a boolean and 1 as a number; the fact is compared as text.
        if isinstance(value, dict):
            return {_as_text(key): points for key, points in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Indicator:
        if (self.curve is None) == (self.levels is None):
            raise ValueError("needs either curve or levels")
        if self.curve is not None:
            xs = [x for x, _ in self.curve]
            if any(later <= earlier for earlier, later in itertools.pairwise(xs)):
                raise ValueError("the curve's first numbers must rise from point to point")
        points = [y for _, y in self.curve] if self.curve is not None else list((self.levels or {}).values())
        if not all(0 <= y <= 100 for y in points):
            raise ValueError("points go from 0 to 100")
        return self

    def points(self, fact: Fact) -> float | None:
        """What a fact is worth, 0-100; None where it says nothing."""
        if self.levels is not None:
            found = None if fact in (None, "") else self.levels.get(_as_text(fact), self.levels.get(OTHER))
            return self.missing if found is None else found
        value = _number(fact)
        if value is None:
            return self.missing
        return interpolate(self.curve or [], value)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(fact: Fact) -> float | None:
    if isinstance(fact, str):
        return read_number(fact)
    return None if fact is None or math.isnan(fact) else float(fact)


_AROUND = str.maketrans("", "", " ,$€£¥%")


def read_number(text: str) -> float | None:
    """A number as tables have it, also with thousands, a currency or a per cent sign; a date is its days. None where it is neither."""
    try:
        value = float(text.translate(_AROUND))
    except ValueError:
        try:
            return float(date.fromisoformat(text.strip()[:10]).toordinal())
        except ValueError:
            return None
    return value if math.isfinite(value) else None


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
        read = {indicator.fact or name for name, indicator in self.indicators.items()}
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
            points = indicator.points(facts.get(indicator.fact or name))
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
        fact=facts.get(indicator.fact or name),
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
