"""The order in which the queue is helped, as an index: taking the next one need not sort them all."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022_next"
down_revision: str | None = "0021_desk"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_escalations_next",
        "escalations",
        ["priority", sa.text("value_at_risk DESC NULLS LAST"), "created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND mode = 'takeover'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_escalations_next",
        table_name="escalations",
        postgresql_where=sa.text("state = 'queued' AND mode = 'takeover'"),
    )
