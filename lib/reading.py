"""The customer's file as raw rows with their source lines: `open_source` is the one way in.

Formats: CSV with comma, semicolon, tab or bar, as UTF-8 with or without a byte order mark, plain or gzipped, and
Parquet. Recognized by content; the file's name decides nothing.
"""

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.delimited import DelimitedText, Records, detect_delimiter
from lib.errors import SourceError
from lib.records import Reason

CHUNK_ROWS = 8192
SAMPLE_BYTES = 1 << 20

# Every chunk has these columns, then the cells: c0, c1, ... as strings.
ROW_COLUMNS = {
    "line": pa.int64(),  # 1-based line a row begins on; in Parquet, its 1-based number
    "extra": pa.list_(pa.string()),  # the cells beyond the header's last column, null where there are none
    "problems": pa.list_(pa.string()),  # Reasons that reading found, null where there are none
}

_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}
_SEND_INSTEAD = "save it as CSV (UTF-8) or Parquet"


class SourceTable(Protocol):
    """An opened source: what was recognized, and its rows in chunks, once."""

    header: list[str]
    header_line: int  # 0 when the header is not a line of the file (Parquet)
    format: dict[str, Any]  # for the report: format, compression, encoding, delimiter

    @property
    def blank_lines(self) -> int:
        """Lines with nothing in them, met so far; they are not rows."""

    def chunks(self) -> Iterator[pa.Table]:
        """Tables of up to CHUNK_ROWS rows with ROW_COLUMNS and a column of cells for each header."""


def cell_columns(header: list[str]) -> list[str]:
    """The names of the cells' columns in chunks and shards, one for each header."""
    return [f"c{i}" for i in range(len(header))]


@contextmanager
def open_source(path: Path, *, name: str) -> Iterator[SourceTable]:
    """Open a local file that people know by `name`.

    Raises SourceError, here or while the chunks are read, when it is not a table in a known format.
    """
    with ExitStack() as stack:
        with _read_errors(name):
            file = stack.enter_context(path.open("rb"))
            start = file.read(4)
            file.seek(0)
            table: SourceTable = (
                _ParquetTable(path, name) if start == b"PAR1" else _delimited_table(file, start, name, stack)
            )
        yield table


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    """What the decoders say of a damaged file, as one line that names it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{name}: the gzip data is damaged or cut off ({error}); send the file again") from None
    except pa.ArrowException as error:
        first_line = str(error).split("\n", 1)[0]
        raise SourceError(f"{name}: the Parquet file is damaged ({first_line}); send it again") from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}; check the file and send it again") from None


def _delimited_table(file: Any, start: bytes, name: str, stack: ExitStack) -> "_DelimitedTable":
    compressed = start[:2] == b"\x1f\x8b"
    binary = stack.enter_context(gzip.GzipFile(fileobj=file)) if compressed else file
    sample = binary.read(SAMPLE_BYTES)
    binary.seek(0)
    text = _decoded_sample(sample, name)
    bom = text.startswith("\ufeff")
    delimiter = detect_delimiter(text.removeprefix("\ufeff"))
    # Bytes past the sample that are not UTF-8 spoil their row, not the file: they pass as surrogates to be found.
    stream = io.TextIOWrapper(
        cast("Any", binary), "utf-8-sig" if bom else "utf-8", errors="surrogateescape", newline=""
    )
    stack.callback(stream.detach)
    recognized = {
        "format": "CSV",
        "compression": "gzip" if compressed else None,
        "encoding": "UTF-8 with byte order mark" if bom else "UTF-8",
        "delimiter": delimiter,
    }
    return _DelimitedTable(stream, delimiter=delimiter, name=name, recognized=recognized)


def _decoded_sample(sample: bytes, name: str) -> str:
    """The first part of a text file; SourceError when it is empty, binary, or in another encoding."""
    if not sample.strip():
        raise SourceError(f"{name}: the file is empty; send one with a header and products")
    known = next((what for magic, what in _MAGIC.items() if sample.startswith(magic)), None)
    if known:
        raise SourceError(f"{name}: this is {known}, which is not read yet; {_SEND_INSTEAD}")
    if b"\0" in sample:
        line = sample[: sample.index(b"\0")].count(b"\n") + 1
        raise SourceError(f"{name}: not a text file (a zero byte on line {line}); {_SEND_INSTEAD}")
    try:
        # A character may be cut at the sample's end, so the last three bytes need not be whole.
        return sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(sample) - 3 and len(sample) == SAMPLE_BYTES:
            return sample[: error.start].decode("utf-8")
        line, byte = sample[: error.start].count(b"\n") + 1, sample[error.start]
        raise SourceError(f"{name}: not UTF-8 text (byte 0x{byte:02X} on line {line}); {_SEND_INSTEAD}") from None


class _DelimitedTable:
    def __init__(self, stream: TextIO, *, delimiter: str, name: str, recognized: dict[str, Any]) -> None:
        self._name = name
        self._text = DelimitedText(stream, delimiter=delimiter, name=name)
        self.header_line, header = self._text.header()
        self.header = [_mended(cell)[0] for cell in header]
        self.format = recognized

    @property
    def blank_lines(self) -> int:
        return self._text.blank_lines

    def chunks(self) -> Iterator[pa.Table]:
        while True:
            with _read_errors(self._name):
                records = self._text.chunk(CHUNK_ROWS)
            if not records.rows:
                return
            yield self._table(records)

    def _table(self, records: Records) -> pa.Table:
        width = len(self.header)
        rows = records.rows
        extra: dict[int, list[str]] = {}
        problems: dict[int, list[str]] = {at: [Reason.OPEN_QUOTE.value] for at in records.open_quotes}
        if set(map(len, rows)) != {width}:
            for at, row in enumerate(rows):
                if len(row) > width and any(cell.strip() for cell in row[width:]):
                    extra[at] = row[width:]
                    problems.setdefault(at, []).append(Reason.TOO_MANY_CELLS.value)
                rows[at] = row[:width] + [""] * (width - len(row))
        try:
            return _chunk(records.lines, list(zip(*rows, strict=True)), extra, problems)
        except UnicodeEncodeError:
            self._mend_encoding(rows, extra, problems)
            return _chunk(records.lines, list(zip(*rows, strict=True)), extra, problems)

    @staticmethod
    def _mend_encoding(rows: list[list[str]], extra: dict[int, list[str]], problems: dict[int, list[str]]) -> None:
        for at, row in enumerate(rows):
            mended = [_mended(cell) for cell in row]
            mended_extra = [_mended(cell) for cell in extra.get(at, [])]
            if any(changed for _, changed in (*mended, *mended_extra)):
                rows[at] = [cell for cell, _ in mended]
                if mended_extra:
                    extra[at] = [cell for cell, _ in mended_extra]
                problems.setdefault(at, []).append(Reason.BAD_ENCODING.value)


def _mended(cell: str) -> tuple[str, bool]:
    """A cell whose bytes were not UTF-8 read as Windows-1252, the likeliest other encoding, and whether it was so."""
    if not any("\udc80" <= letter <= "\udcff" for letter in cell):
        return cell, False
    return "".join(_stray_byte(letter) for letter in cell), True


def _stray_byte(letter: str) -> str:
    if not "\udc80" <= letter <= "\udcff":
        return letter
    return bytes([ord(letter) - 0xDC00]).decode("cp1252", errors="replace")


class _ParquetTable:
    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self.header_line = 0
        self.format = {"format": "Parquet", "compression": None, "encoding": None, "delimiter": None}
        self._file = pq.ParquetFile(path)
        self.header = list(self._file.schema_arrow.names)

    @property
    def blank_lines(self) -> int:
        return 0

    def chunks(self) -> Iterator[pa.Table]:
        batches = self._file.iter_batches(batch_size=CHUNK_ROWS)
        line = 1
        while True:
            with _read_errors(self._name):
                batch = next(batches, None)
            if batch is None:
                return
            columns = [_as_text(column) for column in batch.columns]
            yield _chunk(range(line, line + len(batch)), columns, {}, {})
            line += len(batch)


def _as_text(column: pa.Array) -> pa.Array:
    """A column of any type as the strings a person would write; nulls become empty cells."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(column.dictionary_decode())
    if pa.types.is_floating(kind):
        # A GTIN that passed through a float column is 4006381333931.0; whole numbers lose their point.
        texts = [_number_text(value) for value in column.to_pylist()]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.fill_null(column.cast(pa.string()), "")
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = [None if value is None else value.decode("utf-8", errors="replace") for value in column.to_pylist()]
    elif pa.types.is_nested(kind):
        values = column.to_pylist()
        texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return pc.fill_null(column.cast(pa.string()), "")
    else:
        texts = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.array(["" if text is None else text for text in texts], pa.string())


def _number_text(value: float | None) -> str | None:
    if value is None or math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 1e18 else repr(value)


def _chunk(lines: Any, columns: list[Any], extra: dict[int, list[str]], problems: dict[int, list[str]]) -> pa.Table:
    count = len(lines)
    arrays: list[pa.Array] = [pa.array(lines, ROW_COLUMNS["line"])]
    for sparse, name in ((extra, "extra"), (problems, "problems")):
        kind = ROW_COLUMNS[name]
        arrays.append(pa.array([sparse.get(i) for i in range(count)], kind) if sparse else pa.nulls(count, kind))
    arrays += [column if isinstance(column, pa.Array) else pa.array(column, pa.string()) for column in columns]
    return pa.table(arrays, names=[*ROW_COLUMNS, *cell_columns(columns)])
