"""The tables of an HTML page, which many programs write and call .xls; read by sheetreader.py, within its limits."""

import codecs
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from lib.errors import SourceError
from lib.formats.encodings import SINGLE_BYTE, TextEncoding, detect_encoding

# The most that browsers take, whatever the page says.
MOST_COLUMNS_SPANNED = 1000
MOST_ROWS_SPANNED = 65_534
# What an encoding is told by, where the page does not say it.
SAMPLE_BYTES = 1 << 20

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
# What pages call ISO-8859-1 or ASCII, browsers read as Windows-1252, which has the euro sign.
_AS_BROWSERS_DO = dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "us-ascii", "ascii", "windows-1252"), "cp1252")
_SCIENTIFIC = re.compile(r"[-+]?\d+(?:[.,]\d+)?E\+\d+", re.I)


@dataclass
class HtmlTable:
    """A table's rows as text, and its cells over several rows as (first row, column, last row), 0-based."""

    rows: list[list[str]] = field(default_factory=list)
    merged: list[tuple[int, int, int]] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)  # by column: the last row that a cell from above reaches into


@dataclass
class _Cell:
    columns: int
    rows: int
    exact: str  # the number behind a text such as 4.0E+12, in Excel's or LibreOffice's own attribute
    parts: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = "".join(self.parts).split("\n")
        text = "\n".join(" ".join(line.split()) for line in lines).strip()
        return self.exact if self.exact and _SCIENTIFIC.fullmatch(text) else text


def html_tables(path: Path, *, name: str) -> tuple[list[HtmlTable], TextEncoding]:
    """The tables with rows in the order they begin, and the page's encoding; a table within a cell is one of its own.

    Raises SourceError for a declaration that cannot be parsed.
    """
    page = _Page()
    content = path.read_bytes()
    encoding = _encoding(content)
    try:
        page.feed(content.decode(encoding.codec, errors="replace"))
        page.close()
    except AssertionError as error:  # the parser's word for a malformed declaration
        raise SourceError(f"{name}: the HTML is damaged ({error}); save the table as CSV") from None
    return [table for table in page.tables if any(any(row) for row in table.rows)], encoding


def _encoding(content: bytes) -> TextEncoding:
    """The encoding that a page is in, that it says it is in, or that its words look right in."""
    found = detect_encoding(content[:SAMPLE_BYTES], cut=len(content) > SAMPLE_BYTES)
    named = _CHARSET.search(content, 0, 4096)
    if found and (found.codec.startswith("utf-16") or content.startswith(codecs.BOM_UTF8)):
        return found
    # Letters of several bytes do not come about by chance, whatever a page says.
    if named and not (found and found.codec == "utf-8" and not content.isascii()):
        said = named[1].decode("ascii", errors="replace").lower()
        codec = _AS_BROWSERS_DO.get(said, said)
        try:
            content.decode(codec)
            normal = codecs.lookup(codec).name
        except (UnicodeError, LookupError):
            pass
        else:
            labels = SINGLE_BYTE | {"utf-8": "UTF-8"}
            return TextEncoding(
                codec, labels.get(normal.replace("-", "_"), labels.get(normal, said)), "the page says so"
            )
    return found or TextEncoding("cp1252", SINGLE_BYTE["cp1252"], "it is none of the others")


def _span(attributes: dict[str, str | None], name: str, most: int) -> int:
    digits = re.match(r"\s*(\d{1,9})", attributes.get(name) or "")
    return min(max(int(digits[1]), 1), most) if digits else 1


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[HtmlTable] = []
        self._open: list[tuple[HtmlTable, _Cell | None]] = []  # the tables around the current one, with their cells
        self._table: HtmlTable | None = None
        self._cell: _Cell | None = None
        self._ignored = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            if self._table is not None:
                self._open.append((self._table, self._cell))
            self._table, self._cell = HtmlTable(), None
            self.tables.append(self._table)
        elif tag in {"script", "style"}:
            self._ignored = 1
        elif self._table is None:
            return
        elif tag == "tr":
            self._end_cell()
            self._table.rows.append([])
        elif tag in {"td", "th"}:
            self._end_cell()
            given = dict(attrs)
            self._cell = _Cell(
                columns=_span(given, "colspan", MOST_COLUMNS_SPANNED),
                rows=_span(given, "rowspan", MOST_ROWS_SPANNED),
                exact=given.get("x:num") or given.get("sdval") or "",
            )
        elif tag in {"br", "p", "div", "li"} and self._cell is not None:
            self._cell.parts.append("\n" if self._cell.parts else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._ignored = 0
        elif tag in {"td", "th", "tr"}:
            self._end_cell()
        elif tag == "table" and self._table is not None:
            self._end_cell()
            self._table, self._cell = self._open.pop() if self._open else (None, None)

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._ignored:
            # A line break in the source is a space on the page; <br> makes the ones that are kept.
            self._cell.parts.append(data.replace("\n", " ").replace("\r", " "))

    def close(self) -> None:
        super().close()
        self._end_cell()

    def _end_cell(self) -> None:
        cell, table = self._cell, self._table
        if cell is None or table is None:
            return
        self._cell = None
        if not table.rows:
            table.rows.append([])
        at, row = len(table.rows) - 1, table.rows[-1]
        while table.taken.get(len(row), -1) >= at:
            row.append("")
        column = len(row)
        row += [cell.text()] + [""] * (cell.columns - 1)
        if cell.rows > 1:
            last = at + cell.rows - 1
            table.merged.append((at, column, last))
            table.taken.update(dict.fromkeys(range(column, column + cell.columns), last))
