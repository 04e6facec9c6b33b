"""The company Kotae speaks for: `company.yml` of its folder."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from kit.errors import UserError
from kit.files import read_yaml

Language = Literal["en", "ja"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _localised(value: object) -> object:
    return {"en": value, "ja": value} if isinstance(value, str) else value


Localised = Annotated[dict[Language, str], BeforeValidator(_localised)]
"""A text by language; a plain string in the file stands for every language."""


def in_language(texts: dict[Language, str], lang: Language) -> str:
    """The text in that language, or in whichever there is."""
    return texts.get(lang) or next(iter(texts.values()))


class Help(BaseModel):
    """Where the help content is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: Path = Field(Path("help"), description="folder of articles, relative to the company's folder")
    url: str = Field("", description="where the articles are published; relative links resolve against it")


class Support(BaseModel):
    """When people answer, and how else they are reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: str
    timezone: str = "UTC"
    hours: dict[Weekday, tuple[time, time]] = Field(default_factory=dict)
    holidays: list[date] = Field(default_factory=list)
    assignment: Literal["pull", "push"] = Field(
        "pull", description="pull: CSMs take from the queue; push: who is there and has room is given the next one"
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown time zone {value!r}") from None
        return value


class Company(BaseModel):
    """`company.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    product: str
    summary: Localised
    languages: list[Language] = Field(default=["en"], min_length=1)
    currency: str = Field("USD", pattern="^[A-Z]{3}$")
    help: Help = Field(default_factory=Help)
    support: Support
    folder: Path = Path()

    @property
    def default_language(self) -> Language:
        return self.languages[0]

    @property
    def content_dir(self) -> Path:
        """The folder of help articles."""
        return self.folder / self.help.content

    def file(self, name: str, default: Path) -> Path:
        """The company's own version of a file such as `health.yml`, or the product's default."""
        own = self.folder / name
        return own if own.exists() else default


def load_company(folder: Path) -> Company:
    """Reads `company.yml`.

    Args:
        folder: the company's folder.
    Raises:
        UserError: the folder or the file is missing or wrong.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "name the company's folder, such as demo")
    company = read_yaml(folder / "company.yml", Company)
    return company.model_copy(update={"folder": folder})
