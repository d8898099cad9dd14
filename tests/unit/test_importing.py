"""Plan, process and join in one process: every row is accounted for, however the file is split."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.carbon import CARBON_COLUMNS
from lib.cataloging.rows import catalog_tables
from lib.errors import AccountingError, CatalogError, ModelError, SettingsError, SourceError, StorageError
from lib.joining import Joined, join_batches
from lib.planning import ImportPlan, plan_import
from lib.processing import process_batch
from lib.records import BatchResult
from lib.results import REPORT_FILE
from lib.settings import Settings, parse, settings_of
from lib.shards import sha256_of
from lib.storage import folder as storage_folder
from tests.fakes import LengthCategorizer

JOB = "12345678-1234-5678-1234-567812345678"


@pytest.fixture(autouse=True)
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("planning", "processing"):
        monkeypatch.setattr(f"lib.{module}.load_categorizer", lambda uri, precision: LengthCategorizer())


def settings(text: str = "") -> Settings:
    return settings_of(parse(f"review_threshold = 0.5\n{text}"))


def planned(folder: Path, text: str, *, count: int = 1, job_id: str = JOB) -> ImportPlan:
    source = folder / "products.csv"
    source.write_text(text, "utf-8")
    chosen = settings(f"[batches]\ncount = {count}")
    return plan_import(str(source), output=str(folder / "results"), job_id=job_id, settings=chosen, cores=2)


def imported(folder: Path, text: str, *, count: int = 1) -> tuple[ImportPlan, list[BatchResult], Joined]:
    plan = planned(folder, text, count=count)
    results = [process_batch(batch, plan=plan, settings=settings()) for batch in plan.batches]
    return plan, results, join_batches(plan, results)


def csv_rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "results" / JOB / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


MESSY = (
    "sku;name;category;EAN;note\n"
    "1;Tomato ketchup;Sauces;4006381333931;fine\n"
    "2;;Sauces;4006381333932;no name and a bad GTIN\n"
    "3;Salt;Spices;4006381333932;=1+1\n"
    "\n"
    "1;Tomato ketchup;Sauces;4006381333931;fine\n"
    "4;Olive oil extra virgin;Oils;;-5;one cell too many;and another\n"
    '5;"Rye bread\nsliced";Bread;;+46 70\n'
    ";;;;\n"
)


def test_every_row_is_in_one_file_with_its_line(tmp_path: Path) -> None:
    _, _, joined = imported(tmp_path, MESSY)
    assert joined.tally.outcomes == {"categorized": 2, "review": 1, "rejected": 4}
    assert [row["line"] for row in csv_rows(tmp_path, "categorized.csv")] == ["2", "8"]
    assert [row["line"] for row in csv_rows(tmp_path, "review.csv")] == ["4"]
    assert [row["line"] for row in csv_rows(tmp_path, "rejected.csv")] == ["3", "6", "7", "10"]


def test_a_categorized_row_holds_the_customers_columns_ours_and_the_categories(tmp_path: Path) -> None:
    plan, _, _ = imported(tmp_path, MESSY)
    row = pq.read_table(f"{plan.job_uri}/categorized.parquet").to_pylist()[1]
    assert row == {
        "line": 8,
        "sku": "5",
        "name": "Rye bread\nsliced",
        "category (source)": "Bread",
        "EAN": "",
        "note": "+46 70",
        "extra_cells": None,
        "product_name": "Rye bread sliced",
        "product_sku": "5",
        "product_gtin": None,
        "product_brand": None,
        "product_description": None,
        "product_customer_category": "Bread",
        "product_quantity": None,
        "product_unit": None,
        "product_net_grams": None,
        "product_net_millilitres": None,
        "product_pieces": None,
        "product_content_text": None,
        "product_country": None,
        "category": "6 letters",
        "confidence": 0.8,
        **dict.fromkeys(CARBON_COLUMNS),
        "category_2": "7 letters",
        "confidence_2": 0.4,
        "category_3": "8 letters",
        "confidence_3": 0.2667,
        "why": None,
        "impact": 0.6,
        "warnings": "",
        "model_version": "fake-1",
    }


def test_a_rejected_row_is_kept_whole_with_every_reason(tmp_path: Path) -> None:
    imported(tmp_path, MESSY)
    first, duplicate, wide, empty = csv_rows(tmp_path, "rejected.csv")
    assert first == {
        "line": "3",
        "sku": "2",
        "name": "",
        "category (source)": "Sauces",
        "EAN": "4006381333932",
        "note": "no name and a bad GTIN",
        "extra_cells": "",
        "reasons": "missing-name",
        "explanation": "The product has no name.",
        "job_id": JOB,
    }
    assert duplicate["explanation"] == "The row is the same as line 2 in every cell."
    assert (wide["note"], wide["extra_cells"]) == ("-5", "one cell too many; and another")
    assert empty["reasons"] == "missing-name"


def test_a_reason_that_is_set_to_reject_is_listed_beside_the_others(tmp_path: Path) -> None:
    plan = planned(tmp_path, MESSY)
    strict = settings('[validation]\nreject = ["missing-name", "bad-gtin"]\nwarn = []')
    join_batches(plan, [process_batch(plan.batches[0], plan=plan, settings=strict)])
    assert [(row["line"], row["reasons"]) for row in csv_rows(tmp_path, "rejected.csv")] == [
        ("3", "missing-name; bad-gtin"),
        ("4", "bad-gtin"),
        ("10", "missing-name"),
    ]


def test_cells_beyond_the_header_are_kept_where_they_do_not_reject(tmp_path: Path) -> None:
    lenient = settings('[validation]\nreject = ["missing-name"]\nwarn = ["too-many-cells"]')
    plan = planned(tmp_path, MESSY)
    join_batches(plan, [process_batch(plan.batches[0], plan=plan, settings=lenient)])
    (row,) = (row for row in csv_rows(tmp_path, "categorized.csv") if row["line"] == "7")
    assert (row["extra_cells"], row["warnings"]) == ("one cell too many; and another", "too-many-cells")


def test_formulas_are_escaped_in_csv_and_untouched_in_parquet(tmp_path: Path) -> None:
    cells = ["=1+1", "+1", "-2,5", "+49 30 1", "-x", "@a", "\tb", "＝1", "a=b", "-10%", "-", "-.5", "-1e5"]
    text = "sku;name;=note\n" + "".join(f"{i};Tomato ketchup {i};{cell}\n" for i, cell in enumerate(cells))
    plan, _, _ = imported(tmp_path, text)
    assert pq.read_table(f"{plan.job_uri}/categorized.parquet")["=note"].to_pylist() == cells
    assert [row["'=note"] for row in csv_rows(tmp_path, "categorized.csv")] == [
        "'=1+1", "+1", "-2,5", "+49 30 1", "'-x", "'@a", "'\tb", "'＝1", "a=b", "-10%", "-", "-.5", "-1e5",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [3, 7, 100])
def test_the_split_changes_nothing_in_the_results(tmp_path: Path, count: int) -> None:
    text = MESSY + "".join(f"{i};Product number {'x' * (i % 17)};;;\n" for i in range(300))
    plan, _, joined = imported(made(tmp_path / "one"), text)
    other, results, other_joined = imported(made(tmp_path / "many"), text, count=count)
    assert len(results) == count
    for name in ("categorized.csv", "review.csv", "rejected.csv"):
        assert Path(other.job_uri, name).read_bytes() == Path(plan.job_uri, name).read_bytes()
    tables = [pq.read_table(f"{p.job_uri}/categorized.parquet") for p in (plan, other)]
    assert tables[0].equals(tables[1])
    assert other_joined.tally.outcomes == joined.tally.outcomes
    assert other_joined.tally.categories == joined.tally.categories
    assert other_joined.tally.confidences == joined.tally.confidences


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_finished_batch_is_found_and_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, results, _ = imported(tmp_path, MESSY, count=2)

    def never(uri: str) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("lib.processing.load_categorizer", never)
    again = [process_batch(batch, plan=plan, settings=settings()) for batch in plan.batches]
    assert again == [replace(result, reused=True) for result in results]


def test_other_settings_or_another_model_find_nothing_finished(tmp_path: Path) -> None:
    plan, _, _ = imported(tmp_path, MESSY)
    other = plan_import(
        plan.staged.source.uri,
        output=plan.output_uri,
        job_id=JOB,
        settings=settings("[validation]\nwarn = []"),
        cores=2,
    )
    assert other.results_key != plan.results_key


@pytest.mark.parametrize("table", ["UNITS_FILE", "FOOTERS_FILE"])
def test_another_table_of_units_or_footers_finds_nothing_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    plan = planned(tmp_path, MESSY)
    edited = tmp_path / "edited.toml"
    edited.write_text("# another")
    monkeypatch.setattr(f"lib.planning.{table}", edited)
    assert planned(tmp_path, MESSY).results_key != plan.results_key


def test_the_catalog_gets_what_was_kept(tmp_path: Path) -> None:
    plan, _, joined = imported(tmp_path, MESSY, count=2)
    rows = pa.concat_tables(catalog_tables(joined.rows, storage_folder(plan.job_uri))).to_pylist()
    rows = [row for row in rows if row["present"]]
    assert [(row["line"], row["name"], row["needs_review"]) for row in rows] == [
        (2, "Tomato ketchup", False),
        (4, "Salt", True),
        (8, "Rye bread sliced", False),
    ]


def drop_batch(results: list[BatchResult], plan: ImportPlan) -> list[BatchResult]:
    return results[:1] + results[2:]


def double_batch(results: list[BatchResult], plan: ImportPlan) -> list[BatchResult]:
    return [*results, results[1]]


def alien_batch(results: list[BatchResult], plan: ImportPlan) -> list[BatchResult]:
    return [*results, replace(results[0], number=9)]


def rewritten(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Any:
    def damage(results: list[BatchResult], plan: ImportPlan) -> list[BatchResult]:
        path = f"{plan.job_uri}/{results[1].shard.name}"
        table = pq.read_table(path)
        pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), path)
        shard = replace(results[1].shard, sha256=sha256_of(Path(path)))
        return [results[0], replace(results[1], shard=shard), *results[2:]]

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(drop_batch, "batch 1 came 0 times (lines 4 to 6)", id="a batch missing"),
        pytest.param(double_batch, "batch 1 came 2 times (lines 4 to 6)", id="a batch twice"),
        pytest.param(alien_batch, "batches [9] are not in the plan", id="a batch too many"),
        pytest.param(rewritten(lambda rows: rows[1:]), "batch 1: lines missing: 4", id="a row missing"),
        pytest.param(rewritten(lambda rows: [*rows, rows[0]]), "batch 1: lines doubled: 4", id="a row twice"),
        pytest.param(
            rewritten(lambda rows: [rows[0] | {"line": 99}, *rows[1:]]),
            "batch 1: lines missing: 4; lines not in the source: 99",
            id="a row of another line",
        ),
        pytest.param(rewritten(lambda rows: rows[::-1]), "batch 1: lines out of order", id="rows out of order"),
    ],
)
def test_a_violation_fails_the_join_with_the_lines_and_publishes_nothing(
    tmp_path: Path, damage: Any, message: str
) -> None:
    plan = planned(tmp_path, MESSY, count=3)
    results = [process_batch(batch, plan=plan, settings=settings()) for batch in plan.batches]
    with pytest.raises(AccountingError) as refused:
        join_batches(plan, damage(results, plan))
    assert str(refused.value).startswith(f"{plan.staged.source.uri}: {message}")
    assert not list(Path(plan.job_uri).glob("*.csv"))


def test_a_join_that_fails_leaves_what_an_earlier_run_published(tmp_path: Path) -> None:
    plan, results, _ = imported(tmp_path, MESSY)
    before = {path.name: path.read_bytes() for path in Path(plan.job_uri).iterdir() if path.is_file()}
    Path(plan.job_uri, REPORT_FILE).write_text("{}")
    with pytest.raises(AccountingError):
        join_batches(plan, [])
    Path(plan.job_uri, results[0].shard.name).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(StorageError, match="its content has changed since it was written; run the job again"):
        join_batches(plan, results)
    after = {path.name: path.read_bytes() for path in Path(plan.job_uri).iterdir() if path.is_file()}
    assert after == before | {REPORT_FILE: b"{}"}


def test_the_earlier_report_goes_before_files_change(tmp_path: Path) -> None:
    plan, results, _ = imported(tmp_path, MESSY)
    report = Path(plan.job_uri, REPORT_FILE)
    report.write_text("{}")
    join_batches(plan, results)
    assert not report.exists()


@pytest.mark.parametrize("damage", [b"", b"PAR1", None])
def test_a_damaged_result_of_an_earlier_run_is_done_again(tmp_path: Path, damage: bytes | None) -> None:
    plan, results, _ = imported(tmp_path, MESSY)
    path = Path(plan.job_uri, results[0].shard.name)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    again = process_batch(plan.batches[0], plan=plan, settings=settings())
    assert (again.reused, again.shard) == (False, results[0].shard)


def test_a_damaged_shard_is_an_error_and_not_other_products(tmp_path: Path) -> None:
    plan = planned(tmp_path, MESSY)
    path = Path(plan.job_uri, plan.staged.shards[0].name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match="its content has changed since it was written; run the job again"):
        process_batch(plan.batches[0], plan=plan, settings=settings())


def test_a_model_replaced_during_the_run_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, MESSY)
    other = replace(plan, model=plan.model | {"version": "fake-0"})
    with pytest.raises(ModelError, match=r"the model was replaced during the run \(fake-0 by fake-1\)"):
        process_batch(plan.batches[0], plan=other, settings=settings())


def test_a_database_that_cannot_be_used_is_known_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "products.csv"
    source.write_text(MESSY)
    chosen = settings('database_url = "mysql://a/b"')
    with pytest.raises(CatalogError, match="mysql"):
        plan_import(str(source), output=str(tmp_path / "results"), job_id="", settings=chosen, cores=2)


def test_a_job_that_imported_another_content_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, MESSY)
    Path(plan.job_uri, REPORT_FILE).write_text(json.dumps({"source": {"sha256": "0", "uri": "other.csv"}}))
    with pytest.raises(SourceError, match=r"job 12345678-.* has imported another content \(other\.csv\)"):
        planned(tmp_path, MESSY)


@pytest.mark.parametrize("job_id", ["7", "$(touch x)", "../../etc", "12345678-1234-5678-1234-56781234567"])
def test_a_job_id_that_is_no_uuid_is_refused(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(SettingsError, match="not a UUID; leave it out for a new job"):
        planned(tmp_path, MESSY, job_id=job_id)


def test_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no source given; add --source FILE"):
        plan_import("", output=str(tmp_path), job_id="", settings=settings(), cores=2)


def test_a_missing_model_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(uri: str, precision: float) -> None:
        raise ModelError("no model")

    monkeypatch.setattr("lib.planning.load_categorizer", missing)
    with pytest.raises(ModelError):
        planned(tmp_path, MESSY)
    assert not (tmp_path / "results").exists()


def test_a_source_that_is_refused_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.formats.delimited.LONGEST_CELL", 20)
    monkeypatch.setattr("lib.formats.rows.CHUNK_ROWS", 1)
    monkeypatch.setattr("lib.staging.SHARD_ROWS", 1)
    with pytest.raises(SourceError, match="line 3: a cell is longer than 20 characters"):
        planned(tmp_path, f"sku;name\n1;Tofu\n2;{'x' * 21}\n", job_id="")
    assert list((tmp_path / "results").iterdir()) == []


def test_a_refused_source_does_not_touch_an_earlier_job(tmp_path: Path) -> None:
    plan, _, _ = imported(tmp_path, MESSY)
    before = sorted(Path(plan.job_uri).rglob("*"))
    with pytest.raises(SourceError, match="no products below it"):
        planned(tmp_path, "sku;name\n")
    assert sorted(Path(plan.job_uri).rglob("*")) == before
