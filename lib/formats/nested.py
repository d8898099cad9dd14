"""What JSON and XML files have in common: limits, the table that is found in one, and nested values as flat cells.

A record becomes columns named by dotted paths (`price.amount`). Values are texts as they were written: the reader of
JSON gives numbers as NumberText and never as a float, so nothing is rounded or comes out as 4.0E12.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring  # typeshed does not know that it may be the C one
from typing import Any, Literal

from lib.errors import SourceError
from lib.fields.known_headers import field_of

# The column of records that are not objects, and of an XML element's own text.
VALUE = "value"
LIST_SEPARATOR = "; "
# Records of so few fields of their own that hold longer lists of records with at least so many fields more are
# groups (a category with its products). Foods in USDA's files have 9 fields of their own beside 15 per nutrient.
GROUP_FIELDS = 2
# A group's field is repeated in every row of it, so a long one would make a small file immense:
# it is left out.
LONGEST_GROUP_CELL = 1000

_UNFIT = re.compile("[\0\ud800-\udfff]")
_COMMENTS = r"\s*(<!--((?!-->).)*-->\s*)*"
_HTML = re.compile(
    rf"\s*(<\?xml\s[^>]*>)?{_COMMENTS}<(!doctype\s+html|html|head|body|table|meta|div)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(r"\s*<(\?xml\s|!--|!DOCTYPE\s|[^\W\d][\w.:-]*(\s[^<]*(>|$)|/?>|$))")
_JSON = re.compile(r'\s*(\{\s*("|\}|$)|\[\s*([\[\]{"]|-?\d|(true|false|null|NaN)\b|$))')


@dataclass(frozen=True)
class RecordLimits:
    """What a file may hold before it is refused."""

    columns: int = 10_000
    cell_characters: int = 16_000_000  # of a cell, and in JSON of a whole record
    depth: int = 200  # elements or containers within each other


@dataclass(frozen=True)
class RecordTable:
    """A table found in a file of records; `rows()` reads the file anew each time.

    `rows` yields (number, cells): the 1-based line on which the record begins, or its 1-based number where several
    begin on one line (`numbering` says which). There are as many cells as columns, or more where the records are arrays
    that are longer than the first. It raises SourceError for what is wrong further on in the file.
    """

    format: str
    where: str
    header: list[str]
    rows: Callable[[], Iterator[tuple[int, list[str]]]]
    numbering: Literal["line", "record"]
    encoding: str


class NumberText(str):
    """A number as it was written."""

    __slots__ = ()


def are_products(columns: Iterable[str]) -> bool:
    """Whether records of these fields have a name and more of what products have; filters have a name and a count."""
    fields = set(map(field_of, columns))
    return "name" in fields and bool(fields & {"gtin", "brand", "description", "customer_category", "net_weight"})


def scalar_text(value: Any) -> str:
    """A string, NumberText, bool or None as a cell."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return "true" if value else "false"


def compact(value: Any) -> str:
    """A nested value as JSON without spaces."""
    if isinstance(value, dict):
        members = (f"{encode_basestring(key)}:{compact(member)}" for key, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, str) and not isinstance(value, NumberText):
        return encode_basestring(value)
    return scalar_text(value)


def list_text(values: list[Any]) -> str:
    """A list as a cell: scalars joined, anything deeper as JSON."""
    if any(isinstance(value, dict | list) for value in values):
        return compact(values)
    return LIST_SEPARATOR.join(scalar_text(value) for value in values if value is not None)


def cell_text(value: Any) -> str:
    """Any value as a cell."""
    if isinstance(value, list):
        return list_text(value)
    return compact(value) if isinstance(value, dict) else scalar_text(value)


def put(row: dict[str, str], column: str, text: str) -> None:
    """Put a cell into its column; two values for one column are both kept."""
    if text:
        before = row.get(column)
        row[column] = f"{before}{LIST_SEPARATOR}{text}" if before else text


def flatten(record: dict[str, Any], row: dict[str, str], prefix: str = "") -> None:
    """Put every value of a record into `row` under the path of its keys."""
    for key, value in record.items():
        column = prefix + key
        if isinstance(value, str) and column not in row:  # nearly always
            row[column] = value
        elif isinstance(value, dict):
            flatten(value, row, f"{column}.")
        else:
            put(row, column, cell_text(value))


def are_groups(*, fields: int, records: int, inner_fields: int, inner_records: int) -> bool:
    """Whether records with so many fields of their own only group the records within them, which are the products."""
    return fields <= GROUP_FIELDS and inner_fields >= fields + GROUP_FIELDS and inner_records > records


def mended(text: str) -> str:
    """A text without the characters that no text column takes: NUL and halves of surrogate pairs."""
    return _UNFIT.sub("\ufffd", text)


def fit_cells(cells: list[str]) -> list[str]:
    """The cells, mended when one of them needs it."""
    joined = "".join(cells)
    if "\0" not in joined:
        try:
            joined.encode()
            return cells
        except UnicodeEncodeError:
            pass
    return [mended(cell) for cell in cells]


def check_columns(columns: Iterable[str], *, limits: RecordLimits, name: str, where: str) -> list[str]:
    """The columns as a header; SourceError when there are too many."""
    header = [mended(column) for column in columns]
    if len(header) > limits.columns:
        raise SourceError(
            f"{name}: the records ({where}) have more than {limits.columns:,} different fields, so they are not a"
            " table; send one with a field for each property"
        )
    return header


def looks_like_json(sample: bytes) -> bool:
    """Whether a file that begins so is JSON or JSON Lines."""
    return _JSON.match(_start_of(sample)) is not None


def looks_like_xml(sample: bytes) -> bool:
    """Whether a file that begins so is XML; HTML is not."""
    text = _start_of(sample)
    return _XML.match(text) is not None and _HTML.match(text) is None


def looks_like_html(sample: bytes) -> bool:
    """Whether a file that begins so is a web page, or a table that calls itself a workbook."""
    return _HTML.match(_start_of(sample)) is not None


def unicode_encoding(start: bytes) -> str:
    """The Unicode encoding of a file that begins with ASCII characters, by its mark or its zero bytes."""
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),  # begins with UTF-16's mark, so it comes first
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (codecs.BOM_UTF8, "utf-8-sig"),
    ):
        if start.startswith(mark):
            return encoding
    zeros = "".join("0" if byte == 0 else "x" for byte in start[:4])
    return {"000x": "utf-32-be", "x000": "utf-32-le", "0x0x": "utf-16-be", "x0x0": "utf-16-le"}.get(zeros, "utf-8")


def _start_of(sample: bytes) -> str:
    # The patterns want ASCII; in what is left, any wrong character does no harm.
    return sample[:4096].decode(unicode_encoding(sample), errors="replace")
