"""Raw rows as reading gives them: tables of text cells with the source line of each row."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa

from lib.errors import SourceError

# A chunk has at most so many rows, and cells: wide tables come in shorter chunks.
CHUNK_ROWS = 8192
CHUNK_CELLS = 400_000

# Every chunk has these columns, then the cells: c0, c1, ... as strings.
ROW_COLUMNS = {
    "line": pa.int64(),  # 1-based line a row begins on; in Parquet, its 1-based number
    "sheet": pa.string(),  # the sheet of a workbook that has several with products, else null
    "extra": pa.list_(pa.string()),  # the cells beyond the header's last column, null where there are none
    "problems": pa.list_(pa.string()),  # Reasons that reading found, null where there are none
}


class SourceTable(Protocol):
    """An opened source: what was recognized, and its rows in chunks, once."""

    header: list[str]
    header_line: int  # 0 when there is none, or it is not a line of the file (Parquet, JSON, XML)
    format: dict[str, Any]  # for the report: format, compression, member, encoding, delimiter, sheets
    decisions: list[str]  # what was recognized and why, a sentence each
    sample: list[list[str]]  # some of the first rows, to judge columns by

    @property
    def blank_lines(self) -> int:
        """Lines with nothing in them, met so far; they are not rows."""

    def chunks(self) -> Iterator[pa.Table]:
        """Tables of up to CHUNK_ROWS rows with ROW_COLUMNS and a column of cells for each header."""


def cell_columns(header: list[str]) -> list[str]:
    """The names of the cells' columns in chunks and shards, one for each header."""
    return [f"c{i}" for i in range(len(header))]


def chunk_rows(columns: int) -> int:
    """How many rows of so many columns a chunk has."""
    return max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(columns, 1)))


def row_chunk(
    lines: Any,
    columns: list[Any],
    extra: dict[int, list[str]],
    problems: dict[int, list[str]],
    *,
    sheet: str | None = None,
) -> pa.Table:
    """A table of ROW_COLUMNS and cells; `extra` and `problems` by position, for the rows that have any."""
    count = len(lines)
    sheets = pa.nulls(count, pa.string()) if sheet is None else pa.repeat(sheet, count)
    arrays: list[pa.Array] = [pa.array(lines, ROW_COLUMNS["line"]), sheets]
    for sparse, name in ((extra, "extra"), (problems, "problems")):
        kind = ROW_COLUMNS[name]
        arrays.append(pa.array([sparse.get(i) for i in range(count)], kind) if sparse else pa.nulls(count, kind))
    arrays += [column if isinstance(column, pa.Array) else pa.array(column, pa.string()) for column in columns]
    return pa.table(arrays, names=[*ROW_COLUMNS, *cell_columns(columns)])


def is_utf8(text: str) -> bool:
    """Whether a text decoded with errors='surrogateescape' met no byte that is not UTF-8."""
    return text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text)


def mended(cell: str) -> tuple[str, bool]:
    """A cell whose bytes were not UTF-8 read as Windows-1252, the likeliest other encoding, and whether it was so."""
    if is_utf8(cell):
        return cell, False
    return "".join(_stray_byte(letter) for letter in cell), True


def _stray_byte(letter: str) -> str:
    if not "\udc80" <= letter <= "\udcff":
        return letter
    return bytes([ord(letter) - 0xDC00]).decode("cp1252", errors="replace")


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """What the decoders say of a damaged file, as one line that names it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{name}: the gzip data is damaged or cut off ({error}); send the file again") from None
    except (pa.ArrowException, OverflowError, ValueError) as error:
        first_line = str(error).split("\n", 1)[0]
        raise SourceError(f"{name}: the file is damaged ({first_line}); send it again") from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}; check the file and send it again") from None
