"""What is known of a customer's files in advance."""

from pathlib import Path

import pytest

from lib.columns import match_columns
from lib.errors import SettingsError
from lib.profiles import Profile, profile_of


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("lib.profiles.PROFILES", tmp_path)
    return tmp_path


def test_without_any_everything_is_recognized() -> None:
    assert profile_of("", columns="") == Profile()


def test_columns_told_on_the_command_line_win_over_the_profiles(profiles: Path) -> None:
    (profiles / "acme.toml").write_text('sheet = "A"\ncolumns = { name = "Artikel", gtin = "EAN" }')
    profile = profile_of("acme", columns="name=Ben\u00e4mning, sku = Nr")
    assert profile.columns == {"name": "Ben\u00e4mning", "gtin": "EAN", "sku": "Nr"}
    assert profile.sheet == "A"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns = [", "acme.toml: not valid TOML"),
        ("colour = 1", "acme.toml: colour: Extra inputs are not permitted"),
        ('columns = { colour = "x" }', "acme.toml: columns.colour: is not one of name, sku"),
    ],
)
def test_a_wrong_profile_is_one_line(profiles: Path, text: str, message: str) -> None:
    (profiles / "acme.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        profile_of("acme", columns="")
    assert message in str(refused.value)


@pytest.mark.parametrize("customer", ["nobody", "../acme"])
def test_a_profile_that_there_is_not_lists_those_that_there_are(profiles: Path, customer: str) -> None:
    (profiles / "acme.toml").write_text("")
    with pytest.raises(SettingsError, match=r"there is no config/profiles/.*\.toml \(there are: acme\)"):
        profile_of(customer, columns="")


@pytest.mark.parametrize("told", ["name", "name=", "colour=x"])
def test_columns_told_in_another_form_are_refused(told: str) -> None:
    with pytest.raises(SettingsError, match="write FIELD=HEADER with commas between"):
        profile_of("", columns=told)


def test_what_is_told_wins_over_the_table() -> None:
    matches = match_columns(["Name", "Titel 2"], source="products.csv", told={"name": "titel 2"})
    assert [(match.field, match.header, match.reason) for match in matches] == [("name", "Titel 2", "as told")]


def test_a_told_header_that_there_is_not_is_refused_with_the_columns() -> None:
    with pytest.raises(SettingsError, match="there is no column 'X' for name; the columns are 'Name'"):
        match_columns(["Name"], source="products.csv", told={"name": "X"})
