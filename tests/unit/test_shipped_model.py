"""The model that ships: what burned others goes right or to review, and its card says true things."""

import json

import pytest

from lib.categorizing import Described
from lib.choosing import load_categorizer
from lib.modelfolder import CARD
from lib.settings import ROOT
from lib.taxonomy import read_taxonomy
from lib.words.categorizer import WordCategorizer

SHIPPED = ROOT / "lib" / "models" / "carbon"


@pytest.fixture(scope="module")
def categorizer() -> WordCategorizer:
    loaded = load_categorizer(str(SHIPPED))
    assert isinstance(loaded, WordCategorizer)
    return loaded


TRAPS = {
    "Banana": {"bananas"},
    "Avocado Hass": {"avocado"},
    "Beer lager 33cl": {"beer"},
    "Vodka 70cl": {"spirits"},
    "Tofu natural 400g": {"tofu"},
    "Ground beef 500g": {"beef"},
    "Ground pork 500g": {"pork"},
    "Chicken breast fillet": {"poultry"},
    "Harissa": {"spicy-sauce"},
    "Chocolate eggs": {"chocolate-milk", "chocolate-filled"},
    "Pecorino Terre di Chieti IGT wine": {"wine"},
    "Ginger beer": {"soft-drinks", "alcohol-free"},
    "Cat food with salmon": {"pet-food-dry", "pet-food-wet"},
    "Ketchup": {"ketchup"},
    "Misc": {"not-a-product"},
    "Delivery fee": {"fee-delivery"},
    "Summe": {"not-a-product"},
    "qwrtz xkcd": {"not-a-product"},
    "Havredryck": {"oat-drink"},
    "Vollkornbrot": {"bread"},
    "Kananmunat 10 kpl": {"eggs"},
    "Lait demi-écrémé": {"milk"},
    "Jamón serrano": {"ham-dried"},
    "Mozzarella di bufala": {"cheese-fresh"},
    "Halfvolle melk": {"milk"},
    "Remoulade": {"mayonnaise"},
    "Brunost": {"cheese-hard"},
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_burned_others_goes_right_or_to_review(name: str, categorizer: WordCategorizer) -> None:
    answers = categorizer.categorize(Described([name]))
    assert answers.sure is not None
    best = categorizer.labels[answers.categories[0, 0]]
    assert best in TRAPS[name] or not answers.sure[0], best


def test_plain_products_are_answered_rather_than_sent_to_review(categorizer: WordCategorizer) -> None:
    names = ["Tomato ketchup", "Ground beef", "Mjölk 3%", "Toilettenpapier 3-lagig", "Olijfolie extra vierge", "Smör"]
    answers = categorizer.categorize(Described(names))
    assert answers.sure is not None
    assert answers.sure.sum() >= len(names) - 1


def test_its_labels_are_all_the_leaves(categorizer: WordCategorizer) -> None:
    assert categorizer.labels == [leaf.id for leaf in read_taxonomy().leaves]


def test_a_size_and_the_case_of_letters_matter_little(categorizer: WordCategorizer) -> None:
    answers = categorizer.categorize(Described(["Tomato ketchup", "TOMATO KETCHUP 500G", "tomato ketchup 6x570 g"]))
    assert len({*answers.categories[:, 0].tolist()}) == 1


def test_the_words_that_decided_are_told(categorizer: WordCategorizer) -> None:
    assert categorizer.categorize(Described(["Organic tomato ketchup"])).why is not None
    (why,) = categorizer.categorize(Described(["Organic tomato ketchup"])).why or []
    assert "ketchup" in why


def test_its_card_says_what_it_is_and_how_good() -> None:
    card = json.loads((SHIPPED / CARD).read_text("utf-8"))
    assert card["version"] == load_categorizer(str(SHIPPED)).version
    test = card["metrics"]["test"]
    assert test["products"] > 2000
    assert test["top1"] > 0.8
    assert test["ece"] < 0.1
    assert {*card["data"]} == {"train", "val", "test"}
