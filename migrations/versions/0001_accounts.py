"""Accounts, people, subscriptions, usage and health."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001_accounts"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True, comment="e-mail of the CSM who looks after it"),
        sa.Column("potential_seats", sa.Integer(), nullable=True, comment="seats it could come to need"),
        sa.Column(
            "traits_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when what is known of it was last said; older news is ignored",
        ),
        sa.Column(
            "attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.CheckConstraint("id <> ''", name=op.f("ck_accounts_id")),
        sa.CheckConstraint("potential_seats >= 0", name=op.f("ck_accounts_potential_seats")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_index(op.f("ix_accounts_owner"), "accounts", ["owner"], unique=False)
    op.create_table(
        "account_events",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_account_events_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_account_events")),
    )
    op.create_table(
        "account_notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_account_notes_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_notes")),
    )
    op.create_index(
        op.f("ix_account_notes_account_id_created_at"), "account_notes", ["account_id", "created_at"], unique=False
    )
    op.create_table(
        "daily_events",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_daily_events_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "day", "name", name=op.f("pk_daily_events")),
    )
    op.create_index(op.f("ix_daily_events_day"), "daily_events", ["day"], unique=False, postgresql_using="brin")
    op.create_table(
        "daily_people",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column(
            "slots",
            postgresql.BIT(length=288),
            nullable=False,
            comment="five-minute slots of the UTC day in which something happened",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_daily_people_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "day", "person_id", name=op.f("pk_daily_people")),
    )
    op.create_index(op.f("ix_daily_people_day"), "daily_people", ["day"], unique=False, postgresql_using="brin")
    op.create_table(
        "daily_usage",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False, comment="distinct people"),
        sa.Column("sessions", sa.Integer(), nullable=False, comment="stretches of use, apart by half an hour or more"),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_daily_usage_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_daily_usage")),
    )
    op.create_index(op.f("ix_daily_usage_day"), "daily_usage", ["day"], unique=False, postgresql_using="brin")
    op.create_table(
        "events",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_events_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_account_id_person_id"), "events", ["account_id", "person_id"], unique=False)
    op.create_table(
        "greetings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("visitor", sa.Text(), nullable=False, comment="the person, or what stands for a visitor"),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_greetings_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_greetings")),
    )
    op.create_index(op.f("ix_greetings_conversation_id"), "greetings", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_greetings_shown_at"), "greetings", ["shown_at"], unique=False)
    op.create_index(op.f("ix_greetings_visitor_shown_at"), "greetings", ["visitor", "shown_at"], unique=False)
    op.create_table(
        "health_scores",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("score", sa.Numeric(precision=5, scale=2), nullable=True, comment="null where nothing was known"),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("coverage", sa.Numeric(precision=4, scale=3), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column(
            "reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what cost the most points, worst first",
        ),
        sa.Column("signals", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("band IN ('healthy', 'neutral', 'at_risk')", name=op.f("ck_health_scores_band")),
        sa.CheckConstraint("(score IS NULL) = (band IS NULL)", name=op.f("ck_health_scores_known")),
        sa.CheckConstraint("coverage BETWEEN 0 AND 1", name=op.f("ck_health_scores_coverage")),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name=op.f("ck_health_scores_score")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_health_scores_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_health_scores")),
    )
    op.create_table(
        "invoices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("refunded", sa.Numeric(precision=14, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_invoices_currency")),
        sa.CheckConstraint("amount >= 0 AND refunded BETWEEN 0 AND amount", name=op.f("ck_invoices_amount")),
        sa.CheckConstraint("due_on >= issued_on", name=op.f("ck_invoices_order")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_invoices_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
    )
    op.create_index(op.f("ix_invoices_account_id_issued_on"), "invoices", ["account_id", "issued_on"], unique=False)
    op.create_table(
        "onboarding_marks",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_onboarding_marks_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "step", name=op.f("pk_onboarding_marks")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("lang", sa.Text(), nullable=True),
        sa.Column("champion", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "left_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when they stopped being a user of the account",
        ),
        sa.Column("traits_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.CheckConstraint("id <> ''", name=op.f("ck_people_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_people_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_index(op.f("ix_people_account_id"), "people", ["account_id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("seats", sa.Integer(), nullable=True),
        sa.Column(
            "amount", sa.Numeric(precision=14, scale=2), nullable=True, comment="null where the price is not known"
        ),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("per_months", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "term_months",
            sa.SmallInteger(),
            server_default=sa.text("1"),
            nullable=False,
            comment="length of the contract",
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("renews_on", sa.Date(), nullable=True),
        sa.Column("auto_renew", sa.Boolean(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "stated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when this was last said; older news is ignored",
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_subscriptions_currency")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_subscriptions_amount")),
        sa.CheckConstraint("cancelled_at >= started_at", name=op.f("ck_subscriptions_order")),
        sa.CheckConstraint("per_months > 0 AND term_months > 0", name=op.f("ck_subscriptions_months")),
        sa.CheckConstraint("seats >= 0", name=op.f("ck_subscriptions_seats")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_subscriptions_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_account_id"), "subscriptions", ["account_id"], unique=False)
    op.create_table(
        "surveys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'nps' AND score BETWEEN 0 AND 10) OR (kind = 'csat' AND score BETWEEN 1 AND 5)",
            name=op.f("ck_surveys_score"),
        ),
        sa.CheckConstraint("kind IN ('nps', 'csat')", name=op.f("ck_surveys_kind")),
        sa.CheckConstraint("(score IS NULL) = (answered_at IS NULL)", name=op.f("ck_surveys_answered")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_surveys_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
    )
    op.create_index(op.f("ix_surveys_account_id_asked_at"), "surveys", ["account_id", "asked_at"], unique=False)
    op.create_index(
        op.f("ix_surveys_conversation_id_kind"),
        "surveys",
        ["conversation_id", "kind"],
        unique=True,
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_surveys_person_id_asked_at"), "surveys", ["person_id", "asked_at"], unique=False)
    op.create_table(
        "tickets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default=sa.text("'question'"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('question', 'problem', 'complaint', 'request')", name=op.f("ck_tickets_kind")),
        sa.CheckConstraint("closed_at >= opened_at", name=op.f("ck_tickets_order")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_tickets_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
    )
    op.create_index(op.f("ix_tickets_account_id_opened_at"), "tickets", ["account_id", "opened_at"], unique=False)
    op.create_table(
        "trainings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("attended", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_trainings_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainings")),
    )
    op.create_index(op.f("ix_trainings_account_id_held_on"), "trainings", ["account_id", "held_on"], unique=False)
    op.create_table(
        "subscription_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("seats", sa.Integer(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("per_months", sa.SmallInteger(), nullable=False),
        sa.Column("term_months", sa.SmallInteger(), nullable=False),
        sa.Column("renews_on", sa.Date(), nullable=True),
        sa.Column("auto_renew", sa.Boolean(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_subscription_changes_currency")),
        sa.CheckConstraint("kind IN ('start', 'change', 'renew', 'cancel')", name=op.f("ck_subscription_changes_kind")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_subscription_changes_amount")),
        sa.CheckConstraint("per_months > 0", name=op.f("ck_subscription_changes_months")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_subscription_changes_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_subscription_changes_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_changes")),
        sa.UniqueConstraint(
            "subscription_id", "at", "kind", name=op.f("uq_subscription_changes_subscription_id_at_kind")
        ),
    )
    op.create_index(
        op.f("ix_subscription_changes_account_id_at"), "subscription_changes", ["account_id", "at"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_subscription_changes_account_id_at"), table_name="subscription_changes")
    op.drop_table("subscription_changes")
    op.drop_index(op.f("ix_trainings_account_id_held_on"), table_name="trainings")
    op.drop_table("trainings")
    op.drop_index(op.f("ix_tickets_account_id_opened_at"), table_name="tickets")
    op.drop_table("tickets")
    op.drop_index(op.f("ix_surveys_person_id_asked_at"), table_name="surveys")
    op.drop_index(
        op.f("ix_surveys_conversation_id_kind"),
        table_name="surveys",
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.drop_index(op.f("ix_surveys_account_id_asked_at"), table_name="surveys")
    op.drop_table("surveys")
    op.drop_index(op.f("ix_subscriptions_account_id"), table_name="subscriptions")
    op.drop_table("subscriptions")
    op.drop_index(op.f("ix_people_account_id"), table_name="people")
    op.drop_table("people")
    op.drop_table("onboarding_marks")
    op.drop_index(op.f("ix_invoices_account_id_issued_on"), table_name="invoices")
    op.drop_table("invoices")
    op.drop_table("health_scores")
    op.drop_index(op.f("ix_greetings_visitor_shown_at"), table_name="greetings")
    op.drop_index(op.f("ix_greetings_shown_at"), table_name="greetings")
    op.drop_index(op.f("ix_greetings_conversation_id"), table_name="greetings")
    op.drop_table("greetings")
    op.drop_index(op.f("ix_events_account_id_person_id"), table_name="events")
    op.drop_table("events")
    op.drop_index(op.f("ix_daily_usage_day"), table_name="daily_usage", postgresql_using="brin")
    op.drop_table("daily_usage")
    op.drop_index(op.f("ix_daily_people_day"), table_name="daily_people", postgresql_using="brin")
    op.drop_table("daily_people")
    op.drop_index(op.f("ix_daily_events_day"), table_name="daily_events", postgresql_using="brin")
    op.drop_table("daily_events")
    op.drop_index(op.f("ix_account_notes_account_id_created_at"), table_name="account_notes")
    op.drop_table("account_notes")
    op.drop_table("account_events")
    op.drop_index(op.f("ix_accounts_owner"), table_name="accounts")
    op.drop_table("accounts")
