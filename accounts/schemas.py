"""What comes in at the boundary: accounts, people, what happened to them, and the Segment HTTP API."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from kit.database import Json
from kit.ids import MAX_ID
from kit.masking import mask, masked

_UNFIT = re.compile("[\x00\u202a-\u202e\u2066-\u2069]")
"""NUL, which PostgreSQL's text cannot hold, and what turns the direction of the words that follow: a name would run over into what stands beside it."""


def _fit(value: str) -> str:
    return _UNFIT.sub("", value)


# An id with a line break is a mistake.
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=r"^[^\x00-\x1f]+$")]
Words = Annotated[str, Field(max_length=10_000), AfterValidator(_fit)]
Name = Annotated[str, Field(max_length=MAX_ID), AfterValidator(_fit)]
"""Words that something is found by."""
Prose = Annotated[Words, AfterValidator(mask)]
"""What people have written in their own words: nobody checked what they put there."""
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Money = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PutAccount(_In):
    """An account and its subscription. What is not given stays as it is; `attributes` are merged by key.

    A plan, number of seats or price other than before is written to the subscription's history, as is a later
    `renews_on` (renewal) and a `cancelled_at`.
    """

    name: Words | None = None
    created_at: AwareDatetime | None = None
    owner: Name | None = Field(None, description="e-mail of the CSM who looks after it")
    potential_seats: int | None = Field(None, ge=0, le=2_000_000_000)
    attributes: Json = Field(default_factory=dict)

    subscription_id: Id | None = Field(None, description="for a second subscription; by default the account's own id")
    plan: Words | None = None
    seats: int | None = Field(None, ge=0, le=2_000_000_000)
    price: Money | None = Field(None, description="charged every `per_months` for the whole subscription")
    currency: Currency | None = None
    per_months: int | None = Field(None, ge=1, le=120)
    term_months: int | None = Field(None, ge=1, le=120, description="length of the contract")
    started_at: AwareDatetime | None = None
    renews_on: date | None = None
    auto_renew: bool | None = None
    cancelled_at: AwareDatetime | None = None
    cancelled: bool | None = Field(
        None, description="true: it has ended, today unless it had before; false: it runs again"
    )
    reason: Prose | None = Field(None, description="why the subscription changed")

    @model_validator(mode="after")
    def _order(self) -> PutAccount:
        if self.started_at and self.cancelled_at and self.cancelled_at < self.started_at:
            raise ValueError("cancelled_at is before started_at")
        return self


SUBSCRIPTION_FIELDS = frozenset(
    {"plan", "seats", "price", "currency", "per_months", "term_months", "started_at"}
    | {"renews_on", "auto_renew", "cancelled_at", "cancelled", "subscription_id"}
)


class PutChange(_In):
    """A line of a subscription's history: how it began, changed, renewed or ended. What is not given stays as in the line before."""

    account_id: Id
    at: AwareDatetime
    subscription_id: Id | None = Field(None, description="by default the account's own id")
    plan: Words | None = None
    seats: int | None = Field(None, ge=0, le=2_000_000_000)
    price: Money | None = Field(None, description="charged every `per_months` for the whole subscription")
    currency: Currency | None = None
    per_months: int | None = Field(None, ge=1, le=120)
    term_months: int | None = Field(None, ge=1, le=120)
    renews_on: date | None = None
    auto_renew: bool | None = None
    cancelled: bool | None = Field(None, description="true: it ended then; false: it began again then")
    reason: Prose | None = None


class PutPerson(_In):
    """A user of an account. What is not given stays as it is; `attributes` are merged by key."""

    account_id: Id | None = None
    email: Words | None = None
    name: Words | None = None
    role: Words | None = None
    lang: Words | None = None
    champion: bool | None = Field(None, description="the one who carries the product in the account")
    created_at: AwareDatetime | None = None
    left_at: AwareDatetime | None = None
    attributes: Json = Field(default_factory=dict)


class PutTicket(_In):
    """A support case."""

    id: Id
    account_id: Id
    person_id: Id | None = None
    kind: Literal["question", "problem", "complaint", "request"] = "question"
    subject: Prose | None = None
    opened_at: AwareDatetime
    closed_at: AwareDatetime | None = None


class PutInvoice(_In):
    """A bill."""

    id: Id
    account_id: Id
    issued_on: date
    due_on: date
    paid_on: date | None = None
    amount: Money
    refunded: Money = Decimal(0)
    currency: Currency


class PutSurvey(_In):
    """An answer to an NPS (0-10) or CSAT (1-5) question."""

    id: Id
    account_id: Id | None = None
    person_id: Id | None = None
    kind: Literal["nps", "csat"]
    asked_at: AwareDatetime
    answered_at: AwareDatetime | None = None
    score: int | None = None
    comment: Prose | None = None
    conversation_id: Id | None = None


class PutTraining(_In):
    """A training to which an account was invited."""

    id: Id
    account_id: Id
    person_id: Id | None = None
    name: Words
    held_on: date
    attended: bool = True


# No functions of Python's where the reading of a message would call them: a hundred of these come at once. Whoever reads takes nothing and an empty text alike.
SegmentId = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f]*$", coerce_numbers_to_str=True)]
Bag = dict[str, Any]


class SegmentMessage(BaseModel):
    """One message of the Segment HTTP API. Fields that Kotae does not use are ignored, as Segment's own clients send many."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["identify", "group", "track", "page", "screen", "alias"]
    message_id: Id | None = Field(None, validation_alias=AliasChoices("messageId", "message_id"))
    user_id: SegmentId | None = Field(None, validation_alias=AliasChoices("userId", "user_id"))
    anonymous_id: SegmentId | None = Field(None, validation_alias=AliasChoices("anonymousId", "anonymous_id"))
    group_id: SegmentId | None = Field(None, validation_alias=AliasChoices("groupId", "group_id"))
    event: Annotated[str, Field(max_length=255)] | None = None
    timestamp: datetime | None = None
    sent_at: datetime | None = Field(None, validation_alias=AliasChoices("sentAt", "sent_at"))
    traits: Bag | None = None
    properties: Bag | None = None
    context: Bag | None = None


class Rejected(BaseModel):
    """A message that was not taken."""

    index: int
    message_id: str | None
    reason: str


class IngestResult(BaseModel):
    """What became of a batch."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    accounts: list[str] = Field(description="accounts whose facts may have changed")


def clean(value: Any) -> Any:
    """A JSON value that may be kept: no card numbers, passwords and keys, and nothing that PostgreSQL cannot hold."""
    return masked(storable(value))


def clean_all(values: list[Any]) -> list[Any]:
    """`clean` of each. All at once where all are well, as they nearly always are: nothing that is masked reaches across a quote or the end of a line."""
    return values if clean(values) is values else [clean(value) for value in values]


def storable(value: Any) -> Any:
    """Without NUL and half characters, no number beyond 64 bits, no bottomless nesting."""
    if isinstance(value, str) and value.isascii() and "\x00" not in value:
        return value
    try:
        # Nearly all is well: then looking at the bytes is much quicker than walking through the value.
        if b"\\u0000" not in orjson.dumps(value):
            return value
    except (TypeError, ValueError, RecursionError):
        pass
    return _clean(value, 12)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(str(key), depth): _clean(item, depth - 1) for key, item in value.items()} if depth else None
    if isinstance(value, list):
        return [_clean(item, depth - 1) for item in value] if depth else None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value
