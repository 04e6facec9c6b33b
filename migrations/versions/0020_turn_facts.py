"""What the escalation policy was asked about a turn, so that another policy can be tried on the past."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020_turn_facts"
down_revision: str | None = "0003_front_door"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "turns",
        sa.Column(
            "facts",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="internal; null where the policy was not asked",
        ),
    )


def downgrade() -> None:
    op.drop_column("turns", "facts")
