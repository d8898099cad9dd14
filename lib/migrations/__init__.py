"""The tables of the job store and of the catalog as Alembic migrations: Python files only, so that they travel in
Metaflow's package.

A change of lib/importjobs/tables.py wants a new file in versions/ and its revision as HEAD, one of
lib/cataloging/tables.py the same in catalog/ and CATALOG_HEAD; tests compare the two.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from lib.errors import CatalogError

# The newest revisions: known without loading Alembic, which takes longer than most commands.
HEAD = "0001"
CATALOG_HEAD = "0001"
# Not Alembic's usual name, for the database may be one that another program migrates as well.
VERSION_TABLE = "shelfsort_jobs_version"
# Alembic keeps what it is at in globals, and threads may be at several databases.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Lineage:
    """Migrations of tables that belong together; two lineages may share a database."""

    holds: str  # for messages
    folder: str  # beside this file
    version_table: str
    head: str
    tables: tuple[str, ...]  # that only an earlier version or another program has made where there is no version


JOBS = Lineage("jobs are", "versions", VERSION_TABLE, HEAD, ())
CATALOG = Lineage("catalog is", "catalog", "shelfsort_catalog_version", CATALOG_HEAD, ("imports", "products"))


def is_there(connection: sa.Connection, lineage: Lineage, *, where: str) -> bool:
    """Whether the lineage's tables are there, of this version or an earlier one.

    Raises CatalogError when a newer version of Shelfsort has made them, or tables in their places are not its.
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table(lineage.version_table):
        taken = [name for name in lineage.tables if inspector.has_table(name)]
        if taken:
            raise CatalogError(
                f"{where}: its table {taken[0]} is another program's or an earlier Shelfsort's;"
                f" rename {' and '.join(taken)} or name another database, and import the files again"
            )
        return False
    found = _version(connection, lineage)
    if found is not None and found > lineage.head:
        raise CatalogError(
            f"{where}: its {lineage.holds} of a newer version ({found}, this one knows {lineage.head}); update"
        )
    return found is not None


def upgrade(connection: sa.Connection, lineage: Lineage = JOBS, *, where: str) -> None:
    """Bring a lineage's tables to its head within the connection's transaction; nobody else may be doing so.

    Raises CatalogError as is_there does.
    """
    if is_there(connection, lineage, where=where) and _version(connection, lineage) == lineage.head:
        return
    from alembic import command
    from alembic.config import Config

    home = Path(__file__).parent
    config = Config()
    config.set_main_option("script_location", str(home).replace("%", "%%"))
    config.set_main_option("version_locations", str(home / lineage.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # folders may have spaces in their names
    config.attributes["connection"] = connection
    config.attributes["version_table"] = lineage.version_table
    with _ONE_AT_A_TIME:
        command.upgrade(config, lineage.head)


def _version(connection: sa.Connection, lineage: Lineage) -> str | None:
    found: str | None = connection.execute(sa.text(f"SELECT version_num FROM {lineage.version_table}")).scalar()
    return found
