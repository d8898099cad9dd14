"""People's corrections in the catalog: added to `corrections`, and at once the category of the customer's products.

Those of other customers get it with their next import: their figures change with a file of theirs, not by themselves.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from lib import database, migrations
from lib.catalog import make_tables, wait_for_customer
from lib.cataloging.tables import corrections

_NEWEST = """
SELECT c.name_key, c.category FROM corrections c WHERE c.customer = :customer
  AND c.id = (SELECT max(o.id) FROM corrections o WHERE o.customer = c.customer AND o.name_key = c.name_key)
"""
# Not by a join, for which SQLite goes through all products once for each name.
_APPLY = """
UPDATE products SET category = (SELECT s.category FROM said s WHERE s.name_key = products.name_key), confidence = 1,
  needs_review = false, model_version = null, corrected_by = :who, corrected_at = :day, corrected_for = :customer
WHERE customer = :customer AND only_job = :only_job AND name_key IN (SELECT name_key FROM said)
"""


@dataclass(frozen=True)
class Decision:
    """What a person decided of a name, and the product that was looked at."""

    name_key: str
    category: str
    suggested: str | None
    name: str
    brand: str | None
    customer_category: str | None
    job_id: str
    line: int
    sheet: str


@dataclass(frozen=True)
class Corrected:
    """What came of decisions."""

    decided: int  # names
    added: int  # of them, those that were not so decided already
    products: int  # rows of the catalog that got their category by these

    def account(self) -> str:
        """The same in a line."""
        return (
            f"{self.decided:,} names decided, {self.added:,} of them not so before; {self.products:,} products of the "
            "catalog got their category, and later imports will have it"
        )


def add_corrections(url: sa.URL, decisions: Sequence[Decision], *, customer: str, job_id: str, who: str) -> Corrected:
    """Record a person's decisions and give the customer's products their categories (without one, the job's), as one
    transaction; deciding the same again changes nothing. Raises CatalogError.
    """
    where, engine = database.shown(url), database.engine(url, wait=database.IMPORT_WAIT_SECONDS)
    now = datetime.now(UTC)
    with database.errors(where, url=url):
        make_tables(engine, where=where)
        with engine.begin() as connection:
            wait_for_customer(connection, customer, job_id=job_id)
            newest = connection.execute(sa.text(_NEWEST), {"customer": customer})
            known = {row.name_key: row.category for row in newest}
            new = [one for one in decisions if known.get(one.name_key) != one.category]
            person = {"customer": customer, "corrected_by": who, "corrected_at": now}
            if new:
                connection.execute(corrections.insert(), [asdict(one) | person for one in new])
            connection.execute(sa.text("CREATE TEMP TABLE said (name_key text PRIMARY KEY, category text)"))
            if new:
                said = [{"name_key": one.name_key, "category": one.category} for one in new]
                connection.execute(sa.text("INSERT INTO said VALUES (:name_key, :category)"), said)
            scope = {"customer": customer, "only_job": "" if customer else job_id}
            told = scope | {"who": who, "day": f"{now:%Y-%m-%d}"}
            products = connection.execute(sa.text(_APPLY), told).rowcount
            connection.execute(sa.text("DROP TABLE said"))
    return Corrected(len(decisions), len(new), products)


def all_corrections(url: sa.URL) -> list[dict[str, Any]]:
    """The corrections in force, of all customers: name, brand, customer_category, category. Raises CatalogError."""
    where = database.shown(url)
    newest = sa.select(sa.func.max(corrections.c.id)).group_by(corrections.c.customer, corrections.c.name_key)
    columns = [corrections.c[name] for name in ("name", "brand", "customer_category", "category")]
    query = sa.select(*columns).where(corrections.c.id.in_(newest)).order_by(corrections.c.id)
    engine = database.engine(url, wait=database.IMPORT_WAIT_SECONDS, only_reads=True)
    with database.errors(where, url=url), engine.begin() as connection:
        if not migrations.is_there(connection, migrations.CATALOG, where=where):
            return []
        return [dict(row) for row in connection.execute(query).mappings()]
