"""Amounts and counts within a text: '6 x 330 ml', 'ca. 1,3 kg', '12-pack', each with where it stands.

Milligrams are doses and tonnes are cranes, so neither is an amount.
"""

import math
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from lib.quantities import Unit, parse_number, written_units

# Longer texts are no names, and take long.
MOST_CHARACTERS = 2000
_GLYPHS = "½¼¾⅓⅔⅛⅜⅝⅞"
_BLANKS = " \u00a0\u2009\u202f'’"
_VALUE = (
    rf"(?:\d{{1,2}}\s)?\d{{1,2}}[/⁄]\d{{1,2}}(?!\d)|\d{{0,3}}\s?[{_GLYPHS}]"
    rf"|\d{{1,3}}(?:[{_BLANKS}]\d{{3}})+(?!\d)(?:[.,]\d{{1,3}})?|\d{{1,7}}(?:[.,]\d{{1,6}})*|[.,]\d{{1,4}}"
)
# American measures; theirs are pints, quarts and gallons too.
OUNCES = frozenset({"oz", "lb", "fl oz", "pint", "quart", "gallon"})
_NO_CONTENT = frozenset({"mg", "t"})
_NO_COUNT = frozenset({"case", "cases"})  # an 'iPhone 6 case' is one
_GENERATIONS = frozenset("23456")  # of mobile networks: a '5G router' has no five grams, '5 g' and 'SALT 5G' have
_KINDS = {
    "net": r"net(?:to)?(?:\s?(?:wt|weight|contents?|gewicht|inhalt|vikt|vægt|vekt|paino|innehåll))?|füllmenge|inhalt"
    r"|poids net|peso ne(?:t)?to|nettopaino|contenu|contents|sisältö|innehåll|masa netto",
    "gross": r"gross(?: (?:weight|wt))?|brutto(?:gewicht|vikt|vægt|vekt|paino)?|poids brut|peso (?:bruto|lordo)",
    "drained": r"drained(?: (?:weight|wt))?|dr\.? ?wt|abtropfgewicht|atg|poids net égoutté|égoutté|pne"
    r"|valutettu(?: paino)?|avrunnen(?: vikt)?|avrent(?: vekt)?|drænet(?: vægt)?|peso (?:sgocciolato|escurrido)"
    r"|uitlekgewicht|masa po odsączeniu",
}
_ABOUT = (
    r"ca\.?|c:a|c\.|circa|cirka|approx(?:\.|imately)?|about|noin|n\.|etwa|ungefähr|ung\.?|env\.?|environ|around|aprox\.?"
    r"|omkring|omtrent|ongeveer|około|ok\."
)
# The longer words first: 'poids net égoutté' is drained, 'poids net' is net.
_KIND = "|".join(f"(?P<{kind}>{_KINDS[kind]})" for kind in ("drained", "gross", "net"))
_BEFORE = re.compile(
    rf"(?:(?<!\w)(?:{_KIND})[\s.:=]{{0,3}})?(?:(?<!\w)(?P<about>{_ABOUT})\s{{0,2}}|(?P<sign>[~≈±])\s?)?$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"\s?(?:[e℮](?=\s*$|[,;)\]])|(?P<each>each|jeweils|chacun)(?!\w)|(?:{_KIND})(?!\w)"
    r"(?![\s.:=]{0,3}(?:ca\.?\s?)?[~\d]))",
    re.IGNORECASE,
)
_PER = re.compile(r"(?:(?<!\w)(?:per|pro|por|par)|/)\s?$", re.IGNORECASE)
_PROTEIN = re.compile(r"\s(?:of\s)?(?:protein|proteiin|eiwei|carb|fib(?:re|er))", re.IGNORECASE)
_EACH = re.compile(r"\s?(?:à|á|a|@|je|of|per|von|de|med|av|van|di|x|×|\*)\s?", re.IGNORECASE)
_PLUS = re.compile(r"(?<![\w.,+-])(\d{1,2})\+(\d{1,2})(?![\w.,+%-])")
_PACK_OF = re.compile(
    r"(?<!\w)(?:(?:packs?|case|box|set|bag|carton|tray|lot|bundle|paket|paquete|caja|confezione|multipack|karton|pak)"
    r"\s(?:of|de|da|à|á|mit|van|med|av|om)\s(?P<of>\d{1,4})(?![\w.,%+/-])|(?<![.,])(?P<er>\d{1,3})er(?!\w))",
    re.IGNORECASE,
)
# 'Eggs x 6', at a name's end; an 'iPhone X 64' is none.
_TIMES = re.compile(r"(?<=[^\W\d_])\s\(?([xX×])\s?([2-9]|[1-5]\d)(?=\s*(?:$|[,;)\]]))")
_NUMBER = re.compile(rf"[\d{_GLYPHS}]")


@dataclass(frozen=True, slots=True)
class Amount:
    """One amount or count within a text; a count has neither grams nor millilitres."""

    start: int
    end: int
    unit: str  # a name of config/units.toml, or '2+1'
    grams: float | None = None
    millilitres: float | None = None
    count: int = 1
    kind: str = ""
    about: bool = False
    pack: bool = False  # a number of equal ones: '6x330ml'
    each: bool = False  # said to be that of each piece

    @property
    def measured(self) -> bool:
        return self.grams is not None or self.millilitres is not None

    def times(self, count: int) -> "Amount":
        """So many of it."""
        grams, millilitres = _scaled(self.grams, count), _scaled(self.millilitres, count)
        return replace(self, grams=grams, millilitres=millilitres, count=self.count * count, pack=True)


def amounts_in(text: str, *, decimal: str) -> list[Amount]:
    """Every amount and count of a text in its order, none overlapping; those that belong together are one.

    Only the first MOST_CHARACTERS are looked at.
    """
    text = text[:MOST_CHARACTERS]
    if not _NUMBER.search(text):
        return []  # most names
    found = [one for match in _amount().finditer(text) if (one := _read(match, decimal)) is not None]
    for match in _PLUS.finditer(text):
        found.append(Amount(match.start(), match.end(), "2+1", count=int(match[1]) + int(match[2])))
    for match in _PACK_OF.finditer(text):
        found.append(Amount(match.start(), match.end(), "pack", count=int(match["of"] or match["er"])))
    for match in _TIMES.finditer(text):
        if match[1] != "X" or text.isupper():
            found.append(Amount(match.start(1), match.end(), "pack", count=int(match[2])))
    if len(found) < 2:
        return [one for one in found if one.count or one.measured]
    apart: list[Amount] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not one.count:
            continue
        last = apart[-1] if apart else None
        if last is None or one.start >= last.end:
            apart.append(one)
            if last is not None and (joined := _joined(last, one, text[last.end : one.start])):
                apart[-2:] = [joined]
        elif one.measured and not last.measured:
            apart[-1] = one  # 'bag of 500 g' is no bag of 500
    return apart


def _joined(first: Amount, second: Amount, between: str) -> Amount | None:
    """'2 stk' and '150 g' with an 'à' between them, or two amounts with a plus, as one; None when they are apart."""
    if second.measured and not first.measured and _EACH.fullmatch(between):
        return replace(second.times(first.count), start=first.start)
    if not (first.measured and second.measured and between.strip() == "+" and first.kind == second.kind):
        return None
    if (first.grams is None) != (second.grams is None):
        return None
    grams = None if first.grams is None or second.grams is None else first.grams + second.grams
    millilitres = None
    if first.millilitres is not None and second.millilitres is not None:
        millilitres = first.millilitres + second.millilitres
    about, count = first.about or second.about, first.count + second.count if first.pack or second.pack else 1
    return replace(second, start=first.start, grams=grams, millilitres=millilitres, count=count, about=about)


def _read(match: "re.Match[str]", decimal: str) -> Amount | None:
    """An amount with all that stands around it; None when it is none after all."""
    unit = _unit(match["unit"])
    if unit is None or (match["unit"] == "G" and match["value"] in _GENERATIONS and not match.string.isupper()):
        return None
    start, value, factors, sign = _start_and_value(match)
    size = _number(value, unit, decimal)
    if size is None or size <= 0:
        return None
    if unit.grams is None and unit.millilitres is None:
        count = _counted(match, size, factors, sign)
        return Amount(start, match.end(), unit.name, count=count) if count else None
    count, about, alone = 1, False, Amount(start, match.end(), unit.name)
    if sign in ("x", "×", "*") and all(factor.isdecimal() for factor in factors):
        count = math.prod(map(int, factors))
    elif sign:
        first = parse_number(factors[0])
        combined = _combined(first or 0, match, size, unit) if len(factors) == 1 else (0, size, False)
        if combined is None:
            return None
        count, total, about = combined
        if not count and total == size:
            count, alone = 1, replace(alone, start=match.start("value"))  # what stands before it is something else
        size = total
    count = (count or 1) * int(match["times"] or 1)
    one = replace(alone, grams=_scaled(unit.grams, size), millilitres=_scaled(unit.millilitres, size), about=about)
    return _placed(one.times(count) if factors or match["times"] else one, match.string, amount=size) if count else None


def _start_and_value(match: "re.Match[str]") -> tuple[int, str, list[str], str]:
    """Where an amount begins, its number, what stands before it and by which sign; of 'No. 5 500 g' the 500 alone."""
    value, sign = match["value"], (match["sign"] or "").lower()
    factors = re.split(r"\s?[x×*]\s?", match["factors"].lower()) if match["factors"] else []
    before, blank, last = value.rpartition(" ")
    if not blank or not last[:1].isdecimal() or not before[-1:].isdecimal() or "/" in last or "⁄" in last:
        return match.start(), value, factors, sign
    if sign in ("x", "×", "*") or last.startswith("0") or (not factors and match.string.strip() == match[0]):
        return match.start(), value, factors, sign
    return match.start("value") + len(before) + 1, last, [], ""


def _combined(first: float, match: "re.Match[str]", size: float, unit: Unit) -> tuple[int, float, bool] | None:
    """'A sign B unit' as (number of equal ones or 0, size, whether it is a range), or None when it is no content."""
    sign, whole, ounces = match["sign"], first == int(first), unit.name in OUNCES
    count, about = 0, False
    if sign == "+" or (sign in "–-" and "/" in match["value"] and size < 1):
        size += first  # '40+10 g', '1-1/2 lb'
    elif sign in "/⁄" and not whole:
        return None  # '2,50/100 g' is a price
    elif sign in "/⁄" and size in (2, 3, 4, 8, 16) and 0 < first < size and math.gcd(int(first), int(size)) == 1:
        size = first / size
    elif sign in "/⁄":
        count = int(first) if first <= 500 else 0  # '24/33cl', and '4/5 lb' as caterers have it
    elif sign in "–-" and first < size <= 2 * first and not (match["gap"] and ounces):
        size, about = (first + size) / 2, True  # '2-3 kg'
    elif sign in "–-" and whole and ounces:
        count = int(first)  # '4 - 2.29 Oz'
    return count, size, about  # else 'Type 00 - 500 g'


def _counted(match: "re.Match[str]", size: float, factors: list[str], sign: str) -> int:
    """A number of pieces or packs, 0 for what is none: sizes of shrimps (41-50 ct), first editions (1st), halves."""
    glued = match["joint"] == "" and not match["dot"]
    ordinal = glued and match["unit"].lower() == "st" and int(size) % 10 == 1 and int(size) % 100 != 11
    if size != int(size) or size > 9999 or ordinal or not all(factor.isdecimal() for factor in factors):
        return 0
    if factors and sign == "+":
        return int(size) + sum(map(int, factors))
    return int(size) * math.prod(map(int, factors)) if not factors or sign in ("x", "×", "*") else 0


def _placed(one: Amount, text: str, *, amount: float) -> Amount | None:
    """The amount with the words before and behind it: net, gross, about, each; None for a nutrient or 'per 100 g'."""
    before = text[max(0, one.start - 32) : one.start]
    if amount in (1, 100) and _PER.search(before):
        return None
    if one.grams is not None and one.grams < 60 and _PROTEIN.match(text, one.end):
        return None
    if before[-1:] == " " or not before[-1:].isalnum():
        found = _BEFORE.search(before)
        if found and found[0]:
            start = one.start - len(found[0])
            about = one.about or bool(found["about"] or found["sign"])
            one = replace(one, start=start, about=about, kind=_kind(found))
    behind = _AFTER.match(text, one.end)
    if behind and not (one.kind and _kind(behind)):
        one = replace(one, end=behind.end(), kind=one.kind or _kind(behind), each=bool(behind["each"]))
    return one


def _kind(match: "re.Match[str]") -> str:
    return next((kind for kind in _KINDS if match[kind]), "")


def _number(text: str, unit: Unit, decimal: str) -> float | None:
    glyph = text[-1:]
    if glyph in _GLYPHS:
        return float(text[:-1].strip() or 0) + unicodedata.numeric(glyph)
    if "/" in text or "⁄" in text:
        *whole, fraction = text.replace("⁄", "/").split()
        above, below = map(int, fraction.split("/"))
        return float(whole[0] if whole else 0) + above / below if below else None
    marks = [letter for letter in text if letter in ".,"]
    if not decimal and len(marks) == 1 and unit.name in ("g", "ml", "cl", "piece"):
        decimal = "," if marks == ["."] else "."  # nobody writes a gram as 1.000 g
    return parse_number(text, decimal=decimal)


def _scaled(one: float | None, size: float) -> float | None:
    return None if one is None else one * size


@lru_cache(maxsize=4096)
def _unit(written: str) -> Unit | None:
    """The unit a word means in a name, or None."""
    folded = " ".join(written.casefold().split())
    unit = written_units().get(folded)
    return None if unit is None or unit.name in _NO_CONTENT or folded in _NO_COUNT else unit


@cache
def _amount() -> "re.Pattern[str]":
    """'6 x 330 ml x 4': a number with its unit and what multiplies it; the units of several words are the table's."""
    several = sorted((name for name in written_units() if not name.isalpha()), key=len, reverse=True)
    words = "|".join([re.escape(name).replace(r"\ ", r"\s?") for name in several] + [r"[^\W\d_]{1,16}"])
    return re.compile(
        r"(?<![\w#])(?<!\d[.,])"
        r"(?:(?P<factors>\d{1,4}(?:[.,]\d{1,3})?(?:\s?[x×*]\s?\d{1,4}){0,2})"
        r"(?P<gap>\s{0,2})(?P<sign>[x×*/⁄+–-])\s{0,2})?"
        rf"(?P<value>{_VALUE})(?P<joint>(?:er)?\s?-?\s?)(?P<unit>{words})(?![\w])(?!['’]\w)(?P<dot>\.(?!\w))?"
        r"(?!\s?/\s?(?:100|m²|m2|(?:m|l|kg|dl|ml|min|h)\b))"
        r"(?:\s?[x×*]\s?(?P<times>\d{1,4})(?![\w.,%])(?:\s?(?:pcs?|st|stk|kpl|szt|cans|bottles)(?!\w))?)?",
        re.IGNORECASE,
    )
