"""The word categorizer: company, parents, thresholds, other texts, why, and model folders that cannot be used."""

import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.categorizing import NONE, Described, Predictions
from lib.choosing import load_categorizer
from lib.errors import ModelError
from lib.modelfolder import PRECISIONS, save
from lib.settings import ROOT
from lib.words import categorizer as wordcategorizer
from lib.words import modelfolder
from lib.words.categorizer import WordCategorizer
from lib.words.classifier import WordClassifier
from lib.words.lexicon import Lexicon
from lib.words.lexicon_entries import Entry
from lib.words.modelfolder import Content

HEADS = {
    "Bread": ["rye loaf", "pita", "bun"],
    "Coffee": ["ground coffee", "espresso beans"],
    "Milk": ["whole milk", "skim milk", "milk drink"],
    "Tea": ["green tea", "mint tea"],
}
TAILS = ["fresh", "organic", "large, new", "best", "farm", "classic", "2 pack", "light", "value", "crème"]
PARENTS = {"Bread": "food", "Coffee": "drinks", "Milk": "", "Tea": "drinks"}
NEVER = 2.0


def content_of(labels: list[str]) -> Content:
    chance = random.Random(3)
    truth = [chance.choice(labels) for _ in range(600)]
    names = [f"{chance.choice(HEADS[label])} {chance.choice(TAILS)}" for label in truth]
    fitted = WordClassifier(piece_words=1, dimensions=8, hidden=16).fit(names, truth).model_.fitted
    return Content(
        labels=labels,
        parent_of=[PARENTS[label] for label in labels],
        fitted=fitted,
        thresholds=np.zeros((len(PRECISIONS), len(labels) + 1)),
        weights={"customer_categories": 0.5, "brands": 0.0},
        lexicon=Lexicon.of_entries([Entry("sv", "te", "tea", ""), Entry("sv", "råg", "rye", "")]),
        spelling=True,
    )


@pytest.fixture(scope="module")
def content() -> Content:
    return content_of(sorted(HEADS))


@pytest.fixture(scope="module")
def categorizer(content: Content) -> WordCategorizer:
    return WordCategorizer("tiny", content)


def of(*names: str) -> Described:
    return Described(list(names))


def best(categorizer: WordCategorizer, products: Described) -> list[str]:
    return [categorizer.labels[at] for at in categorizer.categorize(products).categories[:, 0]]


def rows(answers: Predictions) -> list[tuple[object, ...]]:
    """All that is said of each product."""
    columns = [column if isinstance(column, list) else column.tolist() for column in vars(answers).values()]
    return list(zip(*columns, strict=True))


def test_products_get_the_labels_of_their_words(categorizer: WordCategorizer) -> None:
    assert best(categorizer, of("Rye loaf, farm", "SKIM MILK!", "mint tea 20 bags", "Ground Coffee")) == [
        "Bread", "Milk", "Tea", "Coffee",
    ]  # fmt: skip


def test_names_in_other_languages_are_read_by_their_english(categorizer: WordCategorizer) -> None:
    assert best(categorizer, of("Råg", "Te")) == ["Bread", "Tea"]
    answers = categorizer.categorize(of("Te", "grönt te"))
    assert answers.confidences[0, 0] > 0.5
    assert answers.why is not None and "tea" in answers.why[0]


def test_mistyped_words_are_taken_for_what_was_meant(categorizer: WordCategorizer) -> None:
    right, wrong = of("ground coffee", "espresso beans", "råg"), of("rgound cofee", "exspresso baens", "råg")
    assert rows(categorizer.categorize(wrong)) == rows(categorizer.categorize(right))
    told = Described([""] * 3, wrong.names, [""] * 3, [""] * 3)
    assert rows(categorizer.categorize(told)) == rows(
        categorizer.categorize(replace(told, customer_categories=right.names))
    )


def test_a_model_may_read_words_as_they_are(content: Content) -> None:
    plain, right = (WordCategorizer("", replace(content, spelling=spelling)) for spelling in (False, True))
    assert plain.categorize(of("baens")).confidences[0, 0] == 0 < right.categorize(of("baens")).confidences[0, 0]


def test_a_name_without_a_known_word_has_no_confidence_and_no_sureness(content: Content) -> None:
    answers = WordCategorizer("tiny", content).categorize(of("xyzzy", "", "  ", "12 kg", "牛乳"))
    assert not answers.confidences.any()
    assert answers.sure is not None and not answers.sure.any()
    assert answers.parent_sure is not None and not answers.parent_sure.any()
    assert answers.parent_confidences is not None and not answers.parent_confidences.any()


def test_no_product_is_no_answer(categorizer: WordCategorizer) -> None:
    answers = categorizer.categorize(of())
    assert answers.categories.shape == answers.confidences.shape == (0, 3)
    assert rows(answers) == []


def test_confidences_fall_and_leave_room_for_the_others(categorizer: WordCategorizer) -> None:
    answers = categorizer.categorize(of("tea milk", "bun coffee", "espresso drink", "pita"))
    assert (np.diff(answers.confidences, axis=1) <= 0).all()
    assert (answers.confidences.sum(axis=1) <= 1.0002).all()
    assert (answers.confidences == answers.confidences.round(4)).all()


def test_two_labels_are_enough_and_the_third_rank_is_empty() -> None:
    answers = WordCategorizer("two", content_of(["Milk", "Tea"])).categorize(of("green tea"))
    assert answers.categories.tolist() == [[1, 0, NONE]]
    assert answers.confidences[0, 2] == 0


def some_products(count: int) -> Described:
    chance = random.Random(7)
    words = [word for heads in HEADS.values() for head in heads for word in head.split()]
    words += ["xyzzy", "te", "råg", "fresh", "2kg", "teabag", "milky"]
    names = [" ".join(chance.choices(words, k=chance.randint(0, 6))) for _ in range(count)]
    shelves = [chance.choice(["", "", "tea and coffee", "dairy milk", "nonsense", "rye"]) for _ in names]
    brands = [chance.choice(["", "Green Tea Co", "Acme"]) for _ in names]
    return Described(names, customer_categories=shelves, brands=brands)


@pytest.mark.parametrize("size", [1, 7, 400])
def test_a_product_gets_the_same_answer_in_any_company(
    content: Content, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    content = replace(content, weights={"customer_categories": 0.3, "brands": 0.7})
    products = some_products(1000)
    together = rows(WordCategorizer("tiny", content).categorize(products))
    monkeypatch.setattr(wordcategorizer, "CHUNK", 64)
    fresh = WordCategorizer("tiny", content)
    order = list(range(len(products)))
    random.Random(size).shuffle(order)
    order = order[: 200 * size]
    for start in range(0, len(order), size):
        places = order[start : start + size]
        assert rows(fresh.categorize(products.at(places))) == [together[place] for place in places]


def test_probabilities_are_the_same_to_the_last_bit_alone(content: Content) -> None:
    categorizer = WordCategorizer("tiny", replace(content, weights={"customer_categories": 0.3, "brands": 0.7}))
    products = some_products(200)
    together, known = categorizer.probabilities(products)
    for place in range(len(products)):
        alone, knows = categorizer.probabilities(products.at([place]))
        assert (alone[0] == together[place]).all() and knows[0] == known[place]


def test_a_parents_confidence_is_the_sum_of_its_labels(categorizer: WordCategorizer) -> None:
    assert categorizer.parents == ["drinks", "food"]
    products = of("green coffee", "mint tea", "rye milk")
    chances, _ = categorizer.probabilities(products)
    answers = categorizer.categorize(products)
    assert answers.parents is not None and answers.parent_confidences is not None
    sums = np.column_stack([chances[:, 1] + chances[:, 3], chances[:, 0]])  # Coffee and Tea, Bread; Milk has none
    assert answers.parents.tolist() == sums.argmax(axis=1).tolist()
    assert answers.parent_confidences == pytest.approx(sums.max(axis=1), abs=1e-4)
    assert answers.parents[0] == 0 and answers.parent_confidences[0] > answers.confidences[0, 0]


def test_labels_without_parents_have_none(content: Content) -> None:
    flat = WordCategorizer("flat", replace(content, parent_of=[""] * 4))
    answers = flat.categorize(of("green tea", "xyzzy"))
    assert flat.parents == []
    assert answers.parents is not None and answers.parents.tolist() == [NONE, NONE]
    assert answers.parent_confidences is not None and not answers.parent_confidences.any()
    assert answers.parent_sure is not None and not answers.parent_sure.any()


def thresholds(content: Content, **levels: float) -> Content:
    """With thresholds by label for 0.9 and less; what is wanted surer than that is never sure."""
    table = np.full((len(PRECISIONS), len(content.labels) + 1), NEVER)
    table[: PRECISIONS.index(0.9) + 1] = [*(levels.get(label, NEVER) for label in content.labels), levels["parent"]]
    return replace(content, thresholds=table)


def test_an_answer_is_sure_from_its_labels_threshold_on(content: Content) -> None:
    products = of("green tea", "whole milk", "rye loaf")
    confidence = WordCategorizer("tiny", content).categorize(products).confidences[:, 0]
    exact = thresholds(content, Tea=float(confidence[0]), Milk=float(confidence[1]) + 1e-4, parent=NEVER)
    sure = WordCategorizer("tiny", exact, precision=0.9).categorize(products).sure
    assert sure is not None and sure.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("precision", "is_sure"),
    [(0.5, True), (0.7, True), (0.87, True), (0.9, True), (0.901, False), (0.99, False), (0.999, False)],
)
def test_the_thresholds_are_those_of_the_next_higher_precision(
    content: Content, precision: float, is_sure: bool
) -> None:
    strict = thresholds(content, Tea=0.0, parent=0.0)
    answers = WordCategorizer("tiny", strict, precision=precision).categorize(of("green tea"))
    assert answers.sure is not None and answers.sure.tolist() == [is_sure]
    assert answers.parent_sure is not None and answers.parent_sure.tolist() == [is_sure]


def test_a_parent_may_be_sure_where_its_label_is_not(content: Content) -> None:
    strict = thresholds(content, parent=0.5)
    answers = WordCategorizer("tiny", strict, precision=0.9).categorize(of("green coffee", "whole milk"))
    assert answers.sure is not None and answers.sure.tolist() == [False, False]
    assert answers.parent_sure is not None and answers.parent_sure.tolist() == [True, False]


def test_the_customers_category_speaks_where_the_name_does_not(categorizer: WordCategorizer) -> None:
    products = Described(["xyzzy", "xyzzy"], customer_categories=["green tea", ""])
    answers = categorizer.categorize(products)
    assert categorizer.labels[answers.categories[0, 0]] == "Tea"
    assert answers.confidences[0, 0] > 0.25 and answers.confidences[1, 0] == 0


def test_the_customers_category_moves_an_uncertain_name(categorizer: WordCategorizer) -> None:
    alone, beside = (
        categorizer.probabilities(Described(["milk tea"], customer_categories=[shelf]))[0][0]
        for shelf in ("", "mint tea")
    )
    tea = categorizer.labels.index("Tea")
    assert beside[tea] > alone[tea]
    assert beside.sum() == pytest.approx(1, abs=1e-5)


def test_a_weight_is_the_power_of_what_the_other_text_says(content: Content) -> None:
    weighing = WordCategorizer("tiny", replace(content, weights={"brands": 0.3}))
    name, brand = (weighing.probabilities(of(text))[0][0].astype(np.float64) for text in ("milk drink", "bun drink"))
    both = weighing.probabilities(Described(["milk drink"], brands=["bun drink"]))[0][0]
    product = np.maximum(name, 1e-6) * np.maximum(brand, 1e-6) ** 0.3
    assert both == pytest.approx(product / product.sum(), rel=1e-3)


@pytest.mark.parametrize("other", ["nonsense", "", "500 g"])
def test_what_says_nothing_and_what_has_no_weight_change_nothing(categorizer: WordCategorizer, other: str) -> None:
    plain = rows(categorizer.categorize(of("milk tea")))
    assert rows(categorizer.categorize(Described(["milk tea"], customer_categories=[other]))) == plain
    assert rows(categorizer.categorize(Described(["milk tea"], brands=["green tea"]))) == plain
    assert rows(categorizer.categorize(Described(["milk tea"], descriptions=["green tea"]))) == plain


def test_why_names_the_words_that_decided(categorizer: WordCategorizer) -> None:
    answers = categorizer.categorize(of("Xyzzy MINT tea 500 ml", "xyzzy"))
    assert answers.why is not None
    assert {"mint", "tea"} >= {*answers.why[0].split(", ")} > set()
    assert answers.why[1] == ""


def test_the_version_changes_with_everything_that_decides_an_answer(content: Content) -> None:
    fitted = content.fitted
    changed = [
        content,
        replace(content, labels=["Bread", "Coffee", "Milk", "Teas"]),
        replace(content, parent_of=[""] * 4),
        replace(content, fitted=replace(fitted, intercept=fitted.intercept * 2)),
        replace(content, fitted=replace(fitted, calibration=replace(fitted.calibration, wide=9.0))),
        replace(content, thresholds=content.thresholds + 0.1),
        replace(content, weights={}),
        replace(content, lexicon=Lexicon({}, [])),
        replace(content, spelling=False),
    ]
    assert len({one.version for one in changed}) == len(changed)
    assert replace(content).version == content.version


@pytest.fixture
def saved(content: Content, tmp_path: Path) -> Path:
    save(content, str(tmp_path / "model"), name="tiny", facts={"note": "made up"})
    return tmp_path / "model"


def test_a_saved_model_answers_as_before(categorizer: WordCategorizer, saved: Path) -> None:
    loaded = load_categorizer(str(saved))
    assert (loaded.name, loaded.version) == ("tiny", categorizer.version)
    assert (loaded.labels, loaded.parents) == (categorizer.labels, categorizer.parents)
    products = some_products(300)
    assert rows(loaded.categorize(products)) == rows(categorizer.categorize(products))


def test_the_precision_asked_for_is_that_of_the_loaded_model(content: Content, tmp_path: Path) -> None:
    save(thresholds(content, Tea=0.0, parent=NEVER), str(tmp_path), name="tiny", facts={})
    sure = [load_categorizer(str(tmp_path), precision=asked).categorize(of("tea")).sure for asked in (0.9, 0.95)]
    assert [None if one is None else one.tolist() for one in sure] == [[True], [False]]


def test_a_card_says_what_the_model_is(content: Content, saved: Path) -> None:
    card = json.loads((saved / "card.json").read_text("utf-8"))
    assert card == {
        "format": 3, "name": "tiny", "version": content.version, "note": "made up", "labels": content.labels,
    }  # fmt: skip


def test_the_same_model_is_the_same_bytes(content: Content, saved: Path, tmp_path: Path) -> None:
    save(modelfolder.load(str(saved))[1], str(tmp_path / "again"), name="tiny", facts={"note": "made up"})
    for name in ("card.json", "arrays.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()
    assert sorted(path.name for path in saved.iterdir()) == ["arrays.npz", "card.json"]


def test_a_model_on_s3_is_loaded(content: Content, bucket: str) -> None:
    save(content, f"{bucket}/models/tiny", name="tiny", facts={})
    assert load_categorizer(f"{bucket}/models/tiny").version == content.version
    with pytest.raises(ModelError, match=r"no usable model: .*models/none"):
        load_categorizer(f"{bucket}/models/none")


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changes), "utf-8")


def change_arrays(folder: Path, **changes: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None) -> None:
    """Put other arrays into the model, None for none."""
    with np.load(folder / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(folder / "arrays.npz", **{name: array for name, array in arrays.items() if array is not None})


def spoil(folder: Path, *, at: int, byte: int) -> None:
    """Put another byte into the zip file, counted from where its first entry's list or its list of files begins."""
    path = folder / "arrays.npz"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.start_dir + at] = byte
    path.write_bytes(content)


def told(*parts: object) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(json.dumps(parts).encode(), dtype=np.uint8)


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


LABELS, FLAT = ["Bread", "Coffee", "Milk", "Tea"], [""] * 4
DAMAGED = "the model is damaged"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the folder is not there": (shutil.rmtree, r"no usable model: .*card\.json: no such file"),
    "no card": (lambda folder: (folder / "card.json").unlink(), r"no usable model: .*card\.json: no such file"),
    "no arrays": (lambda folder: (folder / "arrays.npz").unlink(), r"no usable model: .*arrays\.npz: no such file"),
    "half a download": (
        lambda folder: (folder / "arrays.npz").write_bytes((folder / "arrays.npz").read_bytes()[:200]), DAMAGED,
    ),
    "empty arrays": (lambda folder: (folder / "arrays.npz").write_bytes(b""), DAMAGED),
    "no zip file": (lambda folder: (folder / "arrays.npz").write_bytes(npy(np.ones(3))), DAMAGED),
    "other arrays": (lambda folder: np.savez(folder / "arrays.npz", weights=np.ones(3)), DAMAGED),
    "pickled arrays": (lambda folder: change_arrays(folder, words=np.array([{}], dtype=object)), DAMAGED),
    "a packing nobody knows": (lambda folder: spoil(folder, at=10, byte=99), DAMAGED),
    "a password": (lambda folder: spoil(folder, at=8, byte=1), DAMAGED),
    "no thresholds": (lambda folder: change_arrays(folder, thresholds=None), DAMAGED),
    "thresholds of one label less": (lambda folder: change_arrays(folder, thresholds=np.ones((10, 4))), "in length"),
    "a label less": (lambda folder: change_arrays(folder, labels=told(LABELS[1:], FLAT[1:], {}, True)), "in length"),
    "a parent less": (lambda folder: change_arrays(folder, labels=told(LABELS, FLAT[1:], {}, True)), "in length"),
    "labels that are none": (lambda folder: change_arrays(folder, labels=told(3)), DAMAGED),
    "labels cut short": (lambda folder: change_arrays(folder, labels=told(LABELS)[:-3]), DAMAGED),
    "another label": (
        lambda folder: change_arrays(folder, labels=told(["Bread", "Coffee", "Milk", "Wine"], FLAT, {}, True)),
        "are of version [0-9a-f]{12}, its card of",
    ),
    "another intercept": (
        lambda folder: change_arrays(folder, intercept=np.zeros(4, np.float32)), "are of version [0-9a-f]{12}",
    ),
    "a card of another model": (lambda folder: change_card(folder, version="0" * 12), "its card of 000000000000"),
    "a card without a version": (
        lambda folder: (folder / "card.json").write_text('{"format": 3, "name": "x"}'), f"{DAMAGED} .*version",
    ),
    "an earlier format": (lambda folder: change_card(folder, format=1), "is of format 1, this Shelfsort reads"),
    "a later format": (lambda folder: change_card(folder, format=4), "is of format 4, this Shelfsort reads format 3"),
    "a card that is no card": (lambda folder: (folder / "card.json").write_text("[1]"), "is of format None"),
    "a card cut short": (lambda folder: (folder / "card.json").write_text('{"format"'), "is not JSON"),
    "a card in another encoding": (lambda folder: (folder / "card.json").write_bytes(b"\xff\xfe\xfa"), "is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unusable_model_is_one_line_that_says_what_to_do(saved: Path, damage: str) -> None:
    harm, message = DAMAGES[damage]
    harm(saved)
    with pytest.raises(ModelError, match=message) as caught:
        load_categorizer(str(saved))
    line = str(caught.value)
    assert str(saved) in line and "\n" not in line
    assert line.endswith("train one with flows/train.py or correct `model` in the config")


def test_any_wrong_byte_is_a_damaged_model_or_changes_nothing(saved: Path) -> None:
    whole, chance = (saved / "arrays.npz").read_bytes(), random.Random(11)
    version, refused = modelfolder.load(str(saved))[1].version, 0
    for _ in range(300):
        wrong = bytearray(whole)
        wrong[chance.randrange(len(whole) - 2500, len(whole))] = chance.randrange(256)
        (saved / "arrays.npz").write_bytes(wrong)
        try:
            assert modelfolder.load(str(saved))[1].version == version
        except ModelError:
            refused += 1
    assert refused > 100


def test_loading_and_answering_need_neither_pandas_nor_scikit_learn(saved: Path) -> None:
    program = f"""
import sys
from lib.categorizing import Described
from lib.choosing import load_categorizer
load_categorizer({str(saved)!r}).categorize(Described(["milk"]))
print(sorted({{"pandas", "sklearn", "boto3", "metaflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
