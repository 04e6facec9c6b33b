"""Who is signed in at the console is known here, so that signing out ends a cookie wherever it was copied to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0041_csm_sessions"
down_revision: str | None = "0040_growth"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "csm_sessions",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("csm_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, comment="to within some minutes"),
        sa.ForeignKeyConstraint(["csm_id"], ["csms.id"], name=op.f("fk_csm_sessions_csm_id_csms"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_csm_sessions")),
    )
    op.create_index(op.f("ix_csm_sessions_csm_id"), "csm_sessions", ["csm_id"], unique=False)
    op.create_index(op.f("ix_csm_sessions_used_at"), "csm_sessions", ["used_at"], unique=False)


def downgrade() -> None:
    op.drop_table("csm_sessions")
