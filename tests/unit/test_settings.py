"""Settings: defaults, what differs, and mistakes."""

from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.settings import ROOT, check_file, parse, settings_of


def test_the_default_file_holds_every_key() -> None:
    settings = settings_of(parse(""))
    assert settings.batches.most == 96
    assert settings.model_uri == str(ROOT / "lib/models/carbon")


def test_another_file_gives_only_what_differs() -> None:
    settings = settings_of(parse("review_threshold = 0.5\n[batches]\ncount = 7\n"))
    assert (settings.review_threshold, settings.batches.count, settings.batches.rows_at_least) == (0.5, 7, 50_000)


def test_the_catalogs_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFSORT_DATABASE_URL", "postgresql://a/b")
    assert settings_of(parse("")).catalog_url == "postgresql://a/b"
    assert settings_of(parse('database_url = "sqlite:///x.db"')).catalog_url == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = [", "not valid TOML: "),
        ("colour = 1", "colour: there is no such key; the known keys are in config/default.toml"),
        ("[batches]\nmost = 0", "batches.most: Input should be greater than or equal to 1 (it is 0)"),
        ("review_threshold = 2", "review_threshold: Input should be less than or equal to 1 (it is 2)"),
        ("[batches]\ncount = true", "batches.count: Input should be a valid integer (it is True)"),
        ('keep_shards = "yes"', "keep_shards: Input should be a valid boolean (it is 'yes')"),
        ('model = ""', "model: String should have at least 1 character (it is '')"),
        ("batches = 3", "batches: Input should be a valid dictionary or instance of BatchSettings (it is 3)"),
        ('[validation]\nwarn = ["duplicate"]', "validation: duplicate stands in both reject and warn"),
        (
            "[validation]\nreject = []",
            "validation: missing-name must reject: a product without a name cannot be categorized",
        ),
    ],
)
def test_a_mistake_is_one_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(text)
    assert str(refused.value).startswith(message)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: No such file or directory; give --config settings"):
        check_file(str(tmp_path / "nowhere.toml"))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"binary\.toml: is not a UTF-8 text file"):
        check_file(str(binary))
