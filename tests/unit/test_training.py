"""Fitting, calibrating, choosing thresholds, evaluating and publishing, on small made-up ranges of products."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib import training
from lib.blocks.categorizer import BlockCategorizer
from lib.categorizing import Described
from lib.choosing import load_categorizer
from lib.errors import ModelError
from lib.learning.candidates import CANDIDATES, CANDIDATES_OF_FILES, Blocks, Candidate
from lib.learning.evaluating import evaluate
from lib.learning.examples import COLUMNS
from lib.learning.thresholds import LEAST_SHARE, NEVER
from lib.modelfolder import PRECISIONS
from lib.training import FittedCandidate
from lib.words.categorizer import WordCategorizer
from lib.words.lexicon_entries import Entry
from lib.words.modelfolder import Content

SMALL = Candidate("small", epochs=5, hidden=16)
BLOCKS = Blocks("blocks")
HEADS = {"Bread": ["rye loaf", "pita", "bun"], "Milk": ["whole milk", "skim milk"], "Tea": ["green tea", "mint tea"]}
LEAVES = {"Bread": "beef", "Milk": "milk", "Tea": "cream"}
TAILS = ["fresh", "organic", "family pack", "large", "value", "farm", "classic", "light", "new", "best"]


@pytest.fixture(autouse=True)
def small_lexicon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the whole one takes seconds."""
    entries = [Entry("sv", "te", "tea", ""), Entry("sv", "råg", "rye", ""), Entry("en", "milk", "milk", "")]
    monkeypatch.setattr(training, "read_entries", lambda: entries)


def examples(*, wrong: float = 0.1, each: int = 3) -> Any:
    """Names such as "rye loaf fresh value" in all splits; some labels are wrong, as in real data."""
    chance, rows = random.Random(5), []
    for label, heads in HEADS.items():
        for head in heads:
            for at, tail in enumerate(TAILS):
                for other in chance.sample(TAILS, each):
                    split = "val" if at >= 8 else "test" if at >= 6 else "train"
                    given = chance.choice(list(HEADS)) if chance.random() < wrong else label
                    rows.append((f"{head} {tail} {other}", "", "", "", given, 1.0, split, True))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def data(tmp_path: Path) -> str:
    training.write_examples(examples(), str(tmp_path / "data"), limit=0)
    return str(tmp_path / "data")


def fitted(table: Any, *, seed: int = 0) -> Content:
    train, val = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "val"))
    return training.fit(SMALL, train, products_of(val), val["label"].tolist(), seed=seed)


def products_of(table: Any) -> Described:
    return Described(*(table[column].tolist() for column in COLUMNS[:4]))


def best(content: Content, *names: str) -> list[str]:
    answers = WordCategorizer("", content).categorize(Described(list(names)))
    return [content.labels[at] for at in answers.categories[:, 0]]


def test_a_fitted_model_tells_the_products_apart(data: str) -> None:
    found = training.fit_candidate(SMALL, data, name="small", seed=0)
    categorizer = load_categorizer(found.uri)
    assert isinstance(categorizer, WordCategorizer)
    assert best(categorizer.content, "Rye loaf, farm", "SKIM MILK!", "mint tea 20 bags") == ["Bread", "Milk", "Tea"]
    assert found.validation["top1"] > 0.8
    assert (found.version, found.candidate) == (categorizer.version, SMALL)


def test_the_lexicon_goes_into_the_model(data: str) -> None:
    content = fitted(examples())
    assert content.lexicon.glossed(["Råg", "milk"]) == ["Råg , rye", "milk"]
    assert best(content, "råg", "te") == ["Bread", "Tea"]


def test_a_candidate_without_the_lexicon_reads_words_as_they_are(data: str) -> None:
    found = training.fit_candidate(replace(SMALL, lexicon=False), data, name="small", seed=0)
    categorizer = load_categorizer(found.uri)
    assert isinstance(categorizer, WordCategorizer)
    assert categorizer.content.lexicon.glossed(["Råg", "milk"]) == ["Råg", "milk"]
    assert best(categorizer.content, "skim milk") == ["Milk"]


def test_a_candidate_says_whether_mistyped_words_are_put_right(data: str) -> None:
    sure = []
    for spelling in (True, False):
        found = training.fit_candidate(replace(SMALL, spelling=spelling), data, name="small", seed=0)
        answers = load_categorizer(found.uri).categorize(Described(["mlik"]))
        sure.append(answers.confidences[0, 0] > 0)
    assert sure == [True, False]


def test_words_of_enough_english_examples_need_no_translation() -> None:
    table = examples().assign(name=lambda rows: rows["name"].str.replace("pita", "te"))
    assert training._english_words(table[table["split"] == "train"]).count("te") == 0
    many = pd.concat([table, table], ignore_index=True)
    words = training._english_words(many[many["split"] == "train"])
    assert "te" in words and words == sorted(words)
    assert training._english_words(many.assign(english=False)) == []


def test_the_same_examples_and_seed_give_the_same_bytes(data: str, tmp_path: Path) -> None:
    contents = []
    for turn in "12":
        found = training.fit_candidate(SMALL, data, name="small", seed=0)
        target = tmp_path / turn
        training.publish(found, data, str(target), name="small", compare="", facts={"data": "made up"})
        contents.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == ["arrays.npz", "card.json"]
    assert training.fit_candidate(SMALL, data, name="small", seed=1).version != found.version


def test_a_published_card_holds_the_figures_of_validation_and_test(data: str, tmp_path: Path) -> None:
    found = training.fit_candidate(SMALL, data, name="small", seed=0)
    card = training.publish(found, data, str(tmp_path / "m"), name="mine", compare="", facts={"data": "made up"})
    assert card == json.loads((tmp_path / "m" / "card.json").read_text("utf-8"))
    assert (card["name"], card["labels"], card["data"]) == ("mine", ["Bread", "Milk", "Tea"], "made up")
    assert card["candidate"] == {"name": "small", "epochs": 5, "hidden": 16, "lexicon": True, "spelling": False}
    assert card["metrics"]["validation"] == found.validation
    assert {part: figures["products"] for part, figures in card["metrics"].items()} == {"validation": 42, "test": 42}
    products, truth, _ = training.read_split(data, "test")
    assert card["metrics"]["test"] == evaluate(load_categorizer(str(tmp_path / "m")), products, truth)
    assert load_categorizer(str(tmp_path / "m")).name == "mine"


def test_the_model_in_use_is_judged_on_the_same_test(data: str, tmp_path: Path) -> None:
    found = training.fit_candidate(SMALL, data, name="small", seed=0)
    first = training.publish(found, data, str(tmp_path / "1"), name="one", compare="", facts={})
    second = training.publish(found, data, str(tmp_path / "2"), name="two", compare=str(tmp_path / "1"), facts={})
    figures = first["metrics"]["test"]
    assert "model_in_use" not in first
    assert second["model_in_use"]["version"] == first["version"]
    assert second["model_in_use"]["top1"] == figures["top1"] and second["model_in_use"]["ece"] == figures["ece"]


def test_where_there_is_no_model_in_use_or_one_of_other_labels_nothing_is_compared(data: str, tmp_path: Path) -> None:
    found = training.fit_candidate(SMALL, data, name="small", seed=0)
    training.publish(found, data, str(tmp_path / "1"), name="one", compare="", facts={})
    renamed = examples().assign(label=lambda rows: rows["label"].str.lower())
    training.write_examples(renamed, str(tmp_path / "other"), limit=0)
    other = training.fit_candidate(SMALL, str(tmp_path / "other"), name="small", seed=0)
    for compare in (str(tmp_path / "none"), str(tmp_path / "1")):
        card = training.publish(
            other, str(tmp_path / "other"), str(tmp_path / "2"), name="two", compare=compare, facts={}
        )
        assert "model_in_use" not in card


def test_labels_of_the_taxonomy_get_its_parents_and_thresholds_for_them() -> None:
    table = examples().assign(label=lambda rows: rows["label"].map(LEAVES))
    content = fitted(table)
    assert content.labels == ["beef", "cream", "milk"]
    assert content.parent_of == ["meat-beef-lamb", "dairy-milk", "dairy-milk"]
    answers = WordCategorizer("", content).categorize(Described(["milk tea"]))
    assert answers.parents is not None and answers.parents.tolist() == [0]
    # Labels below one group are judged together.
    assert (content.thresholds[:, 1] == content.thresholds[:, 2]).all()


def test_anybodys_labels_have_no_parents_and_no_parent_is_ever_sure() -> None:
    content = fitted(examples())
    assert content.parent_of == ["", "", ""]
    assert (content.thresholds[:, -1] == NEVER).all()


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.4])
def test_the_more_should_be_right_the_higher_the_thresholds(wrong: float) -> None:
    table = examples(wrong=wrong, each=6).assign(label=lambda rows: rows["label"].map(LEAVES))
    content = fitted(table)
    assert content.thresholds.shape == (len(PRECISIONS), 4)
    assert (np.diff(content.thresholds[:, :-1], axis=0) >= 0).all()
    val = table[table["split"] == "val"]
    answered = []
    for precision in PRECISIONS:
        sure = WordCategorizer("", content, precision=precision).categorize(products_of(val)).sure
        assert sure is not None
        answered.append(int(sure.sum()))
    assert answered == sorted(answered, reverse=True)
    assert answered[0] > 0


def test_an_answer_of_little_confidence_is_never_sure_however_often_others_are_right() -> None:
    content = fitted(examples())
    assert (content.thresholds >= LEAST_SHARE * np.array(PRECISIONS)[:, None]).all()


def test_answers_above_a_threshold_are_right_as_often_as_was_asked() -> None:
    table = examples(wrong=0.15, each=9)
    content = fitted(table)
    val = table[table["split"] == "val"]
    for precision in (0.7, 0.8, 0.85):
        figures = evaluate(WordCategorizer("", content, precision=precision), products_of(val), val["label"].tolist())
        assert figures["answered"] == 0 or figures["answered_right"] >= precision - 0.03


def rows_to_learn(names: list[str], labels: list[str], weights: list[float] | float) -> Any:
    others = dict.fromkeys(COLUMNS[1:4], "")
    return pd.DataFrame({"name": names, "label": labels, "weight": weights, "english": False, **others})


def test_calibration_makes_confidence_the_share_that_is_right() -> None:
    # Nine "bun" in ten are bread, the tenth is tea; every "milk" is milk.
    names = ["bun"] * 100 + ["milk"] * 100 + ["tea"] * 100
    labels = (["Bread"] * 9 + ["Tea"]) * 10 + ["Milk"] * 100 + ["Tea"] * 100
    train = rows_to_learn(names, labels, 1.0)
    content = training.fit(replace(SMALL, epochs=30), train, Described(names), labels, seed=0)
    bun, milk, _ = WordCategorizer("", content).categorize(Described(["bun", "milk", "tea"])).confidences
    assert bun[0] == pytest.approx(0.9, abs=0.05)
    assert milk[0] > 0.95


def test_weights_decide_between_labels_of_the_same_name() -> None:
    names, labels = ["bun"] * 40 + ["milk"] * 40 + ["tea"] * 40, ["Bread", "Tea"] * 20 + ["Milk"] * 40 + ["Tea"] * 40
    for heavy in ("Bread", "Tea"):
        weights = [10.0 if label == heavy else 1.0 for label in labels]
        train = rows_to_learn(names, labels, weights)
        content = training.fit(replace(SMALL, epochs=30), train, Described(["milk"]), ["Milk"], seed=0)
        assert best(content, "bun") == [heavy]


def with_shelves(table: Any, *, telling: bool) -> Any:
    """Names that tell nothing, and a shelf that tells everything or nothing."""
    shelves = table["label"].map({"Bread": "rye bun", "Milk": "milk", "Tea": "green tea"}) if telling else "fresh best"
    is_val = table["split"] == "val"
    return table.assign(customer_categories=shelves, name=table["name"].where(~is_val, "organic family"))


def test_another_column_gets_a_weight_where_it_helps_and_none_where_it_does_not() -> None:
    weights = [fitted(with_shelves(examples(wrong=0), telling=telling)).weights for telling in (True, False)]
    assert weights[0]["customer_categories"] > 0.5
    assert weights[1]["customer_categories"] <= 0.1
    assert fitted(examples()).weights == {}


@pytest.mark.parametrize("kind", ["customer_categories", "brands", "descriptions"])
def test_other_texts_are_learned_from_too(kind: str) -> None:
    table = examples(wrong=0)
    assert not WordCategorizer("", fitted(table)).categorize(Described(["sencha"])).confidences.any()
    told = table.assign(**{kind: table["label"].map({"Bread": "", "Milk": "", "Tea": "sencha leaves"})})
    content = fitted(told)
    answers = WordCategorizer("", content).categorize(Described(["sencha"]))
    assert best(content, "sencha") == ["Tea"] and answers.confidences[0, 0] > 0.5


def test_a_label_that_only_the_validation_has_does_not_disturb() -> None:
    table = examples()
    val = table["split"] == "val"
    table.loc[val & table["name"].str.startswith("pita"), "label"] = "Wine"
    assert fitted(table).labels == ["Bread", "Milk", "Tea"]


def test_a_validation_without_any_known_label_is_refused_in_one_line() -> None:
    table = examples()
    table.loc[table["split"] == "val", "label"] = "Wine"
    with pytest.raises(ModelError, match="no label of the validation is learned; use more data"):
        fitted(table)


def test_a_model_of_blocks_is_fitted_published_and_loaded(tmp_path: Path) -> None:
    training.write_examples(with_shelves(examples(), telling=True), str(tmp_path / "data"), limit=0)
    contents = []
    for turn in "12":
        found = training.fit_candidate(BLOCKS, str(tmp_path / "data"), name="b", seed=0, by_all_columns=True)
        target = tmp_path / turn
        card = training.publish(found, str(tmp_path / "data"), str(target), name="mine", compare="", facts={})
        contents.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert contents[0] == contents[1]
    assert (card["kind"], card["candidate"]) == ("blocks", {"name": "blocks", "cost": 1.0})
    assert [*card["metrics"]] == ["validation", "validation_with_other_columns", "test", "test_with_other_columns"]
    categorizer = load_categorizer(str(target))
    assert isinstance(categorizer, BlockCategorizer)
    assert (categorizer.name, categorizer.version) == ("mine", found.version)
    products, truth, _ = training.read_split(str(tmp_path / "data"), "test")
    assert card["metrics"]["test_with_other_columns"] == evaluate(categorizer, products, truth)
    assert card["metrics"]["test"] == evaluate(categorizer, Described(products.names), truth)


def test_a_published_model_of_blocks_has_learned_the_validation_too_and_was_judged_before() -> None:
    table = examples(wrong=0)
    val = table["split"] == "val"
    table.loc[val & (table["label"] == "Tea"), "name"] = "sencha"
    train, held = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "val"))
    judged, published = training.fit_blocks(BLOCKS, train, held, seed=0)
    before, after = (BlockCategorizer("", content).categorize(Described(["sencha"])) for content in (judged, published))
    assert not before.confidences.any()
    assert published.labels[after.categories[0, 0]] == "Tea" and after.confidences[0, 0] > 0
    assert (judged.thresholds == published.thresholds).all()
    assert judged.model.name.calibration == published.model.name.calibration


def test_labels_of_blocks_that_are_leaves_get_their_parents_and_thresholds_hold_what_was_asked() -> None:
    table = examples(wrong=0.15, each=9).assign(label=lambda rows: rows["label"].map(LEAVES))
    train, val = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "val"))
    content, _ = training.fit_blocks(BLOCKS, train, val, seed=0)
    assert content.parent_of == ["meat-beef-lamb", "dairy-milk", "dairy-milk"]
    for precision in (0.7, 0.8):
        categorizer = BlockCategorizer("", content, precision=precision)
        figures = evaluate(categorizer, products_of(val), val["label"].tolist())
        assert figures["answered"] > 0.3 and figures["answered_right"] >= precision - 0.03


@pytest.mark.parametrize("change", ["labels", "names"])
def test_what_blocks_cannot_learn_from_is_one_line(change: str) -> None:
    table = examples()
    if change == "labels":
        table.loc[table["split"] == "val", "label"] = "Wine"
    else:
        table["name"] = "?!"
    train, val = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "val"))
    message = "no label of the validation is learned" if change == "labels" else "not enough to learn from: .* no words"
    with pytest.raises(ModelError, match=message):
        training.fit_blocks(BLOCKS, train, val, seed=0)


def test_kinds_of_models_are_compared_on_the_same_test(data: str, tmp_path: Path) -> None:
    words = training.fit_candidate(SMALL, data, name="small", seed=0)
    blocks = training.fit_candidate(BLOCKS, data, name="blocks", seed=0)
    first = training.publish(words, data, str(tmp_path / "1"), name="one", compare="", facts={})
    second = training.publish(blocks, data, str(tmp_path / "2"), name="two", compare=str(tmp_path / "1"), facts={})
    third = training.publish(words, data, str(tmp_path / "3"), name="three", compare=str(tmp_path / "2"), facts={})
    for card, other in ((second, first), (third, second)):
        assert card["model_in_use"]["version"] == other["version"]
        assert card["model_in_use"]["top1"] == other["metrics"]["test"]["top1"]


def test_the_candidates_for_a_file_are_compared_with_its_other_columns_told(tmp_path: Path) -> None:
    training.write_examples(with_shelves(examples(), telling=True), str(tmp_path), limit=0)
    names_only = training.fit_candidate(BLOCKS, str(tmp_path), name="b", seed=0)
    told = training.fit_candidate(BLOCKS, str(tmp_path), name="b", seed=0, by_all_columns=True)
    assert names_only.with_others == {} and names_only.decisive == names_only.validation == told.validation
    # The names of this validation say nothing, its shelves everything.
    assert told.validation["top1"] < 0.6
    assert told.decisive["top1"] > 0.8
    assert training.summary(told)["top1"] == told.decisive["top1"]
    rival = replace(names_only, candidate=Candidate("a"), validation={"top1": 0.7}, with_others={"top1": 0.1})
    assert training.best([rival, told]) is told


def test_blocks_are_tried_for_files_that_are_not_too_large(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert training.candidates_for(data, of_file=False) == (list(CANDIDATES), "")
    rows = len(training.read_split(data, "train")[1])
    for most_rows, most_pairs, tried in (
        (rows, 3 * rows, True),
        (rows - 1, 9 * rows, False),
        (rows, 3 * rows - 1, False),
    ):
        monkeypatch.setattr(training, "MOST_ROWS_FOR_BLOCKS", most_rows)
        monkeypatch.setattr(training, "MOST_PAIRS_FOR_BLOCKS", most_pairs)
        found, left_out = training.candidates_for(data, of_file=True)
        if tried:
            assert (found, left_out) == (list(CANDIDATES_OF_FILES), "")
        else:
            assert found and {type(one) for one in found} == {Candidate}
            assert left_out == f"no model of blocks is tried: {rows} rows with 3 labels would take it too long"


def fitted_candidate(name: str, top1: float) -> FittedCandidate:
    return FittedCandidate(Candidate(name), "uri", "0", {"top1": top1}, 1.0)


def test_the_best_has_the_most_right_answers_and_of_equals_the_first_name() -> None:
    some = [fitted_candidate(name, top1) for name, top1 in (("b", 0.8), ("d", 0.7), ("a", 0.8), ("c", 0.1))]
    assert training.best(some).candidate.name == "a"


def test_a_summary_is_the_same_on_every_machine(data: str) -> None:
    found = training.fit_candidate(SMALL, data, name="small", seed=0)
    line = training.summary(found)
    assert line == training.summary(replace(found, seconds=99.0))
    assert (line["name"], line["epochs"], line["top1"]) == ("small", 5, found.validation["top1"])


def test_a_limit_keeps_some_training_examples_and_all_held_out_ones(tmp_path: Path) -> None:
    kept = []
    for where in "12":
        counts = training.write_examples(examples(), str(tmp_path / where), limit=30)
        assert counts == {"train": 30, "val": 42, "test": 42}
        kept.append(training.read_split(str(tmp_path / where), "train")[0].names)
    assert kept[0] == kept[1]
    assert len({name.split()[0] for name in kept[0]}) > 4  # of the whole range, not its first products


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    table = examples().assign(brands="Acme", customer_categories="Shelf", descriptions="")
    training.write_examples(table, str(tmp_path), limit=0)
    products, labels, rows = training.read_split(str(tmp_path), "test")
    expected = table[table["split"] == "test"]
    assert products == products_of(expected)
    assert labels == expected["label"].tolist()
    assert rows["weight"].tolist() == [1.0] * 42


def test_too_little_to_learn_from_is_refused(tmp_path: Path) -> None:
    table = examples(wrong=0)
    with pytest.raises(ModelError, match="not enough to learn from: 2 labels"):
        training.write_examples(table[table["label"] != "Tea"], str(tmp_path), limit=0)
    with pytest.raises(ModelError, match="'test': 0"):
        training.write_examples(table[table["split"] != "test"], str(tmp_path), limit=0)
    with pytest.raises(ModelError, match=r"1 labels, .*'train': 1, .*a higher --limit"):
        training.write_examples(table, str(tmp_path), limit=1)


def test_names_that_have_no_word_in_common_are_refused_in_one_line(tmp_path: Path) -> None:
    rows = [(f"{letter * 5}", letter, split) for split in ("train", "val", "test") for letter in "abcd"]
    table = pd.DataFrame(rows, columns=["name", "label", "split"]).assign(
        weight=1.0, english=False, customer_categories="", brands="", descriptions=""
    )
    training.write_examples(table, str(tmp_path), limit=0)
    with pytest.raises(ModelError, match="not enough to learn from: no word is in 2 of the 4 texts"):
        training.fit_candidate(SMALL, str(tmp_path), name="small", seed=0)
