"""Owner first, skills, presence, snooze, mute and follow-up."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021_desk"
down_revision: str | None = "0020_turn_facts"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("csms", sa.Column("skills", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("csms", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("csms", sa.Column("away", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("escalations", sa.Column("owner_id", sa.Text(), nullable=True))
    op.add_column("escalations", sa.Column("skill", sa.Text(), nullable=True))
    op.add_column("escalations", sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("escalations", sa.Column("muted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("escalations", sa.Column("follow_up_on", sa.Date(), nullable=True))
    op.create_foreign_key(op.f("fk_escalations_owner_id"), "escalations", "csms", ["owner_id"], ["id"])
    op.create_index(
        "ix_escalations_follow_up",
        "escalations",
        ["follow_up_on"],
        unique=False,
        postgresql_where=sa.text("follow_up_on IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_escalations_follow_up", table_name="escalations")
    op.drop_constraint(op.f("fk_escalations_owner_id"), "escalations", type_="foreignkey")
    for column in ("follow_up_on", "muted", "snoozed_until", "skill", "owner_id"):
        op.drop_column("escalations", column)
    for column in ("away", "seen_at", "skills"):
        op.drop_column("csms", column)
