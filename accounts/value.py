"""What an account is worth and how much attention that warrants: the four formulas, `value.yml`, the tier.

All in exact decimals; the result alone is rounded, to the cent, half to even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.errors import UserError

Tier = Literal["high", "low", "tech"]
CENT = Decimal("0.01")
_EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tiers(_Frozen):
    """From what on an account gets which touch. Any one of the three is enough; the rest is tech touch."""

    value: Decimal | None = Field(None, ge=0, description="lifetime value, in the company's currency")
    seats: int | None = Field(None, ge=0, description="seats bought")
    potential_seats: int | None = Field(None, ge=0, description="seats it could come to need")


class ValueFile(_Frozen):
    """`value.yml`: the business model and what is assumed."""

    model: Literal["subscription", "b2b", "repeat", "whole_base"] = "subscription"
    margin: Decimal = Field(
        Decimal("0.8"), gt=0, le=1, description="share of revenue left after the cost of serving it"
    )
    yearly_churn: Decimal = Field(Decimal("0.15"), ge=0, le=1, description="share of customers lost a year")
    max_years: Decimal = Field(Decimal(5), gt=0, description="no customer is counted for longer than this")
    years: Decimal = Field(Decimal(3), gt=0, description="b2b and repeat: how long a customer stays")
    rates: dict[str, Decimal] = Field(default_factory=dict, description="one unit of a currency in the company's")
    high: Tiers = Field(default_factory=Tiers)
    low: Tiers = Field(default_factory=Tiers)


class Value(_Frozen):
    """A lifetime value with what it rests on. Internal."""

    amount: Decimal
    currency: str
    formula: str
    period: str
    assumptions: list[str]


class Payment(_Frozen):
    """What is charged every `per_months`; None where the price is not known."""

    amount: Decimal | None
    currency: str
    per_months: int = Field(gt=0)


def cents(amount: Decimal) -> Decimal:
    """Rounded to the cent, half to even."""
    with localcontext(_EXACT):
        return amount.quantize(CENT)


def repeat_value(price: Decimal, orders_a_year: Decimal, years: Decimal) -> Decimal:
    """Repeat purchase: price x frequency x lifetime."""
    with localcontext(_EXACT):
        return cents(price * orders_a_year * years)


def b2b_value(yearly_revenue: Decimal, margin: Decimal, years: Decimal) -> Decimal:
    """B2B: yearly revenue x margin x years."""
    with localcontext(_EXACT):
        return cents(yearly_revenue * margin * years)


def subscription_value(yearly_revenue: Decimal, margin: Decimal, yearly_churn: Decimal, max_years: Decimal) -> Decimal:
    """Subscription: revenue per account x margin / churn.

    1 / churn is the years an account is expected to stay. It is held at `max_years`, so no churn at all gives a large
    value and not an infinite one.
    """
    with localcontext(_EXACT):
        # Divided last: 100 x 0.8 / 0.15 loses nothing to a rounded 1 / 0.15.
        if yearly_churn * max_years <= 1:
            return cents(yearly_revenue * margin * max_years)
        return cents(yearly_revenue * margin / yearly_churn)


def whole_base_value(sales: Decimal, cost_of_sales: Decimal, customers: int) -> Decimal:
    """Whole base: (sales - cost of sales) / customers.

    Raises:
        UserError: there are no customers.
    """
    if customers <= 0:
        raise UserError("value of the whole base: there are no customers", "import accounts first")
    with localcontext(_EXACT):
        return cents((sales - cost_of_sales) / customers)


def yearly(payments: Sequence[Payment], currency: str, rates: Mapping[str, Decimal]) -> tuple[Decimal, list[str]]:
    """Revenue a year of all of an account's running subscriptions together, unrounded, in one currency.

    Returns:
        The sum and what was left out: a price that is not known, and one in a currency without a rate.
    """
    total, left_out = Decimal(0), []
    with localcontext(_EXACT):
        for payment in payments:
            rate = Decimal(1) if payment.currency == currency else rates.get(payment.currency)
            if payment.amount is None:
                left_out.append("a subscription without a known price is left out")
            elif rate is None:
                left_out.append(f"{payment.amount} {payment.currency} is left out: value.yml has no rate for it")
            else:
                total += payment.amount * 12 / payment.per_months * rate
        return +total, left_out


def lifetime_value(rules: ValueFile, payments: Sequence[Payment], currency: str) -> Value:
    """What an account is worth from now on, by the company's business model.

    What is charged from now on counts, and not what was paid before: a refund gives back what one bill charged and changes nothing of
    that, a lower price does. No churn at all counts `max_years`; an account without a running subscription is worth 0; several
    subscriptions are summed; other currencies count at `rates`, and without one are left out and named.

    Under `whole_base` one account is worth its own yearly revenue less the cost of serving it: the formula's mean is over
    the base, and for one customer it is that customer.

    Args:
        rules: `value.yml`.
        payments: the account's running subscriptions; none gives 0.
        currency: the company's.
    """
    revenue, assumptions = yearly(payments, currency, rules.rates)
    if rules.model == "subscription":
        amount = subscription_value(revenue, rules.margin, rules.yearly_churn, rules.max_years)
        formula, period = "revenue per account x margin / churn", "expected life"
        assumptions += [
            f"margin {rules.margin}",
            f"yearly churn {rules.yearly_churn}",
            f"at most {rules.max_years} years",
        ]
    elif rules.model == "whole_base":
        amount = whole_base_value(revenue, revenue * (1 - rules.margin), 1)
        formula, period = "(sales - cost of sales) / customers", "one year"
        assumptions += [f"margin {rules.margin}"]
    elif rules.model == "b2b":
        amount = b2b_value(revenue, rules.margin, rules.years)
        formula, period = "yearly revenue x margin x years", f"{rules.years} years"
        assumptions += [f"margin {rules.margin}"]
    else:
        amount = repeat_value(revenue, Decimal(1), rules.years)
        formula, period = "price x frequency x lifetime", f"{rules.years} years"
    return Value(amount=amount, currency=currency, formula=formula, period=period, assumptions=assumptions)


def tier(rules: ValueFile, *, value: Decimal, seats: int | None, potential_seats: int | None) -> Tier:
    """The touch model: high, low or tech touch."""
    if _reaches(rules.high, value, seats, potential_seats):
        return "high"
    return "low" if _reaches(rules.low, value, seats, potential_seats) else "tech"


def _reaches(tiers: Tiers, value: Decimal, seats: int | None, potential_seats: int | None) -> bool:
    pairs = ((tiers.value, value), (tiers.seats, seats), (tiers.potential_seats, potential_seats))
    return any(least is not None and have is not None and have >= least for least, have in pairs)
