"""The job store's tables as Alembic migrations: Python files only, so that they travel in Metaflow's package.

A change of lib/jobtables.py wants a new file in versions/ and its revision as HEAD; tests compare the two.
"""

from pathlib import Path

import sqlalchemy as sa

from lib.errors import CatalogError

# The newest revision: known without loading Alembic, which takes longer than most commands.
HEAD = "0001"
# Not Alembic's usual name, for the database may be one that another program migrates as well.
VERSION_TABLE = "shelfsort_jobs_version"


def upgrade(connection: sa.Connection, *, where: str) -> None:
    """Bring the job store's tables to HEAD within the connection's transaction; nobody else may be doing so.

    Raises CatalogError when a newer version of Shelfsort has made them.
    """
    if sa.inspect(connection).has_table(VERSION_TABLE):
        found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise CatalogError(f"{where}: its jobs are of a newer version ({found}, this one knows {HEAD}); update")
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
