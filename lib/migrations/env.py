"""Alembic runs this file for each command: the migrations go through the connection that upgrade() was given."""

from alembic import context

from lib.migrations import VERSION_TABLE

# In the caller's transaction: all of the tables or none.
context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=False
)
context.run_migrations()
