"""Raw rows to products: each row's fields normalized, and every reason why it is set aside or noted."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lib.columns import ColumnMatch
from lib.fields.blanks import without_placeholders
from lib.fields.column_values import is_title
from lib.fields.content import Content, parse_content
from lib.fields.gtins import clean_gtin, is_gtin, is_restricted, restored_gtin
from lib.fields.known_headers import split_unit
from lib.fields.names import clean_name, model_text
from lib.formats.footers import is_footer, is_footer_row
from lib.quantities import Unit, parse_measure, unit_of
from lib.records import Reason
from lib.settings import ValidationSettings

# What we make of a row, as columns of the results beside the customer's own.
PRODUCT_COLUMNS = {
    "product_name": pa.string(),
    "product_sku": pa.string(),
    "product_gtin": pa.string(),  # digits with a right check digit, else null
    "product_brand": pa.string(),
    "product_description": pa.string(),
    "product_customer_category": pa.string(),
    "product_quantity": pa.float64(),
    "product_unit": pa.string(),  # a name of config/units.toml
    "product_net_grams": pa.float64(),  # what the package holds, of its weight's column, its size or its name
    "product_net_millilitres": pa.float64(),
    "product_pieces": pa.int64(),  # packages or pieces within, where said
    "product_content_text": pa.string(),  # the very characters that the three come from
    "product_country": pa.string(),
}
_TEXT_FIELDS = ("sku", "brand", "description", "customer_category", "country")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SPACES = re.compile(r"\s+")
# From here on in Unicode a single sign can be a word: Chinese, Japanese, Korean.
_FIRST_IDEOGRAPH = "\u2e80"


# Beyond these a quantity is a mistake: a number of another column, or grams taken for kilograms.
MOST_QUANTITY, MOST_GRAMS = 1_000_000, 1_000_000


@dataclass(frozen=True)
class Products:
    """The products of n raw rows, in their order; rejected rows included."""

    table: pa.Table  # PRODUCT_COLUMNS, n rows
    texts: list[str]  # what the categorizer reads, '' where there is no name
    rejections: list[list[Reason]]  # every reason that sets the row aside
    warnings: list[list[Reason]]  # every reason that is only noted


def to_products(rows: pa.Table, *, columns: list[ColumnMatch], validation: ValidationSettings) -> Products:
    """Validate and normalize staged rows (rows.ROW_COLUMNS, cells, the ledger's columns); total, whatever they hold."""
    count = rows.num_rows
    matches = {match.field: match for match in columns}
    cells = {
        match.field: without_placeholders(rows[f"c{match.column}"].to_pylist(), dashes=match.field != "name")
        for match in columns
    }
    found: list[list[Reason]] = [[Reason(p) for p in problems or ()] for problems in rows["problems"].to_pylist()]

    values: dict[str, Sequence[str | float | None]] = {}
    for field in _TEXT_FIELDS:
        texts = cells.get(field)
        clean = clean_text if field == "sku" else clean_name
        values[f"product_{field}"] = [clean(text) or None for text in texts] if texts else [None] * count
    names = [clean_name(cell) for cell in cells["name"]]
    values["product_name"] = [name or None for name in names]
    values["product_gtin"] = _gtins(cells.get("gtin"), found)
    values["product_quantity"], values["product_unit"] = _quantities(cells, matches, found)
    contents = _contents(cells, matches, names, found)
    values["product_net_grams"] = [content.grams if content else None for content in contents]
    values["product_net_millilitres"] = [content.millilitres if content else None for content in contents]
    values["product_pieces"] = [content.count if content and content.count > 1 else None for content in contents]
    values["product_content_text"] = [content.text if content else None for content in contents]
    _judge_names(rows, names, found, beside=matches["name"].beside)
    for row in _headers_again(cells, matches):
        found[row].append(Reason.NOT_A_PRODUCT)
    for at, reason in (("same_as", Reason.DUPLICATE), ("gtin_as", Reason.SHARED_GTIN)):
        for reasons, line in zip(found, rows[at].to_pylist(), strict=True):
            if line is not None:
                reasons.append(reason)
    return Products(
        table=pa.table({name: pa.array(values[name], kind) for name, kind in PRODUCT_COLUMNS.items()}),
        texts=[
            model_text(name, brand=str(brand or "")) for name, brand in zip(names, values["product_brand"], strict=True)
        ],
        rejections=_among(found, validation.reject),
        warnings=_among(found, validation.warn),
    )


def _judge_names(rows: pa.Table, names: list[str], found: list[list[Reason]], *, beside: Sequence[int]) -> None:
    suspects = {at for at, name in enumerate(names) if is_footer(name) or not name}
    if beside:
        others = zip(*(rows[f"c{column}"].to_pylist() for column in beside), strict=True)
        suspects.update(at for at, cells in enumerate(others) if sum(map(bool, cells)) < 2)
    for at, name in enumerate(names):
        if name and is_too_short(name):
            found[at].append(Reason.NAME_TOO_SHORT)
    cells = [column for column in rows.column_names if column.startswith("c")]
    for at in sorted(suspects):
        row = [clean_text(str(rows[column][at])) for column in cells]
        filled = [cell for cell in row if cell]
        if not names[at]:
            found[at].append(Reason.MISSING_NAME)
        if is_footer_row(names[at], filled, columns=len(cells)) or (beside and is_title(filled)):
            found[at].append(Reason.NOT_A_PRODUCT)


def _headers_again(cells: dict[str, list[str]], matches: dict[str, ColumnMatch]) -> list[int]:
    """The rows that are the header once more, as on each page of a print."""
    header = matches["name"].header
    rows = [at for at, name in enumerate(cells["name"]) if name == header]
    return [at for at in rows if all(cells[field][at] == match.header for field, match in matches.items())]


def clean_text(cell: str) -> str:
    """Composed Unicode without control characters, and with single spaces."""
    if cell.isascii() and cell.isprintable() and "  " not in cell:
        return cell.strip()  # most cells
    return _SPACES.sub(" ", _CONTROL.sub(" ", unicodedata.normalize("NFC", cell))).strip()


def is_too_short(name: str) -> bool:
    """Whether a name has fewer than two letters or digits; one ideograph is enough."""
    if len(name) > 1 and name[:2].isalnum():
        return False  # most names
    # In many scripts vowels are marks: the two signs of घी (ghee) are a letter and a mark.
    signs = [letter for letter in name if unicodedata.category(letter)[0] in "LNM"]
    return len(signs) < 2 and not any(letter >= _FIRST_IDEOGRAPH for letter in signs)


def _gtins(cells: list[str] | None, found: list[list[Reason]]) -> list[str | None]:
    gtins: list[str | None] = []
    for cell, reasons in zip(cells or [""] * len(found), found, strict=True):
        gtin = clean_gtin(cell)
        valid = is_gtin(gtin)
        if gtin and not valid:
            gtin = restored_gtin(gtin)
            valid = is_gtin(gtin)
            if not valid:
                reasons.append(Reason.BAD_GTIN)
        if valid and is_restricted(gtin):
            reasons.append(Reason.RESTRICTED_GTIN)
            valid = False
        gtins.append(gtin if valid else None)
    return gtins


def _quantities(
    cells: dict[str, list[str]], matches: dict[str, ColumnMatch], found: list[list[Reason]]
) -> tuple[list[float | None], list[str | None]]:
    """Each row's quantity and the name of its unit, which stands behind the number or in a column of its own."""
    numbers: list[float | None] = []
    names: list[str | None] = []
    decimal = matches["quantity"].decimal if "quantity" in matches else ""
    blank = [""] * len(found)
    for cell, unit_cell, reasons in zip(cells.get("quantity", blank), cells.get("unit", blank), found, strict=True):
        number, unit_text = parse_measure(cell, decimal=decimal) if cell.strip() else (None, "")
        unit_text = unit_text or unit_cell.strip()
        if cell.strip() and number is None and parse_content(cell, decimal=decimal) is None:
            reasons.append(Reason.BAD_NUMBER)
        if number is not None and not 0 < number <= MOST_QUANTITY:
            reasons.append(Reason.QUANTITY_OUT_OF_RANGE)
        unit = unit_of(unit_text) if unit_text else None
        if unit_text and unit is None:
            reasons.append(Reason.UNIT_UNKNOWN)
        numbers.append(number)
        names.append(unit.name if unit else None)
    return numbers, names


def _contents(
    cells: dict[str, list[str]], matches: dict[str, ColumnMatch], names: list[str], found: list[list[Reason]]
) -> list[Content | None]:
    """What each package holds: as its weight or size says, else its name, else its quantity ('6x330ml')."""
    blank = [""] * len(found)
    weight, quantity = matches.get("net_weight"), matches.get("quantity")
    header_unit = split_unit(weight.header)[1] if weight else None
    contents: list[Content | None] = []
    # Without a quantity the unit can only be the weight's.
    units = cells.get("weight_unit") or (blank if quantity else cells.get("unit", blank))
    for weight_cell, quantity_cell, unit_cell, name, reasons in zip(
        cells.get("net_weight", blank), cells.get("quantity", blank), units, names, found, strict=True
    ):
        content = None
        if weight and weight_cell.strip():
            content = _weight(weight_cell, header_unit or unit_of(unit_cell), weight.decimal, reasons)
        content = content or parse_content(name)
        if content is None and quantity and quantity_cell.strip():
            content = parse_content(quantity_cell, decimal=quantity.decimal)
        if content and content.grams is not None and not 0 < content.grams <= MOST_GRAMS:
            reasons.append(Reason.QUANTITY_OUT_OF_RANGE)
        contents.append(content)
    return contents


def _weight(cell: str, header_unit: Unit | None, decimal: str, reasons: list[Reason]) -> Content | None:
    """A cell of the weight's column; a number alone is in the unit that its header names."""
    content = parse_content(cell, decimal=decimal)
    if content:
        return content
    number, unit_text = parse_measure(cell, decimal=decimal)
    if number is None:
        reasons.append(Reason.BAD_NUMBER)
        return None
    unit = unit_of(unit_text) if unit_text else header_unit
    if unit is None or (unit.grams is None and unit.millilitres is None):
        reasons.append(Reason.UNIT_UNKNOWN)
        return None
    grams = number * unit.grams if unit.grams else None
    millilitres = number * unit.millilitres if unit.millilitres else None
    return Content(grams, millilitres, 1, cell.strip(), (0, len(cell)), "net", False)


def _among(found: list[list[Reason]], chosen: list[Reason]) -> list[list[Reason]]:
    """The reasons of each row that are among those chosen, each once, in the order of Reason."""
    place: Callable[[Reason], int] = list(Reason).index
    wanted = frozenset(chosen)
    return [sorted(wanted.intersection(reasons), key=place) if reasons else [] for reasons in found]
