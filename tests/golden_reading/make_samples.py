"""Writes the samples that no editor shows as they are: encodings, odd bytes, workbooks, archives, Parquet.

    python -m tests.golden_reading.make_samples

The others are plain text and were written by hand. Workbooks and archives come out with other bytes each time (they
carry the time), so run it after a change here only, and commit what you meant to change.
"""

import bz2
import datetime
import gzip
import io
import zipfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt  # type: ignore[import-untyped]
import zstandard
from odf.opendocument import OpenDocumentSpreadsheet  # type: ignore[import-untyped]
from odf.table import Table, TableCell, TableRow  # type: ignore[import-untyped]
from odf.text import P  # type: ignore[import-untyped]

SAMPLES = Path(__file__).parent / "samples"
SWEDISH = [
    ["Artikelnr", "Benämning", "Varumärke", "EAN"],
    ["1001", "Smörgåsrån 150 g", "Skogsbågarn", "7311234568017"],
    ["1002", "Räksallad 175 g", "Bohusfisk", "7311234568024"],
    ["1003", "Ädelost 140 g", "Norrmejeriet", "7311234568031"],
]
FRENCH = [
    ["Référence", "Désignation", "Marque", "Prix"],
    ["F1", "Œufs fermiers 6 pièces", "Poulette", "3,20 €"],
    ["F2", "Bœuf bourguignon 400 g", "Maître Léon", "6,90 €"],
    ["F3", "Crème brûlée 2 x 100 g", "Val d'Auge", "2,75 €"],
]
POLISH = [
    ["Indeks", "Nazwa towaru", "Marka", "Jednostka"],
    ["P1", "Śledź po żydowsku 300 g", "Bałtycki", "szt."],
    ["P2", "Chleb żytni krojony 500 g", "Piekarnia Łąka", "szt."],
    ["P3", "Gęś pieczona, mrożona 2 kg", "Wędliny Nowak", "szt."],
]
ENGLISH = [
    ["Product name", "GTIN", "Brand"],
    ["Porridge oats 1 kg", "5012345671017", "Larder"],
    ["Apricot jam 340 g", "5012345671024", "Hedgerow"],
    ["Tomato soup 4 x 400 g", "5012345671031", "Larder"],
]


def text(rows: Iterable[Iterable[str]], delimiter: str = ";", end: str = "\r\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


def encodings() -> dict[str, bytes]:
    swedish = text(SWEDISH)
    return {
        "windows-1252.csv": text([*SWEDISH, ["1005", "Chips – “grill” 275 g", "Örebro", ""]]).encode("cp1252"),
        "iso-8859-1.csv": swedish.encode("latin-1"),
        "iso-8859-15.csv": text(FRENCH).encode("iso8859_15"),
        "windows-1250.csv": text(POLISH).encode("cp1250"),
        "iso-8859-2.csv": text(POLISH).encode("iso8859_2"),
        # Two lists pasted together, each by a program of its own.
        "half-and-half.csv": swedish.encode()
        + "2001;Gräddfil 3 dl;Norrmejeriet;\r\n2002;Ångbröd 6 st;Örebro;\r\n2003;Näsgås 1 kg;Gårdsmat;\r\n".encode(
            "cp1252"
        ),
        "windows-1252.xml": (
            '<?xml version="1.0" encoding="windows-1252"?>\n<Produits xmlns="http://example.com/cat">\n'
            "<Produit><Libellé>Crème de marrons 250 g</Libellé><Marque>Maître Léon</Marque></Produit>\n"
            "<Produit><Libellé>Pâtes d’Alsace 250 g</Libellé><Marque>Grand’Mère</Marque></Produit>\n</Produits>\n"
        ).encode("cp1252"),
        "utf-16.json": '[{"nazwa": "Żurek 0,5 l", "marka": "Babcina"},\n{"nazwa": "Bigos 400 g"}]'.encode("utf-16"),
        "windows-1252.html": (
            "<table><tr><th>Benämning<th>Märke<tr><td>Kålpudding 400 g<td>Gårdsmat<tr><td>Pytt i panna<td>ÖB</table>"
        ).encode("cp1252"),
        "dos-850.csv": swedish.encode("cp850"),
        "utf-16-le-with-mark.csv": b"\xff\xfe" + text(SWEDISH, "\t").encode("utf-16-le"),
        "utf-16-be-with-mark.txt": b"\xfe\xff" + text(POLISH, "\t").encode("utf-16-be"),
        "utf-16-le.csv": swedish.encode("utf-16-le"),
        "utf-16-be.csv": swedish.encode("utf-16-be"),
        "utf-8-with-mark.csv": ('"' + swedish.replace(";", '";"').replace("\r\n", '"\r\n"')[:-1]).encode("utf-8-sig"),
        # A list to which somebody added a line with an older program.
        "mixed-encodings.csv": swedish.encode()
        + "".join(f"20{n};Grönkål fryst {n}0 g;Gårdsmat;\r\n" for n in range(10, 18)).encode()
        + "1004;Gräddfil 3 dl;Norrmejeriet;\r\n".encode("cp1252"),
    }


def old_systems() -> dict[str, bytes]:
    rule = "-" * 86
    alv = [
        "03.05.2024                      Dynamische Listenausgabe                             1",
        rule,
        "|Material          |Materialkurztext                |Warengrp. |BME|  Nettogewicht|GEW|",
        rule,
        "|000000000010023456|Äpfel Elstar                    |OBST      |ST |         1,000|KG |",
        "|000000000010023457|Weizenmehl Type 405             |MEHL      |ST |     1.000,000|G  |",
        "|000000000010023458|Spülmittel Zitrone 500 ml       |REINIGUNG |FL |         0,520|KG |",
        rule,
    ]
    tilde = [
        ["VARENR", "VARENAVN", "STREGKODE", "NETTOVÆGT", "ENHED"],
        ["1", "RUGBRØD", "5712345000014", "0,950", "KG"],
        ["2", "LEVERPOSTEJ", "5712345000021", "0,200", "KG"],
        ["3", "REMOULADE", "", "0,375", "KG"],
    ]
    return {
        "list-with-rules.txt": "".join(line + "\r\n" for line in alv).encode("cp1252"),
        # The decimal commas alone would make a table of two columns.
        "tildes.txt": text(tilde, "~").encode("cp850"),
        "mark-below-a-title.csv": (
            "Export\n\ufeffSKU;Product\u00a0name;Brand\n1;“Best” jam 340\u00a0g;A\n2;Tea;B\n".encode()
        ),
        "page-in-windows-1252.xls": (
            '<html><head><meta http-equiv=Content-Type content="text/html; charset=iso-8859-1"></head><body><table>'
            "<tr><td colspan=3>Artikelliste – Mai</td></tr><tr><th>Art.-Nr.</th><th>Bezeichnung</th><th>EAN</th></tr>"
            '<tr><td>1</td><td>Käse &amp; Schinken&nbsp;200 g</td><td x:num="4001234567815">4.00E+12</td></tr>'
            "<tr><td>2</td><td>Müsli “Früchte” 750 g</td><td>4001234567822</td></tr></table></body></html>"
        ).encode("cp1252"),
    }


def odd_bytes() -> dict[str, bytes]:
    return {
        "cr-line-ends.csv": text(SWEDISH, end="\r").encode(),
        "mixed-line-ends.csv": b"name,brand\nRye crisps 200 g,Forno\r\nSalsa 300 g,Casa\rTacos 12 st,Casa\n",
        "nul-bytes.csv": b"Item no,Product name,Brand\n1,Butter\0 250 g,Dale\n2,\0Clotted cream 113 g,Dale\n"
        b"3,Custard 500 g,\0\n4,Curd,Dale\n",
        # As a mainframe pads its fields.
        "nul-padding.csv": "".join(",".join(cell.ljust(24, "\0") for cell in row) + "\r\n" for row in ENGLISH).encode(),
        "csv.csv.gz": gzip.compress(text(ENGLISH, ",").encode(), mtime=0),
        "csv.csv.bz2": bz2.compress(text(ENGLISH, ",").encode()),
        "csv.csv.zst": zstandard.compress(text(ENGLISH, ",").encode()),
    }


def archives() -> dict[str, bytes]:
    english, swedish = text(ENGLISH, ",").encode(), text(SWEDISH).encode()
    one = zipped({"export/products.csv": english, "__MACOSX/export/._products.csv": b"\0\5\x16\7", "export/": b""})
    locked = bytearray(zipped({"products.csv": english}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + at] |= 1  # the flag that an entry is encrypted
    damaged = bytearray(zipped({"products.csv": english}))
    damaged[50:70] = bytes(20)
    return {
        "one-file.zip": one,
        "workbook-in.zip": zipped({"Sortiment 2024.xlsx": away_from_the_corner()}),
        "notes-beside.zip": zipped(
            {"export/produkter.csv": swedish, "export/LESMEG.txt": b"Eksport", "export/.DS_Store": b"\0\0\0\1Bud1"}
        ),
        "two-files.zip": zipped({"products.csv": english, "artiklar.csv": swedish}),
        "password.zip": bytes(locked),
        "damaged.zip": bytes(damaged),
        "cut-off.csv.gz": gzip.compress(english, mtime=0)[:-20],
    }


def zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def sheet_of(book: Any, title: str, rows: Iterable[Iterable[Any]]) -> Any:
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append(list(row))
    return sheet


def new_book() -> Any:
    book = openpyxl.Workbook()
    book.remove(book.active)
    return book


def saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def workbooks() -> dict[str, bytes]:
    header = ["Artikelnr", "Benämning", "Varugrupp", "Nettovikt"]
    several = new_book()
    sheet_of(several, "Läs mig", [["Prislista 2024"], ["Frågor? Ring kundtjänst."]])
    sheet_of(several, "Mejeri", [header, ["M1", "Gräddfil", "Mejeri", "3 dl"], ["M2", "Smör", "Mejeri", "500 g"]])
    sheet_of(several, "Bröd", [["Sortiment bröd"], [], header, ["B1", "Limpa", "Bröd", "700 g"]])
    sheet_of(several, "Kunder", [["Kundnr", "Ort"], ["77", "Borås"]])

    hidden = new_book()
    sheet_of(hidden, "Old", [*ENGLISH[:2], ["Discontinued soup 400 g", "", "Larder"]]).sheet_state = "hidden"
    sheet_of(hidden, "Products", ENGLISH)

    merged = new_book()
    sheet = sheet_of(
        merged,
        "Sortiment",
        [
            ["Sortiment 2024", None, None, None],
            ["Warengruppe", "Artikel", "Gewicht", None],
            [None, None, "netto", "brutto"],
            ["Molkerei", "Quark", "500 g", "520 g"],
            [None, "Buttermilch", "1 kg", "1,04 kg"],
            [None, "Schlagsahne", "200 g", "210 g"],
            ["Backwaren", "Brezel", "85 g", "85 g"],
            [None, "Laugenstange", "90 g", "90 g"],
        ],
    )
    for span in ("A1:D1", "A2:A3", "B2:B3", "C2:D2", "A4:A6", "A7:A8"):
        sheet.merge_cells(span)
    below = new_book()
    sheet = sheet_of(
        below,
        "Sortiment",
        [
            ["Sortimentsliste 2024"],
            [],
            ["Artikel", None, "Bezeichnung", "Inhalt", None, "EAN"],
            ["Nr.", "Status", None, "Menge", "Einheit", None],
            [1001, "aktiv", "Haferflocken zart", 500, "g", 4001234567815],
            [1002, "aktiv", "Apfelsaft naturtrüb", 1, "l", 4001234567822],
            [1003, "inaktiv", "Senf mittelscharf", 200, "ml", None],
            [],
            ["Hinweis: Alle Angaben ohne Gewähr"],
        ],
    )
    for span in ("A1:F1", "A3:B3", "C3:C4", "D3:E3", "F3:F4"):
        sheet.merge_cells(span)
    other_order, more = new_book(), new_book()
    sheet_of(other_order, "A", [["Name", "Brand"], ["Rice 1 kg", "Larder"]])
    sheet_of(other_order, "B", [["Brand", "Name"], ["Larder", "Corn 340 g"]])
    sheet_of(more, "A", [["Name", "Brand"], ["Rice 1 kg", "Larder"], ["Beans 400 g", "Larder"]])
    sheet_of(more, "B", [["Name", "Brand", "EAN"], ["Corn 340 g", "Larder", ""]])
    # The prices of the same products are no more products.
    prices = new_book()
    sheet_of(prices, "Items", [["SKU", "Name"], ["1", "Rice 1 kg"], ["2", "Beans 400 g"]])
    sheet_of(prices, "Prices", [["SKU", "Name", "Price"], ["1", "Rice 1 kg", 2.5], ["2", "Beans 400 g", 1.2]])
    return {
        "header-below-merged-titles.xlsx": saved(below),
        "sheets-in-other-order.xlsx": saved(other_order),
        "sheets-with-more-columns.xlsx": saved(more),
        "sheet-of-prices.xlsx": saved(prices),
        "sheets-of-one-header.xlsx": saved(several),
        "hidden-sheet.xlsx": saved(hidden),
        "merged-cells.xlsx": saved(merged),
        "values.xlsx": values(),
        "lost-zeros.xlsx": lost_zeros(),
        "old-workbook.xls": old_workbook(),
        "opendocument.ods": opendocument(),
    }


def values() -> bytes:
    """Dates, booleans, errors, formulas with their last values, and GTINs as numbers."""
    book = new_book()
    day = datetime.datetime(2024, 3, 1)
    sheet_of(
        book,
        "Products",
        [
            ["Product name", "GTIN", "Quantity", "Unit", "Description", "Category"],
            ["Lemonade 1.5 l", 5012345671048.0, 0.1 + 0.2, "kg", day, True],
            ["=A2", 5012345671055.0, 1250.5, "piece", day.replace(hour=8, minute=30), False],
            ["Ginger beer 4 x 330 ml", 5012345671062, 12, "can", datetime.time(8, 30), "#N/A"],
            [2024, 5012345671079, 1, "piece", None, None],
        ],
    )
    # What Excel saves and openpyxl does not: the last value of a formula.
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(book))) as before,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.namelist():
            content = before.read(entry)
            content = content.replace(
                b'<c r="A3"><f>A2</f><v/></c>', b'<c r="A3" t="str"><f>A2</f><v>Tonic 1 l</v></c>'
            )
            content = content.replace(
                b'<c r="A3"><f>A2</f><v /></c>', b'<c r="A3" t="str"><f>A2</f><v>Tonic 1 l</v></c>'
            )
            after.writestr(entry, content)
    return buffer.getvalue()


def away_from_the_corner() -> bytes:
    """A table that begins in C4, with a logo's caption above it."""
    book = new_book()
    sheet = book.create_sheet("Hoja1")
    sheet["C2"] = "Distribuciones Sierra Alta"
    table: list[list[Any]] = [["Código", "Artículo", "Marca"], [7, "Queso curado 250 g", "Sierra Alta"]]
    for row, cells in enumerate(table, 4):
        for column, value in enumerate(cells, 3):
            sheet.cell(row, column, value)
    sheet["D6"] = "Membrillo 400 g"
    sheet["C6"] = 8
    return saved(book)


def lost_zeros() -> bytes:
    book = new_book()
    rows: list[list[Any]] = [["Item", "UPC", "Brand"], ["Peanut butter 18 oz", 71234560011, "Casa Verde"]]
    rows += [["Grape jelly 20 oz", 71234560028, "Casa Verde"], ["Chewing gum", 1234565, "Pop"]]
    sheet_of(book, "Items", rows)
    return saved(book)


def old_workbook() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Tuotteet")
    for at, row in enumerate([["Tuotenumero", "Tuotteen nimi", "EAN", "Päivitetty"], ["1", "Kalakukko 500 g"]]):
        for column, value in enumerate(row):
            sheet.write(at + 2, column, value)
    sheet.write(0, 0, "Tuoteluettelo")
    sheet.write(3, 2, 6411234568015.0)
    sheet.write(3, 3, datetime.date(2024, 3, 1), xlwt.easyxf(num_format_str="D.M.YYYY"))
    sheet.write(4, 0, 2)
    sheet.write(4, 1, "Leipäjuusto 250 g")
    sheet.write(4, 2, "6411234568022")
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def opendocument() -> bytes:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Prodotti")
    rows: list[list[Any]] = [
        ["Codice articolo", "Descrizione articolo", "Marchio", "Peso netto (kg)"],
        ["11", "Olio extravergine di oliva", "Oleificio Po", 0.75],
        ["12", "Penne rigate", "Rossini", 0.5],
        ["13", "Caffè in grani", "Moka Bella", 1.0],
    ]
    for row in rows:
        line = TableRow()
        for value in row:
            number = isinstance(value, float)
            cell = TableCell(valuetype="float", value=value) if number else TableCell(valuetype="string")
            cell.addElement(P(text=str(value)))
            line.addElement(cell)
        table.addElement(line)
    document.spreadsheet.addElement(table)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def parquet() -> dict[str, bytes]:
    table = pa.table(
        {
            "product_name": ["Miso paste 300 g", "Soy sauce 1 l", None],
            "gtin": pa.array([5012345671086.0, 5012345671093.0, None], pa.float64()),
            "brand": pa.array(["Umami", "Umami", "Umami"]).dictionary_encode(),
            "net_weight": pa.array([0.3, 1.0, 0.25], pa.float32()),
            "unit": ["kg", "l", "kg"],
            "listed": pa.array([datetime.date(2024, 3, 1), None, None]),
            "organic": [True, False, None],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    nested = io.BytesIO()
    pq.write_table(
        pa.table(
            {
                "product_name": ["Milk 1 l", "Butter", "Cheese"],
                "net_weight_kg": [Decimal("1.030"), Decimal("0.250"), None],
                "identifiers": [{"gtin": "5012345670010", "sku": "1"}, {"gtin": None, "sku": "2"}, None],
                "tags": [["fresh", "whole"], [], None],
            }
        ),
        nested,
    )
    return {"columns.parquet": buffer.getvalue(), "structs.parquet": nested.getvalue()}


def main() -> None:
    for samples in (encodings(), old_systems(), odd_bytes(), archives(), workbooks(), parquet()):
        for name, content in samples.items():
            (SAMPLES / name).write_bytes(content)


if __name__ == "__main__":
    main()
