"""Raw rows to products: each row's fields normalized, and every reason why it is set aside or noted."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lib.columns import ColumnMatch, split_unit
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
    "product_net_weight": pa.float64(),  # in product_net_weight_unit
    "product_net_weight_unit": pa.string(),
    "product_country": pa.string(),
}
_TEXT_FIELDS = ("name", "sku", "brand", "description", "customer_category", "country")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SPACES = re.compile(r"\s+")
# From here on in Unicode a single sign can be a word: Chinese, Japanese, Korean.
_FIRST_IDEOGRAPH = "\u2e80"


@dataclass(frozen=True)
class Products:
    """The products of n raw rows, in their order; rejected rows included."""

    table: pa.Table  # PRODUCT_COLUMNS, n rows
    names: list[str]  # what the categorizer reads, '' where there is none
    rejections: list[list[Reason]]  # every reason that sets the row aside
    warnings: list[list[Reason]]  # every reason that is only noted


def to_products(rows: pa.Table, *, columns: list[ColumnMatch], validation: ValidationSettings) -> Products:
    """Validate and normalize staged rows (reading.ROW_COLUMNS, cells, same_as); total, whatever the cells hold."""
    count = rows.num_rows
    matches = {match.field: match for match in columns}
    cells = {match.field: rows[f"c{match.column}"].to_pylist() for match in columns}
    found: list[list[Reason]] = [[Reason(p) for p in problems or ()] for problems in rows["problems"].to_pylist()]

    values: dict[str, Sequence[str | float | None]] = {}
    for field in _TEXT_FIELDS:
        texts = cells.get(field)
        values[f"product_{field}"] = [clean_text(text) or None for text in texts] if texts else [None] * count
    names = [str(name or "") for name in values["product_name"]]
    gtins = [clean_gtin(cell) for cell in cells.get("gtin", [""] * count)]
    valid = [is_gtin(gtin) for gtin in gtins]
    values["product_gtin"] = [gtin if is_valid else None for gtin, is_valid in zip(gtins, valid, strict=True)]

    quantities = _measures(cells.get("quantity"), cells.get("unit"), found, missing_unit=None)
    values["product_quantity"], values["product_unit"] = _columns_of(quantities, count)
    weight = matches.get("net_weight")
    header_unit = split_unit(weight.header)[1] if weight else None
    weights = _measures(cells.get("net_weight"), None, found, missing_unit=header_unit, unit_needed=True)
    values["product_net_weight"], values["product_net_weight_unit"] = _columns_of(weights, count)

    same_as_lines = rows["same_as"].to_pylist()
    for reasons, name, gtin, is_valid, same_as in zip(found, names, gtins, valid, same_as_lines, strict=True):
        if not name:
            reasons.append(Reason.MISSING_NAME)
        elif is_too_short(name):
            reasons.append(Reason.NAME_TOO_SHORT)
        if gtin and not is_valid:
            reasons.append(Reason.BAD_GTIN)
        if same_as is not None:
            reasons.append(Reason.DUPLICATE)
    return Products(
        table=pa.table({name: pa.array(values[name], kind) for name, kind in PRODUCT_COLUMNS.items()}),
        names=names,
        rejections=_among(found, validation.reject),
        warnings=_among(found, validation.warn),
    )


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


def clean_gtin(cell: str) -> str:
    """A GTIN without what people and programs put around it: blanks, dashes, an apostrophe, ="..." and .0."""
    if cell.isascii() and cell.isalnum():
        return cell
    text = unicodedata.normalize("NFKC", cell)
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cf", "Zs", "Cc"))
    return re.sub(r"[='\"-]", "", text).removesuffix(".0")


def is_gtin(text: str) -> bool:
    """Whether a text is a GTIN-8, -12, -13 or -14: digits, not all zero, with a right check digit.

    The check digit makes the sum of the digits, weighted 3 and 1 in turn from the one before it leftwards, a multiple
    of ten (GS1 General Specifications, section 7.9).
    """
    if len(text) not in (8, 12, 13, 14) or not (text.isascii() and text.isdigit()) or not text.strip("0"):
        return False
    digits = [int(digit) for digit in reversed(text)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


Measure = tuple[float | None, Unit | None]


def _measures(
    cells: list[str] | None,
    units: list[str] | None,
    found: list[list[Reason]],
    *,
    missing_unit: Unit | None,
    unit_needed: bool = False,
) -> list[Measure]:
    """Each cell's number and unit, the unit from the cell, else from its own column, else `missing_unit`."""
    if cells is None and units is None:
        return []
    measures: list[Measure] = []
    for at, reasons in enumerate(found):
        number_text = cells[at].strip() if cells else ""
        number, unit_text = parse_measure(number_text) if number_text else (None, "")
        unit_text = unit_text or (units[at].strip() if units else "")
        if number_text and number is None:
            reasons.append(Reason.BAD_NUMBER)
        unit = unit_of(unit_text) if unit_text else missing_unit
        if unit is None and (unit_text or (unit_needed and number is not None)):
            reasons.append(Reason.UNIT_UNKNOWN)
        measures.append((number, unit))
    return measures


def _columns_of(measures: list[Measure], count: int) -> tuple[list[float | None], list[str | None]]:
    if not measures:
        return [None] * count, [None] * count
    return [number for number, _ in measures], [unit.name if unit else None for _, unit in measures]


def _among(found: list[list[Reason]], chosen: list[Reason]) -> list[list[Reason]]:
    """The reasons of each row that are among those chosen, each once, in the order of Reason."""
    place: Callable[[Reason], int] = list(Reason).index
    wanted = frozenset(chosen)
    return [sorted(wanted.intersection(reasons), key=place) if reasons else [] for reasons in found]
