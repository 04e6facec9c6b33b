"""All that a company writes about accounts, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from accounts.health import Health
from accounts.onboarding import Onboarding
from accounts.plans import Plans
from accounts.value import ValueFile
from kit.company import Company
from kit.files import read_yaml

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Catalog:
    """Plans, onboarding, health and value of one company."""

    company: Company
    plans: Plans
    onboarding: Onboarding
    health: Health
    value: ValueFile


def load_catalog(company: Company) -> Catalog:
    """Reads `plans.yml`, `onboarding.yml`, `health.yml` and `value.yml`; the last two have defaults, and without the second there is no onboarding.

    Raises:
        UserError: a file is missing or wrong; names the line.
    """
    steps = company.folder / "onboarding.yml"
    return Catalog(
        company=company,
        plans=read_yaml(company.folder / "plans.yml", Plans),
        onboarding=read_yaml(steps, Onboarding) if steps.exists() else Onboarding(),
        health=read_yaml(company.file("health.yml", _HERE / "health.yml"), Health),
        value=read_yaml(company.file("value.yml", _HERE / "value.yml"), ValueFile),
    )


def files(company: Company) -> list[tuple[Path, type[BaseModel]]]:
    """The files a catalogue is read from, the company's own or the product's, and what each is checked against."""
    own: list[tuple[Path, type[BaseModel]]] = [(company.folder / "plans.yml", Plans)]
    if (company.folder / "onboarding.yml").exists():
        own.append((company.folder / "onboarding.yml", Onboarding))
    own.append((company.file("health.yml", _HERE / "health.yml"), Health))
    own.append((company.file("value.yml", _HERE / "value.yml"), ValueFile))
    return own
