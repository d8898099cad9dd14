"""Models of blocks: what they learn of names and of other columns, calibration, model folders, and what is refused."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import estimator_checks

from lib import modelfolder
from lib.blocks.categorizer import BlockCategorizer
from lib.blocks.classifier import BlockClassifier
from lib.blocks.fit import TOGETHER
from lib.blocks.modelfolder import Content
from lib.categorizing import Described, Predictions
from lib.choosing import load_categorizer
from lib.errors import ModelError
from lib.modelfolder import PRECISIONS, save, zipped
from lib.settings import ROOT
from lib.words.categorizer import WordCategorizer

HEADS = {"Bread": ["rye loaf", "pita", "bun"], "Milk": ["whole milk", "skim milk"], "Tea": ["green tea", "mint tea"]}
TAILS = ["fresh", "organic", "family pack", "large", "value", "farm", "classic", "light", "new", "crème"]
SHELVES = {"Bread": "Bakery", "Milk": "Dairy and eggs", "Tea": "Hot drinks"}


def some_products(count: int = 600, *, seed: int = 3) -> tuple[Described, list[str]]:
    """Names, of which every fourth says nothing, with a shelf, a brand of one label each, and texts of half of them."""
    chance = random.Random(seed)
    labels = [chance.choice(list(HEADS)) for _ in range(count)]
    heads = [chance.choice(HEADS[label]) if at % 4 else "offer" for at, label in enumerate(labels)]
    described = Described(
        [f"{head} {chance.choice(TAILS)} {chance.choice(TAILS)}" for head in heads],
        [SHELVES[label] for label in labels],
        [f"{label[0]}-Co" for label in labels],
        ["" if at % 2 else f"made of {label.lower()} with care" for at, label in enumerate(labels)],
    )
    return described, labels


@pytest.fixture(scope="module")
def fitted() -> BlockClassifier:
    return BlockClassifier().fit(*some_products())


@pytest.fixture(scope="module")
def content(fitted: BlockClassifier) -> Content:
    return Content(
        fitted.classes_.tolist(), ["food", "drinks", "drinks"], fitted.model_, np.zeros((len(PRECISIONS), 4))
    )


@pytest.fixture(scope="module")
def categorizer(content: Content) -> BlockCategorizer:
    return BlockCategorizer("tiny", content)


def best(categorizer: BlockCategorizer, products: Described) -> list[str]:
    return [categorizer.labels[at] for at in categorizer.categorize(products).categories[:, 0]]


def rows(answers: Predictions) -> list[tuple[Any, ...]]:
    assert answers.parents is not None and answers.parent_confidences is not None and answers.why is not None
    columns = (answers.categories, answers.confidences, answers.parents, answers.parent_confidences)
    return list(zip(*(column.tolist() for column in columns), answers.why, strict=True))


def test_names_alone_and_other_columns_tell_products_apart(categorizer: BlockCategorizer) -> None:
    assert best(categorizer, Described(["Rye LOAF, farm", "skim milk 1 l", "mint tea"])) == ["Bread", "Milk", "Tea"]
    offers = Described(["offer"] * 3, customer_categories=["bakery", "Dairy and eggs", "Hot drinks"])
    assert best(categorizer, offers) == ["Bread", "Milk", "Tea"]
    assert best(categorizer, Described(["offer"] * 2, brands=["T-Co", "M-Co"])) == ["Tea", "Milk"]


def test_a_description_is_read_where_nothing_else_tells() -> None:
    products, labels = some_products()
    made = BlockClassifier().fit(Described(products.names, descriptions=products.descriptions), labels)
    told = Described(["offer"] * 2, descriptions=["Made of MILK!", "With care, of tea"])
    assert made.predict(told).tolist() == ["Milk", "Tea"]


def test_a_typo_is_read_by_the_pieces_of_its_word() -> None:
    names, labels = ["chocolate bar", "chocolates dark", "strawberry jam", "strawberries fresh"] * 9, [0, 0, 1, 1] * 9
    made = BlockClassifier().fit(names, labels)
    assert made.predict(["chocolatte", "strawbery"]).tolist() == [0, 1]


def test_a_product_without_other_columns_is_answered_as_if_there_were_none_to_know(content: Content) -> None:
    alone = BlockCategorizer("tiny", replace(content, model=replace(content.model, whole=None)))
    both = BlockCategorizer("tiny", content)
    names = some_products(200, seed=8)[0].names
    expected = rows(alone.categorize(Described(names)))
    blank = Described(names, [""] * 200, [""] * 200, [""] * 200)
    assert rows(both.categorize(Described(names))) == rows(both.categorize(blank)) == expected
    told = Described([*names, "offer"], customer_categories=[""] * 200 + ["Bakery"])
    answers = rows(both.categorize(told))
    assert answers[:-1] == expected and answers[-1][0][0] == 0


def test_a_column_that_was_never_learned_says_nothing() -> None:
    products, labels = some_products()
    made = BlockClassifier().fit(Described(products.names, products.customer_categories), labels)
    plain = Described(["mint tea", "offer"])
    more = replace(plain, brands=["Milk", "Bread"], descriptions=["rye loaf", "skim milk"])
    assert (made.predict_proba(more) == made.predict_proba(plain)).all()
    names_only = BlockClassifier().fit(products.names, labels)
    assert names_only.model_.whole is None
    assert (names_only.predict_proba(more) == names_only.predict_proba(plain)).all()


def test_the_answer_for_a_product_does_not_depend_on_its_company(categorizer: BlockCategorizer) -> None:
    products, _ = some_products(300, seed=9)
    together = rows(categorizer.categorize(products))
    order = random.Random(1).sample(range(300), 300)
    assert [*map(together.__getitem__, order)] == rows(categorizer.categorize(products.at(order)))
    assert together[:20] == [rows(categorizer.categorize(products.at([at])))[0] for at in range(20)]


def test_chunks_are_joined_in_order(categorizer: BlockCategorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    products, _ = some_products(50)
    whole = rows(categorizer.categorize(products))
    monkeypatch.setattr("lib.blocks.categorizer.CHUNK", 7)
    assert rows(categorizer.categorize(products)) == whole
    assert len(categorizer.categorize(Described([])).categories) == 0


@pytest.mark.parametrize("name", ["xyzzy plugh", "", "   ", "12 kg", "500ml", "-- / !"])
def test_a_name_without_any_known_word_is_never_answered(categorizer: BlockCategorizer, name: str) -> None:
    for products in (Described([name]), Described([name], brands=["Qwx"], descriptions=["zzz"])):
        answers = categorizer.categorize(products)
        assert answers.sure is not None and answers.parent_sure is not None and answers.parent_confidences is not None
        assert not answers.confidences.any() and not answers.parent_confidences.any()
        assert (answers.sure.tolist(), answers.parent_sure.tolist()) == ([False], [False])


def test_words_of_scripts_without_spaces_are_known_by_their_pieces() -> None:
    names, labels = ["低脂牛乳", "全脂牛乳", "緑茶の葉", "新緑茶"] * 5, ["Milk", "Milk", "Tea", "Tea"] * 5
    made = BlockClassifier().fit(names, labels)
    assert made.known(["有機牛乳", "大豆"]).tolist() == [True, False]
    assert made.predict(["有機牛乳", "緑茶"]).tolist() == ["Milk", "Tea"]


def test_confidence_is_the_share_that_is_right() -> None:
    # Nine "bun" in ten are bread, the tenth is tea; every "milk" is milk.
    names = ["bun"] * 100 + ["milk"] * 100 + ["tea"] * 100
    labels = (["Bread"] * 9 + ["Tea"]) * 10 + ["Milk"] * 100 + ["Tea"] * 100
    chances = BlockClassifier().fit(names, labels, validation=(names, labels)).predict_proba(["bun", "milk"])
    assert chances.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert chances[0].max() == pytest.approx(0.9, abs=0.05)
    assert chances[1].max() > 0.95


def test_what_lacks_columns_is_trusted_as_far_as_it_is_right() -> None:
    chance, shelves = random.Random(5), list(SHELVES.values())
    labels = [chance.choice(list(HEADS)) for _ in range(1500)]
    # The shelf is right seven times in ten; the brand always.
    told = [SHELVES[label] if chance.random() < 0.7 else chance.choice(shelves) for label in labels]
    brands = [f"{label}company" for label in labels]
    products = Described(["offer"] * 1500, told, brands)
    made = BlockClassifier().fit(products.at(range(1000)), labels[:1000])
    judged, truth = products.at(range(1000, 1500)), np.array(labels[1000:])
    for part in (judged, replace(judged, brands=[]), replace(judged, customer_categories=[])):
        chances = made.predict_proba(part)
        right = (made.classes_[chances.argmax(axis=1)] == truth).mean()
        assert chances.max(axis=1).mean() == pytest.approx(right, abs=0.08)


def test_parents_have_the_sum_of_their_labels(categorizer: BlockCategorizer) -> None:
    answers = categorizer.categorize(Described(["mint tea"]))
    assert answers.parents is not None and answers.parent_confidences is not None
    assert categorizer.parents == ["drinks", "food"] and answers.parents.tolist() == [0]
    drinks = answers.confidences[0][answers.categories[0] != 0].sum()
    assert answers.parent_confidences[0] == pytest.approx(drinks, abs=2e-4)


def test_an_answer_is_sure_from_its_labels_threshold_on(content: Content) -> None:
    thresholds = np.zeros((len(PRECISIONS), 4))
    thresholds[:, 2], thresholds[:, 3] = 2.0, 2.0
    strict = BlockCategorizer("tiny", replace(content, thresholds=thresholds))
    answers = strict.categorize(Described(["mint tea", "skim milk"]))
    assert answers.sure is not None and answers.sure.tolist() == [False, True]


def test_why_names_the_words_that_decided(categorizer: BlockCategorizer) -> None:
    told = Described(["offer farm", "mint tea farm"], customer_categories=["Bakery", ""])
    why = categorizer.categorize(told).why
    assert why is not None
    assert why[0].split(", ")[0] == "bakery"
    assert {*why[1].split(", ")} >= {"mint", "tea"} and "farm" not in why[1].split(", ")[:2]


@pytest.mark.parametrize("count", [2, 3, TOGETHER, TOGETHER + 1, 2 * TOGETHER + 5])
def test_as_many_labels_as_there_are_are_told_apart(count: int) -> None:
    chance = random.Random(count)
    words = ["".join(chance.choices("bcdfghklmnprst", k=6)) for _ in range(count)]
    made = BlockClassifier().fit([f"{word} pack" for word in words] * 2, words * 2)
    assert made.classes_.tolist() == sorted(words)
    assert made.predict(words).tolist() == words


def test_weights_decide_between_labels_of_the_same_name_and_what_counts_nothing_is_not_there() -> None:
    names, labels = ["bun"] * 20 + ["tea"] * 10 + ["gone"], ["Bread", "Tea"] * 10 + ["Tea"] * 10 + ["Wine"]
    for heavy in ("Bread", "Tea"):
        weights = [0.0 if label == "Wine" else 10.0 if label == heavy else 1.0 for label in labels]
        made = BlockClassifier().fit(names, labels, weights)
        assert made.predict(["bun"]).tolist() == [heavy]
        assert made.classes_.tolist() == ["Bread", "Tea"]
        assert made.known(["gone"]).tolist() == [False]


@pytest.mark.parametrize(
    ("products", "labels", "weights", "message"),
    [
        (["a", "b"], ["x"], None, "2 products, 1 labels and 1 weights"),
        (["mint tea", "tea"], ["x", "x"], None, "1 class"),
        (["12 !!", "12 ??"] * 2, ["x", "y"] * 2, None, "have no words; give more texts"),
        (["a", None], ["x", "y"], None, "names: a text is not a str"),
        (Described(["a", "b"], brands=["c"]), ["x", "y"], None, "1 brands of 2 products"),
        ("ab", ["x", "y"], None, "one text is not a list"),
        (["a", "a"], ["x", "y"], [1.0, -1.0], "weights must be"),
    ],
)
def test_what_cannot_be_learned_from_is_said(products: Any, labels: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlockClassifier().fit(products, labels, weights)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
    ],
)
def test_it_passes_the_estimator_checks_that_give_it_no_table_of_numbers(check: Callable[[str, Any], None]) -> None:
    check("BlockClassifier", BlockClassifier())


def test_it_can_be_cloned_and_cross_validated_and_says_when_it_is_not_fitted() -> None:
    names = [f"{head} {tail}" for heads in HEADS.values() for head in heads for tail in TAILS]
    labels = [label for label, heads in HEADS.items() for _ in heads for _ in TAILS]
    assert cross_val_score(clone(BlockClassifier(cost=0.5)), names, labels, cv=3).min() > 0.9
    with pytest.raises(NotFittedError):
        BlockClassifier().predict(["milk"])


def test_the_same_products_and_seed_give_the_same_bytes(fitted: BlockClassifier) -> None:
    again = BlockClassifier().fit(*some_products())
    assert zipped(again.model_.arrays()) == zipped(fitted.model_.arrays())
    other = BlockClassifier(cost=0.1).fit(*some_products())
    assert zipped(other.model_.arrays()) != zipped(fitted.model_.arrays())


@pytest.fixture
def saved(content: Content, tmp_path: Path) -> Path:
    save(content, str(tmp_path / "model"), name="tiny", facts={"note": "made up"})
    return tmp_path / "model"


def test_a_saved_model_answers_as_before(categorizer: BlockCategorizer, saved: Path) -> None:
    loaded = load_categorizer(str(saved))
    assert isinstance(loaded, BlockCategorizer)
    assert (loaded.name, loaded.version) == ("tiny", categorizer.version)
    assert (loaded.labels, loaded.parents) == (categorizer.labels, categorizer.parents)
    products, _ = some_products(300, seed=7)
    assert rows(loaded.categorize(products)) == rows(categorizer.categorize(products))
    names = Described(products.names)
    assert rows(loaded.categorize(names)) == rows(categorizer.categorize(names))


def test_a_card_says_what_kind_of_model_it_is_and_there_is_no_pickle(content: Content, saved: Path) -> None:
    assert json.loads((saved / "card.json").read_text("utf-8")) == {
        "format": 3, "kind": "blocks", "name": "tiny", "version": content.version, "note": "made up",
        "labels": content.labels,
    }  # fmt: skip
    assert sorted(path.name for path in saved.iterdir()) == ["arrays.npz", "card.json"]
    with np.load(saved / "arrays.npz", allow_pickle=False) as file:
        assert not any(file[name].dtype.hasobject for name in file.files)


def test_the_version_is_of_everything_that_decides_an_answer(content: Content) -> None:
    model, name = content.model, content.model.name
    changed = [
        content,
        replace(content, labels=["Bread", "Milk", "Teas"]),
        replace(content, parent_of=[""] * 3),
        replace(content, thresholds=content.thresholds + 0.1),
        replace(content, model=replace(model, whole=None)),
        replace(content, model=replace(model, name=replace(name, weights=name.weights * 2))),
        replace(content, model=replace(model, name=replace(name, intercept=name.intercept + 1))),
        replace(content, model=replace(model, name=replace(name, calibration=replace(name.calibration, wide=9.0)))),
        replace(content, model=replace(model, name=replace(name, blocks=tuple(reversed(name.blocks))))),
    ]
    assert len({one.version for one in changed}) == len(changed)
    assert replace(content).version == content.version


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changes), "utf-8")


def change_arrays(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(folder / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(folder / "arrays.npz", **arrays)


def told(*parts: object) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(json.dumps(parts).encode(), dtype=np.uint8)


def blocks_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content["labels"].tobytes())[2]
    return found


def with_block(arrays: dict[str, Any], **changes: object) -> None:
    settings = blocks_of(arrays)
    settings["name"][0] |= changes
    arrays["labels"] = told(["Bread", "Milk", "Tea"], ["food", "drinks", "drinks"], settings)


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no weights": (lambda arrays: arrays.pop("name_weights"), "the model is damaged"),
    "no thresholds": (lambda arrays: arrays.pop("thresholds"), "the model is damaged"),
    "thresholds of a label less": (
        lambda arrays: arrays.update(thresholds=arrays["thresholds"][:, 1:]), "differ in length",
    ),
    "weights cut short": (
        lambda arrays: arrays.update(whole_weights=arrays["whole_weights"][1:]), "the weights and their terms differ",
    ),
    "weights of a label that is none": (
        lambda arrays: arrays.update(name_labels_at=arrays["name_labels_at"] + 9), "the weights and their terms differ",
    ),
    "a term less": (lambda arrays: arrays.update(name_0_rarity=arrays["name_0_rarity"][1:]), "do not fit together"),
    "machines of other labels": (lambda arrays: arrays.update(whole_intercept=np.zeros(9, np.float32)), "differ in"),
    "pickled terms": (lambda arrays: arrays.update(name_0_terms=np.array([{}], object)), "the model is damaged"),
    "labels that are none": (lambda arrays: arrays.update(labels=told(3)), "the model is damaged"),
    "blocks that are none": (lambda arrays: arrays.update(labels=told(["a"], [""], 3)), "the model is damaged"),
    "a way nobody knows": (lambda arrays: with_block(arrays, way="bytes"), "do not fit together"),
    "a text nobody has": (lambda arrays: with_block(arrays, text="smell"), "do not fit together"),
    "a setting nobody knows": (lambda arrays: with_block(arrays, colour=1), "the model is damaged"),
    "another weight of a block": (lambda arrays: with_block(arrays, weight=3.0), "are of version [0-9a-f]{12}"),
    "another intercept": (
        lambda arrays: arrays.update(name_intercept=np.zeros(3, np.float32)), "are of version [0-9a-f]{12}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unusable_model_is_one_line_that_says_what_to_do(saved: Path, damage: str) -> None:
    harm, message = DAMAGES[damage]
    change_arrays(saved, harm)
    with pytest.raises(ModelError, match=message) as caught:
        load_categorizer(str(saved))
    line = str(caught.value)
    assert str(saved) in line and "\n" not in line
    assert line.endswith("train one with flows/train.py or correct `model` in the config")


def test_a_model_of_another_kind_is_said(saved: Path) -> None:
    with pytest.raises(ModelError, match="the model is of the kind 'blocks', not ''"):
        WordCategorizer.load(str(saved))
    change_card(saved, kind="forest")
    with pytest.raises(ModelError, match="no model of the kind 'forest' is known"):
        load_categorizer(str(saved))
    assert {*modelfolder.KINDS} == {modelfolder.WORDS, modelfolder.BLOCKS}


def test_answering_needs_neither_s3_nor_metaflow(saved: Path) -> None:
    program = f"""
import sys
from lib.categorizing import Described
from lib.choosing import load_categorizer
load_categorizer({str(saved)!r}).categorize(Described(["milk"], ["Bakery"]))
print(sorted({{"boto3", "metaflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
