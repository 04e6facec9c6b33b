"""What every request handler may use; made once at start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends
from starlette.requests import HTTPConnection

from accounts.catalog import Catalog
from accounts.greetings import Greetings
from accounts.surveys import SurveyRules
from api.hub import Hub
from api.identity import Identities
from api.intake import Intake
from api.limits import Limits
from api.rescoring import Rescoring
from api.runner import TurnRunner
from kit.company import Company
from kit.database import Database
from kit.http import Http
from kit.settings import Settings
from knowledge_base.client import KnowledgeBase


@dataclass(frozen=True)
class Services:
    """The front door's collaborators."""

    settings: Settings
    company: Company
    catalog: Catalog
    greetings: Greetings
    surveys: SurveyRules
    database: Database
    hub: Hub
    identities: Identities
    limits: Limits
    knowledge_base: KnowledgeBase
    http: httpx.AsyncClient
    rasa: Http
    runner: TurnRunner
    rescoring: Rescoring
    intake: Intake


def services(connection: HTTPConnection) -> Services:
    """The services of the app this request came to."""
    made: Services = connection.app.state.services
    return made


ServicesDep = Annotated[Services, Depends(services)]
