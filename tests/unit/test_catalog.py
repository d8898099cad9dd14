"""lib.catalog on SQLite, on a real PostgreSQL and, as a file on S3, on a real S3 server."""

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

from lib import catalog, database
from lib.catalog import CatalogImport, import_results
from lib.errors import CatalogError, StorageError
from lib.storage import folder

SCHEMA = pa.schema(
    {
        "line": pa.int64(),
        **dict.fromkeys(("name", "sku", "gtin", "brand", "category"), pa.string()),
        "confidence": pa.float64(),
        "needs_review": pa.bool_(),
        "model_version": pa.string(),
        "sheet": pa.string(),
    }
)
OAT = (2, "Oat drink", "S-1", "4006381333931", "Oatly", "plant-drinks", 0.9312, False, "m1")
ALE = (3, "Pale ale", None, None, None, "beer", 0.41, True, "m1")
TEA = (4, "Green tea", "S-3", None, "", "tea", 0.88, False, "m1")

Row = tuple[Any, ...]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return str(request.getfixturevalue("postgres_url"))


def stream(*tables: list[Row]) -> Callable[[], Iterator[pa.Table]]:
    """What import_results is given: each list of rows as a table."""

    def tables_of() -> Iterator[pa.Table]:
        for rows in tables:
            on_no_sheet = [(*row, "") for row in rows]
            columns = [list(column) for column in zip(*on_no_sheet, strict=True)]
            yield pa.table(columns or [[]] * len(SCHEMA), schema=SCHEMA)

    return tables_of


def put(url: str, *tables: list[Row], job: str = "job-1", fingerprint: str = "m1") -> CatalogImport:
    return import_results(folder("unused"), url=url, job_id=job, tables=stream(*tables), fingerprint=fingerprint)


def dump(url: str) -> dict[str, list[Row]]:
    """Everything in the database."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in catalog.metadata.sorted_tables
        }


def rows_of(url: str, job: str = "job-1") -> list[Row]:
    return [row[1:-1] for row in dump(url)["products"] if row[0] == job]


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
    assert (done.rows, done.changed) == (3, True)
    assert rows_of(url) == [OAT, ALE, TEA]
    [(job, fingerprint, rows, imported_at)] = dump(url)["imports"]
    assert (job, fingerprint, rows) == ("job-1", "m1", 3)
    # SQLite keeps no time zone; what stands there is UTC.
    utc = imported_at.astimezone(UTC) if imported_at.tzinfo else imported_at.replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) - utc < timedelta(minutes=1)


def test_an_import_without_rows_is_recorded(url: str) -> None:
    assert put(url).rows == 0
    assert (len(dump(url)["imports"]), dump(url)["products"]) == (1, [])
    assert not put(url).changed


def test_the_same_results_again_touch_nothing(url: str) -> None:
    put(url, [OAT, ALE], [TEA])
    before = dump(url)
    again = put(url, [OAT], [ALE, TEA])
    assert (again.rows, again.changed) == (3, False)
    assert dump(url) == before


def test_results_of_another_fingerprint_replace_those_before(url: str) -> None:
    put(url, [OAT, ALE, TEA])
    put(url, [ALE], job="job-2")
    better = [(*ALE[:5], "ales", 0.99, False, "m2")]
    done = put(url, better, fingerprint="m2")
    assert (done.url_shown, done.rows, done.changed) == (database.shown(sa.make_url(url)), 1, True)
    assert rows_of(url) == better
    assert rows_of(url, "job-2") == [ALE]
    assert [row[:3] for row in dump(url)["imports"]] == [("job-1", "m2", 1), ("job-2", "m1", 1)]


def test_rows_that_somebody_removed_come_back(url: str) -> None:
    put(url, [OAT, ALE])
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(catalog.products.delete().where(catalog.products.c.line == 2))
    assert put(url, [OAT, ALE]).changed
    assert rows_of(url) == [OAT, ALE]


def test_more_rows_under_the_same_fingerprint_replace_those_before(url: str) -> None:
    put(url, [OAT])
    assert put(url, [OAT, ALE]).changed
    assert rows_of(url) == [OAT, ALE]


def test_a_failure_in_the_middle_leaves_the_database_as_it_was(url: str) -> None:
    put(url, [OAT, ALE])
    before = dump(url)

    def broken() -> Iterator[pa.Table]:
        yield from stream([TEA])()
        raise StorageError("s3://bucket/result-7: no such object")

    for job in ("job-1", "job-2"):
        with pytest.raises(StorageError, match=r"^s3://bucket/result-7: no such object$"):
            import_results(folder("unused"), url=url, job_id=job, tables=broken, fingerprint="m2")
        assert dump(url) == before


def test_a_line_that_comes_twice_is_refused_whole(url: str) -> None:
    with pytest.raises(CatalogError, match=r"(?i)unique"):
        put(url, [OAT, ALE], [OAT])
    assert dump(url) == {"imports": [], "products": []}


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
    row = (2, text, text, text, text, text, 0.5, True, text)
    put(url, [row])
    assert rows_of(url) == [row]


def test_nul_characters_are_left_out(url: str) -> None:
    """PostgreSQL cannot hold them."""
    put(url, [(2, "a\0b", "\0", None, None, "c", 0.5, True, "m1")])
    assert rows_of(url) == [(2, "ab", "", None, None, "c", 0.5, True, "m1")]


def test_numbers_and_missing_values_are_kept_exactly(url: str) -> None:
    rows = [(2**53 + 1, "a", None, None, None, None, 0.1 + 0.2, None, None), (2**62, *[None] * 8)]
    put(url, rows)
    assert rows_of(url) == rows


def test_tables_larger_than_a_chunk_arrive_whole(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ROWS_AT_ONCE", 7)
    rows = [(line, *OAT[1:]) for line in range(2, 102)]
    assert put(url, rows[:50], rows[50:]).rows == 100
    assert rows_of(url) == rows


def test_a_stream_is_read_table_by_table(url: str) -> None:
    """No more than one table is held while the next is made."""
    alive: list[int] = []

    def tables() -> Iterator[pa.Table]:
        for number in range(20):
            alive.append(pa.total_allocated_bytes())
            yield stream([(number * 1000 + line, "x" * 1000, *OAT[2:]) for line in range(1000)])().__next__()

    import_results(folder("unused"), url=url, job_id="job-1", tables=tables, fingerprint="m1")
    assert max(alive) - alive[0] < 8_000_000


def test_two_imports_of_the_same_job_at_once_end_in_one(url: str) -> None:
    rows = [(line, *OAT[1:]) for line in range(2, 5000)]
    assert at_once(*[lambda: put(url, rows)] * 3) == []
    assert rows_of(url) == rows
    assert len(dump(url)["imports"]) == 1


def test_first_imports_of_many_jobs_at_once_all_arrive(url: str) -> None:
    """All of them find the tables missing."""
    jobs = [f"job-{number}" for number in range(6)]
    assert at_once(*[lambda job=job: put(url, [OAT, ALE], job=job) for job in jobs]) == []
    assert [row[0] for row in dump(url)["imports"]] == jobs
    assert all(rows_of(url, job) == [OAT, ALE] for job in jobs)


def test_without_a_url_the_catalog_is_a_file_in_the_output_folder(tmp_path: Path) -> None:
    output = folder(str(tmp_path / "50% ?#ü"))
    output.write_bytes("results.csv", b"")
    done = import_results(output, url="", job_id="job-1", tables=stream([OAT]), fingerprint="m1")
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
        return import_results(output, url="", job_id="job-1", tables=stream(rows), fingerprint=fingerprint)

    def there() -> list[Row]:
        with output.reading("catalog.db") as path:
            return rows_of(f"sqlite:///{path}")

    assert put_there([OAT], "m1").url_shown == bucket + "/job/catalog.db"
    assert there() == [OAT]
    before = output.read_bytes("catalog.db")
    assert not put_there([OAT], "m1").changed
    assert output.read_bytes("catalog.db") == before
    assert put_there([ALE], "m2").changed
    assert there() == [ALE]


def test_jobs_that_import_into_one_catalog_on_s3_at_once_all_arrive(bucket: str) -> None:
    def put_there(job: str) -> None:
        import_results(folder(bucket), url="", job_id=job, tables=stream([OAT, ALE]), fingerprint="m1")

    jobs = [f"job-{number}" for number in range(4)]
    assert at_once(*[lambda job=job: put_there(job) for job in jobs]) == []
    with folder(bucket).reading("catalog.db") as path:
        assert [row[:3] for row in dump(f"sqlite:///{path}")["imports"]] == [(job, "m1", 2) for job in jobs]
        assert all(rows_of(f"sqlite:///{path}", job) == [OAT, ALE] for job in jobs)


def test_a_catalog_on_s3_that_others_always_change_is_given_up_in_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "S3_TRIES", 2)
    output = folder(bucket)
    fingerprints = itertools.count()

    def disturbed() -> Iterator[pa.Table]:
        """Another import comes between fetching the file and putting it back, every time."""
        import_results(output, url="", job_id="other", tables=stream([ALE]), fingerprint=str(next(fingerprints)))
        yield from stream([OAT])()

    with pytest.raises(CatalogError) as caught:
        import_results(output, url="", job_id="job-1", tables=disturbed, fingerprint="m1")
    assert str(caught.value) == f"{bucket}/catalog.db: others kept changing it meanwhile, 2 times; run the import again"
