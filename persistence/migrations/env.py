"""Alembic's entry: it runs in the transaction of the connection that persistence.migrate hands over."""

from alembic import context

from persistence.tables import declared

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=declared(),
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
