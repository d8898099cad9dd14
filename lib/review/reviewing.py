"""Review of a job by a person: its products into a workbook, and the filled workbook into the catalog's corrections.

    export_review(job_id, "review.xlsx")     # what matters most first, a row a name
    import_review(job_id, "review.xlsx")     # all of it or, where a cell is refused, nothing

The job's own files stay as they are; a later import (`submit --again` of the same file, too) has the corrections.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.catalog import target_of
from lib.errors import SourceError, StorageError
from lib.importjobs.ends import home_of, job_named, without_results
from lib.importjobs.job import ImportJob, Status, person
from lib.jobrows import row_groups
from lib.modelfolder import read_card
from lib.records import Outcome
from lib.results import ROWS_FILE
from lib.review.book import (
    MOST_ROWS,
    SHEET,
    Choices,
    Filled,
    Refusals,
    ToReview,
    decisions_in,
    read_review,
    write_review,
)
from lib.review.decided import name_key
from lib.review.store import Corrected, Decision, add_corrections
from lib.settings import Settings, restored, settings_of
from lib.storage import folder

_COLUMNS = {
    "name": "product_name",
    "brand": "product_brand",
    "customer_category": "product_customer_category",
    "suggested": "category",
    "confidence": "confidence",
    "next_best": "category_2",
    "next_confidence": "confidence_2",
    "impact": "impact",
    "why": "why",
}


def export_review(
    job_id: str, path: str | Path, *, settings: Settings, output: str = "results", everything: bool = False
) -> int:
    """Write a workbook of the job's names to review, those first that may move the carbon figure most; their number.

    With `everything` those that were categorized follow. Raises JobError for a job without results, StorageError when
    the file cannot be written or is a workbook that somebody has filled in.
    """
    job = _reviewable(job_id, settings, output)
    if decisions := decisions_in(Path(path)):
        raise StorageError(
            f"{path}: somebody has filled in {decisions:,} of its categories; name another file, or remove this one"
        )
    found: dict[str, tuple[bool, ToReview]] = {}
    for row in _rows(job, lambda rows: _to_review(rows, everything=everything)):
        to_review = row["outcome"] == Outcome.REVIEW
        key = row["name_key"]
        if key not in found:
            told = {name: row[column] for name, column in _COLUMNS.items()}
            texts = {
                name: told[name] or ""
                for name in ("name", "brand", "customer_category", "suggested", "next_best", "why")
            }
            found[key] = to_review, ToReview(line=row["line"], sheet=row["sheet"] or "", products=1, **told | texts)
            continue
        before, one = found[key]
        total = (one.impact or 0.0) + (row["impact"] or 0.0)
        found[key] = before or to_review, replace(one, products=one.products + 1, impact=round(total, 6))
    ordered = sorted(found.values(), key=lambda pair: (not pair[0], -(pair[1].impact or 0.0), pair[1].line))
    rows = [one for _, one in ordered[:MOST_ROWS]]
    write_review(Path(path), rows, choices=_choices(job, settings), job_id=job.id)
    return len(rows)


def import_review(
    job_id: str, path: str | Path, *, settings: Settings, output: str = "results", who: str = ""
) -> Corrected:
    """Take a filled workbook's decisions into the catalog.

    Raises SourceError that names each cell which is refused, and then nothing is applied; CatalogError.
    """
    job = _reviewable(job_id, settings, output)
    refusals, choices = Refusals(str(path)), _choices(job, settings)
    filled = list(_filled(path, job, refusals))
    lines = pa.array({line for (_, line), _ in filled}, pa.int64())
    found = _rows(job, lambda rows: pc.is_in(rows["line"], lines))
    rows = {(row["sheet"] or "", row["line"]): row for row in found}
    decided: dict[str, tuple[str, Decision]] = {}
    for place, row in filled:
        known = rows.get(place)
        if known is None:
            refusals.add(f"{SHEET}!{row.row}", f"line {place[1]} is no product of the job's; leave it as it was")
            continue
        category = choices.decided(row.category, suggested=known["category"] or "", cell=row.cell, refusals=refusals)
        if category is None:
            continue
        key = known["name_key"]
        if key in decided and decided[key][1].category != category:
            refusals.add(row.cell, f"says other than {decided[key][0]} of the same name; decide for one of them")
            continue
        told = {name: known[_COLUMNS[name]] for name in ("name", "brand", "customer_category", "suggested")}
        decided[key] = row.cell, Decision(key, category, job_id=job.id, line=place[1], sheet=place[0], **told)
    refusals.check()
    if not decided:
        raise SourceError(
            f"{path}: no category is filled in; fill some cells of the column 'category' and import it again"
        )
    url = target_of(folder(job.output_uri), url=settings.catalog_url)
    return add_corrections(
        url, [one for _, one in decided.values()], customer=job.customer, job_id=job.id, who=who or person()
    )


def _filled(path: str | Path, job: ImportJob, refusals: Refusals) -> Iterator[tuple[tuple[str, int], Filled]]:
    """The rows of a workbook of the job's whose category is filled in, each with the sheet and line of its product."""
    rows = list(read_review(Path(path)))
    owners = {row.job_id for row in rows}
    if len(owners) == 1 and job.id not in owners:
        raise SourceError(f"{path}: is the workbook of job {owners.pop() or '(none)'}; import it with that job's UUID")
    for row in rows:
        if row.job_id != job.id:
            refusals.add(f"{SHEET}!{row.row}", f"is of job {row.job_id or '(none)'}; import it with that job's UUID")
        elif row.category:
            line = _line(row.line)
            if line is None:
                refusals.add(f"{SHEET}!{row.row}", f"its line {str(row.line)[:40]!r} is no number; leave it as it was")
            else:
                yield (row.sheet, line), row


def _reviewable(job_id: str, settings: Settings, output: str) -> ImportJob:
    _, job = job_named(job_id, settings=settings, output=output)
    if job.status != Status.SUCCEEDED or not home_of(job).exists(ROWS_FILE):
        raise without_results(job)
    return job


def _to_review(rows: pa.Table, *, everything: bool) -> pa.ChunkedArray:
    to_review = pc.equal(rows["outcome"], Outcome.REVIEW)
    return pc.or_(to_review, pc.is_null(rows["corrected_by"])) if everything else to_review


def _rows(job: ImportJob, chosen: Callable[[pa.Table], pa.ChunkedArray]) -> Iterator[dict[str, Any]]:
    """Of the job's rows that were not rejected those that are chosen (a mask of them), with what is asked here."""
    wanted = ["line", "sheet", "outcome", "name_key", "corrected_by", *_COLUMNS.values()]
    for group in row_groups(home_of(job)):
        kept = group.select(wanted).filter(pc.not_equal(group["outcome"], Outcome.REJECTED))
        for row in kept.filter(chosen(kept)).to_pylist():
            # A job of an earlier version has none.
            key = row["name_key"] or name_key(row["product_name"], brand=row["product_brand"] or "")
            yield row | {"name_key": key}


def _choices(job: ImportJob, settings: Settings) -> Choices:
    own = settings_of(restored(job.settings, database_url=settings.database_url))
    return Choices(read_card(folder(own.model_uri))["labels"])


def _line(cell: Any) -> int | None:
    """A line's number, which some programs keep as 12.0 or as text."""
    text = str(cell).strip().removesuffix(".0")
    return int(text) if text.isdecimal() else None
