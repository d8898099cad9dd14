"""Whatever the bytes, JSON and XML give rows or our own error; whatever the records, every value is in their rows."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import SourceError
from lib.formats.json_records import open_json
from lib.formats.nested import RecordLimits, RecordTable, looks_like_html, looks_like_json, looks_like_xml
from lib.formats.xml_records import open_xml

Opener = Callable[..., RecordTable]
# Pieces that mean something to a reader come to its corners sooner than any bytes.
JSON_PIECES = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\ud800",
        b"\\u00",
        b"1",
        b"-",
        b"1.0",
        b"1e9",
        b"null",
        b"NaN",
    ),
    *(
        b'"a":',
        b'"b":',
        b'{"a":1}',
        b'[{"a":1},{"b":2}]',
        b" ",
        b"\n",
        b"\0",
        b"\xe4",
        b"\xc3\xa4",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
    ),
]
XML_PIECES = [
    *(
        b"<a>",
        b"</a>",
        b"<b>",
        b"</b>",
        b"<b/>",
        b'<a x="1" xmlns:g="u">',
        b"<g:c>",
        b"</g:c>",
        b"<",
        b">",
        b"&",
        b"&auml;",
        b"&x;",
    ),
    *(
        b"text",
        b" ",
        b"\n",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?p?>",
        b"<!DOCTYPE a>",
        b"<!ENTITY x 'y'>",
        b"\0",
        b"\xe4",
    ),
    *(b'<?xml version="1.0" encoding="windows-1252"?>', b'<!DOCTYPE a [<!ENTITY x "y">]>', b"\xff\xfe"),
]
NAMES = st.sampled_from(["a", "b", "columns", "name.x", "name", "\ud800", "", "key", "value"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def opened(opener: Opener, content: bytes, limits: RecordLimits) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "products")
        path.write_bytes(content)
        table = opener(path, name="products", limits=limits)
        rows = list(table.rows())
        assert rows == list(table.rows())
    pa.array([cell for _, cells in rows for cell in (*cells, *table.header)], pa.string())
    return table.header, rows


def check_total(opener: Opener, content: bytes) -> None:
    for sample in (looks_like_json, looks_like_xml, looks_like_html):
        sample(content)
    for limits in (RecordLimits(), RecordLimits(columns=2, cell_characters=20, depth=3)):
        try:
            header, rows = opened(opener, content, limits)
        except SourceError as error:
            assert "\n" not in str(error)
        else:
            assert header
            assert all(len(cells) >= len(header) and number > 0 for number, cells in rows)
            numbers = [number for number, _ in rows]
            assert numbers == sorted(set(numbers))


@given(st.binary(max_size=200) | st.lists(st.sampled_from(JSON_PIECES), max_size=40).map(b"".join))
@settings(max_examples=1500, deadline=None)
def test_any_bytes_are_rows_of_json_or_our_error(content: bytes) -> None:
    for wrapped in (content, b"[" + content + b"]", b'{"products":[' + content + b"]}"):
        check_total(open_json, wrapped)


@given(VALUES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), st.sampled_from([None, 1]))
@settings(max_examples=1500, deadline=None)
def test_any_json_value_is_rows_or_our_error(value: Any, encoding: str, indent: int | None) -> None:
    check_total(open_json, json.dumps(value, indent=indent).encode(encoding))


@given(st.binary(max_size=200) | st.lists(st.sampled_from(XML_PIECES), max_size=40).map(b"".join))
@settings(max_examples=1500, deadline=None)
def test_any_bytes_are_rows_of_xml_or_our_error(content: bytes) -> None:
    for wrapped in (content, b"<c>" + content + b"</c>", b"<c><r>" + content + b"</r><r/></c>"):
        check_total(open_xml, wrapped)


@given(st.lists(st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans(), max_size=5), min_size=1, max_size=20))
@settings(max_examples=500, deadline=None)
@pytest.mark.parametrize("lines", [False, True])
def test_rows_hold_every_value_of_flat_objects(lines: bool, records: list[dict[str, Any]]) -> None:
    content = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    if not any(records) or (lines and len(records) == 1 and not any(map(str, records[0].values()))):
        return  # nothing in it
    header, rows = opened(open_json, content.encode(), RecordLimits())
    as_text = [{k: json.dumps(v) if isinstance(v, int) else v for k, v in record.items()} for record in records]
    assert [{column: cell for column, cell in zip(header, cells, strict=True) if cell} for _, cells in rows] == [
        {key: text for key, text in record.items() if text} for record in as_text
    ]


@given(st.lists(st.tuples(*[st.text("aä<&\"'> ;", max_size=8)] * 3), min_size=1, max_size=20))
@settings(max_examples=500, deadline=None)
def test_rows_hold_every_value_of_elements_and_attributes(records: list[tuple[str, str, str]]) -> None:
    products = [f"<p id={quoteattr(i)}><n>{escape(n)}</n><q>{escape(q)}</q></p>" for i, n, q in records]
    header, rows = opened(open_xml, f"<c>{''.join(products)}</c>".encode(), RecordLimits())
    assert header == ["id", "n", "q"]
    assert [cells for _, cells in rows] == [[cell.strip() for cell in record] for record in records]
