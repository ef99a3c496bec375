"""Runs the migrations on the connection, and in the transaction, of the one who asked for them."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
