"""Review: a job's names into a workbook and back, as spreadsheet programs save it; on SQLite and PostgreSQL."""

import getpass
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lib.catalog import CatalogJob, import_results
from lib.cataloging.rows import catalog_tables
from lib.errors import JobError, SourceError, StorageError
from lib.importjobs.commands import app
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.store import JobStore, store_url
from lib.joining import join_batches
from lib.planning import plan_import
from lib.processing import process_batch
from lib.review.reviewing import export_review, import_review
from lib.review.store import Corrected
from lib.settings import Settings, parse, settings_of, snapshot
from lib.storage import folder
from lib.taxonomy import read_taxonomy
from tests.catalogs import dump, products

SOURCE = (
    "sku;name;brand;category;EAN\n"
    "1;Qwxyz 100 g;;=1+1;\n"
    "2;Zzyzx;Vrrk;Sundries;\n"
    "3;QWXYZ, 1 kg;;;\n"
    "4;Cheddar cheese;;;\n"
    ";;;only a category;\n"
)
JOB = "12345678-1234-5678-1234-567812345678"
OTHER = "87654321-1234-5678-1234-567812345678"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings and output of a job of customer acme's that has succeeded."""
    if request.param == "postgres":
        monkeypatch.setenv("SHELFSORT_DATABASE_URL", str(request.getfixturevalue("postgres_url")))
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    where: dict[str, Any] = {"settings": settings_of(parse("")), "output": str(tmp_path / "results")}
    imported(tmp_path, where, JOB)
    return where


def imported(tmp_path: Path, where: dict[str, Any], job_id: str) -> list[dict[str, Any]]:
    """A job run in this process; its rows."""
    settings, output = where["settings"], where["output"]
    source, now = tmp_path / "products.csv", datetime.now(UTC)
    store = JobStore(store_url(settings, output), create=True)
    store.add(
        ImportJob(
            job_id,
            "acme",
            str(source),
            "products.csv",
            "0" * 64,
            1,
            output,
            {},
            snapshot(settings),
            "local",
            "ada",
            now,
        ),
        again=True,
    )
    plan = plan_import(str(source), output=output, job_id=job_id, settings=settings, cores=1, customer="acme")
    joined = join_batches(plan, [process_batch(batch, plan=plan, settings=settings) for batch in plan.batches])
    given = CatalogJob(job_id, joined.rows.sha256, customer=plan.customer, submitted_at=now)
    home = folder(plan.job_uri)
    import_results(
        folder(output), url=settings.catalog_url, job=given, tables=lambda: catalog_tables(joined.rows, home)
    )
    store.begin(job_id, owner="test", seconds=None)
    store.change(job_id, [Status.RUNNING], Status.SUCCEEDED, who="test")
    rows: list[dict[str, Any]] = pq.read_table(Path(plan.job_uri) / "rows.parquet").to_pylist()
    return rows


def url_of(where: dict[str, Any]) -> str:
    settings: Settings = where["settings"]
    return settings.catalog_url or f"sqlite:///{where['output']}/catalog.db"


def exported(tmp_path: Path, where: dict[str, Any], **more: Any) -> Path:
    path = tmp_path / "review.xlsx"
    export_review(JOB, path, **where, **more)
    return path


def filled(path: Path, **cells: Any) -> Path:
    """The workbook with some cells filled, as another program saves it."""
    book = openpyxl.load_workbook(path)
    for cell, value in cells.items():
        book["Review"][cell] = value
    book.save(path)
    book.close()
    return path


def shown(path: Path) -> list[dict[str, Any]]:
    book = openpyxl.load_workbook(path)
    header, *rows = book["Review"].iter_rows(values_only=True)
    book.close()
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_workbook_has_each_name_once_with_what_a_person_needs(place: dict[str, Any], tmp_path: Path) -> None:
    rows = shown(exported(tmp_path, place))
    by_name = {row["name"]: row for row in rows}
    assert sorted(by_name) == ["Qwxyz 100 g", "Zzyzx"]
    one = by_name["Qwxyz 100 g"]
    assert (one["line"], one["products"], one["customer category"], one["category"]) == (2, 2, "=1+1", None)
    assert (by_name["Zzyzx"]["brand"], by_name["Zzyzx"]["products"]) == ("Vrrk", 1)
    assert {row["job_id"] for row in rows} == {JOB}
    assert one["confidence"] is not None
    names = {leaf.name for leaf in read_taxonomy().leaves}
    assert {row["suggested"] for row in rows} <= names
    impacts = [row["impact"] for row in rows]
    assert impacts == sorted(impacts, reverse=True)
    everything = [row["name"] for row in shown(exported(tmp_path, place, everything=True))]
    assert everything[-1] == "Cheddar cheese"
    assert len(everything) == 3


def test_the_category_is_chosen_from_a_list_of_all_leaves(place: dict[str, Any], tmp_path: Path) -> None:
    path = exported(tmp_path, place)
    for saved_again in (False, True):
        if saved_again:
            filled(path)
        book = openpyxl.load_workbook(path)
        (rule,) = book["Review"].data_validations.dataValidation
        assert (rule.type, str(rule.sqref), rule.formula1) == ("list", "G2:G3", "Categories!$A$2:$A$252")
        cells = [row[:2] for row in book["Categories"].iter_rows(min_row=2, max_row=252, values_only=True)]
        assert cells[0] == ("confirm", None)
        assert sorted(cells[1:]) == sorted((leaf.name, leaf.id) for leaf in read_taxonomy().leaves)
        book.close()


def test_what_is_filled_in_wins_in_the_catalog_and_in_later_imports(place: dict[str, Any], tmp_path: Path) -> None:
    path = exported(tmp_path, place)
    at = {row["name"]: number for number, row in enumerate(shown(path), start=2)}
    cells = {f"G{at['Qwxyz 100 g']}": "  BEEF, fresh or  frozen ", f"G{at['Zzyzx']}": "confirm"}
    done = import_review(JOB, filled(path, **cells), **place, who="ada")
    assert done == Corrected(decided=2, added=2, products=3)
    suggested = products(url_of(place), "category", product_key="sku:2")
    assert products(url_of(place), "category", "confidence", "needs_review", "corrected_by", product_key="sku:1") == [
        ("beef", 1.0, False, "ada")
    ]
    assert import_review(JOB, path, **place, who="ada") == Corrected(decided=2, added=0, products=0)
    later = {row["product_name"]: row for row in imported(tmp_path, place, OTHER)}
    one = later["QWXYZ, 1 kg"]
    assert (one["outcome"], one["category"], one["confidence"], one["impact"]) == ("categorized", "beef", 1.0, 0.0)
    assert re.fullmatch(r"corrected by ada \d{4}-\d\d-\d\d", one["why"])
    assert (one["category_name"], one["kg_co2e"] is not None) == ("Beef, fresh or frozen", True)
    assert [(later["Zzyzx"]["category"],)] == suggested
    assert later["Cheddar cheese"]["corrected_by"] is None
    export_review(JOB, tmp_path / "again.xlsx", **place)
    assert shown(tmp_path / "again.xlsx") != []  # the first job's own file is as it was
    export_review(OTHER, tmp_path / "other.xlsx", **place)
    assert shown(tmp_path / "other.xlsx") == []


def test_batches_that_know_a_correction_are_not_taken_for_those_that_do_not(
    place: dict[str, Any], tmp_path: Path
) -> None:
    def key() -> str:
        given: dict[str, Any] = {
            "source": str(tmp_path / "products.csv"),
            "job_id": OTHER,
            "cores": 1,
            "customer": "acme",
        }
        return plan_import(**given, **place).results_key

    before = key()
    assert key() == before
    path = exported(tmp_path, place)
    import_review(JOB, filled(path, G2="beef"), **place)
    after = key()
    assert after != before
    import_review(JOB, path, **place)
    assert key() == after
    # A job that is run again without saying whose it is has them, too.
    again = plan_import(str(tmp_path / "products.csv"), job_id=JOB, cores=1, **place)
    assert (again.customer, again.reviewed is not None) == ("acme", True)
    assert {row["who"] for row in _people(url_of(place))} == {getpass.getuser()}


def _people(url: str) -> Iterator[dict[str, Any]]:
    for row in dump(url)["corrections"]:
        yield {"who": row[4]}


def test_bad_cells_are_refused_by_name_and_nothing_is_applied(place: dict[str, Any], tmp_path: Path) -> None:
    path = exported(tmp_path, place, everything=True)
    before = dump(url_of(place))
    filled(path, G2="beef", G3="cheddar chese", G4="x")
    with pytest.raises(SourceError) as caught:
        import_review(JOB, path, **place)
    assert str(caught.value) == (
        f"{path}: 2 cells are refused and nothing was applied: "
        "Review!G3: 'cheddar chese' is no category; choose one of the sheet Categories, or empty it; "
        "Review!G4: 'x' is no category; choose one of the sheet Categories, or empty it"
    )
    assert dump(url_of(place)) == before


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        pytest.param({"G2": "beaf, fresh or frozen"}, "Review!G2: .*, perhaps 'Beef, fresh or frozen'", id="mistyped"),
        pytest.param(
            {"G2": "beef", "A2": 77}, "Review!2: line 77 is no product of the job's; leave", id="no such line"
        ),
        pytest.param({"G2": "beef", "A2": 6}, "Review!2: line 6 is no product", id="a rejected line"),
        pytest.param({"G2": "beef", "A2": "two"}, "Review!2: its line 'two' is no number", id="no line"),
        pytest.param({"G2": "beef", "N2": OTHER}, f"Review!2: is of job {OTHER}; import it with", id="another job"),
        pytest.param({"G2": "beef", "G4": "milk", "A4": 4, "N4": JOB}, "Review!G4: says other than", id="two answers"),
        pytest.param({}, "no category is filled in; fill some cells of the column 'category'", id="nothing filled"),
        pytest.param({"G1": "Kategorie"}, "row 1 of its sheet Review has no 'category'", id="no such column"),
    ],
)
def test_what_cannot_be_taken_is_said(tmp_path: Path, cells: dict[str, Any], line: str) -> None:
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    where: dict[str, Any] = {"settings": settings_of(parse("")), "output": str(tmp_path / "results")}
    imported(tmp_path, where, JOB)
    path = exported(tmp_path, where)
    ordered = [row["line"] for row in shown(path)]
    # Line 2 stands first, so that the cells of the cases are its.
    if ordered[0] != 2 and "A2" not in cells:
        cells = {"A2": 2, "A3": 3} | cells
    filled(path, **cells)
    before = dump(url_of(where))
    with pytest.raises(SourceError, match=line):
        import_review(JOB, path, **where)
    assert dump(url_of(where)) == before


def test_other_files_and_jobs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    where: dict[str, Any] = {"settings": settings_of(parse("")), "output": str(tmp_path / "results")}
    imported(tmp_path, where, JOB)
    with pytest.raises(
        SourceError, match=r"products\.csv: is no workbook .*; give the workbook that `review --export`"
    ):
        import_review(JOB, tmp_path / "products.csv", **where)
    with pytest.raises(SourceError, match=r"nowhere\.xlsx: No such file or directory; give the workbook"):
        import_review(JOB, tmp_path / "nowhere.xlsx", **where)
    book = openpyxl.Workbook()
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(SourceError, match=r"other\.xlsx: has no sheet Review"):
        import_review(JOB, tmp_path / "other.xlsx", **where)
    with pytest.raises(StorageError, match=r"products\.csv/review\.xlsx: (Not a directory|File exists)"):
        export_review(JOB, tmp_path / "products.csv" / "review.xlsx", **where)
    store = JobStore(store_url(where["settings"], where["output"]))
    store.add(replace(store.get(JOB), id=OTHER, status=Status.SUBMITTED, attempts=0), again=True)
    with pytest.raises(JobError, match=f"job {OTHER} is submitted and has no results yet"):
        export_review(OTHER, tmp_path / "review.xlsx", **where)
    with pytest.raises(JobError, match="'x' is not the UUID of a job; `list` shows them"):
        export_review("x", tmp_path / "review.xlsx", **where)


def test_the_command_exports_and_imports(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    where: dict[str, Any] = {"settings": settings_of(parse("")), "output": str(tmp_path / "results")}
    imported(tmp_path, where, JOB)
    path = tmp_path / "review.xlsx"

    def called(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["--output", where["output"], "review", JOB, *arguments])

    assert (
        called("--export", str(path)).stdout
        == f"{path}: 2 names; fill its column 'category', then review --import it\n"
    )
    filled(path, G2="beef")
    done = called("--import", str(path), "--who", "ada", "--json")
    assert '"decided": 1' in done.stdout
    neither = called()
    assert neither.exit_code == 1
    assert neither.stderr == (
        "shelfsort: review takes either --export FILE or --import FILE; export first, fill it, import it\n"
    )
