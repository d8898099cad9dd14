"""A product's name as people should read it (clean_name), and as the categorizer reads it (model_text).

A name keeps the customer's own spelling and case: which words are brands or abbreviations nobody knows, and the model
folds case itself. Words of promotion ('new', 'offer') stay too; they belong to too many names ('New York Cheesecake').
"""

import html
import re
import unicodedata
from functools import lru_cache

import ftfy

from lib.fields.content import has_letter, without_content

# Only with its semicolon is an entity surely one: 'Fish &chips' and 'Bread&parade' begin with &chi and &para.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Tags that stand in shop texts; '<3' and '<500 g>' are none.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|br|center|code|div|em|font|h[1-6]|hr|i|img|li|mark|ol|p|s|small|span|strike"
    r"|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|wbr)(?:\s[^<>]{0,500})?\s{0,3}/?>|<!--[^<>]{0,500}-->",
    re.IGNORECASE,
)
# Two signs beyond ASCII side by side, or what is left of a no-break space, may be UTF-8 read as something else; so may
# the controls that Windows-1252 has letters for.
_SUSPECT = re.compile(r"[^\x00-\x7f]{2}|[\x80-\x9f]|[ÃÂ](?:\s|$)")
# Â before a blank was a no-break space.
_LEFT_OF_BLANK = re.compile(r"(?<=[0-9])Â(?=\s)")
# Blanks of no width, marks of direction and halves of surrogate pairs; the joiners stay, Persian and emoji need them.
_INVISIBLE = re.compile(r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]|[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# Everything else that ftfy can do changes good text: ligatures, curly quotes, full-width letters.
_MENDING = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)
_PASSES = 4  # of unescaping; '&amp;amp;nbsp;' needs three
_CODE = (
    r"(?:(?:art(?:ikel|icle|icolo)?|item|sku|ref|ean|gtin|upc)\b[\s.:-]{0,3}(?:(?:nr|no|num|number|n°|nº|#)[\s.:]{0,3})?)?"
    r"#?(?=[A-Z\d./-]*\d{4})(?=[A-Z\d./-]{6,})[A-Z\d]+(?:[./-][A-Z\d]+)*"
)
# Without a word before it only a code that is longer than any year, size or E number, at either end of the name.
_CODES = re.compile(rf"^{_CODE}(?=[\s,;:)-])[\s,;:)-]*|(?:[\s,;:(-]+){_CODE}\)?$", re.IGNORECASE)
_DIGITS = re.compile(r"\d{4}")
_ENDS = " \t,;:-–/|+&=."


def clean_name(text: str) -> str:
    """A name with mojibake mended, entities and tags resolved, no controls, composed letters and single spaces.

    Total; '' when nothing is left. Mojibake is mended by ftfy, and only where it is sure: 'Smørrebrød' stays.
    """
    if text.isascii() and text.isprintable() and "&" not in text and "<" not in text:
        return text.strip() if "  " not in text else " ".join(text.split())  # most names
    for _ in range(_PASSES):
        plain = _unescaped(_mended(text))
        if plain == text:
            break
        text = plain
    text = _CONTROL.sub(" ", _INVISIBLE.sub("", text))
    return " ".join(unicodedata.normalize("NFC", text).split())


def _mended(text: str) -> str:
    if text.isascii() or not _SUSPECT.search(text):
        return text
    return ftfy.fix_text(_LEFT_OF_BLANK.sub("", text), _MENDING)


def _unescaped(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return _TAG.sub(" ", text) if "<" in text else text


def model_text(name: str, *, brand: str = "") -> str:
    """What the categorizer reads of a clean name: without pack size, article code, and brand at its start or end.

    Each is only taken off while a word with a letter is left; a name without letters comes back as it is.
    """
    text = without_content(name)
    if _DIGITS.search(text):
        without = _CODES.sub(" ", text).strip(_ENDS)
        text = without if has_letter(without) else text
    return without_brand(text, brand=brand) if brand else text


def without_brand(name: str, *, brand: str) -> str:
    """A name without the brand at its start or else its end, told without case, accents and punctuation.

    The name itself when the brand is not there or no word with a letter would be left.
    """
    wanted = _folded(brand)
    if not wanted:
        return name
    words = name.split()
    count = _leading(words, wanted)
    if count:
        rest = words[count:]
    else:
        count = _trailing(words, wanted)
        rest = words[: len(words) - count] if count else []
    text = " ".join(rest).strip(_ENDS)
    return text if count and has_letter(text) else name


def _leading(words: list[str], wanted: str) -> int:
    """How many words, from the first, are the brand; 0 when they are not."""
    joined = ""
    for number, word in enumerate(words, start=1):
        joined += _folded(word)
        if joined == wanted:
            return number
        if not wanted.startswith(joined):
            break
    return 0


def _trailing(words: list[str], wanted: str) -> int:
    joined = ""
    for number, word in enumerate(reversed(words), start=1):
        joined = _folded(word) + joined
        if joined == wanted:
            return number
        if not wanted.endswith(joined):
            break
    return 0


@lru_cache(maxsize=65536)
def _folded(text: str) -> str:
    """The letters and digits of a text without case and accents."""
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("ø", "o").replace("æ", "ae").replace("ł", "l"))
    return "".join(letter for letter in text if letter.isalnum())
