"""rows.parquet: every row of an import job with what became of it, which all of the job's results are made from.

It is replaced as a whole, so a job's state is always that of one join. A correction (corrections.py) starts from it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lib.columns import ColumnMatch
from lib.errors import StorageError
from lib.records import Outcome
from lib.results import ROWS_FILE, batch_schema
from lib.storage import Folder

_FACTS = b"shelfsort"  # the key of the JobFacts in the file's metadata


@dataclass(frozen=True)
class JobFacts:
    """What is known of a job's source, and what was corrected since."""

    source: dict[str, Any]  # as the report has it: uri, sha256, format, decisions, header
    columns: tuple[ColumnMatch, ...]
    rows: int
    several_sheets: bool
    extra_cells: bool  # whether any row has more cells than the header
    corrections: tuple[dict[str, Any], ...] = ()  # uri, sha256 and rows of each file, the latest last

    @property
    def header(self) -> list[str]:
        """The customer's headers."""
        return list(self.source["header"])


def rows_schema(facts: JobFacts) -> pa.Schema:
    """The columns of rows.parquet: a batch's (results.batch_schema) and the correction a row comes from."""
    schema = batch_schema(facts.header).append(pa.field("correction", pa.string()))  # its file's SHA-256, mostly null
    return schema.with_metadata({_FACTS: json.dumps(asdict(facts), ensure_ascii=False).encode()})


def read_facts(job: Folder) -> JobFacts | None:
    """What a job's rows.parquet says of itself; None when the job has none."""
    if not job.exists(ROWS_FILE):
        return None
    with opened_rows(job) as file:
        try:
            facts = json.loads(file.schema_arrow.metadata[_FACTS])
            columns = tuple(ColumnMatch(**match) for match in facts["columns"])
            return JobFacts(**facts | {"columns": columns, "corrections": tuple(facts["corrections"])})
        except (KeyError, TypeError, ValueError):
            raise _damaged(job) from None


@contextmanager
def opened_rows(job: Folder) -> Iterator[pq.ParquetFile]:
    """A job's rows.parquet; StorageError when it is gone or damaged."""
    with job.reading(ROWS_FILE) as path:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError):
            raise _damaged(job) from None
        with file:
            yield file


def row_groups(job: Folder) -> Iterator[pa.Table]:
    """The rows of a job's rows.parquet in the source's order, a row group at a time.

    Columns that an earlier version did not write are null.
    """
    with opened_rows(job) as file:
        added = [field for field in batch_schema([]) if field.name not in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            try:
                rows = file.read_row_group(group)
            except (pa.ArrowException, OSError):
                raise _damaged(job) from None
            for field in added:
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
            yield rows


def may_be_replaced(row: dict[str, Any], *, correction: str) -> bool:
    """Whether a correction (its SHA-256) may speak for a row: it is rejected, or has this very correction already."""
    return bool(row["outcome"] == Outcome.REJECTED or row["correction"] == correction)


def _damaged(job: Folder) -> StorageError:
    return StorageError(f"{job.uri_of(ROWS_FILE)}: is damaged; import the source again as a new job")
