"""Tables of accounts. Ids of accounts, people, tickets, invoices and so on are the company's own strings."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Base, Json

MONEY = Numeric(14, 2)
SLOT_MINUTES = 5
SLOTS = 24 * 60 // SLOT_MINUTES
"""A day of a person is kept as one bit per five minutes: events may then come late, twice and in any order, and the time
in the product and the number of sessions come out the same."""


def _account(**options: Any) -> Mapped[str]:
    return mapped_column(Text, ForeignKey("accounts.id", ondelete="CASCADE"), **options)


class Account(Base):
    """A customer of the company."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    owner: Mapped[str | None] = mapped_column(Text, comment="e-mail of the CSM who looks after it")
    potential_seats: Mapped[int | None] = mapped_column(Integer, comment="seats it could come to need")
    traits_at: Mapped[datetime] = mapped_column(comment="when what is known of it was last said; older news is ignored")
    attributes: Mapped[Json] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (
        CheckConstraint("id <> ''", name="id"),
        CheckConstraint("potential_seats >= 0", name="potential_seats"),
        Index(None, "owner"),
    )


class Person(Base):
    """A user of an account. One who is known before their account is has none yet."""

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str | None] = _account(nullable=True)
    email: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    lang: Mapped[str | None] = mapped_column(Text)
    champion: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None] = mapped_column(comment="when they stopped being a user of the account")
    traits_at: Mapped[datetime]
    attributes: Mapped[Json] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (CheckConstraint("id <> ''", name="id"), Index(None, "account_id"))


class Subscription(Base):
    """What an account pays for now. `amount` is charged every `per_months` for the whole subscription."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = _account()
    plan: Mapped[str | None] = mapped_column(Text)
    seats: Mapped[int | None] = mapped_column(Integer)
    amount: Mapped[Decimal | None] = mapped_column(MONEY, comment="null where the price is not known")
    currency: Mapped[str] = mapped_column(Text)
    per_months: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    term_months: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"), comment="length of the contract")
    started_at: Mapped[datetime]
    renews_on: Mapped[date | None]
    auto_renew: Mapped[bool | None]
    cancelled_at: Mapped[datetime | None]
    stated_at: Mapped[datetime] = mapped_column(comment="when this was last said; older news is ignored")

    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("seats >= 0", name="seats"),
        CheckConstraint("per_months > 0 AND term_months > 0", name="months"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("cancelled_at >= started_at", name="order"),
        Index(None, "account_id"),
    )


class SubscriptionChange(Base):
    """The history of a subscription: each line is its state from `at` on, so that any day in the past can be worked out."""

    __tablename__ = "subscription_changes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subscription_id: Mapped[str] = mapped_column(Text, ForeignKey("subscriptions.id", ondelete="CASCADE"))
    account_id: Mapped[str] = _account()
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    plan: Mapped[str | None] = mapped_column(Text)
    seats: Mapped[int | None] = mapped_column(Integer)
    amount: Mapped[Decimal | None] = mapped_column(MONEY)
    currency: Mapped[str] = mapped_column(Text)
    per_months: Mapped[int] = mapped_column(SmallInteger)
    term_months: Mapped[int] = mapped_column(SmallInteger)
    renews_on: Mapped[date | None]
    auto_renew: Mapped[bool | None]
    reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("subscription_id", "at", "kind"),
        CheckConstraint("kind IN ('start', 'change', 'renew', 'cancel')", name="kind"),
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("per_months > 0", name="months"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        Index(None, "account_id", "at"),
    )


USE = ("track", "page", "screen")
"""Types of raw events that are use of the product."""


class Event(Base):
    """A raw event as it came in. Nothing that answers a question reads these: it reads the roll-ups below."""

    __tablename__ = "events"

    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str | None] = _account(nullable=True)
    person_id: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]
    received_at: Mapped[datetime]
    properties: Mapped[Json]

    __table_args__ = (Index(None, "account_id", "person_id"),)


_STARTS = "slots & ~(" + " | ".join(f"(slots >> {gap})" for gap in range(1, 7)) + ")"
"""A session begins at a slot that has none of the six before it (half an hour)."""


class DailyPerson(Base):
    """One person's day; those of an account's people together are the account's. `person_id` is empty for what the account's own systems did."""

    __tablename__ = "daily_people"

    account_id: Mapped[str] = _account(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    person_id: Mapped[str] = mapped_column(Text, primary_key=True)
    events: Mapped[int] = mapped_column(Integer)
    slots: Mapped[str] = mapped_column(
        BIT(SLOTS), comment="five-minute slots of the UTC day in which something happened"
    )
    sessions: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(f"CASE person_id WHEN '' THEN 0 ELSE bit_count({_STARTS}) END", persisted=True),
        comment="stretches of use, apart by half an hour or more",
    )
    minutes: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(f"CASE person_id WHEN '' THEN 0 ELSE bit_count(slots) * {SLOT_MINUTES} END", persisted=True),
    )

    __table_args__ = (Index(None, "day", postgresql_using="brin"),)


class DailyEvent(Base):
    """How often, and how much of it, an account did one thing on one day."""

    __tablename__ = "daily_events"

    account_id: Mapped[str] = _account(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    times: Mapped[int] = mapped_column(Integer)
    quantity: Mapped[Decimal] = mapped_column(Numeric)

    __table_args__ = (Index(None, "day", postgresql_using="brin"),)


class AccountEvent(Base):
    """When an account first did one thing: onboarding steps read this."""

    __tablename__ = "account_events"

    account_id: Mapped[str] = _account(primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    first_at: Mapped[datetime]


class Survey(Base):
    """An NPS (0-10) or CSAT (1-5) question put to a person; without a score it was not answered."""

    __tablename__ = "surveys"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str | None] = _account(nullable=True)
    person_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str | None] = mapped_column(Text)
    conversation_id: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("kind IN ('nps', 'csat')", name="kind"),
        CheckConstraint(
            "(kind = 'nps' AND score BETWEEN 0 AND 10) OR (kind = 'csat' AND score BETWEEN 1 AND 5)", name="score"
        ),
        CheckConstraint("(score IS NULL) = (answered_at IS NULL)", name="answered"),
        Index(None, "account_id", "asked_at"),
        Index(None, "person_id", "asked_at"),
        Index(None, "conversation_id", "kind", unique=True, postgresql_where=text("conversation_id IS NOT NULL")),
    )


class Ticket(Base):
    """A support case."""

    __tablename__ = "tickets"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = _account()
    person_id: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default=text("'question'"))
    subject: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("kind IN ('question', 'problem', 'complaint', 'request')", name="kind"),
        CheckConstraint("closed_at >= opened_at", name="order"),
        Index(None, "account_id", "opened_at"),
    )


class Invoice(Base):
    """A bill. `refunded` is what was given back of it."""

    __tablename__ = "invoices"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = _account()
    issued_on: Mapped[date]
    due_on: Mapped[date]
    paid_on: Mapped[date | None]
    amount: Mapped[Decimal] = mapped_column(MONEY)
    refunded: Mapped[Decimal] = mapped_column(MONEY, server_default=text("0"))
    currency: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("amount >= 0 AND refunded BETWEEN 0 AND amount", name="amount"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("due_on >= issued_on", name="order"),
        Index(None, "account_id", "issued_on"),
    )


class Training(Base):
    """A training, webinar or workshop to which an account was invited."""

    __tablename__ = "trainings"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = _account()
    person_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    held_on: Mapped[date]
    attended: Mapped[bool] = mapped_column(server_default=text("true"))

    __table_args__ = (Index(None, "account_id", "held_on"),)


class OnboardingMark(Base):
    """An onboarding step done by hand; those done by an event are read from `account_events`."""

    __tablename__ = "onboarding_marks"

    account_id: Mapped[str] = _account(primary_key=True)
    step: Mapped[str] = mapped_column(Text, primary_key=True)
    done_at: Mapped[datetime]
    done_by: Mapped[str | None] = mapped_column(Text)


class HealthScore(Base):
    """Internal. The last health score of a day, so that the history grows by a line a day however often it is worked out."""

    __tablename__ = "health_scores"

    account_id: Mapped[str] = _account(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    at: Mapped[datetime]
    score: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="null where nothing was known")
    band: Mapped[str | None] = mapped_column(Text)
    coverage: Mapped[Decimal] = mapped_column(Numeric(4, 3))
    profile: Mapped[str] = mapped_column(Text)
    reasons: Mapped[list[Json]] = mapped_column(JSONB, comment="what cost the most points, worst first")
    signals: Mapped[list[str]] = mapped_column(JSONB)

    __table_args__ = (
        CheckConstraint("score BETWEEN 0 AND 100", name="score"),
        CheckConstraint("band IN ('healthy', 'neutral', 'at_risk')", name="band"),
        CheckConstraint("(score IS NULL) = (band IS NULL)", name="known"),
        CheckConstraint("coverage BETWEEN 0 AND 1", name="coverage"),
    )


class AccountNote(Base):
    """Internal. What a CSM wrote about an account."""

    __tablename__ = "account_notes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = _account()
    author: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, "account_id", "created_at"),)


class Greeting(Base):
    """A contextual greeting that was shown, and what came of it."""

    __tablename__ = "greetings"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    rule: Mapped[str] = mapped_column(Text)
    visitor: Mapped[str] = mapped_column(Text, comment="the person, or what stands for a visitor")
    account_id: Mapped[str | None] = _account(nullable=True)
    conversation_id: Mapped[str | None] = mapped_column(Text)
    shown_at: Mapped[datetime]
    clicked_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "visitor", "shown_at"), Index(None, "conversation_id"), Index(None, "shown_at"))
