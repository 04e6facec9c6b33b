"""Tables of the front door itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Base, Json


class ApiKey(Base):
    """A key of the company's backend, as its hash."""

    __tablename__ = "api_keys"

    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """One thing somebody did that others may have to account for later: signed in, exported, changed a setting."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_at", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime]
    action: Mapped[str] = mapped_column(Text)
    csm_id: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text, comment="name or address, as it was then")
    detail: Mapped[Json]
