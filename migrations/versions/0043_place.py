"""The place in the queue, kept so that it does not change while time passes: the next one is found by an index, however many wait."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0043_place"
down_revision: str | None = "0042_log"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_PLACE = """
    CAST(extract(epoch FROM created_at - to_timestamp(0)) AS double precision)
    + 1800 * (priority - 1)
    - 600 * log(1 + greatest(0, coalesce(CAST(value_at_risk AS double precision), 0)))
"""
_WAITS = sa.text("state = 'queued' AND mode = 'takeover'")


def upgrade() -> None:
    op.add_column(
        "escalations",
        sa.Column(
            "breaking",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the service level of what waits is about to break, or broken",
        ),
    )
    op.add_column(
        "escalations",
        sa.Column(
            "place",
            sa.Float(),
            sa.Computed(_PLACE, persisted=True),
            nullable=False,
            comment="in the queue, the lowest first",
        ),
    )
    op.create_index(
        "ix_escalations_place",
        "escalations",
        [sa.text("breaking DESC"), "place"],
        unique=False,
        postgresql_where=_WAITS,
    )
    op.create_index(
        "ix_escalations_calm",
        "escalations",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND NOT breaking"),
    )
    op.drop_index("ix_escalations_next", table_name="escalations", postgresql_where=_WAITS)


def downgrade() -> None:
    op.create_index(
        "ix_escalations_next",
        "escalations",
        ["priority", sa.text("value_at_risk DESC NULLS LAST"), "created_at"],
        unique=False,
        postgresql_where=_WAITS,
    )
    op.drop_index("ix_escalations_calm", table_name="escalations")
    op.drop_index("ix_escalations_place", table_name="escalations", postgresql_where=_WAITS)
    op.drop_column("escalations", "place")
    op.drop_column("escalations", "breaking")
