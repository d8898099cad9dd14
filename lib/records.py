"""The vocabulary: our fields, the reasons for setting a row aside, a batch, and what a batch came to.

Everything here is small and travels as Metaflow artifacts or JSON; the rows themselves travel as Parquet shards.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# What we look for in a customer's file; `name` is required. Their headers are in config/columns.toml.
FIELDS = (
    "name",
    "sku",
    "gtin",
    "brand",
    "description",
    "customer_category",
    "quantity",
    "unit",
    "net_weight",
    "weight_unit",
    "country",
)


class Outcome(StrEnum):
    """What became of a row; every row has exactly one."""

    CATEGORIZED = "categorized"
    REVIEW = "review"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why a row is rejected or carries a warning (which of the two, the settings say)."""

    MISSING_NAME = "missing-name"
    NAME_TOO_SHORT = "name-too-short"
    NOT_A_PRODUCT = "not-a-product"
    BAD_GTIN = "bad-gtin"
    RESTRICTED_GTIN = "restricted-gtin"
    SHARED_GTIN = "shared-gtin"
    BAD_NUMBER = "bad-number"
    UNIT_UNKNOWN = "unit-unknown"
    QUANTITY_OUT_OF_RANGE = "quantity-out-of-range"
    DUPLICATE = "duplicate"
    TOO_MANY_CELLS = "too-many-cells"
    OPEN_QUOTE = "open-quote"
    BAD_ENCODING = "bad-encoding"
    BATCH_FAILED = "batch-failed"  # always rejects; of the batch, not of the row


# One sentence each, for people who read rejected.csv and the report.
SENTENCES = {
    Reason.MISSING_NAME: "The product has no name.",
    Reason.NAME_TOO_SHORT: "The name has fewer than two letters or digits, too little to tell what the product is.",
    Reason.BAD_GTIN: "The GTIN is not 8, 12, 13 or 14 digits with a right check digit.",
    Reason.NOT_A_PRODUCT: "The row is a total, a note or the title of a group, not a product.",
    Reason.RESTRICTED_GTIN: "The GTIN is of a range for use within one shop; elsewhere it is another product.",
    Reason.SHARED_GTIN: "An earlier row has the same GTIN with another name.",
    Reason.QUANTITY_OUT_OF_RANGE: "A quantity is zero, negative or beyond a million, or a content is over a tonne.",
    Reason.BAD_NUMBER: "A quantity or weight is not a number.",
    Reason.UNIT_UNKNOWN: "A unit of measure is not one we know (config/units.toml), or a weight has none.",
    Reason.DUPLICATE: "The row is the same as an earlier one in every cell.",
    Reason.TOO_MANY_CELLS: "The row has more cells than the header, so its cells may stand in the wrong columns.",
    Reason.OPEN_QUOTE: "A quotation mark is not closed within 1,000 lines, so the row was taken to end with its line.",
    Reason.BAD_ENCODING: "The row has bytes that do not fit the file's encoding; they were read as Windows-1252.",
    Reason.BATCH_FAILED: "Its batch could not be processed; nothing is wrong with the row. Run the job again.",
}


@dataclass(frozen=True)
class Shard:
    """A Parquet file in the job's folder that holds consecutive rows of the source."""

    name: str  # relative to the job's folder
    first_row: int  # 0-based number of its first row within the source
    rows: int
    sha256: str  # of its content


@dataclass(frozen=True)
class Batch:
    """The slice of the source that one task handles: rows [first_row, first_row + rows) of the shards given."""

    number: int
    first_row: int
    rows: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class BatchResult:
    """What one batch came to; counts only, the rows are in the Parquet file it names."""

    number: int
    shard: Shard  # its rows with what became of them
    outcomes: dict[str, int]  # Outcome -> rows
    seconds: float
    usage: dict[str, Any] | None = None  # usage.Usage of a slow model, as JSON
    reused: bool = False  # found finished from an earlier run of the same job


@dataclass(frozen=True)
class FailedBatch:
    """A batch that failed on every try, and whose rows were set aside."""

    number: int
    rows: int
    first_line: int  # of the source
    last_line: int
    reason: str
