"""What a message says: one set of models; the widget and the console draw them.

Every body here may be shown to a customer, so none has a field that could hold an internal fact (health, value, tier,
risk, notes). Internal notes are not messages: they live in a table of their own.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Sender = Literal["customer", "bot", "csm", "system"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Text(_Body):
    """Plain words. From CSMs and the bot: a small subset of Markdown (bold, lists, links, code)."""

    type: Literal["text"] = "text"
    text: str


class Citation(_Body):
    """Where a quote is from."""

    article_id: str
    title: str
    url: str
    heading: str | None = None
    lang: str = "en"
    updated: date | None = None
    source: Literal["article", "community"] = "article"


class Answer(_Body):
    """One quoted passage with its article."""

    type: Literal["answer"] = "answer"
    quote: str = Field(description="Markdown, rendered by an allow-list")
    citations: list[Citation] = Field(min_length=1)
    confidence: float = Field(ge=0, le=1, description="estimated chance that the quote answers the question")
    note: str | None = Field(None, description="said above the quote, such as: not in your plan")
    alternatives: list[Citation] = Field(default_factory=list)


class Choice(_Body):
    """One button. A click sends the label as the text, with the id as `choice`."""

    id: str
    label: str


class Choices(_Body):
    """A question with buttons."""

    type: Literal["choices"] = "choices"
    text: str
    choices: list[Choice]


class Fact(_Body):
    """One line of a facts card."""

    label: str
    value: str
    used: float | None = Field(None, ge=0, description="share of a limit used, 1 is all of it")


class Account(_Body):
    """Facts of the customer's own account."""

    type: Literal["account"] = "account"
    text: str
    facts: list[Fact]


class Step(_Body):
    """One onboarding step."""

    id: str
    title: str
    done: bool
    current: bool = False
    due: date | None = None
    overdue: bool = False
    article: Citation | None = None


class Checklist(_Body):
    """Onboarding so far."""

    type: Literal["checklist"] = "checklist"
    text: str
    steps: list[Step]
    percent: int = Field(ge=0, le=100)


class Handover(_Body):
    """Where a hand-over to a person stands."""

    type: Literal["handover"] = "handover"
    status: Literal["queued", "claimed", "returned", "resolved"]
    text: str
    csm: str | None = None
    expected_at: datetime | None = None


class Survey(_Body):
    """A question with a scale."""

    type: Literal["survey"] = "survey"
    survey: Literal["csat", "nps"]
    text: str
    low: int
    high: int


Body = Annotated[Text | Answer | Choices | Account | Checklist | Handover | Survey, Field(discriminator="type")]
BODY: TypeAdapter[Body] = TypeAdapter(Body)


class Message(BaseModel):
    """One line of a conversation, as its customer may see it."""

    seq: int
    sender: Sender
    name: str | None = None
    body: Body
    client_id: str | None = None
    created_at: datetime
