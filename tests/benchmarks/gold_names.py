"""The names labelled by hand as the benchmark takes them, the same made harder, and names that are often mistaken."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.flow_runs import ROOT

GOLD = ROOT / "tests" / "gold"
HALVES = ("dev", "test")
# Other syllables and mistakes than lib/learning/examples.py learns from: nothing here was seen in training on purpose.
_STARTS = ("Br", "D", "F", "Gl", "H", "J", "Kr", "M", "N", "Pl", "R", "St", "T", "V", "W", "Z")
_MIDDLES = ("ae", "e", "i", "o", "ou", "u", "y")
_ENDS = ("ck", "dlin", "lux", "mmel", "nd", "ppo", "rvik", "sk", "tta", "xon")
_SIZES = (
    *("500 g", "1L", "6x330ml", "12 oz", "2 stk", "10 pack", "0,75 l", "1.5kg", "(250g)", "33 cl", "20 st", "4x125 g"),
    *("16.9 fl oz", "700g", "3 lb", "1 kpl", "24 ct"),
)
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True)
class Gold:
    """Names labelled by hand, a list for each column."""

    names: list[str]
    leaves: list[str]
    languages: list[str]
    sources: list[str]
    aisles: list[str]
    notes: list[str]

    def __len__(self) -> int:
        return len(self.names)


def read_gold(half: str) -> Gold:
    """One of HALVES."""
    with (GOLD / f"{half}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("name", "category", "language", "source", "customer_category", "note")
    return Gold(*([row[column].strip() for row in rows] for column in columns))


def branded(name: str, chance: np.random.Generator) -> str:
    """The name behind a brand that there is not, in capitals where the name is."""
    brand = "".join(str(chance.choice(part)) for part in (_STARTS, _MIDDLES, _ENDS))
    return f"{brand.upper() if name.isupper() else brand} {name}"


def sized(name: str, chance: np.random.Generator) -> str:
    """The name with a pack size behind."""
    return f"{name} {chance.choice(_SIZES)}"


def mistyped(name: str, chance: np.random.Generator) -> str:
    """The name with one letter left out, doubled, swapped with the next, or replaced by its neighbour on the keyboard.

    Any letter of a word of four letters or more, else any letter; a name without letters stays what it is.
    """
    long = [at for at, end in _words(name) for at in range(at, end) if end - at >= 4]
    letters = long or [at for at, letter in enumerate(name) if letter.isalpha()]
    if not letters:
        return name
    at, kind = int(chance.choice(letters)), int(chance.integers(4))
    letter, after = name[at], name[at + 1 : at + 2]
    if kind == 0:
        changed = ""
    elif kind == 1:
        changed = letter * 2
    elif kind == 2 and after.isalpha() and after != letter:
        return name[:at] + after + letter + name[at + 2 :]
    else:
        changed = _beside(letter, chance)
    return name[:at] + changed + name[at + 1 :]


def all_three(name: str, chance: np.random.Generator) -> str:
    """One typing mistake, a pack size behind, a brand in front."""
    return branded(sized(mistyped(name, chance), chance), chance)


# With how many points of leaf accuracy each may cost.
PERTURBATIONS: dict[str, tuple[Callable[[str, np.random.Generator], str], int]] = {
    "a made-up brand in front": (branded, 3),
    "a pack size behind": (sized, 2),
    "one typing mistake": (mistyped, 5),
    "all three": (all_three, 10),
}


def _words(name: str) -> list[tuple[int, int]]:
    """Where each run of letters begins and ends."""
    found, start = [], None
    for at, letter in enumerate([*name, " "]):
        if letter.isalpha():
            start = at if start is None else start
        elif start is not None:
            found.append((start, at))
            start = None
    return found


def _beside(letter: str, chance: np.random.Generator) -> str:
    """A key to the left or right of a letter's; of a letter that the keyboard lacks, any vowel's."""
    for row in _KEYBOARD:
        at = row.find(letter.lower())
        if at >= 0:
            beside = row[max(at - 1, 0) : at] + row[at + 1 : at + 2]
            return _cased(str(chance.choice(list(beside))), letter)
    return _cased(str(chance.choice(list("aeiou"))), letter)


def _cased(letter: str, like: str) -> str:
    return letter.upper() if like.isupper() else letter


# Names that are often mistaken, each with the leaves that are right.
TRAPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Banana", ("bananas",)),
    ("Bananas, loose", ("bananas",)),
    ("Avocado", ("avocado",)),
    ("Beer", ("beer",)),
    ("Vodka", ("spirits",)),
    ("Tofu", ("tofu",)),
    ("Ground beef", ("beef",)),
    ("Harissa", ("spicy-sauce",)),
    ("Harissa paste 190g", ("spicy-sauce",)),
    ("Chocolate eggs", ("chocolate-milk", "chocolate-filled")),
    ("Mini chocolate eggs 80g", ("chocolate-milk", "chocolate-filled")),
    ("Pecorino Terre di Chieti IGT 75cl", ("wine",)),
    ("Pecorino d'Abruzzo DOC white wine", ("wine",)),
    ("Pecorino Romano DOP", ("cheese-hard",)),
    ("Ginger beer", ("soft-drinks",)),
    ("Root beer", ("soft-drinks",)),
    ("Cat food with salmon", ("pet-food-wet", "pet-food-dry")),
    ("Butternut squash", ("squash",)),
    ("Butter beans in water", ("legumes-canned",)),
    ("Hot dog buns", ("bread",)),
    ("Peanut butter cups", ("chocolate-filled",)),
    ("Oyster mushrooms", ("mushrooms",)),
    ("Roast beef flavour crisps", ("chips",)),
    ("Coconut water", ("juice", "water", "soft-drinks")),
    ("Vegan burger", ("meat-substitute",)),
    ("Almond milk", ("nut-drink",)),
    ("Milk chocolate", ("chocolate-milk",)),
    ("Chicken stock cubes", ("stock",)),
    ("Baby wipes", ("baby-care",)),
    ("Lemon dish soap", ("dishwashing",)),
    ("misc", ("not-a-product",)),
    ("delivery fee", ("fee-delivery",)),
    ("Summe", ("not-a-product",)),
    ("xqzptv kwgh", ("not-a-product",)),
    ("asdfgh jklö", ("not-a-product",)),
)
