"""The health score, as a function."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accounts.catalog import Catalog
from accounts.health import Bands, Fact, Health, Indicator, assess, interpolate

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
LABEL = {"en": "x", "ja": "x"}


def health(**weights: float) -> Health:
    """One rising indicator for each group."""
    return Health.model_validate(
        {
            "profiles": [{"id": "all", "groups": {"relationship": 1, "usage": 1, "satisfaction": 2}}],
            "indicators": {
                "a": {"group": "relationship", "label": LABEL, "curve": [[0, 0], [10, 100]]},
                "b": {"group": "usage", "label": LABEL, "curve": [[0, 100], [10, 0]]},
                "c": {"group": "satisfaction", "label": LABEL, "levels": {"good": 100, "bad": 20}},
            },
        }
    )


def test_a_hand_computed_score() -> None:
    """a 40 points x 1, b 70 x 1, c 20 x 2: (40 + 70 + 40) / 4 = 37.5."""
    made = assess(health(), {"a": 4, "b": 3, "c": "bad"}, now=NOW)
    assert made.score == 37.5
    assert made.band == "at_risk"
    assert made.coverage == 1
    assert [reason.indicator for reason in made.reasons] == ["c", "a", "b"]
    assert [round(reason.lost, 6) for reason in made.reasons] == [40, 15, 7.5]
    assert made.groups == {"relationship": 40, "usage": 70, "satisfaction": 20}


def test_what_is_missing_is_left_out_and_reported() -> None:
    """a and b alone: (40 + 70) / 2, of half the weight."""
    made = assess(health(), {"a": 4, "b": 3}, now=NOW)
    assert (made.score, made.coverage) == (55, 0.5)


def test_nothing_known_is_no_score() -> None:
    """An account of which nothing is known is not healthy and not at risk."""
    made = assess(health(), {"c": "never heard of"}, now=NOW)
    assert (made.score, made.band, made.coverage, made.reasons) == (None, None, 0, [])


@pytest.mark.parametrize(
    ("score", "before", "band"),
    [
        (75, None, "healthy"),
        (74.99, None, "neutral"),
        (50, None, "neutral"),
        (49.99, None, "at_risk"),
        (73, "healthy", "healthy"),
        (72.99, "healthy", "neutral"),
        (76.99, "neutral", "neutral"),
        (77, "neutral", "healthy"),
        (48, "neutral", "neutral"),
        (47.99, "neutral", "at_risk"),
        (51.99, "at_risk", "at_risk"),
        (52, "at_risk", "neutral"),
        (77, "at_risk", "healthy"),
        (47.99, "healthy", "at_risk"),
    ],
)
def test_a_band_is_left_only_past_the_margin(score: float, before: str | None, band: str) -> None:
    """Below, at and above each border, from each side."""
    assert Bands().of(score, before) == band


def test_the_curve_is_straight_between_and_level_outside() -> None:
    """At, between and beyond the points."""
    curve = [(0.0, 10.0), (10.0, 30.0), (20.0, 20.0)]
    assert [interpolate(curve, x) for x in (-5, 0, 5, 10, 15, 20, 99)] == [10, 10, 20, 30, 25, 20, 20]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"curve": [[0, 0]], "levels": {"a": 1}},
        {"curve": [[1, 0], [1, 10]]},
        {"curve": [[0, 101]]},
        {"levels": {"a": -1}},
    ],
)
def test_an_indicator_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """Neither or both kinds, points that do not rise, points out of range."""
    with pytest.raises(ValidationError):
        Indicator.model_validate({"group": "usage", "label": LABEL, **wrong})


facts = st.dictionaries(
    st.sampled_from(
        [
            "tenure_days",
            "days_to_renewal",
            "term_months",
            "auto_renew",
            "invoice_days_late",
            "paid_late_share",
            "onboarding_percent",
            "onboarding_overdue",
            "trainings_attended",
            "active_share",
            "active_days",
            "breadth",
            "sessions_per_person",
            "minutes_per_person",
            "use_trend",
            "nps",
            "csat",
            "complaints_90d",
            "tickets_rise",
        ]
    ),
    st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-100, 10_000), st.sampled_from(["Yes", "No", "", "odd"])),
)


@given(facts=facts)
def test_any_subset_of_facts_gives_a_bounded_score_whose_losses_add_up(
    catalog: Catalog, facts: dict[str, Fact]
) -> None:
    """Defined for any subset, within 0-100, and the reasons explain all of it."""
    made = assess(catalog.health, facts, now=NOW)
    assert 0 <= made.coverage <= 1
    if made.score is None:
        assert made.band is None
    else:
        assert 0 <= made.score <= 100
        assert made.band is not None
        assert sum(reason.lost for reason in made.reasons) == pytest.approx(100 - made.score, abs=0.01)
        assert made.reasons == sorted(made.reasons, key=lambda reason: (-reason.lost, reason.indicator))


@given(facts=facts, order=st.randoms())
def test_the_order_of_facts_and_indicators_does_not_matter(
    catalog: Catalog, facts: dict[str, Fact], order: object
) -> None:
    """The same facts in another order, weighed by the same indicators in another order, give the same result."""
    names, keys = list(catalog.health.indicators), list(facts)
    order.shuffle(names)  # type: ignore[attr-defined]
    order.shuffle(keys)  # type: ignore[attr-defined]
    other = catalog.health.model_copy(update={"indicators": {name: catalog.health.indicators[name] for name in names}})
    made = assess(other, {key: facts[key] for key in keys}, now=NOW)
    assert made == assess(catalog.health, facts, now=NOW)


@given(facts=facts, data=st.data())
def test_the_score_is_monotone_in_each_indicator(catalog: Catalog, facts: dict[str, Fact], data: st.DataObject) -> None:
    """Within a profile, more of what is good, or less of what is bad, never lowers the score; where it is neither all along, more points do not."""
    profile = catalog.health.profile(facts)
    one = catalog.health.model_copy(update={"profiles": [profile.model_copy(update={"when": {}})]})
    numeric = sorted(name for name, each in one.indicators.items() if each.curve)
    name = data.draw(st.sampled_from(numeric))
    curve = one.indicators[name].curve or []
    places, worth = [x for x, _ in curve], [y for _, y in curve]
    beyond = (places[-1] - places[0]) / 10
    values = [data.draw(st.floats(places[0] - beyond, places[-1] + beyond)) for _ in range(2)]
    if worth in (sorted(worth), sorted(worth, reverse=True)):
        low, high = sorted(values, reverse=worth[0] > worth[-1])
    else:
        low, high = sorted(values, key=lambda value: one.indicators[name].points(value) or 0)
    first, second = (assess(one, {**facts, name: value}, now=NOW).score for value in (low, high))
    assert first is not None
    assert second is not None
    assert first <= second


@given(facts=facts, factor=st.sampled_from([0.001, 0.5, 60, 1000]))
def test_the_score_does_not_depend_on_units(catalog: Catalog, facts: dict[str, Fact], factor: float) -> None:
    """A fact in other units, with its curve in the same, is the same score."""
    one = catalog.health.model_copy(
        update={"profiles": [catalog.health.profile(facts).model_copy(update={"when": {}})]}
    )
    curve = one.indicators["minutes_per_person"].curve or []
    scaled = one.indicators["minutes_per_person"].model_copy(update={"curve": [(x * factor, y) for x, y in curve]})
    other = one.model_copy(update={"indicators": {**one.indicators, "minutes_per_person": scaled}})
    first = assess(one, {**facts, "minutes_per_person": 33.0}, now=NOW).score
    second = assess(other, {**facts, "minutes_per_person": 33.0 * factor}, now=NOW).score
    assert first == pytest.approx(second, abs=0.011)


def test_each_stage_has_its_profile(catalog: Catalog) -> None:
    """New and not yet set up; near renewal; all others."""
    profile = catalog.health.profile
    assert profile({"tenure_days": 89, "onboarding_percent": 99}).id == "onboarding"
    assert profile({"tenure_days": 90, "onboarding_percent": 99}).id == "adopting"
    assert profile({"tenure_days": 89, "onboarding_percent": 100}).id == "adopting"
    assert profile({"tenure_days": 400, "days_to_renewal": 90}).id == "renewing"
    assert profile({"tenure_days": 400, "days_to_renewal": 91}).id == "adopting"
