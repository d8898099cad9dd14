"""XML files in, rows out; what is dangerous or not XML is one clear error."""

from pathlib import Path

import pytest

from lib.errors import SourceError
from lib.formats.nested import RecordLimits, RecordTable, looks_like_xml
from lib.formats.xml_records import open_xml

LIMITS = RecordLimits()


def table_of(folder: Path, content: str | bytes, limits: RecordLimits = LIMITS) -> RecordTable:
    path = folder / "products.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_xml(path, name="products.xml", limits=limits)


def cells_of(folder: Path, content: str | bytes, limits: RecordLimits = LIMITS) -> list[list[str]]:
    """The header and the rows."""
    table = table_of(folder, content, limits)
    return [table.header, *(cells for _, cells in table.rows())]


OFFERS = "".join(f'<offer id="{i}"><name>a</name><price>1</price><unit>kg</unit></offer>' for i in range(20))
CATEGORIES = "".join(f'<category id="{i}">Food</category>' for i in range(60))
# What it is, the file, where the records are found, the header and the first rows.
SHAPES = [
    (
        "elements and attributes",
        '<c><p id="1"><n>Milk</n><price currency="EUR">2</price></p><p id="2"><n>Egg</n></p></c>',
        "elements c/p",
        [["id", "n", "price", "price.currency"], ["1", "Milk", "2", "EUR"], ["2", "Egg", "", ""]],
    ),
    (
        "attributes only",
        '<rows><row n="a" e="1"/><row n="b"/></rows>',
        "elements rows/row",
        [["n", "e"], ["a", "1"], ["b", ""]],
    ),
    ("texts", "<c><n>Milk</n><n>Egg</n></c>", "elements c/n", [["value"], ["Milk"], ["Egg"]]),
    ("one product", '<c><p id="1"><n>Milk</n></p></c>', "elements c/p", [["id", "n"], ["1", "Milk"]]),
    (
        "a feed",
        '<rss xmlns:g="u"><channel><title>Shop</title><item><title>a</title><g:title>A</g:title><g:id>1</g:id></item>'
        "<item><title>b</title></item></channel></rss>",
        "elements rss/channel/item",
        [["title", "g:title", "id"], ["a", "A", "1"], ["b", "", ""]],
    ),
    (
        "more categories than offers",
        f"<shop><categories>{CATEGORIES}</categories><offers>{OFFERS}</offers></shop>",
        "elements shop/offers/offer",
        [["id", "name", "price", "unit"], ["0", "a", "1", "kg"]],
    ),
    (
        "products in groups",
        '<c><g name="Dairy"><p id="1" n="a" q="1"/><p id="2" n="b" q="1"/></g>'
        '<g name="Egg"><p id="3" n="c" q="1"/></g></c>',
        "elements c/g/p",
        [["g.name", "id", "n", "q"], ["Dairy", "1", "a", "1"], ["Dairy", "2", "b", "1"], ["Egg", "3", "c", "1"]],
    ),
    (
        "lists in a product",
        "<c><p><n>a</n><tag>x</tag><tag>y</tag><f><k>fat</k><v>1</v></f><f><k>salt</k><v>2</v></f></p><p><n>b</n></p></c>",
        "elements c/p",
        [["n", "tag", "f.k", "f.v"], ["a", "x; y", "fat; salt", "1; 2"], ["b", "", "", ""]],
    ),
    (
        "text among elements",
        "<c><p><n>some <b>bold</b> text</n></p><p><n>b</n></p></c>",
        "elements c/p",
        [["n", "n.b"], ["some  text", "bold"], ["b", ""]],
    ),
]


@pytest.mark.parametrize(("content", "where", "expected"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_records_are_found_where_they_are(tmp_path: Path, content: str, where: str, expected: list[list[str]]) -> None:
    assert table_of(tmp_path, content).where == where
    assert cells_of(tmp_path, content)[: len(expected)] == expected


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "windows-1252", "ISO-8859-15", "UTF-16"])
def test_the_declared_encoding_is_used(tmp_path: Path, encoding: str) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?>\n<c>\n<n>Käse</n>\n<n>Öl</n></c>'.encode(encoding)
    table = table_of(tmp_path, content)
    assert table.encoding == encoding.upper()
    assert list(table.rows()) == [(3, ["Käse"]), (4, ["Öl"])]
    assert looks_like_xml(content)


def test_names_that_only_html_knows_are_letters_in_texts_and_attributes(tmp_path: Path) -> None:
    content = '<c><p n="K&auml;se &amp; &lt;&#246;&gt;">&euro;&nbsp;1</p><p n="b"/></c>'
    assert cells_of(tmp_path, content) == [["value", "n"], ["€\xa01", "Käse & <ö>"], ["", "b"]]


@pytest.mark.parametrize(
    "doctype", ["<!DOCTYPE c>", '<!DOCTYPE c SYSTEM "file:///etc/hostname">', "<!DOCTYPE c [<!ELEMENT n ANY>]>"]
)
def test_a_document_type_without_entities_is_harmless(tmp_path: Path, doctype: str) -> None:
    assert cells_of(tmp_path, f"{doctype}<c><n>a&auml;</n><n>b</n></c>") == [["value"], ["aä"], ["b"]]


def test_cdata_and_comments_are_text_and_nothing(tmp_path: Path) -> None:
    content = "<c><n><![CDATA[<b>Milk</b> & more]]></n><n>E<!-- no -->gg</n></c>"
    assert cells_of(tmp_path, content) == [["value"], ["<b>Milk</b> & more"], ["Egg"]]


def test_rows_of_a_file_on_one_line_are_numbered(tmp_path: Path) -> None:
    table = table_of(tmp_path, "<c><n>a</n><n>b</n></c>")
    assert table.numbering == "record"
    assert [number for number, _ in table.rows()] == [1, 2]


def test_a_million_values_in_a_record_are_one_cell(tmp_path: Path) -> None:
    rows = cells_of(tmp_path, f"<c><p>{'<t>x</t>' * 300_000}</p><p/></c>")
    assert rows == [["t"], ["; ".join(["x"] * 300_000)], [""]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("<c>Milk</c>", "no records"),
        ("<c>\n<n>a</n>\n", "cut off on line 3"),
        ("<c>\n<n>a</n>\n<n", "cut off on line 3"),
        ("<c>\n<n></c>", "not valid XML on line 2 (mismatched tag)"),
        (b"<c>\n<n>\xe4</n></c>", "another encoding than it declares"),
        ("<c>\0</c>", "not valid XML"),
        ("<c>&#xD800;</c>", "not valid XML"),
        ('<?xml version="1.0" encoding="klingon"?><c/>', "unknown encoding: klingon"),
        ('<?xml version="1.0" encoding="shift_jis"?><c/>', "encoding can't be read"),
        ('<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><c>&b;</c>', "declares an entity (a)"),
        ('<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]><c>&a;</c>', "declares an entity (a)"),
        ('<!DOCTYPE c [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><c/>', "declares an entity (a)"),
        ("<a>" * 100_000, "nested more than 200 deep"),
        (f"<c><n>{'x' * 17_000_000}</n></c>", "more than 16,000,000 characters"),
        (f'<c><n v="{"x" * 20_000_000}"/></c>', "more than 16,000,000 characters"),
        (f"<c><!--{'x' * 20_000_000}--></c>", "more than 16,000,000 characters"),
        ("<c><n " + " ".join(f"k{i}='1'" for i in range(20_000)) + "/><n/></c>", "more than 10,000 different fields"),
        (f"<c>{''.join(f'<k{i}/>' for i in range(100_000))}</c>", "more than 40,000 different elements"),
        ('<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', "an Excel 2003 XML workbook"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_file_is_one_error(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        cells_of(tmp_path, content)
    assert str(caught.value).startswith("products.xml: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (b"<?xml version='1.0'?>", True),
        (b"\xef\xbb\xbf\n<catalog>", True),
        (b'<row name="x', True),
        (b"<!DOCTYPE catalog SYSTEM 'x'>", True),
        (b"<!DOCTYPE html>", False),
        (b"<html><body>", False),
        (b"<5 %;price", False),
        (b"name;price", False),
    ],
)
def test_xml_is_recognized_by_its_beginning(sample: bytes, expected: bool) -> None:
    assert looks_like_xml(sample) == expected
