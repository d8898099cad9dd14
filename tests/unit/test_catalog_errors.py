"""What a person reads when lib.catalog cannot import: one line, never with the password."""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from lib import database
from lib.catalog import CatalogJob, import_results, reviewed_names
from lib.errors import CatalogError, JobError
from lib.review.decided import name_key
from lib.review.store import Decision, add_corrections, all_corrections
from lib.storage import folder
from tests import services
from tests.catalogs import dump, product, put, stream

SECRET = "hunter2"


def refusal(url: str) -> str:
    """The line that an import into a database ends in."""
    with pytest.raises(CatalogError) as caught:
        import_results(folder("unused"), url=url, job=CatalogJob("job-1", "m1"), tables=lambda: iter(()))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(url: str, **parts: object) -> str:
    """A URL with other parts, its password written out."""
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            "catalog.db",
            "the database URL cannot be read; write sqlite:///PATH or postgresql://USER@HOST/DATABASE, "
            "with %40 for an @ in the password",
        ),
        (
            f"postgresql://me:a@{SECRET}:x@host/db",
            "the database URL cannot be read; write sqlite:///PATH or postgresql://USER@HOST/DATABASE, "
            "with %40 for an @ in the password",
        ),
        (
            f"postgresql://me:a@{SECRET}@host/db",
            "the database URL has a second @; write %40 for an @ in the password",
        ),
        (
            f"mysql://me:{SECRET}@host/db",
            "the database URL starts with mysql://, which is not supported; "
            "write sqlite:///PATH or postgresql://USER@HOST/DATABASE",
        ),
        (
            f"postgresql+psycopg2://me:{SECRET}@host/db",
            "the database URL starts with postgresql+psycopg2://, which is not supported; "
            "write sqlite:///PATH or postgresql://USER@HOST/DATABASE",
        ),
        ("sqlite://", "the database URL names no file, so the results would be lost; write sqlite:///PATH"),
        ("sqlite:///:memory:", "the database URL names no file, so the results would be lost; write sqlite:///PATH"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_before_anything_is_reached(url: str, line: str) -> None:
    assert refusal(url) == line


def test_a_server_that_is_not_there() -> None:
    assert refusal(f"postgresql://me:{SECRET}@127.0.0.1:9/db").startswith(
        "postgresql+psycopg://me:***@127.0.0.1:9/db: "
        'connection failed: connection to server at "127.0.0.1", port 9 failed: Connection refused'
    )


def test_a_password_among_the_options_is_hidden_too() -> None:
    line = refusal(f"postgresql://127.0.0.1:9/db?user={SECRET}&password={SECRET}")
    assert line.startswith("postgresql+psycopg://127.0.0.1:9/db?user=***: connection failed")


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = refusal(f"postgresql://me:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2")
    assert "timeout expired" in line


def test_a_wrong_password(postgres_url: str) -> None:
    url = changed(postgres_url, username=services.LOCKED_ROLE, password=SECRET)
    shown = database.shown(sa.make_url(url))
    line = refusal(url)
    assert line.startswith(f"{shown}: the user or the password is wrong: ")
    assert line.endswith('FATAL: password authentication failed for user "locked"')


def test_a_missing_password(postgres_url: str) -> None:
    line = refusal(changed(postgres_url, username=services.LOCKED_ROLE))
    assert ": a password is wanted; give it in SHELFSORT_DATABASE_URL or PGPASSWORD: " in line


def test_a_role_that_may_not_make_tables(postgres_url: str) -> None:
    url = changed(postgres_url, username=services.LOCKED_ROLE, password=services.LOCKED_PASSWORD)
    line = refusal(url)
    assert line.endswith(": the role lacks a permission: permission denied for schema public")
    assert services.LOCKED_PASSWORD not in line


def test_a_database_that_is_not_there(postgres_url: str) -> None:
    assert refusal(changed(postgres_url, database="nope")).endswith('FATAL: database "nope" does not exist')


def test_a_read_only_server(postgres_url: str) -> None:
    line = refusal(postgres_url + "&options=-c%20default_transaction_read_only%3Don")
    assert ": the database is read-only; name the primary server and a role that may write: " in line


def test_a_server_that_stops_in_the_middle(postgres_url: str) -> None:
    address = sa.make_url(postgres_url)

    def stopped() -> Iterator[pa.Table]:
        with psycopg.connect(host=str(address.query["host"]), user="postgres", dbname="postgres") as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [address.database]
            )
        yield from stream([product("sku:1", "Oat drink")] * 100_000)()

    with pytest.raises(CatalogError) as caught:
        import_results(folder("unused"), url=postgres_url, job=CatalogJob("job-1", "m1"), tables=stopped)
    assert str(caught.value).endswith(": nothing was imported; run the import again: the connection is lost")


def test_an_import_of_the_same_job_that_does_not_end(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "IMPORT_WAIT_SECONDS", 1)
    engine = database.engine(sa.make_url(postgres_url))
    with engine.begin() as other:
        database.wait_for_turn(other, "shelfsort job job-1")
        assert ": another import has kept its lock; try again later: " in refusal(postgres_url)


@pytest.mark.parametrize("table", ["imports", "products"])
def test_a_table_of_that_name_that_is_an_earlier_version_s_or_another_program_s(
    postgres_url: str, tmp_path: Path, table: str
) -> None:
    """It is refused in one line, before the work as well as after."""
    for url in (postgres_url, f"sqlite:///{tmp_path}/a.db"):
        engine = database.engine(sa.make_url(url))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"create table {table} (job_id text, price int)")
        line = (
            f"{url}: its table {table} is another program's or an earlier Shelfsort's; "
            f"rename {table} or name another database, and import the files again"
        )
        assert refusal(url) == line
        with pytest.raises(CatalogError) as caught:
            reviewed_names(folder("unused"), url=url, customer="")
        assert str(caught.value) == line


def test_an_import_that_is_called_off_before_its_commit_changes_nothing(postgres_url: str, tmp_path: Path) -> None:
    """A job that was cancelled while it waited for its turn."""

    def cancelled() -> None:
        raise JobError("it was cancelled")

    for url in (postgres_url, f"sqlite:///{tmp_path}/a.db"):
        put(url, [product("sku:1", "Oat drink")])
        before = dump(url)
        given = CatalogJob("job-2", "m1")
        rows = stream([product("sku:2", "Pale ale")])
        with pytest.raises(JobError, match="it was cancelled"):
            import_results(folder("unused"), url=url, job=given, tables=rows, before_commit=cancelled)
        assert dump(url) == before


@pytest.mark.parametrize("name", ["missing/a.db", ""])
def test_a_file_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    """In a missing folder, or where a folder is."""
    path = tmp_path / name
    assert refusal(f"sqlite:///{path}") == (
        f"sqlite:///{path}: cannot be opened or made; check that its folder exists and may be written to: "
        "unable to open database file"
    )


def test_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").close()
    line = refusal(f"sqlite:///file:{tmp_path}/a.db?mode=ro&uri=true")
    assert line.endswith(": may not be written to; check its permissions: attempt to write a readonly database")


def test_a_file_that_may_only_be_read_is_refused_before_the_work(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").close()
    with pytest.raises(CatalogError, match="may not be written to; check its permissions"):
        reviewed_names(folder("unused"), url=f"sqlite:///file:{tmp_path}/a.db?mode=ro&uri=true", customer="")


def test_what_people_decided_is_read_while_another_import_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small job's first step must not wait for the transaction of a large one."""
    for name in ("WAIT_SECONDS", "IMPORT_WAIT_SECONDS"):
        monkeypatch.setattr(database, name, 0.1)
    url = f"sqlite:///{tmp_path}/a.db"
    put(url, [product("sku:1", "Oat drink")], customer="acme")
    decision = Decision(name_key("Oat drink"), "milk", None, "Oat drink", None, None, "job-1", 2, "")
    add_corrections(sa.make_url(url), [decision], customer="acme", job_id="job-1", who="ada")
    with database.engine(sa.make_url(url)).connect() as other, other.begin() as large:
        other.exec_driver_sql("UPDATE products SET name = 'another'")
        other.exec_driver_sql("DELETE FROM corrections")
        _, found = reviewed_names(folder("unused"), url=url, customer="acme")
        assert [(key, one.category) for key, one in found.items()] == [("oat drink", "milk")]
        assert len(all_corrections(sa.make_url(url))) == 1
        large.rollback()


def test_a_file_that_another_program_keeps_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "IMPORT_WAIT_SECONDS", 0.1)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("begin immediate")
    line = refusal(f"sqlite:///{tmp_path}/a.db")
    other.close()
    assert line.endswith("/a.db: another program has kept it locked; try again later: database is locked")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"name;price\n" * 1000)
    line = refusal(f"sqlite:///{tmp_path}/a.db")
    assert ": is not an SQLite database; name another file or remove it: " in line


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite reports its own limit of pages as it reports a full disk."""
    monkeypatch.setattr(database, "SQLITE_PRAGMAS", (*database.SQLITE_PRAGMAS, "PRAGMA max_page_count = 2"))
    line = refusal(f"sqlite:///{tmp_path}/a.db")
    assert line.endswith(": the disk is full; make room and run the import again: database or disk is full")


def test_a_table_that_lacks_a_permission_names_the_server_s_reason(postgres_url: str) -> None:
    refused = changed(postgres_url, username=services.LOCKED_ROLE, password=services.LOCKED_PASSWORD)
    import_results(folder("unused"), url=postgres_url, job=CatalogJob("job-1", "m1"), tables=lambda: iter(()))
    address = sa.make_url(postgres_url)
    with psycopg.connect(host=str(address.query["host"]), user="postgres", dbname=address.database) as owner:
        owner.execute("grant select on shelfsort_catalog_version to locked")
    assert refusal(refused).endswith(": the role lacks a permission: permission denied for table imports")
