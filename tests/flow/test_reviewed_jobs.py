"""A customer's files one after another as submitted jobs, with a review between them; on SQLite and PostgreSQL."""

from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet as pq

from lib import jobs
from lib.importjobs.job import ImportJob, Status
from lib.review.reviewing import export_review, import_review
from tests.catalogs import products
from tests.flow.running import SAMPLE
from tests.flow.test_submitted_jobs import has_ended, waited, where
from tests.reliability.kill import Place

__all__ = ["where"]  # a fixture


def submitted(where: Place, source: Path) -> ImportJob:
    job = jobs.submit_import(str(source), **where.where(), customer="acme")
    now = waited(where, job.id, has_ended)
    assert now.job.status == Status.SUCCEEDED, now
    return now.job


def test_a_second_file_says_what_changed_and_has_what_a_person_decided(where: Place, tmp_path: Path) -> None:
    first = submitted(where, SAMPLE)
    report = jobs.report_of(first.id, **where.where())
    kept = report["categorized"] + report["review"]
    assert (report["catalog"]["customer"], report["catalog"]["new"]) == ("acme", kept)
    book_path = tmp_path / "review.xlsx"
    assert export_review(first.id, book_path, **where.where()) > 2
    book = openpyxl.load_workbook(book_path)
    sheet = book["Review"]
    decided = sheet["D2"].value
    sheet["G2"] = "beef"
    book.save(book_path)
    book.close()
    assert import_review(first.id, book_path, **where.where(), who="ada").decided == 1

    # Of the same file two rows are left out and one is renamed.
    lines = SAMPLE.read_text("utf-8-sig").splitlines(keepends=True)
    url = where.database_url or f"sqlite:///{where.output}/catalog.db"
    of_line = {line: name for line, name in products(url, "line", "name") if name != decided}
    out, gone, renamed = [line for line in sorted(of_line) if '"' not in lines[line - 1]][:3]
    lines[renamed - 1] = lines[renamed - 1].replace(of_line[renamed], f"{of_line[renamed]} extra")
    changed = tmp_path / "products.csv"
    changed.write_text("".join(line for at, line in enumerate(lines, start=1) if at not in (out, gone)), "utf-8")
    second = submitted(where, changed)
    report = jobs.report_of(second.id, **where.where())
    catalog = report["catalog"]
    assert [catalog[name] for name in ("new", "changed", "unchanged", "gone")] == [0, 1, kept - 3, 2]
    assert catalog["corrected"] >= 1
    events = jobs.events_of(second.id, **where.where())
    assert f"{catalog['unchanged']:,} unchanged, {catalog['gone']:,} gone" in events[-1]["note"]
    rows = pq.read_table(Path(where.output) / second.id / "categorized.parquet").to_pylist()
    (row,) = [row for row in rows if row["product_name"] == decided][:1]
    assert (row["category"], row["confidence"]) == ("beef", 1.0)
    assert row["why"].startswith("corrected by ada ")
