"""The customer's file as raw rows with their source lines: `open_source` is the one way in.

Formats: CSV with comma, semicolon, tab or bar, as UTF-8 with or without a byte order mark, plain or gzipped, and
Parquet. Recognized by content; the file's name decides nothing.
"""

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from lib.columns import folded, known_headers
from lib.delimited import NO_DELIMITER, DelimitedText, Records, detect_delimiter
from lib.errors import SourceError
from lib.parquet_source import ParquetTable
from lib.records import Reason
from lib.rows import SourceTable, chunk_rows, is_utf8, mended, read_errors, row_chunk

SAMPLE_BYTES = 1 << 20
# A text with more lines than this that are not UTF-8 is taken to be in another encoding altogether.
STRAY_LINES = 0.1

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


@contextmanager
def open_source(path: Path, *, name: str) -> Iterator[SourceTable]:
    """Open a local file that people know by `name`.

    Raises SourceError, here or while the chunks are read, when it is not a table in a known format.
    """
    with ExitStack() as stack:
        with read_errors(name):
            file = stack.enter_context(path.open("rb"))
            start = file.read(4)
            file.seek(0)
            table: SourceTable = (
                ParquetTable(path, name) if start == b"PAR1" else _delimited_table(file, start, name, stack)
            )
        yield table


def _delimited_table(file: Any, start: bytes, name: str, stack: ExitStack) -> "_DelimitedTable":
    compressed = start[:2] == b"\x1f\x8b"
    binary = stack.enter_context(gzip.GzipFile(fileobj=file)) if compressed else file
    sample = binary.read(SAMPLE_BYTES)
    binary.seek(0)
    text = _decoded_sample(sample, name)
    bom = text.startswith("\ufeff")
    text = text.removeprefix("\ufeff")
    # Excel's own hint, on a line before the header.
    hint = re.match(r'"?sep=(.)"?\r?\n', text)
    headers = known_headers()
    delimiter = hint[1] if hint else detect_delimiter(text, known=lambda row: sum(folded(h) in headers for h in row))
    # Bytes that are not UTF-8 spoil their row, not the file: they pass as surrogates to be found.
    stream = io.TextIOWrapper(
        cast("Any", binary), "utf-8-sig" if bom else "utf-8", errors="surrogateescape", newline=""
    )
    stack.callback(stream.detach)
    if hint:
        stream.readline()
    recognized = {
        "format": "CSV",
        "compression": "gzip" if compressed else None,
        "encoding": "UTF-8 with byte order mark" if bom else "UTF-8",
        "delimiter": None if delimiter == NO_DELIMITER else delimiter,
    }
    text_table = DelimitedText(stream, delimiter=delimiter, name=name, first_line=2 if hint else 1)
    return _DelimitedTable(text_table, name=name, recognized=recognized)


def _decoded_sample(sample: bytes, name: str) -> str:
    """The first part of a text file; SourceError when it is empty, no text, of another format or encoding."""
    if not sample.strip():
        raise SourceError(f"{name}: the file is empty; send one with a header and products")
    known = next((what for magic, what in _MAGIC.items() if sample.startswith(magic)), None)
    if known:
        raise SourceError(f"{name}: this is {known}, which is not read yet; {_SEND_INSTEAD}")
    if b"\0" in sample:
        line = sample[: sample.index(b"\0")].count(b"\n") + 1
        raise SourceError(f"{name}: not a text file (a zero byte on line {line}); {_SEND_INSTEAD}")
    text = sample.decode("utf-8", errors="surrogateescape")
    if text.lstrip("\ufeff \r\n\t")[:1] in ("<", "{", "["):
        raise SourceError(f"{name}: this looks like XML, HTML or JSON, which is not read yet; {_SEND_INSTEAD}")
    # The last line may be cut within a letter.
    lines = text.splitlines() if len(sample) < SAMPLE_BYTES else text.splitlines()[:-1]
    bad = [number for number, line in enumerate(lines, start=1) if not is_utf8(line)]
    if len(bad) > STRAY_LINES * len(lines):
        byte = next(ord(letter) - 0xDC00 for letter in lines[bad[0] - 1] if "\udc80" <= letter <= "\udcff")
        raise SourceError(f"{name}: not UTF-8 text (byte 0x{byte:02X} on line {bad[0]}); {_SEND_INSTEAD}")
    return text


class _DelimitedTable:
    def __init__(self, text: DelimitedText, *, name: str, recognized: dict[str, Any]) -> None:
        self._name = name
        self._text = text
        self.header_line, header = self._text.header()
        self.header = [mended(cell)[0] for cell in header]
        self.format = recognized

    @property
    def blank_lines(self) -> int:
        return self._text.blank_lines

    def chunks(self) -> Iterator[pa.Table]:
        while True:
            with read_errors(self._name):
                records = self._text.chunk(chunk_rows(len(self.header)))
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
            return row_chunk(records.lines, list(zip(*rows, strict=True)), extra, problems)
        except UnicodeEncodeError:
            self._mend_encoding(rows, extra, problems)
            return row_chunk(records.lines, list(zip(*rows, strict=True)), extra, problems)

    @staticmethod
    def _mend_encoding(rows: list[list[str]], extra: dict[int, list[str]], problems: dict[int, list[str]]) -> None:
        for at, row in enumerate(rows):
            cells, more = [mended(cell) for cell in row], [mended(cell) for cell in extra.get(at, [])]
            if any(changed for _, changed in (*cells, *more)):
                rows[at] = [cell for cell, _ in cells]
                if more:
                    extra[at] = [cell for cell, _ in more]
                problems.setdefault(at, []).append(Reason.BAD_ENCODING.value)
