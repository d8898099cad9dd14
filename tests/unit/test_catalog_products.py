"""What an import makes of a customer's products: new, changed, unchanged, gone; on SQLite and PostgreSQL."""

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lib import catalog, database
from lib.cataloging.rows import catalog_rows
from lib.errors import CatalogError
from lib.reporting import catalog_account
from lib.results import batch_schema
from tests.catalogs import counts, dump, product, products, put

TEA = product("sku:1", "Green tea")
ALE = product("sku:2", "Pale ale", line=3, category="beer")
OAT = product("gtin:4006381333931", "Oat drink", line=4)
KEYS = ("product_key", "change", "job_id", "gone_job_id")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return str(request.getfixturevalue("postgres_url"))


def acme(url: str, *rows: dict[str, Any], **more: Any) -> catalog.CatalogImport:
    return put(url, list(rows), customer="acme", **more)


def test_a_changed_file_says_what_is_new_changed_unchanged_and_gone(url: str) -> None:
    assert counts(acme(url, TEA, ALE, OAT, job="a", day=1)) == (3, 0, 0, 0)
    dearer = product("sku:2", "Pale ale", line=2, said="6 pack", category="beer")
    water = product("sku:4", "Water")
    done = acme(url, dearer, TEA | {"line": 9}, water, job="b", day=2)
    assert counts(done) == (1, 1, 1, 1)
    assert (done.rows, done.customer) == (3, "acme")
    assert products(url, *KEYS, "line") == [
        ("gtin:4006381333931", "new", "a", "b", 4),
        ("sku:1", "unchanged", "b", None, 9),
        ("sku:2", "changed", "b", None, 2),
        ("sku:4", "new", "b", None, 2),
    ]


def test_a_product_that_comes_back_is_new_and_no_longer_gone(url: str) -> None:
    for day, rows in enumerate(([TEA, ALE], [ALE], [TEA, ALE]), start=1):
        done = acme(url, *rows, job=f"job {day}", day=day)
    assert counts(done) == (1, 0, 1, 0)
    assert products(url, *KEYS) == [("sku:1", "new", "job 3", None), ("sku:2", "unchanged", "job 3", None)]


def test_another_answer_of_a_model_is_taken_and_is_no_change_of_the_customer_s(url: str) -> None:
    acme(url, TEA, job="a", day=1)
    better = TEA | {"category": "infusions", "confidence": 0.99, "model_version": "m2"}
    assert counts(acme(url, better, job="b", day=2)) == (0, 0, 1, 0)
    assert products(url, "category", "confidence", "model_version") == [("infusions", 0.99, "m2")]


def test_customers_do_not_touch_each_other_s_products(url: str) -> None:
    acme(url, TEA, job="a")
    assert counts(put(url, [ALE], job="b", customer="other")) == (1, 0, 0, 0)
    assert products(url, "customer", *KEYS) == [
        ("acme", "sku:1", "new", "a", None),
        ("other", "sku:2", "new", "b", None),
    ]


def test_jobs_without_a_customer_do_not_make_each_other_s_products_gone(url: str) -> None:
    assert counts(put(url, [TEA], job="a")) == (1, 0, 0, 0)
    assert counts(put(url, [ALE], job="b")) == (1, 0, 0, 0)
    assert products(url, "only_job", *KEYS) == [("a", "sku:1", "new", "a", None), ("b", "sku:2", "new", "b", None)]


def test_several_products_of_one_key_are_all_kept_and_found_again_in_any_order(url: str) -> None:
    red, green, blue = (product("sku:7", f"Jelly {colour}") for colour in ("red", "green", "blue"))
    assert counts(acme(url, red, green, blue, red, job="a", day=1)) == (4, 0, 0, 0)
    before = products(url, "occurrence", "name")
    assert before == [(1, "Jelly red"), (2, "Jelly green"), (3, "Jelly blue"), (4, "Jelly red")]
    assert counts(acme(url, blue, red, red, green, job="b", day=2)) == (0, 0, 4, 0)
    assert products(url, "occurrence", "name") == before
    pink = product("sku:7", "Jelly pink")
    # One of the two red ones is left out, and a pink one comes in its place; then two more.
    assert counts(acme(url, pink, blue, red, green, job="c", day=3)) == (0, 1, 3, 0)
    assert counts(acme(url, pink, blue, red, green, green, green, job="d", day=4)) == (2, 0, 4, 0)
    assert counts(acme(url, green, job="e", day=5)) == (0, 0, 1, 5)
    assert sorted(products(url, "occurrence", "name", gone_job_id=None)) == [(2, "Jelly green")]
    assert len(products(url, "name")) == 6


def test_the_same_job_again_touches_nothing_and_says_the_same(url: str) -> None:
    acme(url, TEA, ALE, job="a", day=1)
    first = acme(url, TEA, OAT, job="b", day=2)
    before = dump(url)
    again = acme(url, TEA, OAT, job="b", day=2)
    assert (counts(again), again.rows, again.touched) == (counts(first), 2, False)
    assert dump(url) == before


def test_other_results_of_a_job_replace_them_and_are_counted_against_the_state_before_it(url: str) -> None:
    """Corrected rows of it, say: what was rejected first is there now, and what it lacked was gone already."""
    acme(url, TEA, ALE, job="a", day=1)
    assert counts(acme(url, OAT, TEA, job="b", day=2)) == (1, 0, 1, 1)
    more = product("sku:9", "Water")
    changed = product("sku:2", "Pale ale", said="mended")
    assert counts(acme(url, OAT, TEA, more, job="b", fingerprint="2")) == (2, 0, 1, 1)
    assert counts(acme(url, OAT, TEA, changed, job="b", fingerprint="3")) == (1, 1, 1, 1)
    assert products(url, *KEYS) == [
        ("gtin:4006381333931", "new", "b", None),
        ("sku:1", "unchanged", "b", None),
        ("sku:2", "changed", "b", None),
        ("sku:9", "new", "b", "b"),
    ]


def test_an_older_job_does_not_turn_back_a_newer_one(url: str) -> None:
    """One that failed on Monday is tried again on Wednesday, after Tuesday's."""
    old, water = product("sku:1", "Green tea", said="old"), product("sku:8", "Water")
    acme(url, TEA, ALE, job="tuesday", day=2)
    done = acme(url, old, water, job="monday", day=1)
    assert counts(done) == (1, 0, 0, 0)
    assert (done.superseded, done.rows) == (1, 2)
    expected = [
        ("sku:1", "new", "tuesday", None),
        ("sku:2", "new", "tuesday", None),
        ("sku:8", "new", "monday", "tuesday"),
    ]
    assert products(url, *KEYS) == expected
    assert products(url, "content", product_key="sku:1") == [(TEA["content"],)]
    # And its other results later on, nor does it make anything gone.
    again = acme(url, water | {"category": "waters"}, job="monday", fingerprint="2")
    assert (counts(again), again.superseded) == ((1, 0, 0, 0), 0)
    assert products(url, *KEYS) == expected
    assert acme(url, TEA, ALE, job="tuesday", day=2).touched is False


def test_a_rejected_row_keeps_its_product_from_being_called_gone(url: str) -> None:
    acme(url, TEA, ALE, job="a", day=1)
    nameless = product("sku:1", None, present=False, category=None)
    done = acme(url, ALE, nameless, job="b", day=2)
    assert (counts(done), done.rows) == ((0, 0, 1, 0), 1)
    assert products(url, *KEYS, product_key="sku:1") == [("sku:1", "new", "a", None)]
    assert acme(url, ALE, nameless, job="b", day=2).touched is False
    assert counts(acme(url, ALE, job="c", day=3)) == (0, 0, 1, 1)


def test_where_batches_were_set_aside_nothing_is_called_gone(url: str) -> None:
    acme(url, TEA, ALE, job="a", day=1)
    assert counts(acme(url, ALE, job="b", day=2, whole_file=False)) == (0, 0, 1, 0)
    assert products(url, *KEYS, product_key="sku:1") == [("sku:1", "new", "a", None)]
    # Another run of the job has redone them.
    assert counts(acme(url, ALE, job="b", day=2, whole_file=True)) == (0, 0, 1, 1)


def test_corrected_rows_of_a_job_need_not_say_whose_it_is(url: str) -> None:
    acme(url, TEA, job="a")
    done = put(url, [TEA, ALE], job="a", fingerprint="2")
    assert (counts(done), done.customer) == ((2, 0, 0, 0), "acme")
    before = dump(url)
    with pytest.raises(CatalogError, match=r"^job a was imported for customer 'acme' and cannot become 'b'"):
        put(url, [TEA], job="a", customer="b", fingerprint="3")
    assert dump(url) == before


def test_a_second_import_of_a_customer_waits_and_one_of_another_does_not(postgres_url: str) -> None:
    acme(postgres_url, TEA, job="a")
    waited = threading.Event()

    def second() -> None:
        acme(postgres_url, ALE, job="b", day=2)
        waited.set()

    thread = threading.Thread(target=second)
    with database.engine(sa.make_url(postgres_url)).begin() as first:
        catalog.wait_for_customer(first, "acme", job_id="")
        thread.start()
        put(postgres_url, [OAT], job="c", customer="other")
        assert not waited.wait(0.5)
    thread.join()
    assert waited.is_set()
    assert len(products(postgres_url, "name")) == 3


def test_a_product_is_known_by_its_number_else_its_gtin_else_by_all_that_is_said() -> None:
    schema = batch_schema([])
    known = {"outcome": "categorized", "reasons": "", "line": 2}
    given = [
        known | {"product_sku": "A-1", "product_gtin": "4006381333931", "product_name": "Tea"},
        known | {"product_gtin": "4006381333931", "product_name": "Tea"},
        known | {"product_name": "Tea"},
        known | {"product_name": "Tea", "product_net_grams": 100.0},
        known | {"product_sku": "9" * 5000, "product_name": "Tea"},
        known | {"outcome": "rejected", "reasons": "missing-name", "product_sku": "A-2"},
        known | {"outcome": "rejected", "reasons": "missing-name"},
        known | {"outcome": "rejected", "reasons": "batch-failed"},
    ]
    table = catalog_rows(batch_schema([]).empty_table().from_pylist(given, schema=schema)).to_pylist()
    keys = [row["product_key"] for row in table]
    assert keys[:2] == ["sku:A-1", "gtin:4006381333931"]
    assert [key[:4] for key in keys[2:4]] == ["row:", "row:"]
    assert keys[2] != keys[3]
    assert len(keys[4]) < 50
    assert [row["present"] for row in table] == [True] * 5 + [False]
    assert keys[5] == "sku:A-2"


def test_what_an_import_changed_is_told_in_a_line(url: str) -> None:
    def told(done: catalog.CatalogImport) -> str:
        return catalog_account({**asdict(done), "url": done.url_shown})

    assert told(put(url, [TEA], job="x")) == "1 new, 0 changed, 0 unchanged, 0 gone (of no customer, so by itself)"
    acme(url, TEA, ALE, job="b", day=2)
    again = acme(url, TEA, ALE, job="b", day=2)
    assert (
        told(again)
        == "2 new, 0 changed, 0 unchanged, 0 gone (of customer acme; was there already, nothing was touched)"
    )
    older = acme(url, TEA, job="a", day=1)
    assert told(older) == "0 new, 0 changed, 0 unchanged, 0 gone, 1 left as a later job has them (of customer acme)"
