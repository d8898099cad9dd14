"""A job's rows into the catalog's `products`: set-based SQL that SQLite and PostgreSQL both know, in one transaction.

The rows first go into temporary tables, by COPY or by the driver's executemany. `staged` has the job's products, `held`
the keys of rejected rows. Several products of one key are told apart by `occurrence`: those whose content is there
already keep their number, whatever their order in the file; the rest take the numbers left over, by line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lib.cataloging.rows import CATALOG_ROWS

# Rows handed to SQLite at a time; more is no faster and takes memory.
ROWS_AT_ONCE = 10_000
_GIVEN = [name for name in CATALOG_ROWS.names if name != "present"]
_TYPES = {pa.int64(): "bigint", pa.float64(): "double precision", pa.bool_(): "boolean", pa.string(): "text"}
_ANSWER = ("category", "confidence", "model_version", "corrected_by", "corrected_at", "corrected_for")
_DATA = ("name", "sku", "gtin", "brand", "job_id", "line", "sheet", "name_key", "content")

# What people said that counts for :customer, by name_key; see review/decided.py.
DECIDED = """
WITH newest AS (
  SELECT c.*, row_number() OVER (PARTITION BY c.customer, c.name_key ORDER BY c.id DESC) AS nth FROM corrections c
  {only}
), others AS (
  SELECT name_key, max(id) AS id FROM newest WHERE nth = 1 AND customer <> :customer AND :across = 1
  GROUP BY name_key HAVING count(DISTINCT category) = 1
)
SELECT n.name_key, n.category, n.corrected_by, n.corrected_at, n.customer FROM newest n
WHERE n.nth = 1 AND (n.customer = :customer OR n.id IN (
  SELECT o.id FROM others o
  WHERE o.name_key NOT IN (SELECT own.name_key FROM newest own WHERE own.customer = :customer)))
"""

_KNOWN = """
CREATE TEMP TABLE known AS
SELECT p.product_key, p.occurrence, p.content, CASE WHEN p.gone_job_id IS NULL THEN 0 ELSE 1 END AS gone,
  row_number() OVER (PARTITION BY p.product_key, p.content ORDER BY p.gone_job_id IS NOT NULL, p.occurrence) AS nth
FROM several JOIN products p USING (product_key) WHERE p.customer = :customer AND p.only_job = :only_job
"""
_NUMBERED = """
CREATE TEMP TABLE numbered AS
SELECT s.place, s.product_key, s.content,
  row_number() OVER (PARTITION BY s.product_key, s.content ORDER BY s.place) AS nth
FROM several JOIN staged s USING (product_key)
"""
_SAME = """
CREATE TEMP TABLE placed AS
SELECT n.place, n.product_key, k.occurrence FROM numbered n JOIN known k USING (product_key, content, nth)
"""
_REST = """
INSERT INTO placed
WITH rest AS (
  SELECT place, product_key, row_number() OVER (PARTITION BY product_key ORDER BY place) AS nth FROM numbered
  WHERE place NOT IN (SELECT place FROM placed)
), taken AS (
  SELECT product_key, occurrence FROM placed
), free AS (
  SELECT k.product_key, k.occurrence,
    row_number() OVER (PARTITION BY k.product_key ORDER BY k.gone, k.occurrence) AS nth
  FROM known k LEFT JOIN taken t ON t.product_key = k.product_key AND t.occurrence = k.occurrence
  WHERE t.occurrence IS NULL
), counted AS (
  SELECT product_key, count(*) AS number FROM free GROUP BY product_key
), last AS (
  SELECT product_key, max(occurrence) AS number FROM known GROUP BY product_key
)
SELECT r.place, r.product_key, coalesce(f.occurrence, coalesce(l.number, 0) + r.nth - coalesce(c.number, 0))
FROM rest r LEFT JOIN free f ON f.product_key = r.product_key AND f.nth = r.nth
LEFT JOIN counted c ON c.product_key = r.product_key LEFT JOIN last l ON l.product_key = r.product_key
"""

# A correction stays against a model, and a customer's own against another's.
_KEEP = """products.corrected_by IS NOT NULL AND (excluded.corrected_by IS NULL
  OR (excluded.corrected_for <> excluded.customer AND products.corrected_for = products.customer))"""
_IS_NEWER = "IN (SELECT job_id FROM newer)"
_UPSERT = f"""
INSERT INTO products (customer, only_job, product_key, occurrence, {", ".join(_DATA)}, {", ".join(_ANSWER)},
  needs_review, change, gone_job_id)
SELECT :customer, :only_job, product_key, occurrence,
  {", ".join(":job_id" if name == "job_id" else name for name in _DATA)}, {", ".join(_ANSWER)},
  needs_review, 'new', :gone_after FROM staged WHERE true ORDER BY product_key, occurrence
ON CONFLICT (customer, only_job, product_key, occurrence) DO UPDATE SET
  {", ".join(f"{name} = excluded.{name}" for name in _DATA)},
  {", ".join(f"{name} = CASE WHEN {_KEEP} THEN products.{name} ELSE excluded.{name} END" for name in _ANSWER)},
  needs_review = CASE WHEN {_KEEP}
    THEN products.needs_review OR coalesce(products.name_key, '') <> coalesce(excluded.name_key, '')
    ELSE excluded.needs_review END,
  change = CASE
    WHEN products.gone_job_id <> excluded.job_id AND products.gone_job_id NOT {_IS_NEWER} THEN 'new'
    WHEN products.job_id = excluded.job_id AND products.change = 'new' THEN 'new'
    WHEN products.content <> excluded.content THEN 'changed'
    WHEN products.job_id = excluded.job_id THEN products.change
    ELSE 'unchanged' END,
  gone_job_id = CASE WHEN products.gone_job_id {_IS_NEWER} THEN products.gone_job_id ELSE excluded.gone_job_id END
WHERE products.job_id NOT {_IS_NEWER}
"""
_GONE = f"""
UPDATE products SET gone_job_id = :job_id
WHERE customer = :customer AND only_job = :only_job AND gone_job_id IS NULL AND job_id NOT {_IS_NEWER}
  AND product_key NOT IN (SELECT product_key FROM held)
  AND job_id <> :job_id
"""
# Of an earlier import of the same job, to be asked once the others are marked.
_LEFT_OUT = """
UPDATE products SET gone_job_id = :job_id
WHERE customer = :customer AND only_job = :only_job AND gone_job_id IS NULL AND job_id = :job_id AND NOT EXISTS (
  SELECT 1 FROM staged s WHERE s.product_key = products.product_key AND s.occurrence = products.occurrence)
  AND product_key NOT IN (SELECT product_key FROM held)
"""
_COUNTS = """
SELECT sum(CASE WHEN change = 'new' THEN 1 ELSE 0 END), sum(CASE WHEN change = 'changed' THEN 1 ELSE 0 END),
  sum(CASE WHEN change = 'unchanged' THEN 1 ELSE 0 END), sum(CASE WHEN corrected_by IS NULL THEN 0 ELSE 1 END)
FROM products WHERE customer = :customer AND only_job = :only_job AND job_id = :job_id
  AND (gone_job_id IS NULL OR gone_job_id <> :job_id)
"""
_SUPERSEDED = f"""
SELECT count(*) FROM staged s JOIN products p ON p.customer = :customer AND p.only_job = :only_job
  AND p.product_key = s.product_key AND p.occurrence = s.occurrence WHERE p.job_id {_IS_NEWER}
"""


def upsert(
    connection: sa.Connection,
    tables: Iterator[pa.Table],
    *,
    scope: dict[str, Any],
    newer: list[str],
    gone_after: str | None,
    again: bool,
    whole_file: bool,
    across_customers: bool,
) -> dict[str, int]:
    """Put a job's rows (tables of CATALOG_ROWS) into `products`, and give the columns of counts of its `imports`.

    `scope`: customer, only_job and job_id. `newer`: the customer's later jobs, whose products stay as they are; what
    only this job has is gone since `gone_after`, one of them. `again`: the job was imported before. Unless it is the
    `whole_file` no product is called gone.
    """
    drop = ""
    if connection.dialect.name == "postgresql":
        drop = " ON COMMIT DROP"
        # A correction's day is that of its time in UTC, as SQLite keeps it.
        connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))

    def run(statement: str, **more: Any) -> sa.CursorResult[Any]:
        statement = (
            statement.replace(" AS\nSELECT", f"{drop} AS\nSELECT", 1) if "TEMP TABLE" in statement else statement
        )
        used = {name: value for name, value in (scope | more).items() if f":{name}" in statement}
        return connection.execute(sa.text(statement), used)

    connection.execute(sa.text(f"CREATE TEMP TABLE newer (job_id text){drop}"))
    if newer:
        connection.execute(sa.text("INSERT INTO newer VALUES (:id)"), [{"id": job_id} for job_id in newer])
    _stage(connection, tables, drop)
    if run("SELECT 1 FROM corrections LIMIT 1").first():
        only = "WHERE c.name_key IN (SELECT name_key FROM staged)"
        run("CREATE TEMP TABLE decided AS\nSELECT * FROM (" + DECIDED.format(only=only) + ") AS found",
            across=int(across_customers))  # fmt: skip
        run(
            "UPDATE staged SET category = d.category, confidence = 1, needs_review = false, model_version = null,"
            " corrected_by = d.corrected_by, corrected_at = substr(cast(d.corrected_at AS text), 1, 10),"
            " corrected_for = d.customer FROM decided d WHERE d.name_key = staged.name_key"
        )
    run("""CREATE TEMP TABLE several AS
SELECT product_key FROM staged GROUP BY product_key HAVING count(*) > 1 UNION
SELECT product_key FROM products WHERE customer = :customer AND only_job = :only_job AND occurrence > 1""")
    if run("SELECT 1 FROM several LIMIT 1").first():
        for statement in (_KNOWN, _NUMBERED, _SAME, _REST):
            run(statement)
        run("UPDATE staged SET occurrence = p.occurrence FROM placed p WHERE p.place = staged.place")
    run(_UPSERT, gone_after=gone_after)
    if whole_file:
        run(_GONE)
        if again:
            run("CREATE INDEX staged_key ON staged (product_key, occurrence)")
            run(_LEFT_OUT)
    new, changed, unchanged, corrected = (int(count or 0) for count in run(_COUNTS).one())
    superseded = int(run(_SUPERSEDED).scalar_one()) if newer else 0
    gone = "SELECT count(*) FROM products WHERE customer = :customer AND only_job = :only_job AND gone_job_id = :job_id"
    return {
        "rows": new + changed + unchanged + superseded,
        "new_rows": new,
        "changed_rows": changed,
        "unchanged_rows": unchanged,
        "superseded_rows": superseded,
        "gone_rows": int(run(gone).scalar_one()),
        "corrected_rows": corrected,
    }


def _stage(connection: sa.Connection, tables: Iterator[pa.Table], drop: str) -> None:
    columns = ", ".join(f"{name} {_TYPES[CATALOG_ROWS.field(name).type]}" for name in _GIVEN)
    # On SQLite `place` is the row's number itself and costs nothing.
    connection.execute(sa.text(
        f"CREATE TEMP TABLE staged (place integer PRIMARY KEY, occurrence integer, {columns}){drop}"
    ))  # fmt: skip
    connection.execute(sa.text(f"CREATE TEMP TABLE held (product_key text){drop}"))
    held: list[pa.Array] = []
    first, place = next(tables, None), 0
    write = _copy if connection.dialect.name == "postgresql" else _insert
    with write(connection) as send:
        for table in chain([first] if first is not None else [], tables):
            rows = table.select(CATALOG_ROWS.names)
            held.append(rows.filter(pc.invert(rows["present"]))["product_key"].combine_chunks())
            kept = _plain(rows.filter(rows["present"]).drop_columns("present"))
            send(place, kept)
            place += kept.num_rows
    keys = {key for keys in held for key in keys.to_pylist()}
    if keys:
        connection.execute(sa.text("INSERT INTO held VALUES (:key)"), [{"key": key} for key in sorted(keys)])
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("ANALYZE staged"))


def _plain(rows: pa.Table) -> pa.Table:
    """Without NUL characters, which PostgreSQL's text cannot hold and SQLite's functions stop at."""
    for at, field in enumerate(rows.schema):
        if field.type == pa.string() and pc.any(pc.match_substring(rows[at], "\0"), min_count=0).as_py():
            rows = rows.set_column(at, field, pc.replace_substring(rows[at], "\0", ""))
    return rows


Send = Callable[[int, pa.Table], None]


@contextmanager
def _copy(connection: sa.Connection) -> Iterator[Send]:
    """A function that sends rows to PostgreSQL by COPY, written as its text format a column at a time."""
    names = ", ".join(["place", "occurrence", *_GIVEN])
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY staged ({names}) FROM STDIN") as copy:

        def send(place: int, rows: pa.Table) -> None:
            numbers = pa.array(range(place, place + rows.num_rows), pa.int64()).cast(pa.string())
            cells = [numbers, pa.repeat("1", rows.num_rows), *map(_copied, rows.combine_chunks().columns)]
            lines = pc.binary_join_element_wise(*cells, "\t", null_handling="replace", null_replacement="\\N")
            if rows.num_rows:
                copy.write("\n".join(lines.to_pylist()).encode() + b"\n")

        yield send


def _copied(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type != pa.string():
        # Seventeen digits bring a number back exactly; Arrow's own text has as many as it takes.
        return column.cast(pa.string())
    if not pc.any(pc.match_substring_regex(column, r"[\\\t\r\n]"), min_count=0).as_py():
        return column
    for sign, code in (("\\", "\\\\"), ("\t", "\\t"), ("\r", "\\r"), ("\n", "\\n")):
        column = pc.replace_substring(column, sign, code)
    return column


@contextmanager
def _insert(connection: sa.Connection) -> Iterator[Send]:
    """A function that inserts rows into SQLite by its driver, without SQLAlchemy's work on each row."""
    names = ["place", "occurrence", *_GIVEN]
    statement = f"INSERT INTO staged ({', '.join(names)}) VALUES (?, 1{', ?' * len(_GIVEN)})"

    def send(place: int, rows: pa.Table) -> None:
        for start in range(0, rows.num_rows, ROWS_AT_ONCE):
            part = rows.slice(start, ROWS_AT_ONCE)
            numbers = range(place + start, place + start + part.num_rows)
            values = list(zip(numbers, *(column.to_pylist() for column in part.columns), strict=True))
            connection.exec_driver_sql(statement, values)

    yield send
