"""JSON files in, rows out; what is not a list of records is one clear error."""

from pathlib import Path

import pytest

from lib.errors import SourceError
from lib.formats.json_records import open_json
from lib.formats.nested import RecordLimits, RecordTable, looks_like_html, looks_like_json

LIMITS = RecordLimits()


def table_of(folder: Path, content: str | bytes, limits: RecordLimits = LIMITS) -> RecordTable:
    path = folder / "products.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_json(path, name="products.json", limits=limits)


def cells_of(folder: Path, content: str | bytes, limits: RecordLimits = LIMITS) -> list[list[str]]:
    """The header and the rows."""
    table = table_of(folder, content, limits)
    return [table.header, *(cells for _, cells in table.rows())]


def refusal_of(folder: Path, content: str | bytes, limits: RecordLimits = LIMITS) -> str:
    with pytest.raises(SourceError) as caught:
        cells_of(folder, content, limits)
    return str(caught.value)


# What it is, the file, where the records are found, the header and the rows.
SHAPES = [
    ("an array", '[{"a":1},{"b":2}]', "array at $", [["a", "b"], ["1", ""], ["", "2"]]),
    ("an array in objects", '{"n":1,"d":{"p":[{"a":1}]}}', "array at $.d.p", [["a"], ["1"]]),
    ("two arrays", '{"x":[{"q":1}],"p":[{"a":1},{"a":2}]}', "array at $.p (the longest of 2)", [["a"], ["1"], ["2"]]),
    ("pages", '[[{"a":1}],[{"a":2}]]', "array at $[*]", [["a"], ["1"], ["2"]]),
    ("lines", '{"a":1}\n\n{"a":2}\n', "the values of the file", [["a"], ["1"], ["2"]]),
    ("no lines", '{"a":1}{"a":2} {"a":3}', "the values of the file", [["a"], ["1"], ["2"], ["3"]]),
    ("arrays", '[["n","p"],["Milk",1.5],["Egg"]]', "array at $", [["n", "p"], ["Milk", "1.5"], ["Egg", ""]]),
    ("arrays in lines", '["n","p"]\n["Milk",1.5]', "the values of the file", [["n", "p"], ["Milk", "1.5"]]),
    ("a longer array", '[["n"],["Milk","?"]]', "array at $", [["n"], ["Milk", "?"]]),
    (
        "pandas' split",
        '{"columns":["n","p"],"data":[["a",1],["b",2]]}',
        "array at $.data",
        [["n", "p"], ["a", "1"], ["b", "2"]],
    ),
    ("keys", '{"40":{"n":"a"},"41":{"n":"b"}}', "members of the object at $", [["key", "n"], ["40", "a"], ["41", "b"]]),
    (
        "keyed arrays",
        '{"Milk":[{"n":"a"}],"Egg":[{"n":"b"}]}',
        "all arrays at $",
        [["key", "n"], ["Milk", "a"], ["Egg", "b"]],
    ),
    ("scalars", '["Milk","Egg"]', "array at $", [["value"], ["Milk"], ["Egg"]]),
    ("one product", '{"n":"Milk","tags":["a","b"]}', "the one object", [["n", "tags"], ["Milk", "a; b"]]),
    (
        "products in groups",
        '{"c":[{"g":"Dairy","p":[{"n":"a","e":1,"q":2},{"n":"b","e":2,"q":3}]},{"g":"Egg","p":[{"n":"c","e":3,"q":4}]}]}',
        "array at $.c[*].p",
        [["c.g", "n", "e", "q"], ["Dairy", "a", "1", "2"], ["Dairy", "b", "2", "3"], ["Egg", "c", "3", "4"]],
    ),
    (
        "products with nutrients",
        '[{"n":"a","e":1,"q":[{"k":"fat","v":2,"u":"g"},{"k":"salt","v":1,"u":"g"}]}]',
        "array at $",
        [["n", "e", "q"], ["a", "1", '[{"k":"fat","v":2,"u":"g"},{"k":"salt","v":1,"u":"g"}]']],
    ),
]


@pytest.mark.parametrize(("content", "where", "expected"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_records_are_found_where_they_are(tmp_path: Path, content: str, where: str, expected: list[list[str]]) -> None:
    assert table_of(tmp_path, content).where == where
    assert cells_of(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('" Käse "', " Käse "),
        ("4006381333931", "4006381333931"),
        ("4006381333931.0", "4006381333931"),  # a GTIN that passed through a float column
        ("4.006381333931E12", "4006381333931"),
        ("1.50", "1.50"),
        ("1E-2", "0.01"),
        ("1e999999999", "1e999999999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        ("null", ""),
        ("NaN", ""),
        ("-Infinity", "-Infinity"),
        ("[]", ""),
        ('[1,"b",null,false]', "1; b; false"),
        ('[1,["b",2.50]]', '[1,["b",2.50]]'),
        ('[{"k":"ä\\"","v":[true,null]}]', '[{"k":"ä\\"","v":[true,null]}]'),
        ('"a\\ud800b"', "a\ufffdb"),  # half of a pair
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"a\\u0000b"', "a\ufffdb"),
        ('"a\nb"', "a\nb"),  # not JSON, and harmless
    ],
)
def test_a_value_is_the_text_that_was_written(tmp_path: Path, value: str, cell: str) -> None:
    assert cells_of(tmp_path, f'[{{"v":{value},"w":1}}]') == [["v", "w"], [cell, "1"]]


def test_nested_objects_become_columns_with_paths(tmp_path: Path) -> None:
    content = '[{"n":"a","p":{"v":1.50,"c":{"code":"EUR"}}},{"p":2,"x":{}}]'
    assert cells_of(tmp_path, content) == [["n", "p.v", "p.c.code", "p"], ["a", "1.50", "EUR", ""], ["", "", "", "2"]]


def test_both_values_of_a_repeated_key_are_kept(tmp_path: Path) -> None:
    assert cells_of(tmp_path, '[{"a":1,"b":2,"a":"x"}]') == [["a", "b"], ["1; x", "2"]]


def test_records_that_are_not_objects_are_rows(tmp_path: Path) -> None:
    assert cells_of(tmp_path, '[{"a":1},"x",[1,2]]') == [["a", "value"], ["1", ""], ["", "x"], ["", "1; 2"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_unicode_encodings_are_recognized(tmp_path: Path, encoding: str) -> None:
    content = '[{"n":"Käse"},\n{"n":"Öl"}]'.encode(encoding)
    assert cells_of(tmp_path, content) == [["n"], ["Käse"], ["Öl"]]
    assert looks_like_json(content)


def test_a_row_has_the_line_on_which_its_record_begins(tmp_path: Path) -> None:
    table = table_of(tmp_path, '{"p": [\n  {"a": 1},\n\n  {\n "a": "x"}]}')
    assert table.numbering == "line"
    assert [line for line, _ in table.rows()] == [2, 4]


def test_rows_of_a_file_on_one_line_are_numbered(tmp_path: Path) -> None:
    table = table_of(tmp_path, '[{"a":1},{"a":2}]')
    assert table.numbering == "record"
    assert [number for number, _ in table.rows()] == [1, 2]


def test_lines_are_counted_over_more_than_a_window(tmp_path: Path) -> None:
    table = table_of(tmp_path, '{"d": {"p": [\n' + ",\n".join(f'{{"a": "{i:0999}"}}' for i in range(5000)) + "]}}")
    assert [line for line, _ in table.rows()] == list(range(2, 5002))
    assert table.where == "array at $.d.p"


def test_a_record_longer_than_the_window_is_a_row(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    assert cells_of(tmp_path, f'[{{"a":"{long}"}},{{"b":{{"c":"{long}"}}}}]') == [["a", "b.c"], [long, ""], ["", long]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("[]", "an empty list"),
        ("{}", "no records"),
        ('{"products":[]}', "no records"),
        ("[{}]", "no records with fields"),
        ("null", "no records"),
        ('[{"a":1},\n{"a"', "cut off: it ends within a value that begins on line 2"),
        ('[{"a":1},\n', "cut off"),
        ('{"p":[{"a":1}\n', "cut off"),
        ('[{"a":1}\n{"a":2}]', "not valid JSON on line 2"),
        ('{"a":1}\n{a:1}', "not valid JSON on line 2"),
        (b'[{"a":"x"},\n{"a":"\xe4"}]', "not UTF-8 text (byte 0xE4 on line 2)"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('[{"a":' * 300 + "1" + "}]" * 300, "nested too deeply"),
        ('[{"a":"' + "x" * 17_000_000 + '"}]', "more than 16,000,000 characters"),
        ("[{" + ",".join(f'"k{i}":1' for i in range(100_000)) + "}]", "more than 10,000 different fields"),
        (",".join(f'{{"k{i}":1}}' for i in range(100_000)).join("[]"), "more than 10,000 different fields"),
        (",".join(f'"k{i}":[{{"a":1}}]' for i in range(6_000)).join("{}"), "more than 5,000 lists"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_file_is_one_error(tmp_path: Path, content: str | bytes, said: str) -> None:
    message = refusal_of(tmp_path, content)
    assert message.startswith("products.json: ")
    assert said in message


def test_limits_can_be_set(tmp_path: Path) -> None:
    assert "more than 1 different" in refusal_of(tmp_path, '[{"a":1,"b":2}]', RecordLimits(columns=1))
    assert "more than 9 char" in refusal_of(tmp_path, '[{"a":"1234567890"}]', RecordLimits(cell_characters=9))


@pytest.mark.parametrize(
    ("sample", "json", "html"),
    [
        (b' \n[{"a', True, False),
        (b'{ "a":', True, False),
        (b"[1, 2", True, False),
        (b"[name];[price]", False, False),
        (b"{name}", False, False),
        (b"name;price", False, False),
        (b"", False, False),
        (b"<!DOCTYPE html>", False, True),
        (b'<?xml version="1.0"?>\n<html xmlns="x">', False, True),
        (b"<table border=0>", False, True),
        (b"<!-- a --> <!-- b -->\n<html>", False, True),
        (b"<!---->" * 500, False, False),
    ],
)
def test_json_and_web_pages_are_recognized_by_their_beginning(sample: bytes, json: bool, html: bool) -> None:
    assert (looks_like_json(sample), looks_like_html(sample)) == (json, html)
