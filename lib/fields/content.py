"""Net content of a package, found in a product's name or size: '6x330ml', '2 stk à 150g', 'ca. 1,3 kg'.

What counts: of several amounts, one said to be net comes before one without a word, then drained, then gross; then a
multi-pack before a single amount, metric before ounces and pounds, and the last one written before the others.
'500 g + 100 g' is a sum.
"""

import re
from dataclasses import dataclass, replace

from lib.fields.amounts import OUNCES, amounts_in

_RANKS = {"net": 3, "": 2, "drained": 1, "gross": 0}
# Of these a volume is that of each one ('12-pack 355 ml'), while a mass is the package's ('Eggs 10-pack 600 g').
_EACH_HAS_THE_VOLUME = frozenset({"piece", "pack", "bottle", "can", "2+1"})
_WITHIN_BRACKETS = re.compile(r"[(\[][\s,;/+=-]*[)\]]")
_BEFORE_COMMA = re.compile(r"\s+(?=[,;)\]])|(?<=[(\[])\s+")
_COMMAS = re.compile(r",(?:\s?,)+")
_ENDS = " \t,;:-–/|+&="


@dataclass(frozen=True, slots=True)
class Content:
    """What a package holds in all; grams and millilitres are both None when only pieces are counted."""

    grams: float | None
    millilitres: float | None
    count: int  # packages or pieces within, 1 when nothing is said
    text: str  # the very characters it came from
    span: tuple[int, int]  # where they stand
    kind: str  # 'net' (also when nothing is said), 'gross' or 'drained'
    approximate: bool  # 'ca', or the middle of a range such as '2-3 kg'


def parse_content(text: str, *, decimal: str = "") -> Content | None:
    """The net content that a name or a size tells, or None; total, whatever the text.

    `decimal` is the column's decimal mark. Without it '1.000 g' is a thousand grams and '1.000 kg' one kilogram. Of
    '2+1 500g' each has the 500 g. An ounce is one of mass unless it is called fluid; pints and gallons are American.
    """
    found = amounts_in(text, decimal=decimal)
    if not found:
        return None
    counts = [one for one in found if not one.measured]
    amounts = [one for one in found if one.measured]
    if not amounts:
        last = counts[-1]
        return Content(None, None, last.count, text[last.start : last.end], (last.start, last.end), "net", False)
    best = max(amounts, key=lambda one: (_RANKS[one.kind], one.pack, one.unit not in OUNCES, one.start))
    if counts and not best.pack:
        last = counts[-1]
        each = best.each or last.unit == "2+1" or (best.millilitres is not None and last.unit in _EACH_HAS_THE_VOLUME)
        start, end = (min(best.start, last.start), max(best.end, last.end)) if each else (best.start, best.end)
        best = replace(best.times(last.count) if each else replace(best, count=last.count), start=start, end=end)
    return Content(
        None if best.grams is None else round(best.grams, 6),
        None if best.millilitres is None else round(best.millilitres, 6),
        best.count,
        text[best.start : best.end],
        (best.start, best.end),
        best.kind or "net",
        best.about,
    )


def without_content(text: str) -> str:
    """A name without its pack sizes and counts; the text itself when nothing with a letter would be left."""
    found = amounts_in(text, decimal="")
    if not found:
        return text
    parts, end = [], 0
    for one in found:
        parts.append(text[end : one.start])
        end = max(end, one.end)
    rest = _WITHIN_BRACKETS.sub(" ", " ".join([*parts, text[end:]]))
    rest = _COMMAS.sub(",", _BEFORE_COMMA.sub("", " ".join(rest.split()))).strip(_ENDS)
    return rest if has_letter(rest) or not has_letter(text) else text


def has_letter(text: str) -> bool:
    """Whether a text holds a letter; '½' and '²' are none."""
    return any(map(str.isalpha, text))
