"""Replies that CSMs mark as good answers, and the clock of each later answer in a conversation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023_good_replies"
down_revision: str | None = "0022_next"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "good_replies",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("question_seq", sa.Integer(), nullable=False),
        sa.Column("csm_id", sa.Text(), nullable=False),
        sa.Column("article", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_good_replies_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "seq", name=op.f("pk_good_replies")),
    )
    op.create_index(op.f("ix_good_replies_created_at"), "good_replies", ["created_at"], unique=False)
    op.add_column(
        "escalations", sa.Column("within_minutes", sa.Integer(), server_default=sa.text("30"), nullable=False)
    )
    op.add_column("escalations", sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for column in ("next_due_at", "within_minutes"):
        op.drop_column("escalations", column)
    op.drop_table("good_replies")
