"""GTINs: the numbers below bar codes."""

import unicodedata

from lib.fields.blanks import NOTHING


class _Kept(dict[int, int | None]):
    """What becomes of a letter in str.translate: none that is a control sign, a blank, or one of ASCII's marks."""

    def __missing__(self, point: int) -> int | None:
        letter = chr(point)
        no_part = letter in "='\"-" or unicodedata.category(letter) in ("Cf", "Zs", "Cc")
        self[point] = None if no_part else point
        return self[point]


_KEPT = _Kept()


def clean_gtin(cell: str) -> str:
    """A GTIN without what people and programs put around it: blanks, dashes, an apostrophe, ="..." and .0.

    '' for zeros alone and for 'NULL' and its like, which stand for none.
    """
    if cell in NOTHING:
        return ""
    if cell.isascii() and cell.isalnum():
        return cell if cell.strip("0") else ""
    text = unicodedata.normalize("NFKC", cell).translate(_KEPT).removesuffix(".0")
    return text if text.strip("0") else ""


def is_gtin(text: str) -> bool:
    """Whether a text is a GTIN-8, -12, -13 or -14: digits, not all zero, with a right check digit.

    The check digit makes the sum of the digits, weighted 3 and 1 in turn from the one before it leftwards, a multiple
    of ten (GS1 General Specifications, section 7.9).
    """
    if len(text) not in (8, 12, 13, 14) or not (text.isascii() and text.isdigit()) or not text.strip("0"):
        return False
    digits = [int(digit) for digit in reversed(text)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def restored_gtin(text: str) -> str:
    """A GTIN with the leading zeros that a spreadsheet took off, or the text as it is where none fit.

    A UPC of 12 digits loses one or two, a GTIN-8 one; its check digit must come out right with them.
    """
    if text.isascii() and text.isdigit() and not is_gtin(text):
        for length, most_lost in ((8, 1), (12, 2)):
            if length - most_lost <= len(text) < length and is_gtin(text.zfill(length)):
                return text.zfill(length)
    return text


def is_restricted(gtin: str) -> bool:
    """Whether a valid GTIN is for use within a shop or company only, so that it means another product elsewhere.

    GS1 prefixes 020-029, 040-049 and 200-299, and in a GTIN-8 000-099 too (GS1 General Specifications, section 1.4).
    """
    if len(gtin) == 8:
        return gtin[0] in "02"
    prefix = gtin.zfill(14)[1:4]
    return prefix[:2] in ("02", "04") or prefix[0] == "2"
