"""Run by Alembic: applies migrations on the connection that `core.store.migrate` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
