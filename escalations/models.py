"""Tables of the CSM's side."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ARRAY, CheckConstraint, Computed, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Base, Json

PLACE = """
    CAST(extract(epoch FROM created_at - to_timestamp(0)) AS double precision)
    + 1800 * (priority - 1)
    - 600 * log(1 + greatest(0, coalesce(CAST(value_at_risk AS double precision), 0)))
"""
"""Seconds since 1970, the lowest first: a step of priority counts as half an hour of waiting, each digit of the value at risk as ten
minutes. Two that wait grow older alike, so their order stays as it was and an index can hold it; and whatever waits goes before all that
comes later than its head start, so nobody starves."""


class Csm(Base):
    """A customer success manager who may sign in."""

    __tablename__ = "csms"
    __table_args__ = (CheckConstraint("role IN ('csm', 'lead', 'admin')", name="role"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    languages: Mapped[list[str]] = mapped_column(ARRAY(Text))
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    capacity: Mapped[int] = mapped_column(default=5)
    seen_at: Mapped[datetime | None] = mapped_column(comment="when their console last gave a sign")
    away: Mapped[bool] = mapped_column(server_default=text("false"), comment="they take no new conversations")
    password_hash: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class CsmSession(Base):
    """A browser in which a CSM is signed in; it holds the secret this is the hash of. Gone: signed out."""

    __tablename__ = "csm_sessions"

    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    csm_id: Mapped[str] = mapped_column(ForeignKey("csms.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime] = mapped_column(index=True, comment="to within some minutes")


class Escalation(Base):
    """A conversation that a person should see (`watch`) or answer (`takeover`)."""

    __tablename__ = "escalations"
    __table_args__ = (
        CheckConstraint("mode IN ('watch', 'takeover')", name="mode"),
        CheckConstraint("state IN ('queued', 'claimed', 'returned', 'resolved')", name="state"),
        CheckConstraint("(state <> 'claimed') OR (csm_id IS NOT NULL)", name="claimed_by_someone"),
        CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
        # Exactly one open escalation a conversation, whichever process raises it.
        Index(
            "uq_escalations_open",
            "conversation_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'claimed')"),
        ),
        Index("ix_escalations_queue", "mode", "due_at", postgresql_where=text("state = 'queued'")),
        Index("ix_escalations_calm", "due_at", postgresql_where=text("state = 'queued' AND NOT breaking")),
        Index(
            "ix_escalations_place",
            text("breaking DESC"),
            "place",
            postgresql_where=text("state = 'queued' AND mode = 'takeover'"),
        ),
        Index("ix_escalations_follow_up", "follow_up_on", postgresql_where=text("follow_up_on IS NOT NULL")),
        Index("ix_escalations_csm", "csm_id", postgresql_where=text("state = 'claimed'")),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[str | None] = mapped_column(Text, index=True)
    account_name: Mapped[str | None] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default="queued")
    priority: Mapped[int]
    level: Mapped[int] = mapped_column(default=1)
    rule: Mapped[str] = mapped_column(Text)
    reason: Mapped[Json]
    facts: Mapped[Json]
    route: Mapped[str] = mapped_column(Text)
    lang: Mapped[str] = mapped_column(Text)
    value_at_risk: Mapped[Decimal | None] = mapped_column(Numeric(18, 2))
    currency: Mapped[str | None] = mapped_column(Text)
    csm_id: Mapped[str | None] = mapped_column(ForeignKey("csms.id"))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("csms.id"), comment="who is offered it first")
    skill: Mapped[str | None] = mapped_column(Text)
    snoozed_until: Mapped[datetime | None]
    muted: Mapped[bool] = mapped_column(server_default=text("false"), comment="watched by nobody until it needs more")
    follow_up_on: Mapped[date | None]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(comment="of the first answer")
    breaking: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="the service level of what waits is about to break, or broken"
    )
    place: Mapped[float] = mapped_column(Computed(PLACE, persisted=True), comment="in the queue, the lowest first")
    within_minutes: Mapped[int] = mapped_column(
        server_default=text("30"), comment="service level, in business minutes, also of every later answer"
    )
    next_due_at: Mapped[datetime | None] = mapped_column(
        comment="when a later answer is due; null while nobody waits for one: the clock rests until the customer writes"
    )
    claimed_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(Text)


class EscalationEvent(Base):
    """One change of an escalation: who, when, why."""

    __tablename__ = "escalation_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    escalation_id: Mapped[str] = mapped_column(ForeignKey("escalations.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    detail: Mapped[Json]


class KeptSetting(Base):
    """What an admin changed in the console, in place of what a file of the company says."""

    __tablename__ = "kept_settings"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Json]
    changed_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(Text)


class OutboxItem(Base):
    """A notification that must leave, at least once."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'dead')", name="state"),
        Index("ix_outbox_due", "next_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    payload: Mapped[Json]
    dedupe: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[str] = mapped_column(Text, default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
