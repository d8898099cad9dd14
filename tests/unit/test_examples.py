"""What is learned from: built-in names with variants, anybody's files, and which file gives which split."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib.errors import SettingsError, ShelfsortError, SourceError, StorageError
from lib.learning import examples, labelled, trainingdata, usda
from lib.learning.examples import COLUMNS, Labelled, carbon_examples, file_examples, parents_of
from lib.learning.trainingdata import CORRECTION_WEIGHT, TrainingFiles, examples_of
from lib.learning.variants import mistyped, scented
from lib.learning.written import Written
from lib.words.lexicon_entries import Entry

PRODUCTS = "title,kind,aisle,maker\nRye loaf,Bread,Bakery,Baker\nMilk 1 l,Milk,,Dairy\n,Tea,,\nMint tea,,Drinks,\n"


def written(folder: Path, content: str, *, name: str = "products.csv") -> str:
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def test_a_files_rows_with_a_name_and_a_label_are_examples(tmp_path: Path) -> None:
    given = Labelled(written(tmp_path, PRODUCTS), "title", "kind", {"customer_categories": "aisle", "brands": "maker"})
    found = file_examples(given, split="train")
    assert list(found.columns) == list(COLUMNS)
    assert found.to_dict("records") == [
        {
            "name": name, "customer_categories": aisle, "brands": maker, "descriptions": "", "label": label,
            "weight": 1.0, "split": "train", "english": False,
        }
        for name, label, aisle, maker in (("Rye loaf", "Bread", "Bakery", "Baker"), ("Milk 1 l", "Milk", "", "Dairy"))
    ]  # fmt: skip


def test_any_format_that_is_read_can_be_labelled(tmp_path: Path) -> None:
    rows = [{"name": "Rye loaf", "category": "Bread"}, {"name": "Milk", "category": "Milk"}]
    as_json = written(tmp_path, json.dumps(rows), name="products.json")
    with_semicolons = written(tmp_path, "name;category\nRye loaf;Bread\nMilk;Milk\n")
    found = [file_examples(Labelled(path), split="train") for path in (as_json, with_semicolons)]
    assert found[0].equals(found[1])
    assert found[0]["label"].tolist() == ["Bread", "Milk"]


def test_a_labelled_file_on_s3_is_read(bucket: str, s3: Any) -> None:
    s3.client().put_object(Bucket=bucket.removeprefix("s3://"), Key="in/products.csv", Body=PRODUCTS.encode())
    found = file_examples(Labelled(f"{bucket}/in/products.csv", "title", "kind"), split="test")
    assert found["name"].tolist() == ["Rye loaf", "Milk 1 l"]


def test_a_file_is_divided_by_a_hash_of_the_name_alone(tmp_path: Path) -> None:
    names = [f"tea of blend{'abcdefghij'[number % 10] * (number // 10 + 1)}" for number in range(500)]
    content = "name,category\n" + "".join(f"{name},Tea\n" for name in names)
    backwards = "name,category\n" + "".join(f"{name},Other\n" for name in reversed(names))
    splits = file_examples(Labelled(written(tmp_path, content))).set_index("name")["split"]
    again = file_examples(Labelled(written(tmp_path, backwards))).set_index("name")["split"]
    assert splits.to_dict() == again.to_dict()
    shares = splits.value_counts(normalize=True)
    assert 0.7 < shares["train"] < 0.9 and shares["val"] > 0.05 and shares["test"] > 0.05


@pytest.mark.parametrize(
    "names",
    [
        ["Rye loaf {}g", "loaf, RYE", "Rye loaf 3 x {} g"],
        ["Молоко {} мл", "МОЛОКО", "Молоко {}мл"],
        ["牛乳 {}ml", "牛乳"],
    ],
)
def test_names_that_differ_only_in_sizes_or_order_are_never_divided(tmp_path: Path, names: list[str]) -> None:
    rows = "".join(f'"{name.format(size)}",Food\n' for size in range(100, 140) for name in names)
    assert file_examples(Labelled(written(tmp_path, f"name,category\n{rows}")))["split"].nunique() == 1


def test_names_in_other_letters_are_divided_too(tmp_path: Path) -> None:
    rows = "".join(f"{chr(0x4E00 + number)},Food\n" for number in range(200))
    assert file_examples(Labelled(written(tmp_path, f"name,category\n{rows}")))["split"].nunique() == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Labelled("", "name", "kind"), r"products\.csv: there is no column 'name'; it has 'title', 'kind', 'aisle'"),
        (Labelled("", "title", "category"), "there is no column 'category'"),
        (Labelled("", "title", "kind", {"brands": "brand"}), "there is no column 'brand'"),
        (Labelled("", "maker", "aisle"), ""),
    ],
)
def test_a_wrong_column_is_one_line_that_names_those_there_are(tmp_path: Path, given: Labelled, message: str) -> None:
    given = Labelled(written(tmp_path, PRODUCTS), given.name, given.label, given.others)
    if not message:
        assert file_examples(given)["name"].tolist() == ["Baker"]
        return
    with pytest.raises(SourceError, match=message):
        file_examples(given)


def test_a_file_without_an_example_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no row has both a 'name' and a 'category'"):
        file_examples(Labelled(written(tmp_path, "name,category\nRye loaf,\n,Tea\n")))
    with pytest.raises(StorageError, match=r"nothing\.csv"):
        file_examples(Labelled(str(tmp_path / "nothing.csv")))


def test_leaves_have_the_taxonomys_parents_and_other_labels_none() -> None:
    assert parents_of(["beef", "milk"]) == (["meat-beef-lamb", "dairy-milk"], ["meat", "dairy"])
    assert parents_of(["beef", "Bread"]) == (["", ""], ["beef", "Bread"])


ENTRIES = [
    Entry("sv", "mjölk", "milk", "milk"),
    Entry("sv", "lätt", "light", ""),
    Entry("en", "milk", "milk", "milk"),
]


@pytest.fixture
def carbon(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """The built-in examples, of made-up foods and a lexicon of three terms."""

    def names(foods: Any) -> Any:
        rows = [(f"Whole milk number {number}", "milk", "usda-branded", "train") for number in range(400)]
        rows += [(f"Beef {number}", "beef", "sr-legacy", "train") for number in range(20)]
        rows += [("Skim milk", "milk", "usda-branded", "val"), ("Beef steak", "beef", "sr-legacy", "test")]
        return pd.DataFrame(rows, columns=["name", "category", "source", "split"])

    monkeypatch.setattr(usda, "read_foods", lambda: None)
    monkeypatch.setattr(labelled, "carbon_names", names)
    monkeypatch.setattr(examples, "read_entries", lambda: ENTRIES)
    monkeypatch.setattr(examples, "read_written", list)
    return lambda seed: carbon_examples(seed=seed)


def test_the_built_in_examples_are_names_terms_and_variants(carbon: Callable[[int], Any]) -> None:
    found = carbon(0)
    assert list(found.columns) == list(COLUMNS)
    assert found["split"].value_counts()[["val", "test"]].tolist() == [1, 1]
    terms = found[found["name"].isin(["mjölk", "milk"])]
    assert terms.sort_values("name")[["name", "label", "weight", "split", "english"]].values.tolist() == [
        ["milk", "milk", 1.0, "train", True],
        ["mjölk", "milk", 2.0, "train", False],
    ]
    assert "lätt" not in found["name"].tolist()
    # 420 names and 2 terms, and of about a quarter of them a variant.
    assert 422 + 70 < (found["split"] == "train").sum() < 422 + 140


def test_written_names_are_learned_twice_but_for_those_that_judge(
    carbon: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = carbon(0)
    monkeypatch.setattr(examples, "VARIANTS", 0.0)
    rows = [Written("Trocadero 33cl", "soft-drinks", False), Written("Iron Bru", "soft-drinks", True)]
    monkeypatch.setattr(examples, "read_written", lambda: rows)
    found = carbon_examples(seed=0, but={usda.group_of("Bru iron 330 ml")})
    assert found["split"].value_counts()[["val", "test"]].tolist() == [1, 1]
    (first, second), others = found[found["label"] == "soft-drinks"].to_dict("records"), found["name"].tolist()
    assert first["name"] == "Trocadero 33cl" and second["name"].endswith(" Trocadero 33cl")
    assert not first["english"] and first["weight"] == second["weight"] == 1.0
    assert {*others} - {*plain["name"]} == {first["name"], second["name"]}


def test_small_leaves_count_more_and_large_ones_less(carbon: Callable[[int], Any]) -> None:
    weights = carbon(0).drop_duplicates("name").set_index("name")["weight"]
    assert weights["Whole milk number 7"] == pytest.approx((500 / 400) ** 0.5)
    assert weights["Beef 7"] == 3.0


def test_variants_keep_label_and_split_and_count_half(
    carbon: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "VARIANTS", 0.0)
    plain = carbon(0)
    monkeypatch.setattr(examples, "VARIANTS", 1.0)
    monkeypatch.setattr(examples, "mistyped", lambda name, chance: name[1:])
    found = carbon(0)
    assert found.iloc[: len(plain)].to_dict("list") == plain.to_dict("list")
    learned, variants = plain[plain["split"] == "train"], found.iloc[len(plain) :]
    for column in ("label", "split", "english"):
        assert variants[column].tolist() == learned[column].tolist()
    assert variants["weight"].tolist() == (learned["weight"] / 2).tolist()
    pairs = list(zip(variants["name"], learned["name"], strict=True))
    branded = [name.endswith(f" {whole}") for name, whole in pairs]
    assert all(is_branded or name == whole[1:] for (name, whole), is_branded in zip(pairs, branded, strict=True))
    assert 0.5 < sum(branded) / len(branded) < 0.7


def test_the_same_seed_gives_the_same_examples(carbon: Callable[[int], Any]) -> None:
    assert carbon(0).equals(carbon(0))
    assert not carbon(0).equals(carbon(1))


def test_no_more_names_of_a_leaf_are_learned_than_are_of_use(
    carbon: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "NAMES_A_LEAF", 50)
    monkeypatch.setattr(examples, "VARIANTS", 0.0)
    found = carbon(0)
    assert found[found["split"] == "train"]["label"].value_counts().to_dict() == {"milk": 50 + 2, "beef": 20}
    assert "Skim milk" in found["name"].tolist()


def test_a_term_of_no_leaf_is_refused_because_it_would_cost_all_their_parents(
    carbon: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "read_entries", lambda: [Entry("sv", "mjölk", "milk", "mlik")])
    with pytest.raises(SettingsError, match=r"sv\.csv: the category 'mlik' of 'mjölk' is no leaf"):
        carbon(0)


@pytest.mark.parametrize("name", ["Whole milk", "Ost", "x y z", "aaaa", ""])
def test_a_typing_mistake_keeps_short_words_and_the_number_of_words(name: str) -> None:
    chance = np.random.default_rng(5)
    found = {mistyped(name, chance) for _ in range(200)}
    assert all(len(one.split()) == len(name.split()) and abs(len(one) - len(name)) <= 1 for one in found)
    assert found == {name} if name in ("Ost", "x y z", "") else len(found) > 5


def test_things_that_are_no_food_are_learned_with_scents_of_food_in_their_language() -> None:
    soap, seife = Entry("en", "hand soap", "hand soap", "soap"), Entry("de", "seife", "soap", "soap")
    foods = [
        Entry("en", "coconut", "coconut", "nuts"),
        Entry("en", "lime", "lime", "citrus"),
        Entry("sv", "ost", "", ""),
    ]
    found = scented([soap, seife, *foods], times={"en": 50, "": 1}, chance=np.random.default_rng(1))
    assert {entry for _, entry in found} == {soap}
    assert len(found) == 50
    for name, _ in found:
        before, _, after = name.partition("hand soap")
        assert bool(before) != bool(after)
        assert {*before.split(), *after.split()} <= {"coconut", "lime"}


DATA = "name,category\n" + "".join(f"{word} {number},{word}\n" for word in ("Rye", "Milk", "Tea") for number in "abcde")


def test_data_alone_is_divided_and_says_where_it_comes_from(tmp_path: Path) -> None:
    found, sources = examples_of(TrainingFiles(data=written(tmp_path, DATA)), seed=0)
    assert len(found) == 15
    assert sources["train"].startswith("products.csv (sha256 ")
    assert sources["val"] == sources["test"] == "of the same, by a hash of the name"


def test_validation_and_test_files_take_the_place_of_those_splits(tmp_path: Path) -> None:
    data = written(tmp_path, DATA)
    val = written(tmp_path, "name,category\nRye v,Rye\n", name="val.csv")
    test = written(tmp_path, "name,category\nTea t,Tea\nCola,Soda\n", name="test.csv")
    found, sources = examples_of(TrainingFiles(data=data, validation=val, test=test), seed=0)
    assert found["split"].value_counts().to_dict() == {"train": 15, "test": 2, "val": 1}
    assert found[found["split"] == "val"]["name"].tolist() == ["Rye v"]
    assert [sources[split].partition(" ")[0] for split in ("train", "val", "test")] == [
        "products.csv", "val.csv", "test.csv",
    ]  # fmt: skip


def test_one_of_them_alone_leaves_the_other_split_as_it_was_and_its_own_is_learned(tmp_path: Path) -> None:
    data = written(tmp_path, DATA)
    test = written(tmp_path, "name,category\nTea t,Tea\n", name="test.csv")
    plain, _ = examples_of(TrainingFiles(data=data), seed=0)
    found, _ = examples_of(TrainingFiles(data=data, test=test), seed=0)
    assert found[found["split"] == "val"]["name"].tolist() == plain[plain["split"] == "val"]["name"].tolist()
    assert found[found["split"] == "train"]["name"].tolist() == plain[plain["split"] != "val"]["name"].tolist()
    assert found[found["split"] == "test"]["name"].tolist() == ["Tea t"]


def test_a_validation_of_other_labels_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path, DATA)
    val = written(tmp_path, "name,category\nCola,Soda\n", name="val.csv")
    with pytest.raises(SourceError, match=r"val\.csv: none of its labels, such as 'Soda', is one that is learned"):
        examples_of(TrainingFiles(data=data, validation=val), seed=0)


def test_corrections_are_learned_and_count_more(tmp_path: Path) -> None:
    data = written(tmp_path, DATA)
    review = "line,product_name,category,confidence\n3,Oat rye,Rye,0.2\n4,Left empty,,0.1\n"
    found, sources = examples_of(
        TrainingFiles(data=data, corrections=written(tmp_path, review, name="review.csv")), seed=0
    )
    (row,) = found[found["name"] == "Oat rye"].to_dict("records")
    assert (row["label"], row["split"], row["weight"]) == ("Rye", "train", CORRECTION_WEIGHT)
    assert "Left empty" not in found["name"].tolist()
    assert sources["corrections"].startswith("review.csv (sha256 ")


def test_a_correction_to_a_label_that_nothing_has_is_refused(tmp_path: Path) -> None:
    review = written(tmp_path, "product_name,category\nOat rye,Rey\n", name="review.csv")
    with pytest.raises(SourceError, match=r"review\.csv: 'Rey' is no label that is learned; correct or empty it"):
        examples_of(TrainingFiles(data=written(tmp_path, DATA), corrections=review), seed=0)


def test_the_built_in_examples_are_judged_by_hand_labelled_names_where_there_are_any(
    carbon: Callable[[int], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = "name,category,customer_category\nOst,milk,Mejeri\n"
    monkeypatch.setattr(trainingdata, "GOLD", tmp_path)
    monkeypatch.setattr(trainingdata, "GOLD_VALIDATION", Path(written(tmp_path, gold, name="v")))
    monkeypatch.setattr(trainingdata, "GOLD_TEST", tmp_path / "none.csv")
    # The columns of other files do not concern them.
    found, sources = examples_of(TrainingFiles(text_column="title", label_column="kind"), seed=0)
    (row,) = found[found["split"] == "val"].to_dict("records")
    assert (row["name"], row["customer_categories"]) == ("Ost", "Mejeri")
    assert found[found["split"] == "test"]["name"].tolist() == ["Beef steak"]
    assert sources["train"] == trainingdata.BUILT_IN
    assert sources["val"].startswith("v (sha256 ")


def test_a_name_that_was_labelled_by_hand_teaches_the_built_in_model_nothing(
    carbon: Callable[[int], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = Path(written(tmp_path, "name,category,customer_category\nSTEAK beef 500 g,beef,\n", name="gold.csv"))
    monkeypatch.setattr(trainingdata, "GOLD", tmp_path)
    monkeypatch.setattr(trainingdata, "GOLD_VALIDATION", tmp_path / "none.csv")
    monkeypatch.setattr(trainingdata, "GOLD_TEST", gold)
    found, _ = examples_of(TrainingFiles(), seed=0)
    assert "Beef steak" not in found["name"].tolist()
    assert found[found["split"] == "test"]["name"].tolist() == ["STEAK beef 500 g"]


def test_the_same_content_has_the_same_hash_wherever_it_lies(tmp_path: Path) -> None:
    told = []
    for where in ("a", "b"):
        (tmp_path / where).mkdir()
        told.append(examples_of(TrainingFiles(data=written(tmp_path / where, DATA)), seed=0)[1])
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("other_columns", "message"),
    [
        ("brand=maker", "'brand' is not KIND=COLUMN with one of customer_categories, brands, descriptions"),
        ("brands", "'brands' is not KIND=COLUMN"),
        ("brands=", "'brands' is not KIND=COLUMN"),
        ("name=title", "'name' is not KIND=COLUMN"),
    ],
)
def test_other_columns_that_there_are_not_are_refused(tmp_path: Path, other_columns: str, message: str) -> None:
    given = TrainingFiles(data=written(tmp_path, PRODUCTS), other_columns=other_columns)
    with pytest.raises(SettingsError, match=f"--other-columns: {message}"):
        examples_of(given, seed=0)


def test_other_columns_may_have_spaces_around_them() -> None:
    told = TrainingFiles(other_columns=" brands = Maker Name , descriptions=info,").labelled("x.csv")
    assert told.others == {"brands": "Maker Name", "descriptions": "info"}


def test_a_seed_below_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShelfsortError, match="--seed -1: must be 0 or more"):
        examples_of(TrainingFiles(data=written(tmp_path, DATA)), seed=-1)
