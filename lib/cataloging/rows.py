"""The rows of a job's results as the catalog takes them in: what each product is known by, and what it is."""

from collections.abc import Iterator
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from lib.products import PRODUCT_COLUMNS
from lib.records import Outcome, Reason, Shard
from lib.shards import opened
from lib.storage import Folder

# What lib.catalog is given of each row of a job, in its order.
CATALOG_ROWS = pa.schema(
    [
        ("present", pa.bool_()),  # False: the row was rejected, and only says that the product is not gone
        ("product_key", pa.string()),
        ("line", pa.int64()),
        ("sheet", pa.string()),  # '' where only one holds products
        ("name", pa.string()),
        ("sku", pa.string()),
        ("gtin", pa.string()),
        ("brand", pa.string()),
        ("category", pa.string()),
        ("confidence", pa.float64()),
        ("needs_review", pa.bool_()),
        ("model_version", pa.string()),
        ("corrected_by", pa.string()),
        ("corrected_at", pa.string()),
        ("corrected_for", pa.string()),
        ("name_key", pa.string()),
        ("content", pa.string()),
    ]
)
# Longer article numbers are hashed: PostgreSQL's index takes no more than some 2,700 bytes.
LONGEST_KEY = 200
# The text that a content was read from follows from other columns.
_CONTENT = [name for name in PRODUCT_COLUMNS if name != "product_content_text"]


def catalog_tables(rows: Shard, job: Folder) -> Iterator[pa.Table]:
    """A job's rows.parquet as tables of CATALOG_ROWS, a row group at a time.

    Of the rejected rows only those with an article number or a GTIN; not those of failed batches, which know neither.
    """
    with opened(rows, job=job) as file:
        for group in range(file.num_row_groups):
            yield catalog_rows(file.read_row_group(group))


def catalog_rows(rows: pa.Table) -> pa.Table:
    """Rows of a batch's result (results.batch_schema) as CATALOG_ROWS."""
    present = pc.not_equal(rows["outcome"], Outcome.REJECTED)
    known = pc.or_(pc.is_valid(rows["product_sku"]), pc.is_valid(rows["product_gtin"]))
    failed = pc.match_substring(pc.fill_null(rows["reasons"], ""), Reason.BATCH_FAILED.value)
    rows = rows.append_column("present", present).filter(pc.or_(present, pc.and_not(known, failed)))
    contents = _contents(rows)
    ours = {
        "product_key": pa.array(_keys(rows, contents), pa.string()),
        "content": pa.array(contents, pa.string()),
        "sheet": pc.fill_null(rows["sheet"], ""),
        "needs_review": pc.equal(rows["outcome"], Outcome.REVIEW),
        # A person decided, no model.
        "model_version": pc.if_else(pc.is_valid(rows["corrected_by"]), None, rows["model_version"]),
    }
    names = rows.column_names
    columns = [
        ours[name] if name in ours else rows[name if name in names else f"product_{name}"]
        for name in CATALOG_ROWS.names
    ]
    return pa.table(columns, names=CATALOG_ROWS.names).cast(CATALOG_ROWS)


def _keys(rows: pa.Table, contents: list[str]) -> list[str]:
    """The key of each product: its article number, else its GTIN, else the hash of all that is said of it."""
    pairs = zip(rows["product_sku"].to_pylist(), rows["product_gtin"].to_pylist(), contents, strict=True)
    return [_shortened(f"sku:{sku}") if sku else f"gtin:{gtin}" if gtin else f"row:{row}" for sku, gtin, row in pairs]


def _shortened(key: str) -> str:
    key = key.replace("\0", "")
    return key if len(key) <= LONGEST_KEY else f"long-sku:{_hash(key)}"


def _contents(rows: pa.Table) -> list[str]:
    """A hash of what the customer says of each product, as it was read; columns that no field is in do not count."""
    texts = [pc.fill_null(rows[name].cast(pa.string()), "") for name in _CONTENT]
    return [_hash(text) for text in pc.binary_join_element_wise(*texts, "\x1f").to_pylist()]


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=12).hexdigest()
