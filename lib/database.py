"""Databases by URL, SQLite or PostgreSQL: connections, locks, and refusals as one line without the password."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

from lib.errors import CatalogError

# How long one waits for another that has the same job (PostgreSQL) or the same file (SQLite), and an import, which may
# come behind the several minutes of a large one.
WAIT_SECONDS = 60
IMPORT_WAIT_SECONDS = 900
CONNECT_SECONDS = 5
# Where else than in its usual place a PostgreSQL URL may hold a password.
SECRET_OPTIONS = ("password", "sslpassword")
# The rollback journal and full syncs (the defaults) stay: write-ahead logging does not work on network shares,
# and a copy of its file alone may lack the newest data. One big transaction gains nothing from it either.
SQLITE_PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA cache_size = -65536")

# What to say for SQLite's error names and PostgreSQL's SQLSTATEs or, before there is a session, its words.
ADVICE = {
    "SQLITE_BUSY": "another program has kept it locked; try again later",
    "SQLITE_READONLY": "may not be written to; check its permissions",
    "SQLITE_CANTOPEN": "cannot be opened or made; check that its folder exists and may be written to",
    "SQLITE_FULL": "the disk is full; make room and run the import again",
    "SQLITE_NOTADB": "is not an SQLite database; name another file or remove it",
    "SQLITE_CORRUPT": "is damaged; restore it or remove it",
    "53100": "the server's disk is full; make room and run the import again",
    "55P03": "another import has kept its lock; try again later",
    "25006": "the database is read-only; name the primary server and a role that may write",
    "42501": "the role lacks a permission",
    "password authentication failed": "the user or the password is wrong",
    "no password supplied": "a password is wanted; give it in SHELFSORT_DATABASE_URL or PGPASSWORD",
    "connection is lost": "nothing was imported; run the import again",
}


def checked(url: str) -> sa.URL:
    """The URL with its driver; CatalogError, which never quotes the URL, when it is not one we can use."""
    advice = "write sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise CatalogError(f"the database URL cannot be read; {advice}, with %40 for an @ in the password") from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        if "@" in (parsed.host or ""):
            raise CatalogError("the database URL has a second @; write %40 for an @ in the password")
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise CatalogError(f"the database URL starts with {parsed.drivername}://, which is not supported; {advice}")
    if parsed.database in (None, "", ":memory:"):
        raise CatalogError("the database URL names no file, so the results would be lost; write sqlite:///PATH")
    return parsed


def sqlite(path: Path) -> sa.URL:
    """The URL of an SQLite file, whatever characters its path has."""
    return sa.URL.create("sqlite", database=str(path))


def shown(url: sa.URL) -> str:
    """The URL without any password."""
    return url.difference_update_query(SECRET_OPTIONS).render_as_string(hide_password=True)


def engine(url: sa.URL, *, wait: float | None = None, only_reads: bool = False) -> sa.Engine:
    """Connections that are closed after use and, on SQLite, hold the only right to write from the start.

    On SQLite they wait so many seconds for that right, WAIT_SECONDS if left out. With `only_reads` they do not ask for
    it, and wait only while a writer puts its changes into the file: at the end of its transaction.
    """
    if url.get_backend_name() == "postgresql":
        connect = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
        # A waiting import must then see what it waited for, whatever the server's own default is.
        return sa.create_engine(
            url, poolclass=sa.NullPool, connect_args=connect, isolation_level="READ COMMITTED", hide_parameters=True
        )
    timeout = WAIT_SECONDS if wait is None else wait
    made = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": timeout}, hide_parameters=True)

    @sa.event.listens_for(made, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        # Python's own idea of when to begin a transaction would leave table definitions out of it.
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)

    @sa.event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    return made


def check_writable(url: sa.URL) -> None:
    """Refuse an SQLite file that may not be written to, without waiting for whoever is writing; see errors()."""
    if url.get_backend_name() != "sqlite":
        return  # a server's permissions are those of its tables
    try:
        with engine(url, wait=0).connect() as connection, connection.begin() as transaction:
            # Only a change finds out, and this one is taken back.
            connection.exec_driver_sql("PRAGMA user_version = 1")
            transaction.rollback()
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_BUSY":
            raise


def wait_for_turn(connection: sa.Connection, key: str, *, seconds: float | None = None) -> None:
    """Hold a lock of this name until the transaction ends; on SQLite the whole file is locked already."""
    if connection.dialect.name == "postgresql":
        seconds = WAIT_SECONDS if seconds is None else seconds
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{seconds}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))


@contextmanager
def errors(where: str, *, url: sa.URL) -> Iterator[None]:
    """Turn a database's refusals into one line that names it, never with the password."""
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or str(cause)
        # The server's further lines quote the row at fault; before there is a session there is only the text.
        said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
        reasons = [text for sign, text in ADVICE.items() if sign in code]
        line = f"{where}: {': '.join([*reasons, said or str(cause)])}"
        for secret in (url.password, *(url.query.get(option) for option in SECRET_OPTIONS)):
            line = line.replace(str(secret), "***") if secret else line
        raise CatalogError(line) from error
