"""Tables of the message log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Base, Json

_CONVERSATION = "conversations.id"


class Conversation(Base):
    """One chat session of a visitor or a customer."""

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint("holder IN ('bot', 'csm')", name="holder"),
        CheckConstraint("(holder = 'csm') = (csm_id IS NOT NULL)", name="held_by_someone"),
        CheckConstraint("(account_id IS NULL) = (person_id IS NULL)", name="person_of_an_account"),
        Index("ix_conversations_person", "account_id", "person_id", "last_at"),
        Index("ix_conversations_last", "last_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str | None] = mapped_column(Text)
    person_id: Mapped[str | None] = mapped_column(Text)
    lang: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    page_url: Mapped[str | None] = mapped_column(Text)
    holder: Mapped[str] = mapped_column(Text, default="bot")
    csm_id: Mapped[str | None] = mapped_column(Text)
    last_seq: Mapped[int] = mapped_column(default=0)
    customer_read_seq: Mapped[int] = mapped_column(default=0)
    csm_read_seq: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    last_at: Mapped[datetime]


class ConversationToken(Base):
    """A bearer secret of a conversation, as its hash."""

    __tablename__ = "conversation_tokens"

    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime | None]


class MessageRow(Base):
    """One line of the log. `seq` counts from 1 without gaps in each conversation."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("sender IN ('customer', 'bot', 'csm', 'system')", name="sender"),
        UniqueConstraint("conversation_id", "client_id"),
        UniqueConstraint("turn_id", "ordinal"),
        Index("ix_messages_csm", "created_at", postgresql_where=text("sender = 'csm'")),
        # Console search: words of any language, without stemming, over what people wrote and the bot quoted.
        Index(
            "ix_messages_words",
            text("to_tsvector('simple', coalesce(body->>'text', '') || ' ' || coalesce(body->>'quote', ''))"),
            postgresql_using="gin",
        ),
    )

    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    body: Mapped[Json]
    client_id: Mapped[str | None] = mapped_column(Text)
    turn_id: Mapped[str | None] = mapped_column(Text)
    ordinal: Mapped[int | None]
    created_at: Mapped[datetime]


class Turn(Base):
    """An answer owed to one customer message, until it is settled."""

    __tablename__ = "turns"
    __table_args__ = (
        CheckConstraint("(settled_at IS NULL) = (outcome IS NULL)", name="settled_with_outcome"),
        CheckConstraint("outcome IN ('answered', 'failed', 'silent')", name="outcome"),
        Index("ix_turns_owed", "conversation_id", "seq", unique=True, postgresql_where=text("settled_at IS NULL")),
        Index("ix_turns_created", "created_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), index=True)
    seq: Mapped[int]
    choice: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    intent: Mapped[str | None] = mapped_column(Text)
    intent_confidence: Mapped[float | None]
    decision: Mapped[str | None] = mapped_column(Text)
    confidence: Mapped[float | None]
    article_id: Mapped[str | None] = mapped_column(Text)
    facts: Mapped[Json | None] = mapped_column(comment="internal; null where the policy was not asked")


class Note(Base):
    """What CSMs write for each other. Never a message: no path leads from here to a customer."""

    __tablename__ = "notes"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), index=True)
    after_seq: Mapped[int]
    csm_id: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class GoodReply(Base):
    """A CSM's reply that a CSM marked as a good answer to a question of the customer."""

    __tablename__ = "good_replies"

    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    question_seq: Mapped[int]
    csm_id: Mapped[str] = mapped_column(Text)
    article: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)


class Feedback(Base):
    """What a customer said of one message: helpful or not, or a score of a survey."""

    __tablename__ = "feedback"
    __table_args__ = (CheckConstraint("(helpful IS NULL) <> (score IS NULL)", name="one_kind"),)

    conversation_id: Mapped[str] = mapped_column(ForeignKey(_CONVERSATION, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    helpful: Mapped[bool | None]
    score: Mapped[int | None]
    comment: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
