"""Alembic's entry: applies the changes in `versions/` to the database of the URL it is given."""

from alembic import context
from sqlalchemy import create_engine, pool

from kit.database import Base, async_url
from migrations.tables import METADATA_COMPLETE

assert METADATA_COMPLETE  # every room's tables are imported: autogenerate sees them all


def run() -> None:
    """Runs the migrations in one transaction: all of them or none."""
    url = async_url(context.config.get_main_option("sqlalchemy.url") or "")
    options = {"options": f"-c lock_timeout={context.config.get_main_option('lock_timeout')}"}
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=options)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


run()
