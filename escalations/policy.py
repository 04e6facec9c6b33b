"""The escalation policy: a file of ordered rules, and a pure function over it."""

from __future__ import annotations

import difflib
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kit.company import Localised
from kit.files import read_yaml

DEFAULT = Path(__file__).with_name("escalation.yml")
Mode = Literal["watch", "takeover"]
PRIORITIES = {"urgent": 1, "high": 2, "normal": 3, "low": 4}


class Facts(BaseModel):
    """What the policy may ask of an account and of one turn. Internal: never shown to a customer."""

    model_config = ConfigDict(frozen=True)

    known: bool = Field(False, description="the asker is a customer, not a visitor")
    band: Literal["healthy", "neutral", "at_risk"] | None = Field(None, description="health band of the account")
    tier: Literal["high", "low", "tech"] | None = Field(None, description="touch tier of the account")
    health: float | None = Field(None, description="health score, 0 to 100")
    lifetime_value: Decimal | None = Field(None, description="in the account's currency")
    days_to_renewal: int | None = Field(None, description="days until the contract renews")
    complaints_90d: int = Field(0, description="complaints in the last 90 days")
    stage: str | None = Field(None, description="onboarding, adopting or renewing")
    intent: str = Field("", description="what the message was understood as")
    decision: str | None = Field(None, description="answer, clarify or abstain, where help content was asked")
    anger: float = Field(0, ge=0, le=1, description="how angry the message sounds")
    urgency: float = Field(0, ge=0, le=1, description="how urgent the message sounds")
    worry: float = Field(0, ge=0, le=1, description="how worried the message sounds")
    blocked: float = Field(0, ge=0, le=1, description="how much it sounds as if the asker cannot go on working")
    outage: float = Field(0, ge=0, le=1, description="how much it sounds as if the product were down")
    deadline: float = Field(0, ge=0, le=1, description="how much it sounds as if a date were near")
    leaving: bool = Field(False, description="speaks of leaving: wants to cancel, or asks how that is done")
    payment_trouble: bool = Field(False, description="speaks of a payment that went wrong")
    failures: int = Field(0, description="turns in a row that did not help, this one included")
    wish: bool = Field(False, description="the customer asks for a person")
    substantive: bool = Field(True, description="more than small talk")


class Range(BaseModel):
    """A condition on a number; both ends included."""

    model_config = ConfigDict(extra="forbid")

    at_least: Decimal | None = None
    at_most: Decimal | None = None

    @model_validator(mode="after")
    def _some(self) -> Range:
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least or at_most")
        return self

    def holds(self, value: object) -> bool:
        """Whether a number lies in the range; a missing one does not."""
        if value is None or isinstance(value, str):
            return False
        number = Decimal(str(value))
        return (self.at_least is None or number >= self.at_least) and (self.at_most is None or number <= self.at_most)


Condition = Range | bool | str | list[str]


class Rule(BaseModel):
    """One rule: all of `when` must hold."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: dict[str, Condition] = Field(default_factory=dict)
    mode: Mode
    priority: Literal["urgent", "high", "normal", "low"]
    within_minutes: int = Field(gt=0, description="service level, in business minutes")
    route: Literal["owner", "pool"] = "pool"
    skill: str | None = Field(None, description="what the CSM of the pool should be good at, as in csms.yml")
    reason: Localised

    @field_validator("when")
    @classmethod
    def _can_hold(cls, when: dict[str, Condition]) -> dict[str, Condition]:
        for name, condition in when.items():
            if name not in Facts.model_fields:
                near = difflib.get_close_matches(name, Facts.model_fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(Facts.model_fields)}"
                raise ValueError(f"no fact is called {name!r}; {hint}")
            wrong = _never(name, condition)
            if wrong:
                raise ValueError(f"{name} {wrong}")
        return when


class Policy(BaseModel):
    """`escalation.yml`: the first rule that holds decides."""

    model_config = ConfigDict(extra="forbid")

    rules: list[Rule]

    @field_validator("rules")
    @classmethod
    def _unique(cls, rules: list[Rule]) -> list[Rule]:
        seen: set[str] = set()
        for rule in rules:
            if rule.id in seen:
                raise ValueError(f"two rules are called {rule.id!r}")
            seen.add(rule.id)
        return rules


def _never(name: str, condition: Condition) -> str:
    """Why no value of a fact could meet the condition; empty where one could."""
    kind = Facts.model_fields[name].annotation
    kinds = set(get_args(kind)) - {NoneType} or {kind}
    if kinds & {int, float, Decimal}:
        return "" if isinstance(condition, Range) else "is a number: write {at_least: …} or {at_most: …}"
    if bool in kinds:
        return "" if isinstance(condition, bool) else "is either so or not: write true or false"
    words = [value for each in kinds for value in get_args(each)]
    if not isinstance(condition, str | list):
        return f"is a word: write one, or several as a list{': ' + ', '.join(words) if words else ''}"
    strange = [
        word for word in ([condition] if isinstance(condition, str) else condition) if words and word not in words
    ]
    return f"is never {strange[0]!r}; it is one of {', '.join(words)}" if strange else ""


def hidden(policy: Policy) -> dict[str, str]:
    """Rules that never fire, each with an earlier one that holds whenever it does."""
    found: dict[str, str] = {}
    for place, rule in enumerate(policy.rules):
        before = next((each for each in policy.rules[:place] if _implies(rule, each)), None)
        if before is not None:
            found[rule.id] = before.id
    return found


def _implies(rule: Rule, other: Rule) -> bool:
    """Whether the other holds wherever the rule does."""
    return all(name in rule.when and _within(rule.when[name], wide) for name, wide in other.when.items())


def _within(narrow: Condition, wide: Condition) -> bool:
    """Whether whatever meets the one condition meets the other."""
    if isinstance(narrow, Range) and isinstance(wide, Range):
        low = wide.at_least is None or (narrow.at_least is not None and narrow.at_least >= wide.at_least)
        high = wide.at_most is None or (narrow.at_most is not None and narrow.at_most <= wide.at_most)
        return low and high
    words = narrow if isinstance(narrow, list) else [narrow]
    return all(word in wide if isinstance(wide, list) else word == wide for word in words)


def load(path: Path) -> Policy:
    """Reads a policy.

    Raises:
        UserError: wrong, with the line.
    """
    return read_yaml(path, Policy)


def decide(policy: Policy, facts: Facts) -> Rule | None:
    """The first rule whose conditions all hold; None: nobody need come in. Pure."""
    return next((rule for rule in policy.rules if not unmet(rule, facts)), None)


def unmet(rule: Rule, facts: Facts) -> list[str]:
    """Names of the rule's conditions that these facts do not meet."""
    return [name for name, condition in rule.when.items() if not holds(condition, getattr(facts, name))]


def holds(condition: Condition, value: object) -> bool:
    """Whether one fact meets one condition."""
    if isinstance(condition, Range):
        return condition.holds(value)
    if isinstance(condition, list):
        return value in condition
    return value == condition
