"""What an admin changed in the console, in place of what the company's files say.

Kept in the database and not written back to the folder: several processes and replicas read it, the folder may be read-only or under version
control, and so the change and its line in the audit log are one transaction. Taking it back leaves the file in force again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from escalations import repository
from kit.company import Company, Weekday
from kit.errors import UserError

HOURS, REPLIES = "hours", "replies"
Model = TypeVar("Model", bound=BaseModel)


class Hours(BaseModel):
    """When people answer: of `company.yml`, what may be changed in the console."""

    model_config = ConfigDict(extra="forbid")

    hours: dict[Weekday, tuple[time, time]] = Field(default_factory=dict)
    holidays: list[date] = Field(default_factory=list)

    @field_validator("hours")
    @classmethod
    def _forward(cls, hours: dict[Weekday, tuple[time, time]]) -> dict[Weekday, tuple[time, time]]:
        for day, (start, end) in hours.items():
            if start >= end:
                raise ValueError(f"{day} closes at {end:%H:%M}, before it opens at {start:%H:%M}")
        return hours


def checked(model: type[Model], given: Mapping[str, object]) -> Model:
    """What was typed, as a model.

    Raises:
        UserError: it is not of this form.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg'].removeprefix('Value error, ')}", "correct it") from None


async def value(session: AsyncSession, name: str, model: type[Model], *, lock: bool = False) -> Model | None:
    """What is kept under a name; None where the file is in force.

    Args:
        lock: nobody else may change it until this transaction ends.
    """
    found = await repository.kept(session, name, lock=lock)
    return None if found is None else model.model_validate(found)


async def put(session: AsyncSession, name: str, given: BaseModel, by: str, now: datetime) -> None:
    """Keeps it, in place of the file.

    Args:
        by: id of the CSM.
    """
    await repository.keep(session, name, given.model_dump(mode="json"), by, now)


async def take_back(session: AsyncSession, name: str) -> None:
    """The file is in force again."""
    await repository.unkeep(session, name)


async def company(session: AsyncSession, written: Company) -> Company:
    """The company with the hours that are in force.

    Args:
        written: as its files have it.
    """
    changed = await value(session, HOURS, Hours)
    if changed is None:
        return written
    hours = {"hours": changed.hours, "holidays": changed.holidays}
    return written.model_copy(update={"support": written.support.model_copy(update=hours)})
