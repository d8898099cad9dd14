"""What people decided against what models answer, in the catalog; on SQLite and PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lib.catalog import reviewed_names
from lib.cataloging.rows import CATALOG_ROWS
from lib.cataloging.tables import corrections
from lib.review.decided import Reviewed, keep_reviewed, kept_reviewed, name_key
from lib.review.store import Corrected, Decision, add_corrections, all_corrections
from lib.storage import folder
from tests.catalogs import dump, product, products, put

TEA = product("sku:1", "Green Tea 100 g")
SAID = ("category", "confidence", "needs_review", "model_version", "corrected_by", "corrected_for")
MODELS = ("tea", 0.9, False, "m1", None, None)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return str(request.getfixturevalue("postgres_url"))


def decide(
    url: str, name: str, category: str, *, customer: str = "acme", who: str = "ada", job: str = "a"
) -> Corrected:
    said = Decision(name_key(name), category, "tea", name, None, None, job, 2, "")
    return add_corrections(sa.make_url(url), [said], customer=customer, job_id=job, who=who)


def names(url: str, customer: str, **more: Any) -> dict[str, tuple[str, str, str]]:
    _, found = reviewed_names(folder("unused"), url=url, customer=customer, **more)
    return {key: (one.category, one.by, one.customer) for key, one in found.items()}


def test_a_correction_is_in_the_catalog_at_once_for_every_size_of_the_name(url: str) -> None:
    other = product("sku:2", "Black tea")
    put(url, [TEA, product("sku:9", "GREEN TEA, 1 kg", line=4), other], customer="acme", job="a")
    assert decide(url, "Green tea", "infusions") == Corrected(1, 1, 2)
    by_ada = ("infusions", 1.0, False, None, "ada", "acme")
    assert products(url, *SAID) == [by_ada, MODELS, by_ada]
    [(day,)] = set(products(url, "corrected_at", category="infusions"))
    assert day[:2] == "20"
    before = dump(url)
    assert decide(url, "Green tea", "infusions", who="bob") == Corrected(1, 0, 0)
    assert dump(url) == before


def test_a_model_s_answer_never_overwrites_a_person_s(url: str) -> None:
    """Neither in a later import, nor of another model, nor of a run that began before the person decided."""
    put(url, [TEA], customer="acme", job="a", day=1)
    decide(url, "Green tea", "infusions")
    newer = TEA | {"category": "soft-drinks", "confidence": 0.99, "model_version": "m2"}
    for job, day, fingerprint in (("b", 2, "m2"), ("a", 1, "m3")):
        done = put(url, [newer], customer="acme", job=job, day=day, fingerprint=fingerprint)
        assert products(url, *SAID) == [("infusions", 1.0, False, None, "ada", "acme")]
    assert done.superseded == 1


def test_a_renamed_product_keeps_what_a_person_said_and_needs_review(url: str) -> None:
    put(url, [TEA], customer="acme", job="a", day=1)
    decide(url, "Green tea", "infusions")
    renamed = product("sku:1", "Sencha") | {"confidence": 0.99}
    put(url, [renamed], customer="acme", job="b", day=2)
    assert products(url, "name", *SAID) == [("Sencha", "infusions", 1.0, True, None, "ada", "acme")]
    put(url, [renamed], customer="acme", job="c", day=3)
    assert products(url, "needs_review") == [(True,)]
    decide(url, "Sencha", "tea")
    assert products(url, *SAID) == [("tea", 1.0, False, None, "ada", "acme")]


def test_a_correction_counts_for_new_products_of_that_name_by_customer_and_then_for_all(url: str) -> None:
    put(url, [TEA], customer="acme", job="a")
    decide(url, "Green tea", "infusions")
    put(url, [product("sku:5", "green tea")], customer="acme", job="b")
    put(url, [TEA], customer="bake", job="c")
    put(url, [TEA], customer="cafe", job="d", across_customers=False)
    assert products(url, *SAID, customer="acme", product_key="sku:5") == [
        ("infusions", 1.0, False, None, "ada", "acme")
    ]
    assert products(url, *SAID, customer="bake") == [("infusions", 1.0, False, None, "ada", "acme")]
    assert products(url, *SAID, customer="cafe") == [MODELS]
    # Its own comes first, also where the product has the other's already.
    decide(url, "Green tea", "herbs", customer="bake", who="bob", job="c")
    put(url, [TEA], customer="bake", job="e", day=28)
    assert products(url, *SAID, customer="bake") == [("herbs", 1.0, False, None, "bob", "bake")]


def test_where_other_customers_disagree_the_model_decides(url: str) -> None:
    put(url, [TEA], customer="acme", job="a")
    decide(url, "Green tea", "infusions")
    decide(url, "Green tea", "herbs", customer="bake", who="bob")
    put(url, [TEA], customer="cafe", job="c")
    assert products(url, *SAID, customer="cafe") == [MODELS]
    assert names(url, "cafe") == {}
    # Of each customer the newest counts.
    decide(url, "Green tea", "infusions", customer="bake", who="bob")
    assert names(url, "cafe") == {"green tea": ("infusions", "bob", "bake")}
    assert names(url, "cafe", across_customers=False) == {}
    assert names(url, "bake") == {"green tea": ("infusions", "bob", "bake")}
    assert names(url, "acme") == {"green tea": ("infusions", "ada", "acme")}
    assert [one["category"] for one in all_corrections(sa.make_url(url))] == ["infusions", "infusions"]


def test_another_customer_s_correction_that_no_longer_counts_stays_where_it_was_taken(url: str) -> None:
    put(url, [TEA], customer="acme", job="a")
    decide(url, "Green tea", "infusions")
    put(url, [TEA], customer="cafe", job="c", day=1)
    decide(url, "Green tea", "herbs", customer="bake")
    put(url, [TEA], customer="cafe", job="d", day=2)
    assert products(url, *SAID, customer="cafe") == [("infusions", 1.0, False, None, "ada", "acme")]


def test_without_a_customer_the_job_s_own_products_are_corrected(url: str) -> None:
    for job in ("a", "b"):
        put(url, [TEA], job=job)
    decide(url, "Green tea", "infusions", customer="", job="b")
    assert products(url, "only_job", "category") == [("a", "tea"), ("b", "infusions")]


def test_every_correction_is_kept_with_who_and_when(url: str) -> None:
    put(url, [TEA], customer="acme", job="a")
    decide(url, "Green tea", "infusions")
    decide(url, "Green tea", "herbs", who="bob")
    rows = [dict(zip(corrections.columns.keys(), row, strict=True)) for row in dump(url)["corrections"]]
    assert [(row["category"], row["corrected_by"], row["suggested"], row["job_id"]) for row in rows] == [
        ("infusions", "ada", "tea", "a"),
        ("herbs", "bob", "tea", "a"),
    ]
    assert rows[0]["corrected_at"] <= rows[1]["corrected_at"]


@pytest.mark.parametrize(
    ("name", "brand", "key"),
    [
        pytest.param("Green TEA, 6x330ml", "", "green tea", id="no sizes, case or punctuation"),
        pytest.param("Original", "Pringles", "pringles original", id="a brand that the name lacks"),
        pytest.param("Pringles Original 200g", "PRINGLES", "pringles original", id="a brand that the name has"),
        pytest.param("Crème brûlée", "", "crème brûlée", id="accents stay"),
        pytest.param("ＴＥＡ", "", "tea", id="wide letters"),
        pytest.param("घी", "", "घी", id="vowels that are marks"),
        pytest.param("100 g", "", "100 g", id="nothing but a size"),
        pytest.param("%%", "", "%%", id="nothing but signs"),
        pytest.param("", "Pringles", "", id="no name"),
    ],
)
def test_names_that_one_decision_stands_for(name: str, brand: str, key: str) -> None:
    assert name_key(name, brand=brand) == key


def test_what_counts_travels_with_the_plan(tmp_path: Path) -> None:
    job = folder(str(tmp_path))
    known = {
        "tea": Reviewed("infusions", "ada", "2026-11-24", "acme"),
        "ale": Reviewed("beer", "bob", "2026-11-23", "b"),
    }
    shard = keep_reviewed(known, job)
    assert kept_reviewed(shard, job) == known
    assert keep_reviewed({}, job) is None
    assert kept_reviewed(None, job) == {}
    other = keep_reviewed(known | {"ale": Reviewed("ales", "bob", "2026-11-23", "b")}, job)
    assert shard is not None and other is not None and shard.sha256 != other.sha256
    assert known["tea"].why("acme") == "corrected by ada 2026-11-24"
    assert known["tea"].why("bake") == "corrected by ada 2026-11-24, for another customer"


def test_the_catalog_s_rows_hold_no_surprise() -> None:
    """What tests give it is what the flow does."""
    assert set(TEA) == set(CATALOG_ROWS.names)
