"""What is looked for every few seconds is found by an index, however much is stored."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0040_growth"
down_revision: str | None = "0023_good_replies"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_conversations_last", "conversations", ["last_at"], unique=False)
    op.create_index(
        "ix_messages_csm", "messages", ["created_at"], unique=False, postgresql_where=sa.text("sender = 'csm'")
    )
    # As bot/tracker_store.py makes it, which may have been there first.
    op.execute("CREATE SCHEMA IF NOT EXISTS rasa")
    op.execute(
        "CREATE TABLE IF NOT EXISTS rasa.rasa_trackers"
        " (sender_id text PRIMARY KEY, events text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now())"
    )
    op.execute("CREATE INDEX IF NOT EXISTS ix_rasa_trackers_updated ON rasa.rasa_trackers (updated_at)")


def downgrade() -> None:
    op.execute("DROP INDEX rasa.ix_rasa_trackers_updated")
    op.drop_index("ix_messages_csm", table_name="messages", postgresql_where=sa.text("sender = 'csm'"))
    op.drop_index("ix_conversations_last", table_name="conversations")
