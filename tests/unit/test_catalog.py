"""lib.catalog on SQLite, on a real PostgreSQL and, as a file on S3, on a real S3 server: one transaction a job."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lib import catalog, database, migrations
from lib.catalog import CatalogImport, CatalogJob, import_results
from lib.cataloging import tables as catalogtables
from lib.cataloging import upserting
from lib.errors import CatalogError, StorageError
from lib.storage import folder
from tests.catalogs import Row, dump, product, products, put, stream

OAT = product("sku:S-1", "Oat drink", line=2, sku="S-1", gtin="4006381333931", brand="Oatly", confidence=0.9312)
ALE = product("row:1", "Pale ale", line=3, category="beer", confidence=0.41, needs_review=True)
TEA = product("sku:S-3", "Green tea", line=4, sku="S-3", brand="")
NAMES = ("line", "name", "sku", "gtin", "brand", "category", "confidence", "needs_review", "model_version", "sheet")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return str(request.getfixturevalue("postgres_url"))


def values(*rows: Row) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in NAMES) for row in rows]


def rows_of(url: str, job: str = "job-1") -> list[tuple[Any, ...]]:
    return sorted(products(url, *NAMES, job_id=job, gone_job_id=None))


def at_once(*calls: Callable[[], Any]) -> list[BaseException]:
    """Run the calls in threads that start together; gives what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_rows_come_out_as_they_went_in(url: str) -> None:
    done = put(url, [OAT, ALE], [], [TEA])
    assert (done.rows, done.new, done.touched) == (3, 3, True)
    assert rows_of(url) == values(OAT, ALE, TEA)
    [(job, customer, submitted_at, imported_at, fingerprint, whole_file, rows, *_)] = dump(url)["imports"]
    assert (job, customer, fingerprint, whole_file, rows) == ("job-1", "", "m1", True, 3)
    assert submitted_at <= imported_at
    # SQLite keeps no time zone; what stands there is UTC.
    utc = imported_at.astimezone(UTC) if imported_at.tzinfo else imported_at.replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) - utc < timedelta(minutes=1)


def test_an_import_without_rows_is_recorded(url: str) -> None:
    assert put(url).rows == 0
    assert (len(dump(url)["imports"]), dump(url)["products"]) == (1, [])
    assert not put(url).touched


def test_the_same_results_again_touch_nothing(url: str) -> None:
    put(url, [OAT, ALE], [TEA])
    before = dump(url)
    again = put(url, [OAT], [ALE, TEA])
    assert (again.rows, again.new, again.touched) == (3, 3, False)
    assert dump(url) == before


def test_results_of_another_fingerprint_replace_those_before(url: str) -> None:
    put(url, [OAT, ALE, TEA])
    put(url, [ALE], job="job-2")
    better = ALE | {"category": "ales", "confidence": 0.99, "needs_review": False, "model_version": "m2"}
    done = put(url, [better], fingerprint="m2")
    assert (done.url_shown, done.rows, done.touched) == (database.shown(sa.make_url(url)), 1, True)
    assert rows_of(url) == values(better)
    assert rows_of(url, "job-2") == values(ALE)
    assert [(row[0], row[4], row[6]) for row in dump(url)["imports"]] == [("job-1", "m2", 1), ("job-2", "m1", 1)]


def test_rows_that_somebody_removed_come_back(url: str) -> None:
    put(url, [OAT, ALE])
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(catalogtables.products.delete().where(catalogtables.products.c.line == 2))
    assert put(url, [OAT, ALE]).touched
    assert rows_of(url) == values(OAT, ALE)


def test_a_failure_in_the_middle_leaves_the_database_as_it_was(url: str) -> None:
    put(url, [OAT, ALE])
    before = dump(url)

    def broken() -> Iterator[pa.Table]:
        yield from stream([TEA])()
        raise StorageError("s3://bucket/result-7: no such object")

    for job in ("job-1", "job-2"):
        with pytest.raises(StorageError, match=r"^s3://bucket/result-7: no such object$"):
            import_results(folder("unused"), url=url, job=CatalogJob(job, "m2"), tables=broken)
        assert dump(url) == before


@pytest.mark.parametrize(
    "text",
    [
        'a "quoted" name',
        "it's; drop table products --",
        "two\nlines\r\nand a\rreturn",
        "back\\slash \\n \\",
        "\\N",
        "\\.",
        "a\n\\.\nb",
        "tab\tcomma,semicolon;",
        "🥛 молоко 牛奶 Größe",
        "",
        " ",
        None,
        "NULL",
        "long " * 10_000,
    ],
)
def test_any_text_is_kept(url: str, text: str | None) -> None:
    row = OAT | dict.fromkeys(("name", "sku", "brand", "category", "model_version", "sheet"), text)
    put(url, [row])
    assert rows_of(url) == values(row)


def test_nul_characters_are_left_out(url: str) -> None:
    """PostgreSQL cannot hold them."""
    put(url, [OAT | {"name": "a\0b", "brand": "\0"}])
    assert rows_of(url) == values(OAT | {"name": "ab", "brand": ""})


def test_numbers_and_missing_values_are_kept_exactly(url: str) -> None:
    missing = dict.fromkeys(NAMES)
    rows = [
        OAT | {"line": 2**53 + 1, "confidence": 0.1 + 0.2},
        ALE | missing | {"line": 2**62, "confidence": 5e-324},
    ]
    put(url, rows)
    assert rows_of(url) == values(*rows)


def test_tables_larger_than_a_chunk_arrive_whole(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upserting, "ROWS_AT_ONCE", 7)
    rows = [OAT | {"line": line} for line in range(2, 102)]
    assert put(url, rows[:50], rows[50:]).rows == 100
    assert rows_of(url) == values(*rows)


def test_a_stream_is_read_table_by_table(url: str) -> None:
    """No more than one table is held while the next is made."""
    alive: list[int] = []

    def tables() -> Iterator[pa.Table]:
        for number in range(20):
            alive.append(pa.total_allocated_bytes())
            rows = [OAT | {"line": number * 1000 + line, "name": "x" * 1000} for line in range(1000)]
            yield stream(rows)().__next__()

    import_results(folder("unused"), url=url, job=CatalogJob("job-1", "m1"), tables=tables)
    assert max(alive) - alive[0] < 8_000_000


def test_two_imports_of_the_same_job_at_once_end_in_one(url: str) -> None:
    rows = [OAT | {"line": line} for line in range(2, 5000)]
    assert at_once(*[lambda: put(url, rows)] * 3) == []
    assert rows_of(url) == values(*rows)
    assert len(dump(url)["imports"]) == 1


def test_first_imports_of_many_jobs_at_once_all_arrive(url: str) -> None:
    """All of them find the tables missing."""
    jobs = [f"job-{number}" for number in range(6)]
    assert at_once(*[lambda job=job: put(url, [OAT, ALE], job=job) for job in jobs]) == []
    assert [row[0] for row in dump(url)["imports"]] == jobs
    assert all(rows_of(url, job) == values(OAT, ALE) for job in jobs)


def test_without_a_url_the_catalog_is_a_file_in_the_output_folder(tmp_path: Path) -> None:
    output = folder(str(tmp_path / "50% ?#ü"))
    output.write_bytes("results.csv", b"")
    done = import_results(output, url="", job=CatalogJob("job-1", "m1"), tables=stream([OAT]))
    assert done.url_shown == output.uri_of("catalog.db")
    assert output.names() == ["catalog.db", "results.csv"]
    with sqlite3.connect(done.url_shown) as connection:
        assert connection.execute("select line, name from products").fetchall() == [(2, "Oat drink")]
    connection.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_usual_spelling_of_a_postgres_url_is_taken(postgres_url: str, scheme: str) -> None:
    assert put(f"{scheme}://{postgres_url.partition('://')[2]}", [OAT]).rows == 1


def test_a_catalog_on_s3_is_made_changed_and_left_alone(bucket: str, tmp_path: Path) -> None:
    output = folder(bucket + "/job")

    def put_there(rows: list[Row], fingerprint: str) -> CatalogImport:
        return import_results(output, url="", job=CatalogJob("job-1", fingerprint), tables=stream(rows))

    def there() -> list[tuple[Any, ...]]:
        with output.reading("catalog.db") as path:
            return rows_of(f"sqlite:///{path}")

    assert put_there([OAT], "m1").url_shown == bucket + "/job/catalog.db"
    assert there() == values(OAT)
    before = output.read_bytes("catalog.db")
    assert not put_there([OAT], "m1").touched
    assert output.read_bytes("catalog.db") == before
    assert put_there([ALE], "m2").touched
    assert there() == values(ALE)


def test_jobs_that_import_into_one_catalog_on_s3_at_once_all_arrive(bucket: str) -> None:
    def put_there(job: str) -> None:
        import_results(folder(bucket), url="", job=CatalogJob(job, "m1"), tables=stream([OAT, ALE]))

    jobs = [f"job-{number}" for number in range(4)]
    assert at_once(*[lambda job=job: put_there(job) for job in jobs]) == []
    with folder(bucket).reading("catalog.db") as path:
        assert [(row[0], row[4], row[6]) for row in dump(f"sqlite:///{path}")["imports"]] == [
            (job, "m1", 2) for job in jobs
        ]
        assert all(rows_of(f"sqlite:///{path}", job) == values(OAT, ALE) for job in jobs)


def test_a_catalog_on_s3_that_others_always_change_is_given_up_in_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "S3_TRIES", 2)
    output = folder(bucket)
    fingerprints = itertools.count()

    def disturbed() -> Iterator[pa.Table]:
        """Another import comes between fetching the file and putting it back, every time."""
        import_results(output, url="", job=CatalogJob("other", str(next(fingerprints))), tables=stream([ALE]))
        yield from stream([OAT])()

    with pytest.raises(CatalogError) as caught:
        import_results(output, url="", job=CatalogJob("job-1", "m1"), tables=disturbed)
    assert str(caught.value) == f"{bucket}/catalog.db: others kept changing it meanwhile, 2 times; run the import again"


def test_the_tables_of_the_migrations_are_those_of_the_code(url: str) -> None:
    put(url, [OAT])

    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare: object) -> bool:
        return not (kind == "table" and name == migrations.CATALOG.version_table)

    with database.engine(sa.make_url(url)).begin() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, catalogtables.metadata) == []
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = 'products'")).scalar_one()
        assert "WITHOUT ROWID" in made


def test_the_newest_migration_is_the_one_the_code_knows() -> None:
    home = Path(migrations.__file__).parent
    scripts = ScriptDirectory(str(home), version_locations=[str(home / migrations.CATALOG.folder)])
    assert scripts.get_current_head() == migrations.CATALOG_HEAD


def test_a_catalog_of_a_newer_version_is_refused_before_the_work_and_after(url: str) -> None:
    put(url, [OAT])
    before = dump(url)
    table = migrations.CATALOG.version_table
    with database.engine(sa.make_url(url)).begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET version_num = '9999'"))
    line = r"its catalog is of a newer version \(9999, this one knows 0001\); update"
    with pytest.raises(CatalogError, match=line):
        put(url, [OAT, ALE])
    with pytest.raises(CatalogError, match=line):
        catalog.reviewed_names(folder("unused"), url=url, customer="")
    assert dump(url) == before
