"""Workbooks of review that come back other than they should, and those that must not be lost."""

import re
from pathlib import Path
from typing import Any

import pytest

from lib.errors import SourceError, StorageError
from lib.review.reviewing import import_review
from lib.settings import parse, settings_of
from tests.unit.test_reviewing import JOB, OTHER, SOURCE, exported, filled, imported


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """Settings and output of a job that has succeeded."""
    (tmp_path / "products.csv").write_text(SOURCE, "utf-8")
    where: dict[str, Any] = {"settings": settings_of(parse("")), "output": str(tmp_path / "results")}
    imported(tmp_path, where, JOB)
    return where


def test_a_workbook_of_another_job_is_refused_as_a_whole(place: dict[str, Any], tmp_path: Path) -> None:
    path = exported(tmp_path, place)
    filled(path, N2=OTHER, N3=OTHER)
    with pytest.raises(SourceError) as caught:
        import_review(JOB, path, **place)
    assert str(caught.value) == f"{path}: is the workbook of job {OTHER}; import it with that job's UUID"


def test_refused_cells_are_named_in_the_order_of_their_rows(place: dict[str, Any], tmp_path: Path) -> None:
    path = filled(exported(tmp_path, place, everything=True), G2="x", G3="beef", A3="y", G4="z")
    with pytest.raises(SourceError) as caught:
        import_review(JOB, path, **place)
    assert re.findall(r"Review!\w+", str(caught.value)) == ["Review!G2", "Review!3", "Review!G4"]


def test_what_somebody_has_filled_in_is_not_written_over(place: dict[str, Any], tmp_path: Path) -> None:
    path = exported(tmp_path, place)
    exported(tmp_path, place)  # nobody has done anything to it
    content = filled(path, G2="beef").read_bytes()
    with pytest.raises(StorageError, match="somebody has filled in 1 of its categories; name another file, or remove"):
        exported(tmp_path, place)
    assert path.read_bytes() == content
