"""rejected.csv corrected and submitted alone: its rows keep their lines and join the same job's results."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.cataloging.rows import catalog_tables
from lib.errors import SourceError
from lib.jobrows import read_facts
from lib.joining import Joined, join_batches
from lib.planning import plan_import
from lib.processing import process_batch
from lib.settings import parse, settings_of
from lib.storage import LocalFolder
from tests.fakes import LengthCategorizer

JOB = "12345678-1234-5678-1234-567812345678"
OTHER = "87654321-1234-5678-1234-567812345678"
SETTINGS = settings_of(parse("review_threshold = 0.0"))
SOURCE = (
    "sku;name;EAN;note\n"
    "0012;Tomato ketchup;4006381333931;fine\n"
    "0013;;4006381333931;=1+1\n"
    "0014;Olive oil;;one cell too many;and another\n"
    "0012;Tomato ketchup;4006381333931;fine\n"
    "0015;Rye bread;;\n"
    ";Total;;\n"
)


@pytest.fixture(autouse=True)
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("planning", "processing"):
        monkeypatch.setattr(f"lib.{module}.load_categorizer", lambda uri, precision: LengthCategorizer())


def imported(folder: Path, source: Path, *, job_id: str = JOB) -> Joined:
    plan = plan_import(str(source), output=str(folder), job_id=job_id, settings=SETTINGS, cores=2)
    return join_batches(plan, [process_batch(batch, plan=plan, settings=SETTINGS) for batch in plan.batches])


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The folder of a job with two categorized and four rejected rows."""
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    imported(tmp_path, tmp_path / "products.csv")
    return tmp_path / JOB


def rows_of(job: Path, name: str) -> list[dict[str, str]]:
    with (job / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def lines_of(job: Path, name: str) -> list[str]:
    return [row["line"] for row in rows_of(job, name)]


def corrected(job: Path, correct: Callable[[dict[str, str]], dict[str, str] | None], *, name: str = "mended") -> Path:
    """rejected.csv with each row as `correct` gives it, None left out."""
    rows = [row for row in map(correct, rows_of(job, "rejected.csv")) if row is not None]
    path = job.parent / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def with_name(row: dict[str, str]) -> dict[str, str]:
    return row | {"name": "Mustard"} if row["line"] == "3" else row


def test_rejected_rows_name_their_job(job: Path) -> None:
    assert [(row["line"], row["job_id"]) for row in rows_of(job, "rejected.csv")] == [
        ("3", JOB), ("4", JOB), ("5", JOB), ("7", JOB),
    ]  # fmt: skip


def test_a_corrected_row_joins_the_job_under_its_line(job: Path) -> None:
    before = rows_of(job, "categorized.csv")
    joined = imported(job.parent, corrected(job, with_name))
    after = rows_of(job, "categorized.csv")
    assert [row for row in after if row["line"] != "3"] == before
    assert [row["line"] for row in after] == ["2", "3", "6"]
    assert (after[1]["sku"], after[1]["product_name"], after[1]["note"]) == ("0013", "Mustard", "'=1+1")
    assert lines_of(job, "rejected.csv") == ["4", "5", "7"]
    assert dict(joined.tally.outcomes) == {"categorized": 3, "rejected": 3}
    rows = pa.concat_tables(catalog_tables(joined.rows, LocalFolder(job)))
    assert rows.filter(rows["present"])["line"].to_pylist() == [2, 3, 6]


def test_the_source_stays_the_job_s_and_the_correction_is_noted(job: Path) -> None:
    mended = corrected(job, with_name)
    facts = imported(job.parent, mended).facts
    assert facts.source["uri"] == str(job.parent / "products.csv")
    assert facts.rows == 6
    assert [(one["uri"], one["rows"]) for one in facts.corrections] == [(str(mended), 1)]
    rows = pq.read_table(job / "rows.parquet").to_pylist()
    assert [row["line"] for row in rows if row["correction"]] == [3]
    assert [row["line"] for row in rows] == [2, 3, 4, 5, 6, 7]


def test_the_same_correction_twice_gives_the_same(job: Path) -> None:
    mended = corrected(job, with_name)
    imported(job.parent, mended)
    once = {path.name: path.read_bytes() for path in job.iterdir() if path.is_file()}
    imported(job.parent, mended)
    assert {path.name: path.read_bytes() for path in job.iterdir() if path.is_file()} == once


def test_a_row_may_be_corrected_again_while_it_is_rejected(job: Path) -> None:
    imported(job.parent, corrected(job, lambda row: row | {"note": "seen"} if row["line"] == "3" else None))
    assert rows_of(job, "rejected.csv")[0]["note"] == "seen"
    joined = imported(job.parent, corrected(job, with_name, name="again"))
    assert lines_of(job, "categorized.csv") == ["2", "3", "6"]
    assert [Path(one["uri"]).name for one in joined.facts.corrections] == ["mended.csv", "again.csv"]


def test_cells_beyond_the_header_are_corrected_by_emptying_their_column(job: Path) -> None:
    imported(job.parent, corrected(job, lambda row: row | {"extra_cells": ""} if row["line"] == "4" else row))
    assert lines_of(job, "categorized.csv") == ["2", "4", "6"]
    imported_rows = {row["line"]: row for row in rows_of(job, "categorized.csv")}
    assert (imported_rows["4"]["note"], imported_rows["4"]["extra_cells"]) == ("one cell too many", "")


def test_a_correction_that_repeats_a_row_is_a_duplicate_of_it(job: Path) -> None:
    same = {"sku": "0015", "name": "Rye bread", "EAN": "", "note": ""}
    imported(job.parent, corrected(job, lambda row: row | same if row["line"] == "3" else None))
    (row,) = (row for row in rows_of(job, "rejected.csv") if row["line"] == "3")
    assert row["explanation"] == "The row is the same as line 6 in every cell."


def test_a_spreadsheet_s_spelling_of_a_number_changes_nothing(job: Path) -> None:
    def opened_and_saved(row: dict[str, str]) -> dict[str, str]:
        return with_name(row) | {"sku": row["sku"].lstrip("0"), "EAN": "4,00638E+12" if row["EAN"] else ""}

    imported(job.parent, corrected(job, opened_and_saved))
    (row,) = (row for row in rows_of(job, "categorized.csv") if row["line"] == "3")
    assert (row["sku"], row["EAN"], row["product_gtin"]) == ("0013", "4006381333931", "4006381333931")


def test_a_workbook_made_of_rejected_csv_will_do(job: Path) -> None:
    book = openpyxl.Workbook()
    rows = rows_of(job, "rejected.csv")
    book.active.append(["comment", *rows[0]])
    for row in rows:
        cells: list[Any] = [with_name(row)[name] for name in row]
        book.active.append(["mended", int(cells[0]), *cells[1:]])
    book.save(job.parent / "mended.xlsx")
    facts = imported(job.parent, job.parent / "mended.xlsx").facts
    assert lines_of(job, "categorized.csv") == ["2", "3", "6"]
    assert "Not columns of the job's, and left out: 'comment'." in facts.corrections[0]["decisions"]


REFUSED: dict[str, tuple[Callable[[dict[str, str]], dict[str, str] | None], str]] = {
    "nothing is changed": (lambda row: row, "every row is as the job rejected it"),
    "a row that was not rejected": (lambda row: row | {"line": "6"} if row["line"] == "3" else None, "line 6 of the"),
    "a line the job lacks": (lambda row: with_name(row) | {"line": "9" + row["line"]}, "line 93, 94, 95, 97 is no row"),
    "a line twice": (lambda row: row | {"line": "3"}, "line 3 is there twice"),
    "no line": (lambda row: row | {"line": "third"}, "its cell 'line' is 'third'"),
    "no job": (lambda row: row | {"job_id": ""}, "a row has no job_id"),
    "another job": (lambda row: row | {"job_id": OTHER}, f"submit them with --job-id {OTHER}"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_correction_is_refused_and_changes_nothing(job: Path, fault: str) -> None:
    correct, message = REFUSED[fault]
    before = (job / "rows.parquet").read_bytes()
    with pytest.raises(SourceError, match=message):
        imported(job.parent, corrected(job, correct))
    assert (job / "rows.parquet").read_bytes() == before


def test_rejected_rows_without_a_job_say_which_to_name(job: Path) -> None:
    with pytest.raises(SourceError, match=f"submit them with --job-id {JOB}"):
        imported(job.parent, corrected(job, with_name), job_id="")


def test_the_source_again_would_undo_corrections_and_is_refused(job: Path) -> None:
    imported(job.parent, corrected(job, with_name))
    with pytest.raises(SourceError, match="holds corrections"):
        imported(job.parent, job.parent / "products.csv")


def test_rows_of_several_sheets_are_told_apart(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for title in ("Food", "Drinks"):
        sheet = book.create_sheet(title)
        for cells in (["sku", "name", "note"], [1, f"{title} one", "x"], [2, None, title]):
            sheet.append(cells)
    del book["Sheet"]
    book.save(tmp_path / "products.xlsx")
    imported(tmp_path, tmp_path / "products.xlsx")
    job = tmp_path / JOB
    assert [(row["sheet"], row["line"]) for row in rows_of(job, "rejected.csv")] == [("Food", "3"), ("Drinks", "3")]
    imported(tmp_path, corrected(job, lambda row: row | {"name": "Juice"} if row["sheet"] == "Drinks" else row))
    assert [(row["sheet"], row["line"]) for row in rows_of(job, "rejected.csv")] == [("Food", "3")]
    (juice,) = (row for row in rows_of(job, "categorized.csv") if row["product_name"] == "Juice")
    assert (juice["sheet"], juice["line"], juice["note"]) == ("Drinks", "3", "Drinks")


def test_what_a_job_is_made_of_can_be_read_back(job: Path) -> None:
    facts = read_facts(LocalFolder(job))
    assert facts is not None
    assert [match.field for match in facts.columns] == ["name", "sku", "gtin"]
    json.dumps(facts.source)


def test_rows_of_an_earlier_version_are_corrected_too(job: Path) -> None:
    """They lack the columns for review and the catalog's corrections."""
    rows = pq.read_table(job / "rows.parquet")
    pq.write_table(
        rows.drop_columns(["name_key", "corrected_by", "corrected_at", "corrected_for"]), job / "rows.parquet"
    )
    imported(job.parent, corrected(job, with_name))
    after = pq.read_table(job / "rows.parquet").to_pylist()
    assert [(row["line"], row["name_key"]) for row in after if row["outcome"] == "categorized"] == [
        (2, None), (3, "mustard"), (6, None),
    ]  # fmt: skip
