"""The word model: words, pairs and pieces, exact layers, company, memory, calibration, and scikit-learn's checks."""

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import estimator_checks

from lib.modelfolder import zipped
from lib.settings import ROOT
from lib.words import model as wordmodel
from lib.words.classifier import WordClassifier
from lib.words.fit import calibration_of, rounded_weights
from lib.words.model import WordModel
from lib.words.numbers import EXACT, Calibration, Fitted, Layer, Rows, Scores
from lib.words.pieces import UNKNOWN, Lookup, Pieces, pieces_of, repeated
from lib.words.sums import add_rows
from lib.words.terms import Words, is_size, split_words
from lib.words.vocabulary import terms_of

HEADS = {"bread": ["rye loaf", "pita", "bun"], "milk": ["whole milk", "skim milk"], "tea": ["green tea", "mint tea"]}
TAILS = ["fresh", "organic", "large, new", "best", "Farm", "classic 500 ml", "2 pack", "light", "value", "crème"]


def products(count: int) -> tuple[list[str], list[str]]:
    """Names such as "rye loaf large, new" and their labels."""
    chance = random.Random(3)
    labels = [chance.choice(list(HEADS)) for _ in range(count)]
    return [f"{chance.choice(HEADS[label])} {chance.choice(TAILS)}" for label in labels], labels


@pytest.fixture(scope="module")
def fitted() -> WordClassifier:
    return WordClassifier(piece_words=1).fit(*products(600))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TOMATO KETCHUP, bottle", ["tomato", "ketchup", ",", "bottle"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("CAMPBELL'S chik’n", ["campbells", "chikn"]),  # either apostrophe
        ("Weißbier smørrebrød", ["weissbier", "smorrebrod"]),  # letters that no accent makes
        ("ｍｉｌｋ", ["milk"]),  # full width
        ("Молоко 3,2%", ["молоко", "3", "2"]),  # a comma among digits breaks nothing
        ("snake_case-kebab", ["snake", "case", "kebab"]),
        ("Mars - ice cream (vanilla)", ["mars", ",", "ice", "cream", ",", "vanilla", ","]),
        ("tea\0bag\ntin", ["tea", "bag", "tin"]),  # a NUL is no end of a text
        ("", []),
        ("!?", []),
    ],
)
def test_words_are_plain_and_commas_stay(text: str, expected: list[str]) -> None:
    assert split_words([text]) == ["\0", *expected, "\0"]
    assert split_words([text, "x", text]) == ["\0", *expected, "\0", "x", "\0", *expected, "\0"]


def test_sizes_are_units_and_numbers_with_a_unit() -> None:
    sizes = ["500ml", "12oz", "6x330ml", "6x330", "6x", "kg", "ml", "10stk", "kpl"]
    assert [word for word in [*sizes, "7up", "milk", "500", "2", "x", "b12"] if is_size(word)] == sizes


def stream_of(texts: list[str], *, known: list[str] | None = None) -> list[str]:
    terms = terms_of(known or texts, word_texts=1, pair_texts=1, piece_words=1)
    words = Words(terms)
    return words.words_at(words.read(texts)[0].places)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("milk 500 ml fat", "milk fat"),
        ("milk 6 x 330 ml", "milk 6 x"),
        ("milk 2 fat", "milk 2 fat"),  # a number without a unit may say something
        (", , milk, , fat,", "milk , fat"),  # a break needs a word on both sides
        (",", ""),
    ],
)
def test_a_stream_has_no_sizes_and_no_idle_breaks(text: str, expected: str) -> None:
    assert stream_of([text], known=["milk"]) == ["\0", *expected.split(), "\0"]


def test_sizes_are_words_when_wanted() -> None:
    terms = terms_of(["milk 500 ml"], word_texts=1, pair_texts=1, piece_words=1, sizes=True)
    assert terms.words == ["500", "milk", "ml"]
    words = Words(terms)
    assert words.words_at(words.read(["milk 500 ml"])[0].places) == ["\0", "milk", "500", "ml", "\0"]


def test_terms_are_words_pairs_and_pieces_of_enough_texts() -> None:
    terms = terms_of(["green tea", "green tea", "tea, green tea", "mint"], word_texts=2, pair_texts=2, piece_words=2)
    assert terms.words == ["green", "tea"]
    names = ["END", ",", *terms.words]
    size = len(names)
    assert [(names[pair // size], names[pair % size]) for pair in terms.pairs.tolist()] == [
        ("END", "green"),
        ("green", "tea"),
        ("tea", "END"),
    ]
    assert terms.marked.tolist() == [True, False, True]
    # Tea and mint have no two letters in common, green and tea neither; mint and green share "en", "n" at no end.
    assert terms.pieces == []
    assert terms.word_rarity.tolist() == pytest.approx([np.log(5 / 4) + 1] * 2)


def test_pieces_are_found_as_one_would_find_them_one_by_one() -> None:
    known = sorted({piece for word in ["milk", "schokolade", "молоко", "a"] for piece in pieces_of(word)})
    pieces = Pieces(known)
    for words in (["milk", "", "mill", "молоток", "牛乳", "choko", "milk" * 30], ["a"], []):
        at, numbers = pieces.find(words)
        found = sorted((int(place), known[number]) for place, number in zip(at, numbers, strict=True))
        assert found == sorted(
            (p, piece) for p, word in enumerate(words) for piece in pieces_of(word) if piece in known
        )


def test_a_lookup_finds_what_is_there_and_nothing_else() -> None:
    chance = np.random.default_rng(0)
    known = np.unique(chance.integers(0, 2**60, 3000))
    chance.shuffle(known)
    lookup = Lookup(known)
    assert (lookup.find(known) == np.arange(len(known))).all()
    assert (lookup.find(known + 1)[~np.isin(known + 1, known)] == UNKNOWN).all()
    assert Lookup(known[:0]).find(known[:3]).tolist() == [UNKNOWN] * 3


def test_what_stood_before_is_a_repetition() -> None:
    chance = np.random.default_rng(0)
    for most in (3, 1000, 10**12):
        keys = chance.integers(0, most, 3000)
        firsts = {key: at for at, key in reversed(list(enumerate(keys.tolist())))}
        assert repeated(keys).tolist() == [firsts[key] != at for at, key in enumerate(keys.tolist())]


def test_a_word_counts_once_a_text(fitted: WordClassifier) -> None:
    words = Words(fitted.model_.fitted.terms)
    stream, _ = words.read(["mint tea, mint tea", "mint tea"])
    assert stream.counted.tolist() == [False, True, True, False, False, False, False, True, True, False]
    assert words.lengths(stream)[0, 0] == words.lengths(stream)[1, 0]


def test_the_table_of_remembered_words_gives_what_the_features_give(fitted: WordClassifier) -> None:
    texts = ["rye loaf, new", "green skim tea xyzzy", "mint 500 ml", "loaflet", ""]
    model = fitted.model_.fitted
    reader = Words(model.terms)
    features = reader.features(*reader.read(texts))
    wide = features @ (model.wide.dense() * np.float32(model.wide_scale)) + model.intercept
    units = features @ (model.vectors * np.float32(model.vector_scale)) + model.vector_bias
    scores = fitted.model_.scores(texts)
    assert scores.wide == pytest.approx(wide, abs=1e-4)
    assert scores.deep == pytest.approx(model.output.outputs(model.hidden.outputs(units)), abs=1e-2)


def test_a_layer_never_adds_beyond_what_is_exact() -> None:
    weights = np.random.default_rng(0).integers(-127, 128, (300, 40)).astype(np.int8)
    layer = Layer(weights, 0.01, np.zeros(40, dtype=np.float32), 1.0)
    assert np.abs(weights.astype(int)).sum(axis=0).max() * layer.levels <= EXACT
    units = np.random.default_rng(1).normal(0, layer.levels, (50, 300)).astype(np.float32)
    whole = np.rint(np.clip(units, 0, layer.levels)).astype(np.int64) @ weights.astype(np.int64)
    assert (layer.outputs(units.copy()) == whole.astype(np.float32) * np.float32(0.01)).all()


def some_texts(count: int) -> list[str]:
    """Texts of one to twelve words, some unknown or with a size; a few are empty."""
    chance = random.Random(7)
    heads = [head for some in HEADS.values() for head in some]
    words = [*" ".join([*heads, *TAILS]).split(), "xyzzy", "loaflet", "330ml", "(", "Ünïcödé"]
    texts = [" ".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(count)]
    return ["" if number % 97 == 0 else text for number, text in enumerate(texts)]


def fresh(fitted: WordClassifier, *, most_words: int = wordmodel.MOST_WORDS) -> WordModel:
    return WordModel(fitted.model_.fitted, most_words=most_words)


def test_a_text_gets_the_same_answer_to_the_last_bit_in_any_company(fitted: WordClassifier) -> None:
    texts = some_texts(5000)
    together = fresh(fitted).probabilities(texts)[0]
    for size in (1, 7, 1000):
        model, stretch = fresh(fitted), texts[: 300 * size]
        parts = [model.probabilities(stretch[start : start + size])[0] for start in range(0, len(stretch), size)]
        assert (np.concatenate(parts) == together[: len(stretch)]).all()
    backwards = fresh(fitted).probabilities(texts[::-1])[0][::-1]
    assert (backwards == together).all()


def test_what_is_remembered_is_bounded_and_changes_no_answer(fitted: WordClassifier) -> None:
    texts = [f"{text} {number}x{number} word{number}" for number, text in enumerate(some_texts(4000))]
    forgetful = fresh(fitted, most_words=500)
    answers = [forgetful.probabilities(texts[start : start + 50])[0] for start in range(0, len(texts), 50)]
    assert len(forgetful._words) < 1000
    assert (np.concatenate(answers) == fresh(fitted).probabilities(texts)[0]).all()


def test_chunks_hold_so_many_texts_and_letters() -> None:
    assert wordmodel._chunks([]) == []
    assert wordmodel._chunks(["a"] * 5000) == [(0, 2048), (2048, 4096), (4096, 5000)]
    long = "a" * wordmodel.CHUNK_LETTERS
    assert wordmodel._chunks([long, "a", long, long]) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_the_same_texts_and_seed_give_the_same_bytes_and_another_seed_others() -> None:
    texts, labels = products(300)
    made = [zipped(WordClassifier(random_state=seed).fit(texts, labels).arrays()) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def test_a_model_answers_the_same_after_its_arrays_are_read_back(fitted: WordClassifier) -> None:
    again = WordClassifier.of(fitted.arrays(), fitted.classes_.tolist())
    texts = some_texts(200)
    assert (again.predict_proba(texts) == fitted.predict_proba(texts)).all()
    assert zipped(again.arrays()) == zipped(fitted.arrays())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays.pop("words"),
        lambda arrays: arrays.update(words=arrays["words"][:-8]),
        lambda arrays: arrays.update(vectors=arrays["vectors"][:, :-1]),
        lambda arrays: arrays.update(wide_counts=arrays["wide_counts"][:-1]),
        lambda arrays: arrays.update(numbers=arrays["numbers"][:3]),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    fitted: WordClassifier, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    arrays = dict(fitted.arrays())
    spoil(arrays)
    with pytest.raises((KeyError, ValueError, TypeError)):
        WordModel(Fitted.of(arrays)).probabilities(["milk"])


def test_answers_need_neither_pandas_nor_scipy_nor_scikit_learn() -> None:
    heavy = {"pandas", "scipy.sparse", "sklearn", "metaflow"}
    program = f"import sys, lib.words.model; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_are_added_with_their_factors_to_what_is_there() -> None:
    chance = np.random.default_rng(0)
    table = chance.random((9, 5), dtype=np.float32)
    rows, factors = chance.integers(0, 9, 8).astype(np.int32), chance.random(8, dtype=np.float32)
    ends = np.array([0, 3, 3, 8], dtype=np.int32)
    sums = np.ones((3, 5), dtype=np.float32)
    add_rows(sums, table, rows, factors, ends)
    added = table[rows] * factors[:, None]
    assert sums == pytest.approx(1 + np.array([added[:3].sum(axis=0), np.zeros(5), added[3:].sum(axis=0)]), abs=1e-6)
    with pytest.raises(ValueError, match="shape or order"):
        add_rows(sums[:, :4], table, rows, factors, ends)


def test_packed_rows_are_unpacked_as_they_were() -> None:
    chance = np.random.default_rng(0)
    for columns in (1, 40, 300):
        whole = (chance.integers(-127, 128, (50, columns)) * (chance.random((50, columns)) < 0.2)).astype(np.int8)
        assert (Rows.of(whole).dense() == whole).all()
        some = np.array([49, 0, 7, 7, *np.flatnonzero(~whole.any(axis=1))])
        assert (Rows.of(whole).dense(some) == whole[some]).all()
        assert Rows.of(whole).dense(some[:0]).shape == (0, columns)
    assert Rows.of(np.zeros((3, 2), dtype=np.int8)).dense().tolist() == [[0, 0]] * 3


def test_the_products_are_told_apart_even_when_a_word_was_never_met(fitted: WordClassifier) -> None:
    texts = ["Rye loaf, farm", "SKIM MILK!", "mint tea 20 bags", "skimmmilk"]
    assert fitted.predict(texts).tolist() == ["bread", "milk", "tea", "milk"]
    assert fitted.known([*texts, "500 ml", "xyzzy", "", "2"]).tolist() == [True, True, True, *[False] * 5]


def test_the_words_that_decided_are_named_with_their_shares(fitted: WordClassifier) -> None:
    shares = fitted.contributions("organic SKIM milk, 500ml", "milk")
    assert {word for word, _ in shares[:2]} == {"skim", "milk"}
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)
    assert fitted.contributions("", "milk") == []
    with pytest.raises(KeyError):
        fitted.contributions("milk", "beer")


def test_probabilities_add_up_to_one_and_agree_with_the_scores(fitted: WordClassifier) -> None:
    texts = some_texts(3000)
    chances = fitted.predict_proba(texts)
    assert chances.shape == (3000, 3)
    assert chances.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (chances.argmax(axis=1) == fitted.decision_function(texts).argmax(axis=1)).all()


def test_a_calibrated_best_label_stays_the_best_however_doubtful() -> None:
    deep = np.log(np.array([[0.4, 0.35, 0.25], [0.98, 0.01, 0.01]], dtype=np.float32))
    scores = Scores(np.zeros_like(deep), deep, np.ones(2, dtype=np.bool_), np.zeros(2))
    plain = scores.probabilities(Calibration(1.0, 1.0))
    assert plain == pytest.approx(np.exp(deep), abs=1e-4)
    doubting = scores.probabilities(Calibration(1.0, 1.0, constant=-3.0))
    assert doubting.argmax(axis=1).tolist() == [0, 0]
    assert doubting[0, 0] == pytest.approx(0.35 / 0.95, abs=1e-3)  # no less than the second, once that is scaled
    assert doubting[1, 0] == pytest.approx(1 / (1 + np.exp(3.0) * 0.02 / 0.98), abs=1e-3)


def test_calibration_makes_confidence_the_share_that_is_right() -> None:
    # The model is nearly sure of the first label, which is right nine times in ten.
    deep = np.tile(np.array([[8.0, 0.0, 0.0]], dtype=np.float32), (1000, 1))
    scores = Scores(np.zeros_like(deep), deep, np.ones(1000, dtype=np.bool_), np.zeros(1000))
    labels = np.where(np.arange(1000) % 10 == 0, 1, 0)
    assert scores.probabilities(calibration_of(scores, labels))[0, 0] == pytest.approx(0.9, abs=0.01)


def test_a_text_of_unknown_words_is_less_sure(fitted: WordClassifier) -> None:
    model = WordModel(replace(fitted.model_.fitted, calibration=Calibration(0.1, 0.1, unknown=-2.0)))
    sure, unsure = model.probabilities(["skim milk", "skim milk qqqqq zzzzz"])[0].max(axis=1)
    assert unsure < sure


def test_weights_are_rounded_to_steps_and_small_ones_go() -> None:
    weights = np.array([[0.04, -3.01], [2.0, 0.26], [0.0, 99.0]], dtype=np.float32)
    whole = rounded_weights(weights, 0.1)
    assert whole.dense().tolist() == [[0, -30], [20, 3], [0, 127]]
    assert len(whole.values) == 4


def test_weights_decide_between_labels_that_contradict_each_other() -> None:
    texts, labels = ["bun", "loaf"] * 50 + ["bun"] * 50, ["bread", "tea"] * 50 + ["tea"] * 50
    heavy = [10.0] * 100 + [0.1] * 50
    made = WordClassifier(piece_words=1)
    assert made.fit(texts, labels, heavy).predict(["bun"]).tolist() == ["bread"]
    assert made.fit(texts, labels, [0.1] * 100 + [10.0] * 50).predict(["bun"]).tolist() == ["tea"]


@pytest.mark.parametrize(
    ("texts", "labels", "weights", "message"),
    [
        (["a tea", "a tea"], ["x"], None, "2 texts, 1 labels"),
        (["a tea", "a tea"], ["x", "x"], None, "1 class"),
        (["a", "b"], ["x", "y"], None, "no word is in 2 of the 2 texts"),
        (["a", None], ["x", "y"], None, "not a str"),
        ("ab", ["x", "y"], None, "one text is not a list"),
        (["a", "a"], ["x", "y"], [1.0, -1.0], "weights must be"),
    ],
)
def test_what_cannot_be_learned_from_is_said(texts: Any, labels: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WordClassifier().fit(texts, labels, weights)


def test_two_labels_have_one_column_of_scores_and_numbers_may_be_labels() -> None:
    made = WordClassifier(piece_words=1).fit(["rye bun", "mint tea"] * 30, [7, 3] * 30)
    assert made.classes_.tolist() == [3, 7]
    assert made.predict(["bun", "tea"]).tolist() == [7, 3]
    assert (made.decision_function(["bun", "tea"]) > 0).tolist() == [True, False]
    assert made.predict([]).tolist() == []


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
    check("WordClassifier", WordClassifier())


def test_it_can_be_cloned_copied_and_cross_validated_and_says_when_it_is_not_fitted(fitted: WordClassifier) -> None:
    texts, labels = products(300)
    assert cross_val_score(clone(fitted), texts, labels, cv=3).min() > 0.9
    assert (copy.deepcopy(fitted).predict(texts) == fitted.predict(texts)).all()
    with pytest.raises(NotFittedError):
        WordClassifier().predict(["milk"])
