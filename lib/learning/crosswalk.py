"""The crosswalk from published label sets to this project's leaves: config/crosswalk, readable and correctable.

Two kinds of file. A file of rules (usda-branded, fndds, sr-legacy) has the columns label, words, without, category:
the first rule of a label whose conditions a product's name meets gives its leaf. A file of nodes (gpc, off) has a
node's id in its first column and its leaf in `category`; a node without a row takes its nearest ancestor's.

Conditions are alternatives parted by `|`. The words of an alternative stand side by side in the name (`ice cream`),
those joined by `+` anywhere in it (`frozen+yogurt`); `choc*` is any word that begins so, `^milk` the name's first word.
`words` wants one of its alternatives in the name, an empty one is met by all; `without` wants none. Plurals are one
with their singular, 'bacon flavored' says nothing of bacon, and case, accents and other signs do not count.

A label `$fish` names a list of alternatives that others use by that name; a label `@pizza` names a block of rules,
and a rule with the category `@pizza` tries them and goes on below if none fits. Lists stand above their use, and
both may stand in shared.csv, which every file of rules can use. A category left empty means that names are left out,
as too coarse to say.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lib.errors import SettingsError
from lib.learning.usda import plain
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy

FOLDER = ROOT / "config" / "crosswalk"
COLUMNS = ["label", "words", "without", "category"]
SHARED = "shared"

_ALTERNATIVE = re.compile(r"\^?[0-9a-z]+(?: [0-9a-z]+)*|[0-9a-z]+\*")
_TASTES = {"flavor", "flavored", "flavour", "flavoured"}
# Rule 12 of config/categories.md: these count as a taste too.
_KEPT_TASTES = ("choc", "cocoa", "cacao", "fudge", "brown")


@dataclass(frozen=True)
class Condition:
    """Alternatives, of which a name must meet one: one atom, or one of each of several sets of atoms."""

    single: frozenset[str] = frozenset()
    joined: tuple[tuple[frozenset[str], ...], ...] = ()

    def holds(self, atoms: frozenset[str]) -> bool:
        """Whether a name with these atoms meets it."""
        return not self.single.isdisjoint(atoms) or any(
            all(not piece.isdisjoint(atoms) for piece in pieces) for pieces in self.joined
        )

    def atoms(self) -> Iterator[str]:
        """Every atom that it asks for."""
        yield from self.single
        for pieces in self.joined:
            for piece in pieces:
                yield from piece


@dataclass(frozen=True)
class Rule:
    """One row: when it fits, and the leaf, '' for leaving out, or the block to try."""

    words: Condition | None
    without: Condition
    category: str | tuple["Rule", ...]


@dataclass(frozen=True)
class Crosswalk:
    """A file of rules: those of each label, and every atom that they ask for."""

    labels: Mapping[str, tuple[Rule, ...]]
    atoms: "Atoms"

    def category_of(self, label: str, name: str) -> str:
        """The leaf of a product whose source calls it `label`; '' where no rule fits or the rule leaves it out."""
        return _first(self.labels.get(label, ()), self.atoms.of(name)) or ""

    def leaves(self) -> frozenset[str]:
        """Every leaf that some rule gives."""
        return frozenset(_leaves(rule for rules in self.labels.values() for rule in rules))


@dataclass(frozen=True)
class _Row:
    """A row as it stands in a file, its block not looked up yet."""

    where: str
    words: Condition | None
    without: Condition
    category: str


@dataclass
class Atoms:
    """Finds in names what the conditions ask for; anything else in a name is passed over."""

    words: set[str] = field(default_factory=set)
    phrases: dict[str, list[list[str]]] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    cache: dict[str, frozenset[str]] = field(default_factory=dict)

    def add(self, atoms: Iterable[str]) -> None:
        """Atoms to look for."""
        for atom in set(atoms):
            parts = atom.removeprefix("^").split()
            if atom.endswith("*"):
                self.prefixes[atom[:-1]] = atom
            elif len(parts) > 1 or atom.startswith("^"):
                self.phrases.setdefault(parts[0], []).append([atom, *parts])
            else:
                self.words.add(atom)
        self.lengths = sorted({len(prefix) for prefix in self.prefixes})

    def of(self, name: str) -> frozenset[str]:
        """The atoms that a name has."""
        tokens = words_of(name)
        found = frozenset().union(*map(self._of_word, tokens)) if tokens else frozenset()
        phrases = [
            phrase[0]
            for start, token in enumerate(tokens)
            for phrase in self.phrases.get(token, ())
            if tokens[start : start + len(phrase) - 1] == phrase[1:] and (start == 0 or phrase[0][0] != "^")
        ]
        return found.union(phrases)

    def _of_word(self, word: str) -> frozenset[str]:
        if word not in self.cache:
            starts = (word[:length] for length in self.lengths if length <= len(word))
            found = [self.prefixes[start] for start in starts if start in self.prefixes]
            self.cache[word] = frozenset(found + [word] * (word in self.words))
        return self.cache[word]


def words_of(name: str) -> list[str]:
    """A name's words as conditions see them: folded, in the singular, without what is only a taste."""
    words: list[str] = []
    for word in map(singular, plain(name.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")).split()):
        if word in _TASTES and words and not words[-1].startswith(_KEPT_TASTES):
            words.pop()
        words.append(word)
    return words


@lru_cache(maxsize=1 << 17)
def singular(word: str) -> str:
    """One form for the singular and plural of an English word; not always a word ('cookie', 'cookies': 'cooky')."""
    if len(word) > 4 and word.endswith(("ies", "ie")):
        return word.removesuffix("s")[:-2] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses", "oes")):
        return word[:-2]
    if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui":
        return word[:-1]
    return word


def read_crosswalk(name: str, *, to: Path = FOLDER) -> Crosswalk:
    """The rules of folder/name.csv, with the lists and blocks of shared.csv.

    Raises SettingsError naming the file and line of the first mistake: a column or leaf that is not there, a list or
    block that is not defined above, a condition that cannot be read, a rule that an earlier one of its label hides.
    """
    reader = _Reader()
    if name != SHARED and (to / f"{SHARED}.csv").is_file():
        reader.read(to / f"{SHARED}.csv")
    reader.read(to / f"{name}.csv")
    blocks = {label: reader.block(label) for label in reader.rows}
    atoms = Atoms()
    atoms.add(reader.atoms)
    return Crosswalk({label: rules for label, rules in blocks.items() if label[0] != "@"}, atoms)


class _Reader:
    """Reads files of rules; what one defines, the next can use."""

    def __init__(self) -> None:
        self.lists: dict[str, Condition] = {}
        self.rows: dict[str, list[_Row]] = {}
        self.atoms: set[str] = set()
        self.known = {leaf.id for leaf in read_taxonomy().leaves}
        self.done: dict[str, tuple[Rule, ...]] = {}

    def read(self, path: Path) -> None:
        """Take in a file; SettingsError for a row that cannot be one."""
        for line, row in rows_of(path, COLUMNS):
            where = f"{path} line {line}"
            try:
                self._add(where, row)
            except ValueError as error:
                raise SettingsError(f"{where}: {error}") from None

    def block(self, label: str, within: tuple[str, ...] = ()) -> tuple[Rule, ...]:
        """The rules of a label; those of blocks that they name are built first."""
        if label not in self.done:
            rules: list[Rule] = []
            for row in self.rows[label]:
                if rules and _ends(rules[-1]):
                    raise SettingsError(f"{row.where}: is never reached, as the rule of {label} above it fits always")
                target: str | tuple[Rule, ...] = row.category
                if row.category.startswith("@"):
                    if row.category not in self.rows:
                        raise SettingsError(f"{row.where}: there is no block {row.category}")
                    if row.category in (*within, label):
                        raise SettingsError(f"{row.where}: the block {row.category} comes back to itself")
                    target = self.block(row.category, (*within, label))
                rules.append(Rule(row.words, row.without, target))
            self.done[label] = tuple(rules)
        return self.done[label]

    def _add(self, where: str, row: Mapping[str, str]) -> None:
        label, category = row["label"], row["category"]
        if not label:
            raise ValueError("has no label")
        words, without = self._condition(row["words"]), self._condition(row["without"])
        if label[0] == "$":
            if category or row["without"] or not row["words"] or label in self.lists:
                raise ValueError(f"the list {label} takes words alone, and in one row")
            self.lists[label] = words
            return
        if category and category[0] != "@" and category not in self.known:
            raise ValueError(f"{category!r} is no leaf of config/categories.csv")
        rule = _Row(where, words if row["words"] else None, without, category)
        self.rows.setdefault(label, []).append(rule)
        self.atoms.update(words.atoms(), without.atoms())

    def _condition(self, text: str) -> Condition:
        single: set[str] = set()
        joined: list[tuple[frozenset[str], ...]] = []
        for alternative in text.split("|") if text else ():
            pieces = [self._piece(piece.strip()) for piece in alternative.split("+")]
            if len(pieces) == 1:
                single |= pieces[0].single
                joined += pieces[0].joined
            elif any(piece.joined for piece in pieces):
                raise ValueError(f"{alternative!r} joins a list that has joined words itself")
            else:
                joined.append(tuple(piece.single for piece in pieces))
        return Condition(frozenset(single), tuple(joined))

    def _piece(self, text: str) -> Condition:
        if text.startswith("$"):
            if text not in self.lists:
                raise ValueError(f"no list {text} stands above")
            return self.lists[text]
        if not _ALTERNATIVE.fullmatch(text):
            raise ValueError(f"{text!r} is no condition: small letters, digits and blanks, |, +, a * at the end")
        if text.endswith("*"):
            return Condition(frozenset([text]))
        start = "^" if text[0] == "^" else ""
        return Condition(frozenset([start + " ".join(map(singular, text.removeprefix("^").split()))]))


def rows_of(path: Path, columns: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their lines, cells stripped; SettingsError unless it has exactly these columns."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames != columns:
                raise SettingsError(f"{path} line 1: the columns must be {', '.join(columns)}")
            for row in reader:
                if None in row or None in row.values():
                    raise SettingsError(f"{path} line {reader.line_num}: needs {len(columns)} cells")
                yield reader.line_num, {key: value.strip() for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: cannot be read: {error}; the crosswalk is CSV in UTF-8") from None


def _first(rules: tuple[Rule, ...], atoms: frozenset[str]) -> str | None:
    """What the first rule that fits says; None when none does."""
    for rule in rules:
        if (rule.words is None or rule.words.holds(atoms)) and not rule.without.holds(atoms):
            found = rule.category if isinstance(rule.category, str) else _first(rule.category, atoms)
            if found is not None:
                return found
    return None


def _ends(rule: Rule) -> bool:
    """Whether no rule below can be reached: this one fits always and decides."""
    if rule.words is not None or rule.without != Condition():
        return False
    return isinstance(rule.category, str) or any(map(_ends, rule.category))


def _leaves(rules: Iterable[Rule]) -> Iterator[str]:
    for rule in rules:
        if isinstance(rule.category, str):
            yield rule.category
        else:
            yield from _leaves(rule.category)
