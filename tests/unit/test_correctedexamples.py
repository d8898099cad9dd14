"""What people corrected as examples to learn from: a review.csv, a workbook, the catalog."""

from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from lib.errors import SettingsError, SourceError
from lib.learning.corrected import CATALOG, corrected_examples
from lib.learning.examples import COLUMNS
from lib.review.book import Choices, ToReview, write_review
from lib.review.store import Decision, add_corrections

REVIEW_CSV = (
    "line,product_name,product_brand,category,category_name,confidence\n"
    '3,Oat rye,,beer,"Beef, fresh or frozen",0.2\n'
    '4,Left as it was,,beef,"Beef, fresh or frozen",0.1\n'
    '5,Emptied,,,"Beef, fresh or frozen",0.1\n'
)


def written(folder: Path, content: str) -> str:
    (folder / "review.csv").write_text(content, "utf-8")
    return str(folder / "review.csv")


def test_of_a_corrected_review_csv_only_what_was_changed_is_learned(tmp_path: Path) -> None:
    found, _ = corrected_examples(written(tmp_path, REVIEW_CSV))
    assert [(row["name"], row["label"], row["split"]) for row in found.to_dict("records")] == [
        ("Oat rye", "beer", "train")
    ]
    assert list(found.columns) == list(COLUMNS)
    unchanged = REVIEW_CSV.replace("Oat rye,,beer", "Oat rye,,beef")
    with pytest.raises(SourceError, match=r"review\.csv: no row's category was changed; what a person confirmed"):
        corrected_examples(written(tmp_path, unchanged))


def test_of_a_review_workbook_what_was_filled_in_is_learned(tmp_path: Path) -> None:
    rows = [
        ToReview(line, "", 1, name, "Vrrk", "Sundries", "beef", 0.3, "milk", 0.2, 1.0, "")
        for line, name in enumerate(("Confirmed", "Chosen", "Undecided"), start=2)
    ]
    path = tmp_path / "review.xlsx"
    write_review(path, rows, choices=Choices([]), job_id="job")
    book = openpyxl.load_workbook(path)
    book["Review"]["G2"], book["Review"]["G3"] = "confirm", "Beer"
    book.save(path)
    beer = Choices([]).of("beer")
    found, told = corrected_examples(str(path))
    columns = ["name", "label", "customer_categories", "brands", "split"]
    assert found[columns].to_dict("split")["data"] == [
        ["Confirmed", "beef", "Sundries", "Vrrk", "train"],
        ["Chosen", beer, "Sundries", "Vrrk", "train"],
    ]
    assert told == str(path)
    book["Review"]["G4"] = "bear"
    book.save(path)
    book.close()
    with pytest.raises(SourceError, match=r"review\.xlsx: 1 cell is refused .*Review!G4: 'bear' is no category"):
        corrected_examples(str(path))


def test_the_catalog_s_corrections_are_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.db"
    url = sa.make_url(f"sqlite:///{path}")
    for category in ("milk", "beef"):
        said = Decision("qwx", category, None, "Qwx 1 l", "Vrrk", None, "job", 2, "")
        add_corrections(url, [said], customer="acme", job_id="job", who="ada")
    for told in (str(path), f"sqlite:///{path}", CATALOG):
        monkeypatch.setenv("SHELFSORT_DATABASE_URL", f"sqlite:///{path}")
        found, where = corrected_examples(told)
        assert found[["name", "label", "brands"]].to_dict("split")["data"] == [["Qwx 1 l", "beef", "Vrrk"]]
        assert where == f"sqlite:///{path}"
    monkeypatch.setenv("SHELFSORT_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(SourceError, match=r"none\.db: there is no such catalog; name its file"):
        corrected_examples(CATALOG)
    with pytest.raises(SettingsError, match="a password belongs in SHELFSORT_DATABASE_URL") as caught:
        corrected_examples("postgresql://ada:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
