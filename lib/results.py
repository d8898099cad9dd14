"""The files a user gets: categorized.parquet and .csv, review.csv and rejected.csv, their columns and their writing.

In Parquet every value is as it was. In CSV a cell that a spreadsheet would run as a formula gets an apostrophe in
front, and the file begins with a byte order mark, without which Excel garbles every letter beyond ASCII.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from lib.carbon import CARBON_COLUMNS
from lib.columns import unique_headers
from lib.formats.rows import cell_columns
from lib.ordering import Ordered
from lib.products import PRODUCT_COLUMNS
from lib.records import SENTENCES, Outcome, Reason
from lib.storage import Folder

CATEGORY_COLUMNS = {
    "category": pa.string(),  # an id of config/categories.csv
    "confidence": pa.float64(),
    **CARBON_COLUMNS,
    "category_2": pa.string(),
    "confidence_2": pa.float64(),
    "category_3": pa.string(),
    "confidence_3": pa.float64(),
    "why": pa.string(),  # the words that decided
    "impact": pa.float64(),  # kg CO2e by which the product's carbon may be off; review.csv begins with the largest
    "warnings": pa.string(),  # codes, '; ' between them
    "model_version": pa.string(),
}
# Where each table of results lies in the job's folder.
CATEGORIZED_PARQUET, CATEGORIZED_CSV = "categorized.parquet", "categorized.csv"
REVIEW_CSV, REJECTED_CSV = "review.csv", "rejected.csv"
# Written last: a job's folder without it is unfinished.
REPORT_FILE = "report.json"
# Every row, whatever became of it: what the others and the catalog are made from (see jobrows.py).
ROWS_FILE = "rows.parquet"
FILES = (CATEGORIZED_PARQUET, CATEGORIZED_CSV, REVIEW_CSV, REJECTED_CSV, ROWS_FILE)

BETWEEN = "; "  # codes and extra cells in one column
_FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
# Numbers, and signs alone, which people write for "none".
_HARMLESS = r"^(?:[+\-]?[.,]?[0-9][0-9 .,]*(?:[eE][+\-]?[0-9]+)?%?|[+\-]+)$"


def batch_schema(header: list[str]) -> pa.Schema:
    """The columns of a batch's result: a row for each of the batch's, whatever became of it."""
    return pa.schema(
        [
            ("line", pa.int64()),
            ("sheet", pa.string()),
            ("outcome", pa.string()),
            *((name, pa.string()) for name in cell_columns(header)),
            ("extra", pa.list_(pa.string())),
            ("same_as", pa.int64()),
            ("gtin_as", pa.int64()),
            ("reasons", pa.string()),
            *PRODUCT_COLUMNS.items(),
            *CATEGORY_COLUMNS.items(),
            # For the catalog and review, and in none of the files for people; see review/decided.py.
            ("name_key", pa.string()),
            ("corrected_by", pa.string()),
            ("corrected_at", pa.string()),
            ("corrected_for", pa.string()),
        ]
    )


def result_headers(header: list[str]) -> list[str]:
    """The customer's headers as columns of the results: the same in all files, for laying them side by side."""
    ours = ["line", "sheet", "extra_cells", *PRODUCT_COLUMNS, *CATEGORY_COLUMNS, "reasons", "explanation", "job_id"]
    return unique_headers(header, taken=ours)


class ResultFiles:
    """Writes the tables of results from batches' results; nothing is visible before all of it is written."""

    def __init__(
        self, job: Folder, *, job_id: str, header: list[str], sheets: bool, extra_cells: bool, stack: ExitStack
    ) -> None:
        self._job_id = job_id
        self._cells = cell_columns(header)
        self._headers = result_headers(header)
        self._extra_cells = extra_cells
        self._where = ["line", "sheet"] if sheets else ["line"]
        kept = pa.schema(
            [
                ("line", pa.int64()),
                *([("sheet", pa.string())] if sheets else ()),
                *((name, pa.string()) for name in self._headers),
                *([("extra_cells", pa.string())] if extra_cells else ()),
                *PRODUCT_COLUMNS.items(),
                *CATEGORY_COLUMNS.items(),
            ]
        )
        self._kept_schema = kept
        target = stack.enter_context(job.writing(CATEGORIZED_PARQUET))
        self._parquet = stack.enter_context(pq.ParquetWriter(target, kept, compression="zstd"))
        self._categorized = stack.enter_context(_csv_writer(stack.enter_context(job.writing(CATEGORIZED_CSV))))
        self._review = stack.enter_context(_csv_writer(stack.enter_context(job.writing(REVIEW_CSV))))
        self._rejected = stack.enter_context(_csv_writer(stack.enter_context(job.writing(REJECTED_CSV))))
        self._to_review = Ordered(kept, stack=stack)
        # Headers stand in every file, also where no row follows.
        self.write(batch_schema(header).empty_table())

    def write(self, rows: pa.Table) -> None:
        """Add rows of a batch's result (batch_schema) to the files they belong in."""
        raw = rows.select([*self._where, *self._cells]).rename_columns([*self._where, *self._headers])
        if self._extra_cells:
            raw = raw.append_column("extra_cells", pc.binary_join(rows["extra"], BETWEEN))
        kept = raw
        for name in (*PRODUCT_COLUMNS, *CATEGORY_COLUMNS):
            kept = kept.append_column(name, rows[name])
        kept = kept.cast(self._kept_schema)
        categorized = kept.filter(pc.equal(rows["outcome"], Outcome.CATEGORIZED))
        self._parquet.write_table(categorized)
        self._categorized.write(categorized)
        review = kept.filter(pc.equal(rows["outcome"], Outcome.REVIEW))
        if not review.num_rows:
            self._review.write(review)
        self._to_review.add(review, review["impact"].to_numpy())
        is_rejected = pc.equal(rows["outcome"], Outcome.REJECTED)
        self._rejected.write(self._with_reasons(raw.filter(is_rejected), rows.filter(is_rejected)))

    def finish(self) -> None:
        """Write what could not be written before all rows were known: review.csv, what matters most first."""
        for rows in self._to_review.tables():
            self._review.write(rows)

    def _with_reasons(self, raw: pa.Table, rows: pa.Table) -> pa.Table:
        explained = zip(*(rows[name].to_pylist() for name in ("reasons", "same_as", "gtin_as")), strict=True)
        explanations = pa.array([explain(*row) for row in explained], pa.string())
        raw = raw.append_column("reasons", rows["reasons"]).append_column("explanation", explanations)
        # So that a corrected file finds its job, and no other.
        return raw.append_column("job_id", pa.repeat(self._job_id, raw.num_rows))


@contextmanager
def result_files(
    job: Folder, *, job_id: str, header: list[str], sheets: bool, extra_cells: bool
) -> Iterator[ResultFiles]:
    """All files of results, open for writing; they appear in the job's folder when the block ends without error.

    `sheets` gives each a column for the row's sheet, `extra_cells` one for the cells beyond the header's.
    """
    with ExitStack() as stack:
        files = ResultFiles(job, job_id=job_id, header=header, sheets=sheets, extra_cells=extra_cells, stack=stack)
        yield files
        files.finish()


def explain(reasons: str, same_as: int | None, gtin_as: int | None) -> str:
    """The sentences of a row's reason codes; a repeated row or GTIN names the line of the first."""
    lines = {Reason.DUPLICATE: ("an earlier one", same_as), Reason.SHARED_GTIN: ("An earlier row", gtin_as)}
    sentences = []
    for code in reasons.split(BETWEEN):
        sentence = SENTENCES[Reason(code)]
        words, line = lines.get(Reason(code), ("", None))
        if line is not None:
            sentence = sentence.replace(words, f"{'L' if words[0] == 'A' else 'l'}ine {line}")
        sentences.append(sentence)
    return " ".join(sentences)


class _CsvFile:
    def __init__(self, file: Any) -> None:
        self._file = file
        self._writer: Any = None

    def write(self, table: pa.Table) -> None:
        escaped = [without_formulas(column) for column in table.columns]
        names = without_formulas(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
        safe = pa.table(escaped, names=names)
        if self._writer is None:
            self._writer = pyarrow.csv.CSVWriter(self._file, safe.schema)
        self._writer.write(safe)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def _csv_writer(path: Path) -> Iterator[_CsvFile]:
    with path.open("wb") as file:
        file.write("\ufeff".encode())
        csv_file = _CsvFile(file)
        yield csv_file
        csv_file.close()


def without_formulas(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings with an apostrophe before what a spreadsheet would run, and null for '' so that CSV has an empty cell.

    What a formula can begin with is OWASP's list (CSV Injection); '-5' and '+1,5' are numbers and stay.
    """
    if not pa.types.is_string(column.type):
        return column
    filled = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    risky = pc.match_substring_regex(filled, _FORMULA)
    if not pc.any(risky, min_count=0).as_py():
        return filled
    risky = pc.and_not(risky, pc.match_substring_regex(filled, _HARMLESS))
    return pc.if_else(risky, pc.binary_join_element_wise(pa.scalar("'"), filled, ""), filled)


def escaped(cell: str) -> str:
    """A cell as it stands in a CSV of ours (see without_formulas)."""
    text: str | None = without_formulas(pa.chunked_array([pa.array([cell], pa.string())]))[0].as_py()
    return text or ""


def read_report(job: Folder) -> dict[str, Any]:
    """The report in a job's folder; StorageError or ValueError when there is none or it is damaged."""
    report: dict[str, Any] = json.loads(job.read_bytes(REPORT_FILE))
    return report
