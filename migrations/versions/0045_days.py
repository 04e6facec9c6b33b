"""An account's day is the sum of its people's: each of these says its sessions and minutes itself.

`daily_usage`, which held the sums, is neither read nor written from here on. The version before this one still does both: a later release drops it.
The table is written anew, in which time events wait and their senders try again: about a minute for ten million person days.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0045_days"
down_revision: str | None = "0044_kept"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STARTS = "slots & ~((slots >> 1) | (slots >> 2) | (slots >> 3) | (slots >> 4) | (slots >> 5) | (slots >> 6))"


def upgrade() -> None:
    # In one statement, as the table is written anew.
    op.execute(
        "ALTER TABLE daily_people"
        f" ADD COLUMN sessions smallint NOT NULL GENERATED ALWAYS AS (CASE person_id WHEN '' THEN 0 ELSE bit_count({_STARTS}) END) STORED,"
        " ADD COLUMN minutes smallint NOT NULL GENERATED ALWAYS AS (CASE person_id WHEN '' THEN 0 ELSE bit_count(slots) * 5 END) STORED"
    )
    op.execute("COMMENT ON COLUMN daily_people.sessions IS 'stretches of use, apart by half an hour or more'")


def downgrade() -> None:
    op.drop_column("daily_people", "minutes")
    op.drop_column("daily_people", "sessions")
