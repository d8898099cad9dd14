"""The lexicon: its files, what names mean in English, compounds and forms, and its way into a model."""

from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.taxonomy import read_taxonomy
from lib.words import lexicon
from lib.words.lexicon import Lexicon
from lib.words.lexicon_entries import Entry, read_entries

ENTRIES = [
    Entry("sv", "mjölk", "milk", "milk"),
    Entry("sv", "choklad", "chocolate", ""),
    Entry("sv", "choklad mjölk", "chocolate drink", ""),
    Entry("sv", "lätt", "light", ""),
    Entry("sv", "barn", "child", ""),
    Entry("sv", "bulle", "bun", ""),
    Entry("de", "mandel", "almond", "nuts"),
    Entry("de", "kuchen", "cake", "cakes-pastries"),
    Entry("de", "bitter", "bitter", ""),
    Entry("fi", "maito", "milk", "milk"),
    Entry("fi", "tomaatti", "tomato", ""),
    Entry("fi", "barn", "stable", ""),
    Entry("en", "milk", "milk", "milk"),
    Entry("en", "barn", "barn", ""),
    Entry("en", "aubergine", "eggplant", ""),
]


@pytest.fixture(scope="module")
def small() -> Lexicon:
    return Lexicon.of_entries(ENTRIES, english=["organic"])


def glossed(lexicon: Lexicon, text: str) -> str:
    (found,) = lexicon.glossed([text])
    assert found.startswith(text)
    return found.removeprefix(text).removeprefix(" , ")


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Mjölk 1,5 l", "milk"),
        ("MJÖLK, lätt", "milk light"),
        ("Choklad mjölk", "chocolate drink"),  # the longest phrase
        ("Choklad, mjölk", "chocolate milk"),  # which no break is in
        ("Mjölkchoklad", "milk chocolate"),  # a compound
        ("Mandelkuchen", "almond cake"),
        ("Mandelnkuchen", "almond cake"),  # with letters between its parts
        ("Mandeln", "almond"),  # a form
        ("Tomaattia", "tomato"),
        ("Xyzkuchen", "cake"),  # the kind of an unknown first part
        ("Kuchenxyz", ""),
        ("aubergine", "eggplant"),  # English, but not what a model knows
        ("Milk", ""),
        ("organic milk", ""),
        ("Xyzzy", ""),
        ("", ""),
        ("!?", ""),
        ("500ml", ""),
    ],
)
def test_a_name_gets_its_english(small: Lexicon, text: str, english: str) -> None:
    assert glossed(small, text) == english


def test_the_language_that_knows_most_of_a_name_speaks(small: Lexicon) -> None:
    assert glossed(small, "barn maito") == "stable milk"
    assert glossed(small, "barn mjölk") == "child milk"


def test_where_english_knows_as_much_nothing_is_translated(small: Lexicon) -> None:
    assert glossed(small, "barn") == ""


def test_languages_that_know_as_much_all_speak() -> None:
    two = Lexicon.of_entries([Entry("sv", "glas", "glass", ""), Entry("de", "glas", "jar", "")])
    assert glossed(two, "glas") == "jar glass"


def test_a_year_says_that_there_is_a_vintage_in_any_language() -> None:
    years = Lexicon.of_entries(ENTRIES, english=["2019", "rebula"])
    assert glossed(years, "Rebula 2019") == "vintage"
    assert glossed(years, "Mjölk 1987") == "milk vintage"
    assert glossed(years, "Mjölk 2000 ml") == "milk"
    assert glossed(years, "Rebula 2019 75 cl") == glossed(years, "Rebula 2019 75cl") == "vintage"
    assert glossed(years, "Rebula 2050") == glossed(years, "Rebula 201") == ""


def test_english_that_stands_there_already_is_not_said_again(small: Lexicon) -> None:
    assert glossed(small, "milk mjölk lätt") == "light"


def test_a_word_taken_apart_counts_less_than_one_found_as_it_is() -> None:
    both = Lexicon.of_entries(
        [Entry("sv", "barn", "child", ""), Entry("sv", "mat", "food", ""), Entry("fi", "barnmat", "hay", "")]
    )
    assert glossed(both, "barnmat") == "hay"


def test_what_is_said_of_a_name_depends_on_the_name_alone(small: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["Mjölkchoklad", "barn maito", "Mandeln", "", "Xyzkuchen", "organic milk"]
    together = small.glossed(texts)
    monkeypatch.setattr(lexicon, "REMEMBERED", 1)
    fresh = Lexicon.of_entries(ENTRIES, english=["organic"])
    assert [fresh.glossed([text])[0] for text in reversed(texts)] == together[::-1]


def test_arrays_give_the_lexicon_back(small: Lexicon) -> None:
    again = Lexicon.of(small.arrays())
    texts = ["Mjölkchoklad", "choklad mjölk", "organic milk", "aubergine"]
    assert again.glossed(texts) == small.glossed(texts)
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in small.arrays().items()
    }


def test_no_text_is_no_text(small: Lexicon) -> None:
    assert small.glossed([]) == []
    assert Lexicon.of_entries([]).glossed(["mjölk"]) == ["mjölk"]


def test_a_model_without_a_lexicon_translates_nothing() -> None:
    assert Lexicon.of({}).glossed(["mjölk"]) == ["mjölk"]


def test_words_are_put_right_before_they_are_read(small: Lexicon) -> None:
    right = {"mjkolchoklad": "mjolkchoklad", "orgnic": "organic", "aubergien": "aubergine"}

    def read(*texts: str) -> list[str]:
        return small.glossed(texts, meant=lambda word: right.get(word, word))

    assert read("Mjkölchoklad, 2 kg") == ["mjolkchoklad , 2 kg , milk chocolate"]
    assert read("orgnic milk", "organic milk", "Mjölk") == ["organic milk", "organic milk", "Mjölk , milk"]
    assert read("Aubergien") == small.glossed(["aubergine"])


def test_a_word_put_right_leaves_the_others_their_accents() -> None:
    entries = [Entry("sv", "skål", "bowl", ""), Entry("sv", "skal", "peel", ""), Entry("sv", "plast", "plastic", "")]
    found = Lexicon.of_entries(entries).glossed(["skål plsat"], meant={"skal": "skal", "plsat": "plast"}.__getitem__)
    assert found == ["skal plast , " + Lexicon.of_entries(entries).glossed(["skål plast"])[0].split(" , ")[1]]


def test_accents_decide_between_words_of_different_languages() -> None:
    wheat, diaper, pork = (
        Entry("fr", "blé", "wheat", ""),
        Entry("da", "ble", "diaper", ""),
        Entry("sv", "fläsk", "pork", ""),
    )
    for entries in ([wheat, diaper, pork], [pork, diaper, wheat]):
        lexicon = Lexicon.of_entries(entries, english=["flask"])
        assert lexicon.glossed(["Blé 1 kg", "Ble 4"]) == ["Blé 1 kg , wheat", "Ble 4 , diaper wheat"]
        assert lexicon.glossed(["Fläsk", "Flask"]) == ["Fläsk , pork", "Flask"]
        assert lexicon.glossed(["Flask, fläsk"]) == ["Flask, fläsk , pork"]


def test_an_article_without_its_vowel_is_taken_off() -> None:
    entries = [Entry("fr", "oignon", "onion", ""), Entry("it", "uovo", "egg", ""), Entry("fr", "sauce", "sauce", "")]
    lexicon = Lexicon.of_entries(entries)
    assert glossed(lexicon, "Sauce à l'oignon") == glossed(lexicon, "SAUCE D’OIGNONS") == "onion"
    assert glossed(lexicon, "Pasta all'uovo") == "egg"
    assert glossed(lexicon, "Dsauce Ldoignon Xoignon") == ""


def test_a_stroke_stands_between_words_of_a_term() -> None:
    lexicon = Lexicon.of_entries([Entry("es", "s/pepitas", "seedless", "")])
    assert glossed(lexicon, "MANDARINA S/PEPITAS") == "seedless"


def test_a_model_without_a_lexicon_puts_words_right_and_says_nothing_of_years() -> None:
    assert Lexicon.of({}).glossed(["Chateu 2015"], meant=lambda word: word.replace("teu", "teau")) == ["chateau 2015"]


def test_it_understands_forms_and_compounds_of_what_it_has(small: Lexicon) -> None:
    assert all(map(small.understands, ["mjolk", "mandeln", "mandelkuchen"]))
    assert not any(map(small.understands, ["xyzkuchen", "mjlok"]))
    phrase = Lexicon.of_entries([Entry("da", "uden tilsat sukker", "no added sugar", "")])
    assert phrase.understands("tilsat") and "tilsat" not in {*phrase.words}
    assert {"mjolk", "mandel"} < {*small.words} and not any(" " in word for word in small.words)


def written(folder: Path, content: str, *, name: str = "sv") -> Path:
    (folder / f"{name}.csv").write_text(content, "utf-8")
    return folder


def test_files_are_read_with_their_language(tmp_path: Path) -> None:
    written(tmp_path, "\ufeffterm,english,category\n mjölk ,milk,milk\n", name="sv")
    written(tmp_path, 'term,english,category\n"rum, mørk",dark rum,\n', name="da")
    assert read_entries(tmp_path) == [Entry("da", "rum, mørk", "dark rum", ""), Entry("sv", "mjölk", "milk", "milk")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("term;english;category\n", r"sv\.csv, line 1: the columns are not term,english,category"),
        ("", r"sv\.csv, line 1: the columns"),
        ("term,english,category\nmjölk,milk\n", r"sv\.csv, line 2: needs a term, its English and a category"),
        ("term,english,category\nmjölk,,milk\n", r"sv\.csv, line 2: needs a term"),
        ("term,english,category\n\n", r"sv\.csv, line 2: needs a term"),
        ("term,english,category\nmjölk,milk,\nMjölk ,milk,\n", r"line 3: 'Mjölk' stands there twice; keep one"),
        ('term,english,category\n"mjölk,milk,\n', r"sv\.csv: cannot be read"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_says_where(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_entries(written(tmp_path, content))


def test_a_file_in_another_encoding_and_no_file_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no lexicon, a file such as sv"):
        read_entries(tmp_path)
    (tmp_path / "sv.csv").write_bytes("term,english,category\nmjölk,milk,\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"sv\.csv: cannot be read"):
        read_entries(tmp_path)


@pytest.fixture(scope="module")
def shipped() -> list[Entry]:
    return read_entries()


@pytest.fixture(scope="module")
def whole(shipped: list[Entry]) -> Lexicon:
    return Lexicon.of_entries(shipped)


def test_every_category_of_the_shipped_lexicon_is_a_leaf(shipped: list[Entry]) -> None:
    leaves = {leaf.id for leaf in read_taxonomy().leaves} | {""}
    assert [entry for entry in shipped if entry.category not in leaves] == []


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Mellanmjölk 1,5 l", "milk"),
        ("Rinderhackfleisch 500g", "beef"),
        ("Pommes de terre", "potato"),
        ("Leche entera", "milk"),
        ("Latte intero", "milk"),
        ("Halfvolle melk", "milk"),
    ],
)
def test_the_shipped_lexicon_knows_everyday_products(whole: Lexicon, text: str, english: str) -> None:
    assert english in glossed(whole, text).split()
