"""Catalogs for the tests: rows as a job's results give them, imported, and read back."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lib.catalog import CatalogImport, CatalogJob, import_results
from lib.cataloging import tables as catalogtables
from lib.cataloging.rows import CATALOG_ROWS
from lib.review.decided import name_key
from lib.storage import folder

Row = dict[str, Any]


def product(key: str, name: str | None, *, line: int = 2, said: str = "", **more: Any) -> Row:
    """A row of cataloging.rows.CATALOG_ROWS; `said` stands for whatever else the customer says of the product."""
    answer = {"category": "tea", "confidence": 0.9, "needs_review": False, "model_version": "m1"}
    known = {"present": True, "product_key": key, "name": name, "line": line, "sheet": "", "content": f"{name} {said}"}
    told = dict.fromkeys(CATALOG_ROWS.names) | known | answer | {"name_key": name_key(name or "")}
    return told | more


def stream(*tables: list[Row]) -> Callable[[], Iterator[pa.Table]]:
    """What import_results is given: each list of rows as a table."""
    return lambda: (pa.Table.from_pylist(rows, schema=CATALOG_ROWS) for rows in tables)


def put(url: str, *tables: list[Row], job: str = "job-1", day: int = 0, **more: Any) -> CatalogImport:
    """Import tables of rows for a job that was submitted on that day of January 2026 (0: it says nothing of it)."""
    across = more.pop("across_customers", True)
    submitted = datetime(2026, 1, day, tzinfo=UTC) if day else None
    given = CatalogJob(job, **{"fingerprint": "m1", "submitted_at": submitted, **more})
    return import_results(folder("unused"), url=url, job=given, tables=stream(*tables), across_customers=across)


def counts(done: CatalogImport) -> tuple[int, int, int, int]:
    """New, changed, unchanged, gone."""
    return done.new, done.changed, done.unchanged, done.gone


def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the catalog."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in catalogtables.metadata.sorted_tables
        }


def products(url: str, *columns: str, **where: Any) -> list[tuple[Any, ...]]:
    """Columns of the products, by their keys."""
    table = catalogtables.products
    query = sa.select(*(table.c[name] for name in columns)).order_by(*table.primary_key)
    query = query.where(*(table.c[name] == value for name, value in where.items()))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]
