"""How much of its allowance each conversation, person and address has used."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0030_allowances"
down_revision: str | None = "0022_next"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Lost in a crash without harm, and written with every message: not worth a line in the write-ahead log.
    op.create_table(
        "allowances",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("whole_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_allowances")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_allowances_whole_at", "allowances", ["whole_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_allowances_whole_at", table_name="allowances")
    op.drop_table("allowances")
