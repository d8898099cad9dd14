"""Alembic runs this file for each command: the migrations go through the connection that upgrade() was given."""

from alembic import context

# In the caller's transaction: all of the tables or none.
context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    transactional_ddl=False,
)
context.run_migrations()
