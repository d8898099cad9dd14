"""Names written by hand: their files, and what is refused."""

from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.learning.written import Written, read_written
from lib.taxonomy import read_taxonomy


def test_files_are_read_with_whether_they_are_english(tmp_path: Path) -> None:
    (tmp_path / "sv.csv").write_text("name,category\nTrocadero 33cl,soft-drinks\n", "utf-8")
    (tmp_path / "en.csv").write_text('name,category\n"Bread, rye", bread\n', "utf-8")
    assert read_written(tmp_path) == [
        Written("Bread, rye", "bread", True),
        Written("Trocadero 33cl", "soft-drinks", False),
    ]
    assert read_written(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,label\n", "line 1: the columns are not name,category"),
        ("name,category\nTea,tea\n ,tea\n", "line 3: needs a name and its category"),
        ("name,category\nTea\n", "line 2: needs a name and its category"),
        ("name,category\nTea,drinks\n", "line 2: the category 'drinks' is no leaf"),
        ("name,category\nTe\u00e9,tea\n", "cannot be read"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "sv.csv").write_text(content, "latin-1")
    with pytest.raises(SettingsError, match=message) as refused:
        read_written(tmp_path)
    assert "sv.csv" in str(refused.value)


def test_the_shipped_files_have_names_for_every_leaf() -> None:
    assert {one.category for one in read_written()} == {leaf.id for leaf in read_taxonomy().leaves}
