"""What a new account does first: `onboarding.yml`, and how far an account has come. Pure: facts and `now` in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kit.company import Localised


class Step(BaseModel):
    """A step of onboarding, done by an event of that name from anyone in the account, or by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    title: Localised
    event: str | None = None
    due_days: int = Field(ge=0, description="days after the account began")
    article: str | None = Field(None, description="article that explains it, as a path in the help folder without .md")
    plans: list[str] | None = Field(None, description="only for these plans")


class Onboarding(BaseModel):
    """`onboarding.yml`: the steps in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: list[Step] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique(self) -> Onboarding:
        ids = [step.id for step in self.steps]
        if len(set(ids)) < len(ids):
            raise ValueError("two steps have the same id")
        return self

    def for_plan(self, plan: str | None) -> list[Step]:
        """The steps of a plan, in order."""
        return [step for step in self.steps if step.plans is None or plan in step.plans]


class StepState(BaseModel):
    """Where one step stands. `current` is the first that is not done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: Localised
    done: bool
    done_at: datetime | None = None
    due: date
    overdue: bool = False
    current: bool = False
    article: str | None = None


class Progress(BaseModel):
    """How far onboarding has come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: list[StepState]

    @property
    def percent(self) -> int:
        """Share of steps done, in whole per cent rounded down: 100 only when all are done. Without steps: 100."""
        return 100 * sum(step.done for step in self.steps) // len(self.steps) if self.steps else 100

    @property
    def overdue(self) -> int:
        """Steps past their day."""
        return sum(step.overdue for step in self.steps)

    @property
    def current(self) -> StepState | None:
        """The next step."""
        return next((step for step in self.steps if step.current), None)


def progress(
    onboarding: Onboarding, *, plan: str | None, since: datetime, done: Mapping[str, datetime], now: datetime
) -> Progress:
    """How far an account has come.

    Args:
        onboarding: the company's steps.
        plan: the account's plan; steps of other plans do not count.
        since: when the account began; due days count from its date (UTC).
        done: when each step was done, by the step's id. Anything after `now` is not done yet.
        now: the moment this is for. A step is overdue from the day after its due day.
    """
    states: list[StepState] = []
    current_given = False
    for step in onboarding.for_plan(plan):
        at = done.get(step.id)
        is_done = at is not None and at <= now
        due = since.date() + timedelta(days=step.due_days)
        states.append(
            StepState(
                id=step.id,
                title=step.title,
                done=is_done,
                done_at=at if is_done else None,
                due=due,
                overdue=not is_done and now.date() > due,
                current=not is_done and not current_given,
                article=step.article,
            )
        )
        current_given = current_given or not is_done
    return Progress(steps=states)
