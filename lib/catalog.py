"""The catalog: an import job's products into SQLite or PostgreSQL, all or nothing, as often as one likes.

Two tables: `imports`, a line for each job, and `products`, its rows. Importing the same results again touches
nothing; results of another model or other settings replace those of the job before them.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lib import database
from lib.errors import CatalogError
from lib.s3 import Changed, S3Folder
from lib.storage import Folder

FILE = "catalog.db"
# Rows handed to the database at a time; more is no faster and takes memory.
ROWS_AT_ONCE = 10_000
# Conditional writes of catalog.db on S3 before giving up.
S3_TRIES = 8

metadata = sa.MetaData()
imports = sa.Table(
    "imports",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),  # UTC
)
# No index on category: what asks for one asks within a job, whose rows lie together under the primary key,
# and every import would pay for it. Without a rowid SQLite's table is its primary key and not a second copy of it.
products = sa.Table(
    "products",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("imports.job_id"), primary_key=True),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("gtin", sa.Text),
    sa.Column("brand", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("confidence", sa.Double),
    sa.Column("needs_review", sa.Boolean),
    sa.Column("model_version", sa.Text),
    # Lines begin anew on each sheet of a workbook; '' where only one holds products.
    sa.Column("sheet", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
# The columns of the tables to import, in this order.
COLUMNS = tuple(column.name for column in products.columns if column.name != "job_id")

# A stream of result tables, anew at each call.
Tables = Callable[[], Iterator[pa.Table]]


@dataclass(frozen=True)
class CatalogImport:
    """What an import came to."""

    url_shown: str  # where to, without a password
    rows: int  # of this job in the catalog now
    changed: bool  # False: the same results were there already, and nothing was touched
    seconds: float


def check(output: Folder, *, url: str) -> None:
    """Raise a CatalogError when `import_results` would be refused: better known before the work than after."""
    if not url and (isinstance(output, S3Folder) or not output.exists(FILE)):
        return  # made when there is something to import
    target = database.checked(url) if url else database.sqlite(Path(output.uri_of(FILE)))
    with database.errors(database.shown(target), url=target), database.engine(target).begin() as connection:
        connection.execute(sa.text("SELECT 1"))


def import_results(output: Folder, *, url: str, job_id: str, tables: Tables, fingerprint: str) -> CatalogImport:
    """Put a job's products into the database at a URL; an empty URL means SQLite, catalog.db in the output folder.

    `tables` gives a fresh stream of tables with the COLUMNS each time it is called; one of them is in memory at
    a time. `fingerprint` stands for all that made the results: when it and the number of rows are those of an
    earlier import of the job, nothing is touched. Whatever goes wrong, no row of the database has changed.

    Raises CatalogError, StorageError when the output folder is on S3, and what the stream itself raises.
    """
    started = time.monotonic()
    job = _Job(job_id, tables, fingerprint)
    if url:
        target = database.checked(url)
        where = database.shown(target)
        rows, changed = _import(target, job, where=where)
    elif isinstance(output, S3Folder):
        where = output.uri_of(FILE)
        rows, changed = _import_on_s3(output, job)
    else:
        where = output.uri_of(FILE)
        rows, changed = _import(database.sqlite(Path(where)), job, where=where)
    return CatalogImport(where, rows, changed, round(time.monotonic() - started, 3))


@dataclass(frozen=True)
class _Job:
    id: str
    tables: Tables
    fingerprint: str


def _import_on_s3(output: S3Folder, job: _Job) -> tuple[int, bool]:
    """Fetch catalog.db, change it and put it back if nobody else has in between; otherwise start over."""
    where = output.uri_of(FILE)
    for attempt in range(S3_TRIES):
        with tempfile.TemporaryDirectory(prefix="shelfsort-") as temporary:
            path = Path(temporary) / FILE
            tag = output.fetch_tagged(FILE, path)
            rows, changed = _import(database.sqlite(path), job, where=where)
            if not changed:
                return rows, changed
            try:
                output.write_if_unchanged(FILE, path, tag)
                return rows, changed
            except Changed:
                time.sleep(random.uniform(0, min(5, 0.2 * 2**attempt)))
    raise CatalogError(f"{where}: others kept changing it meanwhile, {S3_TRIES} times; run the import again")


def _import(url: sa.URL, job: _Job, *, where: str) -> tuple[int, bool]:
    """The job's rows now in the database, and whether anything was changed."""
    engine = database.engine(url)
    with database.errors(where, url=url):
        # Apart from the rows, so that a first import does not hold up others for its whole length.
        with engine.begin() as connection:
            _make_tables(connection, where=where)
        with engine.begin() as connection:
            database.wait_for_turn(connection, f"shelfsort job {job.id}")
            rows = _same_rows(connection, job)
            if rows is not None:
                return rows, False
            return _replace(connection, job), True


def _make_tables(connection: sa.Connection, *, where: str) -> None:
    """Create the tables that are missing; CatalogError when one is there with another shape."""
    database.wait_for_turn(connection, "shelfsort tables")
    inspector = sa.inspect(connection)
    for table in metadata.sorted_tables:
        if not inspector.has_table(table.name):
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        missing = [column.name for column in table.columns if column.name not in there]
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        if missing or key != table.primary_key.columns.keys():
            lack = f"has no column {missing[0]}" if missing else "has another primary key"
            message = f"its table {table.name} is not Shelfsort's: it {lack}; rename the table or name another database"
            raise CatalogError(f"{where}: {message}")
    metadata.create_all(connection)


def _same_rows(connection: sa.Connection, job: _Job) -> int | None:
    """The number of the job's rows if they come from the same results, else None."""
    found = connection.execute(
        sa.select(imports.c.fingerprint, imports.c.rows).where(imports.c.job_id == job.id)
    ).one_or_none()
    if found is None or found.fingerprint != job.fingerprint:
        return None
    stored = connection.scalar(sa.select(sa.func.count()).where(products.c.job_id == job.id))
    return stored if found.rows == stored == sum(table.num_rows for table in job.tables()) else None


def _replace(connection: sa.Connection, job: _Job) -> int:
    """Put the job's rows in the place of those it may have; gives their number."""
    connection.execute(products.delete().where(products.c.job_id == job.id))
    connection.execute(imports.delete().where(imports.c.job_id == job.id))
    entry = {"job_id": job.id, "fingerprint": job.fingerprint, "rows": 0, "imported_at": datetime.now(UTC)}
    connection.execute(imports.insert(), entry)
    rows = 0
    write = _copy if connection.dialect.name == "postgresql" else _insert
    with write(connection) as send:
        for chunk in _chunks(job):
            send(chunk)
            rows += len(chunk)
    connection.execute(imports.update().where(imports.c.job_id == job.id).values(rows=rows))
    return rows


def _chunks(job: _Job) -> Iterator[list[tuple[Any, ...]]]:
    """The stream as rows of (job_id, *COLUMNS), at most ROWS_AT_ONCE at a time."""
    for table in job.tables():
        for batch in table.select(list(COLUMNS)).to_batches(max_chunksize=ROWS_AT_ONCE):
            values = [_values(batch.column(name), products.c[name].type) for name in COLUMNS]
            yield list(zip(repeat(job.id, batch.num_rows), *values, strict=True))


def _values(column: pa.Array, kind: sa.types.TypeEngine[Any]) -> list[Any]:
    if isinstance(kind, sa.Text):
        # PostgreSQL's text cannot hold NUL characters, and SQLite's functions stop at them.
        column = pc.replace_substring(column.cast(pa.string()), "\0", "")
    values: list[Any] = column.to_pylist()
    return values


@contextmanager
def _copy(connection: sa.Connection) -> Iterator[Callable[[list[tuple[Any, ...]]], None]]:
    """A function that sends rows to PostgreSQL by COPY, several times faster than INSERT."""
    columns = ", ".join(products.columns.keys())
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY products ({columns}) FROM STDIN") as copy:

        def send(rows: list[tuple[Any, ...]]) -> None:
            for row in rows:
                copy.write_row(row)

        yield send


@contextmanager
def _insert(connection: sa.Connection) -> Iterator[Callable[[list[tuple[Any, ...]]], None]]:
    """A function that inserts rows into SQLite by its driver, without SQLAlchemy's work on each row."""
    columns = products.columns.keys()
    statement = f"INSERT INTO products ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"

    def send(rows: list[tuple[Any, ...]]) -> None:
        if rows:
            connection.exec_driver_sql(statement, rows)

    yield send
