"""What the company sells: `plans.yml`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kit.company import Language

Per = Literal["seat_month", "month", "seat_year", "year", "contract"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Frozen):
    """A list price; no amount means it is agreed by contract."""

    amount: Decimal | None = Field(None, ge=0)
    currency: str = Field("USD", pattern="^[A-Z]{3}$")
    per: Per = "month"


class Plan(_Frozen):
    """One plan. A limit of None is unlimited; a limit that is not named is not known."""

    id: str = Field(min_length=1)
    name: str
    price: Price = Field(default_factory=Price)
    limits: dict[str, int | None] = Field(default_factory=dict)
    features: list[str] = Field(default_factory=list)

    def monthly(self, seats: int | None) -> Decimal | None:
        """The list price a month for so many seats, unrounded; None where it is agreed by contract or seats are needed and not known."""
        amount = self.price.amount
        if amount is None or self.price.per == "contract":
            return None
        if self.price.per.startswith("seat"):
            if seats is None:
                return None
            amount *= seats
        return amount / 12 if self.price.per.endswith("year") else amount


class Meter(_Frozen):
    """How much of a limit is used: the sum of an event's quantity over a period, or a number among the account's attributes."""

    event: str | None = Field(None, description="events of this name, each counting `properties.quantity` or 1")
    attribute: str | None = Field(None, description="a number the company keeps among the account's attributes")
    per: Literal["day", "month"] = "month"

    @model_validator(mode="after")
    def _one(self) -> Meter:
        if (self.event is None) == (self.attribute is None):
            raise ValueError("needs either event or attribute")
        return self


class Plans(_Frozen):
    """`plans.yml`: the plans from the smallest to the largest."""

    plans: list[Plan] = Field(min_length=1)
    meters: dict[str, Meter] = Field(default_factory=dict)
    plan_names: dict[Language, dict[str, str]] = Field(
        default_factory=dict, description="what customers call a plan beside its name, as 「ビジネス」 for Business"
    )
    limit_names: dict[Language, dict[str, str]] = Field(default_factory=dict)
    feature_names: dict[Language, dict[str, str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _unique(self) -> Plans:
        ids = [plan.id for plan in self.plans]
        if len(set(ids)) < len(ids):
            raise ValueError("two plans have the same id")
        return self

    def get(self, plan_id: str | None) -> Plan | None:
        """The plan of that id, if it is one that is sold."""
        return next((plan for plan in self.plans if plan.id == plan_id), None)

    def named(self, plan_id: str | None) -> Plan:
        """The plan of that id; for one that is not sold, a plan of that name about which nothing else is known."""
        return self.get(plan_id) or Plan(id=plan_id or "none", name=plan_id or "none")

    def names_of(self, plan_id: str) -> list[str]:
        """What a plan is called: its name, and what it is called in each language."""
        called = [names[plan_id] for names in self.plan_names.values() if plan_id in names]
        return [self.named(plan_id).name, *called]

    def with_feature(self, feature: str) -> list[Plan]:
        """The plans that have it, smallest first."""
        return [plan for plan in self.plans if feature in plan.features]

    def rank(self, plan_id: str | None) -> int | None:
        """Where it stands among the plans, 0 the smallest; None for one that is not sold."""
        return next((place for place, plan in enumerate(self.plans) if plan.id == plan_id), None)

    def limit_name(self, limit: str, lang: Language) -> str:
        """The limit in words."""
        return self.limit_names.get(lang, {}).get(limit, limit.replace("_", " ").capitalize())

    def feature_name(self, feature: str, lang: Language) -> str:
        """The feature in words."""
        return self.feature_names.get(lang, {}).get(feature, feature.replace("_", " "))
