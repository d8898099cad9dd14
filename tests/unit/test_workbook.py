"""Workbooks in, numbered rows of text out, sheet by sheet; whatever cannot be read is one clear error."""

import datetime
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
import xlwt  # type: ignore[import-untyped]
from odf.opendocument import OpenDocumentSpreadsheet  # type: ignore[import-untyped]
from odf.table import Table, TableCell, TableRow  # type: ignore[import-untyped]
from odf.text import P  # type: ignore[import-untyped]

from lib.errors import SourceError
from lib.formats.sheetreader import cell_text
from lib.formats.unpacking import Limits
from lib.formats.workbook import open_workbook, workbook_kind

Rows = list[tuple[int, list[str]]]
LIMITS = Limits(workbook_seconds=20)


def excel(cells: dict[str, Any], change: Callable[[Any], object] | None = None) -> bytes:
    """An xlsx workbook with one sheet, Sheet, of these cells."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for place, value in cells.items():
        sheet[place] = value
    if change:
        change(sheet)
    return saved(book)


def saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def changed(workbook: bytes, part: str, old: str, new: str) -> bytes:
    """The workbook with a text in one of its parts replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as before, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.namelist():
            content = before.read(entry)
            if entry == part:
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            after.writestr(entry, content)
    return buffer.getvalue()


def read(folder: Path, content: bytes, limits: Limits = LIMITS) -> tuple[str, list[tuple[str, bool, Rows]]]:
    """The format, and each sheet's name, whether it is hidden, and its rows."""
    path = folder / "file.csv"  # the name decides nothing
    path.write_bytes(content)
    with open_workbook(path, name="products.xlsx", limits=limits) as book:
        return book.format, [(sheet.name, sheet.hidden, list(sheet.rows())) for sheet in book.sheets]


def rows(folder: Path, content: bytes) -> Rows:
    """The rows of the only sheet."""
    ((_, _, found),) = read(folder, content)[1]
    return found


def refusal(folder: Path, content: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(SourceError) as caught:
        read(folder, content, limits)
    assert str(caught.value).startswith("products.xlsx: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00123", "00123"),
        (" a\nb ", " a\nb "),
        (7.0, "7"),
        (3.04e12, "3040000000000"),
        (14006381333931.0, "14006381333931"),
        (1e17, "100000000000000000"),
        (-0.0, "0"),
        (10.48, "10.48"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333333"),
        (0.00001, "0.00001"),
        (1.5e300, "1.5e+300"),
        (float("nan"), ""),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (datetime.datetime(2024, 1, 31), "2024-01-31"),
        (datetime.datetime(2024, 1, 31, 8, 30), "2024-01-31 08:30:00"),
        (datetime.time(8, 30), "08:30:00"),
        (datetime.timedelta(hours=30, minutes=15), "30:15:00"),
        (datetime.timedelta(seconds=-90), "-0:01:30"),
    ],
)
def test_a_cell_is_the_text_that_a_person_means(value: Any, text: str) -> None:
    assert cell_text(value) == text


def test_rows_and_columns_stand_where_the_spreadsheet_program_shows_them(tmp_path: Path) -> None:
    content = excel({"B2": "Price list", "B4": "sku", "C4": "name", "B6": "00123", "C6": "Milk\n1 l"})
    assert rows(tmp_path, content) == [
        (1, []),
        (2, ["", "Price list"]),
        (3, []),
        (4, ["", "sku", "name"]),
        (5, []),
        (6, ["", "00123", "Milk\n1 l"]),
    ]


def test_values_of_every_type_come_through_an_excel_workbook(tmp_path: Path) -> None:
    content = excel(
        {"A1": 3.04e12, "B1": 10.48, "C1": True, "D1": datetime.date(2024, 1, 31), "E1": datetime.time(8, 30)}
        | {"A2": "#N/A", "B2": datetime.timedelta(hours=30), "C2": "Käse & Öl <b>", "D2": "a_x000D_\nb"},
        lambda sheet: setattr(sheet["A2"], "data_type", "e"),
    )
    assert rows(tmp_path, content) == [
        (1, ["3040000000000", "10.48", "true", "2024-01-31", "08:30:00"]),
        (2, ["", "30:00:00", "Käse & Öl <b>", "a\r\nb"]),
    ]


def test_a_formula_has_its_last_value_and_rich_text_its_letters(tmp_path: Path) -> None:
    content = excel({"A1": "=1+1", "B1": "bold"})
    content = changed(content, "xl/worksheets/sheet1.xml", "<f>1+1</f><v />", "<f>1+1</f><v>2</v>")
    content = changed(content, "xl/sharedStrings.xml", "<t>bold</t>", "<r><t>bo</t></r><r><rPr><b/></rPr><t>ld</t></r>")
    assert rows(tmp_path, content) == [(1, ["2", "bold"])]


def test_hidden_sheets_are_told_and_charts_left_out(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["name"])
    for title, state in (("Codes", "hidden"), ("Secret", "veryHidden")):
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        sheet.append([title])
    book.create_chartsheet("Chart")
    assert read(tmp_path, saved(book)) == (
        "Excel workbook (xlsx)",
        [
            ("Sheet", False, [(1, ["name"])]),
            ("Codes", True, [(1, ["Codes"])]),
            ("Secret", True, [(1, ["Secret"])]),
        ],
    )


def test_hidden_rows_are_rows(tmp_path: Path) -> None:
    content = excel({"A1": "name", "A2": "Milk"}, lambda sheet: setattr(sheet.row_dimensions[2], "hidden", True))
    assert rows(tmp_path, content) == [(1, ["name"]), (2, ["Milk"])]


def test_a_merged_category_is_repeated_down_and_a_merged_title_is_not_repeated(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        for span in ("A1:C1", "A2:A5", "C2:C9"):
            sheet.merge_cells(span)

    content = excel({"A1": "Title", "A2": "Dairy", "B2": "Milk", "C2": "cold", "B4": "Cheese", "B6": "Bread"}, merge)
    assert rows(tmp_path, content) == [
        (1, ["Title"]),
        (2, ["Dairy", "Milk", "cold"]),
        (3, []),  # a row with nothing of its own stays blank
        (4, ["Dairy", "Cheese", "cold"]),
        (5, []),
        (6, ["", "Bread", "cold"]),
    ]


@pytest.mark.parametrize("dimension", ["A1", "A1:XFD1048576", "C7:D9"])
def test_a_wrong_dimension_record_changes_nothing(tmp_path: Path, dimension: str) -> None:
    content = excel({"A1": "name", "B1": "sku", "A2": "Milk", "B2": "1"})
    content = changed(content, "xl/worksheets/sheet1.xml", 'ref="A1:B2"', f'ref="{dimension}"')
    assert rows(tmp_path, content) == [(1, ["name", "sku"]), (2, ["Milk", "1"])]


def test_styled_cells_far_away_without_a_value_are_nothing(tmp_path: Path) -> None:
    content = excel({"A1": "name"}, lambda sheet: sheet["XFD1048576"].__setattr__("number_format", "0.00"))
    assert rows(tmp_path, content) == [(1, ["name"])]


def test_two_cells_so_far_apart_that_the_sheet_fills_the_memory_are_refused(tmp_path: Path) -> None:
    assert "takes more than 2.0 GB of memory" in refusal(tmp_path, excel({"A1": 1, "XFD1048576": 2}))


def test_an_old_excel_workbook_is_read(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Blad")
    sheet.write_merge(1, 2, 0, 0, "Mejeri")
    for at, values in ((0, ["kategori", "vara", "EAN"]), (1, [None, "Mjölk", 7310865004703]), (2, [None, "Ost", True])):
        for column, value in enumerate(values):
            if value is not None:
                sheet.write(at, column, value)
    assert read(tmp_path, saved(book)) == (
        "Excel workbook (xls)",
        [
            (
                "Blad",
                False,
                [
                    (1, ["kategori", "vara", "EAN"]),
                    (2, ["Mejeri", "Mjölk", "7310865004703"]),
                    (3, ["Mejeri", "Ost", "true"]),
                ],
            )
        ],
    )


def open_document(*lines: list[tuple[dict[str, str], str]], repeat_last: int = 1) -> bytes:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Ark")
    for at, line in enumerate(lines):
        row = TableRow(numberrowsrepeated=repeat_last) if at == len(lines) - 1 else TableRow()
        for attributes, text in line:
            cell = TableCell(**attributes)
            if text:
                cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    return saved(document)


def test_an_open_document_workbook_is_read_and_repeated_blank_rows_cost_nothing(tmp_path: Path) -> None:
    text = {"valuetype": "string"}
    content = open_document(
        [(text, "name"), (text, "EAN")],
        [(text, "Mjölk"), ({"valuetype": "float", "value": "7310865004703"}, "7,31E+12")],
        [
            ({"valuetype": "date", "datevalue": "2024-01-31"}, "31.1.2024"),
            ({"valuetype": "percentage", "value": "0.25"}, "25 %"),
        ],
        [({}, "")],
        repeat_last=1_048_000,
    )
    assert read(tmp_path, content) == (
        "OpenDocument workbook (ods)",
        [("Ark", False, [(1, ["name", "EAN"]), (2, ["Mjölk", "7310865004703"]), (3, ["2024-01-31", "0.25"])])],
    )


def test_a_cell_repeated_billions_of_times_is_refused(tmp_path: Path) -> None:
    cell = ({"valuetype": "string", "numbercolumnsrepeated": "16000"}, "x")
    assert "too many cells" in refusal(tmp_path, open_document([cell], repeat_last=1_000_000))


HTML = """<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head>
<meta charset={0}><style>td {{}}</style></head><body>
<table><tr><th>category<th>name<th colspan=2>EAN</tr>
<tr><td rowspan="2">Käse &amp; Milch</td><td>Gouda<br>jung</td><td></td><td x:num="4006381333931">4.00638E+12</td></tr>
<tr><td>Edamer&nbsp;<b>alt</b>
  mild</td></tr><tr></tr>
<tr><td colspan="99999999999"></td></tr></table><p>note</p></body></html>"""


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
def test_an_html_table_is_read(tmp_path: Path, charset: str) -> None:
    assert read(tmp_path, HTML.format(charset).encode(charset)) == (
        "HTML table",
        [
            (
                "table 1",
                False,
                [
                    (1, ["category", "name", "EAN"]),
                    (2, ["Käse & Milch", "Gouda\njung", "", "4006381333931"]),
                    (3, ["Käse & Milch", "Edamer alt mild"]),
                ],
            )
        ],
    )


def test_a_table_in_a_cell_is_one_of_its_own_and_a_page_may_be_only_half_closed(tmp_path: Path) -> None:
    page = b"<table><tr><td>Menu<td><table><tr><td>name<tr><td>Milk</table>2024</table><table><tr><td>more"
    assert read(tmp_path, page)[1] == [
        ("table 1", False, [(1, ["Menu", "2024"])]),
        ("table 2", False, [(1, ["name"]), (2, ["Milk"])]),
        ("table 3", False, [(1, ["more"])]),
    ]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"sku;name\n", None),
        (b"", None),
        (b"name\n<table><tr><td>\n", None),
        (b"<?xml version='1.0'?><products><product/></products>", None),
        (b"<html><body>no table</body></html>", None),
        (b"\xef\xbb\xbf \n<!DOCTYPE HTML><TABLE\n border=1><TR>", "html"),
        (b"<?xml version='1.0'?><!-- x --><html><table><tbody><tr>", "html"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    ],
)
def test_a_workbook_is_told_by_its_content(tmp_path: Path, content: bytes, kind: str | None) -> None:
    path = tmp_path / "products.xlsx"
    path.write_bytes(content)
    assert workbook_kind(path, name="products.xlsx") == kind


def test_rows_can_be_read_again_and_left_halfway(tmp_path: Path) -> None:
    path = tmp_path / "products.xlsx"
    path.write_bytes(excel({"A1": "name", "A2": "Milk"}))
    with open_workbook(path, name="products.xlsx", limits=LIMITS) as book:
        (sheet,) = book.sheets
        assert next(sheet.rows()) == (1, ["name"])
        assert list(sheet.rows()) == list(sheet.rows()) == [(1, ["name"]), (2, ["Milk"])]


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return buffer.getvalue()


ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + "EncryptedPackage".encode("utf-16-le") + bytes(600)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"sku;name\n", "this is not a workbook"),
        (excel({}), "the workbook is empty"),
        (ENCRYPTED, "protected by a password"),
        (ENCRYPTED[:200], "the workbook is damaged"),
        (excel({"A1": "name"})[:2000], "the workbook is damaged or cut off"),
        (zip_of("[Content_Types].xml", "word/document.xml"), "a Word or other Office file without sheets"),
        (zip_of("[Content_Types].xml", "xl/workbook.xml"), "the workbook is damaged or of an unknown kind"),
        (changed(excel({"A1": 1}), "xl/worksheets/sheet1.xml", "</c>", "</d>"), "unknown kind on sheet 'Sheet'"),
        (b"<table><tr><td>a</td></tr></table><![what[ever]]>", "the HTML is damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refusal(tmp_path, content)


def test_limits_on_size_cells_and_text_are_kept(tmp_path: Path) -> None:
    content = excel({f"{column}{row}": "x" * 3000 for column in "AB" for row in range(1, 50)})
    assert "more than 5,000 bytes" in refusal(tmp_path, content, Limits(unpacked_bytes=5000))  # the XML
    assert "too many cells" in refusal(tmp_path, content, Limits(workbook_cells=97))
    assert len(read(tmp_path, content, Limits(workbook_cells=98))[1][0][2]) == 49
    # 98 cells share one text, so their text is far more than the XML.
    assert "more than 200,000 bytes" in refusal(tmp_path, content, Limits(unpacked_bytes=200_000))


def test_a_cell_of_damage_is_one_clear_error(tmp_path: Path) -> None:
    page = b"<table><tr><td>name<tr><td>" + b"x" * 16_000_001
    assert "row 2 has a cell of more than 16,000,000 characters" in refusal(tmp_path, page)


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    page = b"<table><tr><td>" + b"<td>x" * 500_000
    assert "takes more than 1 s" in refusal(tmp_path, page, Limits(workbook_seconds=1))


def test_damaged_bytes_end_in_our_error_and_no_other(tmp_path: Path) -> None:
    chance = random.Random(3)
    for _ in range(15):
        content = bytearray(excel({"A1": "name", "A2": "Milk", "B2": 1.5}))
        for _ in range(5):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            read(tmp_path, bytes(content))
        except SourceError as error:
            assert str(error)
