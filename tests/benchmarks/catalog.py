"""Products into the catalog: a first import, the same file again, and one of which a tenth is changed, new and gone."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from lib.catalog import CatalogImport, CatalogJob, import_results
from lib.cataloging.rows import catalog_rows
from lib.results import batch_schema
from lib.storage import folder
from tests import services
from tests.benchmarks.product_files import products

ROWS = 1_000_000
GROUP = 20_000  # rows of a row group of rows.parquet, about; counts are cut to tens of them


def run(work: Path, *, rows: int | None, pairs: int) -> None:
    """Print seconds of one transaction each, reading the results included; lib/catalogrows makes the rows from them."""
    count = max((rows or ROWS) // (10 * GROUP), 1) * 10 * GROUP
    groups = _results(count + count // 10)
    tables, more = groups[: count // GROUP], groups[count // GROUP :]
    print(f"\nCatalog: {count:,} products of one customer; seconds of each import, in one transaction")
    print("| | first | same file again | a tenth changed, new, gone | another model's answers |")
    print("|---|---|---|---|---|")
    with services.running("postgres") as facts:
        for name, url in (("SQLite", f"sqlite:///{work}/catalog.db"), ("PostgreSQL", facts["url"])):
            print(f"| {name} | {' | '.join(_imports(url, tables, more))} |", flush=True)
    size = (work / "catalog.db").stat().st_size / 2**20
    print(f"SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores; catalog.db {size:,.0f} MB, "
          f"{shutil.disk_usage(work).free / 2**30:,.0f} GB free")  # fmt: skip


def _imports(url: str, tables: list[pa.Table], more: list[pa.Table]) -> Iterator[str]:
    tenth, count = len(more), len(tables) * GROUP
    changed = [_with(table, "product_brand", "another") for table in tables[:tenth]]
    other = [*changed, *tables[tenth:-tenth], *more]
    another = [_with(table, "category", "tea") for table in other]
    expected = (
        ("first", tables, (count, 0, 0, 0)),
        ("again", tables, (0, 0, count, 0)),
        ("other", other, (tenth * GROUP, tenth * GROUP, count - 2 * tenth * GROUP, tenth * GROUP)),
        ("model", another, (0, 0, count, 0)),
    )
    for job, results, counts in expected:
        began = time.monotonic()
        done = _imported(url, job, results)
        assert (done.new, done.changed, done.unchanged, done.gone) == counts, done
        yield f"{time.monotonic() - began:.1f}"


def _imported(url: str, job: str, results: list[pa.Table]) -> CatalogImport:
    given = CatalogJob(job, fingerprint=job, customer="acme")
    return import_results(folder("unused"), url=url, job=given, tables=lambda: map(catalog_rows, results))


def _results(count: int) -> list[pa.Table]:
    """The row groups of the rows.parquet of a job with so many products."""
    every = products(count)
    return [_row_group(list(zip(*islice(every, GROUP), strict=True)), first) for first in range(0, count, GROUP)]


def _row_group(columns: list[tuple[str, ...]], first: int) -> pa.Table:
    schema = batch_schema([])
    told = {
        "product_sku": columns[0],
        "product_gtin": columns[1],
        "product_name": columns[2],
        "product_brand": columns[3],
        "name_key": columns[2],
        "line": range(first + 2, first + 2 + GROUP),
        "outcome": ["categorized"] * GROUP,
        "category": ["milk"] * GROUP,
        "confidence": [0.9132] * GROUP,
        "model_version": ["f13ccfb20a4a"] * GROUP,
    }
    arrays = [pa.array(told[field.name], field.type) if field.name in told else pa.nulls(GROUP, field.type)
              for field in schema]  # fmt: skip
    return pa.table(arrays, schema=schema)


def _with(table: pa.Table, name: str, value: str) -> pa.Table:
    column = pa.repeat(value, table.num_rows)
    return table.set_column(table.column_names.index(name), name, column)
