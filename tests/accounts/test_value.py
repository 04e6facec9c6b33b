"""The four formulas against cases worked out by hand, and the tier."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.value import (
    Payment,
    Tiers,
    ValueFile,
    b2b_value,
    lifetime_value,
    repeat_value,
    subscription_value,
    tier,
    whole_base_value,
    yearly,
)
from kit.errors import UserError


def test_repeat_purchase() -> None:
    """30.00 a purchase, 4 a year, 2.5 years: 300.00."""
    assert repeat_value(Decimal("30.00"), Decimal(4), Decimal("2.5")) == Decimal("300.00")


def test_b2b() -> None:
    """12,000 a year at a margin of 35 % for 4 years: 16,800.00."""
    assert b2b_value(Decimal(12000), Decimal("0.35"), Decimal(4)) == Decimal("16800.00")


def test_subscription() -> None:
    """1,200 a year x 0.8 / 0.15 = 6,400.00, where 1 / 0.15 itself has no end."""
    assert subscription_value(Decimal(1200), Decimal("0.8"), Decimal("0.15"), Decimal(10)) == Decimal("6400.00")


@pytest.mark.parametrize(
    ("churn", "value"), [("0", "4800.00"), ("0.1", "4800.00"), ("0.2", "4800.00"), ("0.25", "3840.00"), ("1", "960.00")]
)
def test_no_churn_is_a_large_value_and_not_an_infinite_one(churn: str, value: str) -> None:
    """1,200 x 0.8 = 960 a year, for at most 5 years: below, at and above a churn of a fifth."""
    assert subscription_value(Decimal(1200), Decimal("0.8"), Decimal(churn), Decimal(5)) == Decimal(value)


def test_the_whole_base() -> None:
    """(100,000 - 40,000) / 300 = 200.00; and a base of nobody is said to be so."""
    assert whole_base_value(Decimal(100_000), Decimal(40_000), 300) == Decimal("200.00")
    with pytest.raises(UserError, match="no customers"):
        whole_base_value(Decimal(1), Decimal(0), 0)


def test_several_subscriptions_and_currencies_are_one_sum() -> None:
    """100 a month and 1,200 a year and 10,000 yen a month at 0.0067: 1,200 + 1,200 + 804."""
    payments = [
        Payment(amount=Decimal("100.00"), currency="USD", per_months=1),
        Payment(amount=Decimal("1200.00"), currency="USD", per_months=12),
        Payment(amount=Decimal(10000), currency="JPY", per_months=1),
    ]
    assert yearly(payments, "USD", {"JPY": Decimal("0.0067")}) == (Decimal("3204.0000"), [])


def test_what_cannot_be_counted_is_named() -> None:
    """A currency without a rate and a price that is not known are left out, and the result says so."""
    payments = [
        Payment(amount=Decimal(50), currency="EUR", per_months=1),
        Payment(amount=None, currency="USD", per_months=1),
    ]
    made = lifetime_value(ValueFile(), payments, "USD")
    assert made.amount == 0
    assert made.assumptions[:2] == [
        "50 EUR is left out: value.yml has no rate for it",
        "a subscription without a known price is left out",
    ]


def test_an_account_without_history_is_worth_nothing_yet() -> None:
    """No subscription, no value; no error."""
    made = lifetime_value(ValueFile(), [], "USD")
    assert (made.amount, made.currency) == (Decimal("0.00"), "USD")


@given(
    amounts=st.lists(st.decimals(0, 100_000, places=2), max_size=12),
    cut=st.integers(0, 12),
)
def test_money_adds_up_to_the_cent(amounts: list[Decimal], cut: int) -> None:
    """The revenue of all subscriptions is that of some and that of the others."""
    payments = [Payment(amount=amount, currency="USD", per_months=1) for amount in amounts]
    parts = yearly(payments[:cut], "USD", {})[0] + yearly(payments[cut:], "USD", {})[0]
    assert parts == yearly(payments, "USD", {})[0] == 12 * sum(amounts, Decimal(0))


def test_the_tier_needs_any_one_of_its_conditions() -> None:
    """Below and at each."""
    rules = ValueFile(high=Tiers(value=Decimal(100), seats=50, potential_seats=500), low=Tiers(value=Decimal(10)))

    def of(value: str, seats: int | None = None, potential: int | None = None) -> str:
        return tier(rules, value=Decimal(value), seats=seats, potential_seats=potential)

    assert [of("9.99"), of("10"), of("99.99"), of("100")] == ["tech", "low", "low", "high"]
    assert [of("0", 49), of("0", 50), of("0", None, 499), of("0", None, 500)] == ["tech", "high", "tech", "high"]
