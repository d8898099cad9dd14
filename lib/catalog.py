"""The catalog: what each customer sells now, in SQLite or PostgreSQL; each import is one transaction, all or nothing.

`products` has a row for each product of a customer, known by its article number, else its GTIN, else a hash of all that
is said of it; several with one key are numbered. What was decided:

- **Another file of the customer** updates it: products are new (also when they come back), changed (by what the
  customer says of them, not by what a model answers), unchanged or gone. Gone ones stay, marked with the job that lacks
  them. A rejected row with an article number or GTIN keeps its product from being called gone, and where batches were
  set aside no product is.
- **Without a customer** each job is a catalog of its own: nobody knows whose products they are, so none makes
  another's gone.
- **The same results again** touch nothing and give the same counts; other results of the same job (another model,
  corrected rows) replace them, and the counts stay those against the state before the job.
- **An older job after a newer one**, by the time of submission, does not turn back what the newer one brought.
- **What a person decided** (`corrections`) is never overwritten by a model: it is found by the name, and stays with the
  product even where its name changes, which then needs review. A customer's own comes before another's.
- **Two imports** of one customer take turns; of different customers they wait for each other only on SQLite.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from lib import database, migrations
from lib.cataloging.tables import corrections, imports, products
from lib.cataloging.upserting import DECIDED, upsert
from lib.errors import CatalogError
from lib.importjobs.job import utc
from lib.review.decided import Reviewed, ReviewedNames
from lib.s3 import Changed, S3Folder
from lib.storage import Folder

FILE = "catalog.db"
# Conditional writes of catalog.db on S3 before giving up.
S3_TRIES = 8
# What an import says of a job's products beside their number; columns of `imports` with _rows.
COUNTS = ("new", "changed", "unchanged", "gone", "superseded", "corrected")
_DECIDED = ("name_key", "category", "corrected_by", "corrected_at", "customer")
_COLUMNS = ("rows", *(f"{name}_rows" for name in COUNTS))

# A stream of result tables, anew at each call.
Tables = Callable[[], Iterator[pa.Table]]


@dataclass(frozen=True)
class CatalogJob:
    """The job whose results are imported."""

    id: str
    fingerprint: str  # of all that made the results
    customer: str = ""
    submitted_at: datetime | None = None  # a customer's jobs are in its order; None: now, at the job's first import
    whole_file: bool = True  # False where batches were set aside: then nothing is called gone


@dataclass(frozen=True)
class CatalogImport:
    """What an import came to."""

    url_shown: str  # where to, without a password
    customer: str
    rows: int  # of this job in the catalog now: new, changed, unchanged and superseded
    new: int
    changed: int
    unchanged: int
    gone: int
    superseded: int  # left as they are, for a later job of the customer's has brought them
    corrected: int  # of the job's, those whose category a person gave
    touched: bool  # False: the same results were there already, and nothing was changed
    seconds: float


def reviewed_names(
    output: Folder, *, url: str, customer: str, job_id: str = "", across_customers: bool = True
) -> tuple[str, ReviewedNames]:
    """The customer (that of the job's earlier import where none is named), and what people decided that counts for it.

    Nothing where there is no catalog yet, or one on S3, beside which no jobs are kept that could be reviewed. Raises a
    CatalogError when `import_results` would be refused: better known before the work than after.
    """
    if not url and (isinstance(output, S3Folder) or not output.exists(FILE)):
        return customer, {}  # made when there is something to import
    target = target_of(output, url=url)
    where = database.shown(target)
    # Another's import may be writing for minutes, and this job has its own work to do meanwhile.
    engine = database.engine(target, wait=database.IMPORT_WAIT_SECONDS, only_reads=True)
    with database.errors(where, url=target):
        database.check_writable(target)
        return _reviewed_names(engine, where=where, customer=customer, job_id=job_id, across_customers=across_customers)


def _reviewed_names(
    engine: sa.Engine, *, where: str, customer: str, job_id: str, across_customers: bool
) -> tuple[str, ReviewedNames]:
    with engine.begin() as connection:
        if not migrations.is_there(connection, migrations.CATALOG, where=where):
            return customer, {}
        if not customer:
            earlier = sa.select(imports.c.customer).where(imports.c.job_id == job_id)
            customer = connection.execute(earlier).scalar() or ""
        values = {"customer": customer, "across": int(across_customers)}
        columns = [corrections.c[name] for name in _DECIDED]
        found = connection.execute(sa.text(DECIDED.format(only="")).columns(*columns), values)
        rows = [(key, Reviewed(category, by, _day(at), whose)) for key, category, by, at, whose in found]
    return customer, dict(rows)


def target_of(output: Folder, *, url: str) -> sa.URL:
    """The database at a URL; an empty URL means SQLite, catalog.db in the local output folder."""
    return database.checked(url) if url else database.sqlite(Path(output.uri_of(FILE)))


def import_results(
    output: Folder,
    *,
    url: str,
    job: CatalogJob,
    tables: Tables,
    across_customers: bool = True,
    before_commit: Callable[[], None] = lambda: None,
) -> CatalogImport:
    """Put a job's rows into the database at a URL; an empty URL means SQLite, catalog.db in the output folder.

    `tables` gives a fresh stream of tables of cataloging.rows.CATALOG_ROWS each time it is called; one of them is in
    memory at a time. What people said for other customers counts where `across_customers` says so. `before_commit` may
    raise what keeps the import from taking effect, for it may have waited long for its turn. Whatever goes wrong, no
    row of the database has changed.

    Raises CatalogError, StorageError when the output folder is on S3, and what the stream and `before_commit` raise.
    """
    started = time.monotonic()
    order = _Order(job, tables, across_customers, before_commit)
    if not url and isinstance(output, S3Folder):
        where = output.uri_of(FILE)
        customer, counts, touched = _import_on_s3(output, order)
    else:
        target = target_of(output, url=url)
        where = database.shown(target) if url else output.uri_of(FILE)
        customer, counts, touched = _import(target, order, where=where)
    named = {name.removesuffix("_rows"): counts[name] for name in _COLUMNS}
    return CatalogImport(
        url_shown=where,
        customer=customer,
        **named,
        touched=touched,
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(frozen=True)
class _Order:
    job: CatalogJob
    tables: Tables
    across_customers: bool
    before_commit: Callable[[], None]

    @property
    def scope(self) -> dict[str, Any]:
        """Whose products they are: the customer's, or without one the job's alone."""
        only_job = "" if self.job.customer else self.job.id
        return {"customer": self.job.customer, "only_job": only_job, "job_id": self.job.id}


class _Done(NamedTuple):
    customer: str
    counts: dict[str, int]
    touched: bool


def _import_on_s3(output: S3Folder, order: _Order) -> _Done:
    """Fetch catalog.db, change it and put it back if nobody else has in between; otherwise start over."""
    where = output.uri_of(FILE)
    for attempt in range(S3_TRIES):
        with tempfile.TemporaryDirectory(prefix="shelfsort-") as temporary:
            path = Path(temporary) / FILE
            tag = output.fetch_tagged(FILE, path)
            done = _import(database.sqlite(path), order, where=where)
            if not done.touched:
                return done
            try:
                output.write_if_unchanged(FILE, path, tag)
                return done
            except Changed:
                time.sleep(random.uniform(0, min(5, 0.2 * 2**attempt)))
    raise CatalogError(f"{where}: others kept changing it meanwhile, {S3_TRIES} times; run the import again")


def _import(url: sa.URL, order: _Order, *, where: str) -> _Done:
    engine = database.engine(url, wait=database.IMPORT_WAIT_SECONDS)
    with database.errors(where, url=url):
        make_tables(engine, where=where)
        with engine.begin() as connection:
            entry = sa.select(imports).where(imports.c.job_id == order.job.id)
            there = connection.execute(entry).one_or_none()
            if there is not None and not order.job.customer:
                # Corrected rows of a job are submitted without saying whose it is.
                order = replace(order, job=replace(order.job, customer=there.customer))
            customer = order.job.customer
            wait_for_customer(connection, customer, job_id=order.job.id)
            there = connection.execute(entry).one_or_none()
            if there is not None and _is_the_same(connection, there, order):
                return _Done(customer, {name: there._mapping[name] for name in _COLUMNS}, False)
            counts = _replace(connection, there, order)
            order.before_commit()
            return _Done(customer, counts, True)


def make_tables(engine: sa.Engine, *, where: str) -> None:
    """Make the catalog's tables or bring them up to date, apart from any rows, so that nobody waits longer for that."""
    with engine.begin() as connection:
        database.wait_for_turn(connection, "shelfsort catalog tables")
        migrations.upgrade(connection, migrations.CATALOG, where=where)


def wait_for_customer(connection: sa.Connection, customer: str, *, job_id: str) -> None:
    """Have a customer's products (without one, a job's) to oneself until the transaction ends."""
    database.wait_for_turn(
        connection,
        f"shelfsort customer {customer}" if customer else f"shelfsort job {job_id}",
        seconds=database.IMPORT_WAIT_SECONDS,
    )


def _is_the_same(connection: sa.Connection, there: sa.Row[Any], order: _Order) -> bool:
    """Whether the job has imported these very results, and nobody has taken any of them away since."""
    job = order.job
    if (there.fingerprint, there.customer, there.whole_file) != (job.fingerprint, job.customer, job.whole_file):
        return False
    # Of what was the job's, a later one has taken over some.
    later = sa.select(imports.c.job_id).where(imports.c.customer == job.customer, imports.c.job_id != job.id)
    if job.customer and connection.execute(later.where(imports.c.submitted_at >= there.submitted_at).limit(1)).first():
        return True
    own = sa.and_(*(products.c[name] == value for name, value in order.scope.items()), products.c.gone_job_id.is_(None))
    stored = connection.scalar(sa.select(sa.func.count()).where(own))
    return bool(stored == there.rows)


def _replace(connection: sa.Connection, there: sa.Row[Any] | None, order: _Order) -> dict[str, int]:
    """Put the job's rows into the catalog, in place of those of an earlier import of it."""
    job, scope = order.job, order.scope
    if there is not None and there.customer != job.customer:
        raise CatalogError(
            f"job {job.id} was imported for customer {there.customer!r} and cannot become {job.customer!r}'s; "
            "import the file as a new job"
        )
    told = utc(there.submitted_at) if there is not None else job.submitted_at
    # SQLite keeps no time zone.
    submitted = (told or datetime.now(UTC)).astimezone(UTC)
    others = sa.select(imports.c.job_id, imports.c.submitted_at, imports.c.whole_file).where(
        imports.c.customer == job.customer, imports.c.job_id != job.id
    )
    found = connection.execute(others).all() if job.customer else []
    newer = sorted((utc(row.submitted_at), row.job_id, row.whole_file) for row in found)
    newer = [one for one in newer if one[:2] > (submitted, job.id)]
    entry = {"customer": job.customer, "submitted_at": submitted, "imported_at": datetime.now(UTC)}
    entry |= {"fingerprint": job.fingerprint, "whole_file": job.whole_file}
    if there is None:
        connection.execute(imports.insert(), {"job_id": job.id, **entry, **dict.fromkeys(_COLUMNS, 0)})
    counts = upsert(
        connection,
        order.tables(),
        scope=scope,
        newer=[job_id for _, job_id, _ in newer],
        gone_after=next((job_id for _, job_id, whole_file in newer if whole_file), None),
        again=there is not None,
        whole_file=job.whole_file,
        across_customers=order.across_customers,
    )
    connection.execute(imports.update().where(imports.c.job_id == job.id).values(**entry, **counts))
    return counts


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC) if moment.tzinfo else moment:%Y-%m-%d}"
