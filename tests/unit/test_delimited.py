"""Records of delimited text, their lines, and stray quotation marks."""

import io

import pytest

from lib.errors import SourceError
from lib.formats.delimited import MOST_LINES_IN_A_RECORD, DelimitedText
from lib.formats.dialects import NO_DELIMITER, Dialect, detect_dialect


def records(text: str) -> list[tuple[int, list[str]]]:
    return read(text)[0]


def read(text: str, *, width: int = 3) -> tuple[list[tuple[int, list[str]]], set[int], int]:
    table = DelimitedText(io.StringIO(text, newline=""), dialect=Dialect(";", width), name="products.csv")
    found = table.chunk(10_000)
    return list(zip(found.lines, found.rows, strict=True)), found.open_quotes, table.blank_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a;b\nc;d\n", [(1, ["a", "b"]), (2, ["c", "d"])], id="plain"),
        pytest.param("a;b\r\nc;d\r\n", [(1, ["a", "b"]), (2, ["c", "d"])], id="Windows line ends"),
        pytest.param("a;b\rc;d", [(1, ["a", "b"]), (2, ["c", "d"])], id="old Mac line ends, none at the end"),
        pytest.param('a;"b;c"\n', [(1, ["a", "b;c"])], id="a quoted delimiter"),
        pytest.param('a;"b ""c"""\n', [(1, ["a", 'b "c"'])], id="doubled quotes"),
        pytest.param('a;"b\nc"\nd;e\n', [(1, ["a", "b\nc"]), (3, ["d", "e"])], id="a line break in a cell"),
        pytest.param('a;5" pan\nb;c\n', [(1, ["a", '5" pan']), (2, ["b", "c"])], id="an inch sign inside a cell"),
        pytest.param("a\n;;\nb\n", [(1, ["a"]), (2, ["", "", ""]), (3, ["b"])], id="bare delimiters are a row"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_records_begin_on_their_line(text: str, expected: list[tuple[int, list[str]]]) -> None:
    assert records(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "strays"),
    [
        pytest.param(
            '1;"x;y\n2;z;w\n', [(1, ["1", '"x', "y"]), (2, ["2", "z", "w"])], {0}, id="to the end of the file"
        ),
        pytest.param(
            '1;"x;y\n2;"z";w\n', [(1, ["1", '"x', "y"]), (2, ["2", "z", "w"])], {0}, id="to the quote of a later cell"
        ),
        pytest.param(
            '1;"x;y\n2;"z;w\n3;q;r\n',
            [(1, ["1", '"x', "y"]), (2, ["2", '"z', "w"]), (3, ["3", "q", "r"])],
            {0, 1},
            id="one after the other",
        ),
        pytest.param('1;2;"x', [(1, ["1", "2", '"x'])], {0}, id="in the last cell"),
        pytest.param(
            '1;"x;y\nmore; and more";w\n',
            [(1, ["1", "x;y\nmore; and more", "w"])],
            set(),
            id="closed, whatever it holds",
        ),
    ],
)
def test_a_quote_that_is_never_closed_swallows_no_other_row(
    text: str, expected: list[tuple[int, list[str]]], strays: set[int]
) -> None:
    found, open_quotes, _ = read(text)
    assert (found, open_quotes) == (expected, strays)


def test_a_quote_left_open_in_a_long_file_costs_one_row() -> None:
    others = 3 * MOST_LINES_IN_A_RECORD
    found, open_quotes, _ = read('1;"x;y\n' + "2;z;w\n" * others)
    assert len(found) == 1 + others
    assert open_quotes == {0}
    assert found[-1][0] == 1 + others


def test_blank_lines_are_counted_and_are_not_rows() -> None:
    found, _, blank = read("\na;b\n\n \nc;d\n\n")
    assert [line for line, _ in found] == [2, 5]
    assert blank == 4


def test_chunks_continue_where_the_last_one_ended() -> None:
    table = DelimitedText(io.StringIO("a\nb\n\nc\n", newline=""), dialect=Dialect(";", 2), name="products.csv")
    assert table.chunk(2).lines == [1, 2]
    assert table.chunk(5).lines == [4]
    assert table.chunk(5).rows == []


def test_a_cell_of_damage_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.formats.delimited.LONGEST_CELL", 100)
    with pytest.raises(SourceError, match=r"products\.csv: line 2: a cell is longer than 100 characters"):
        records("a;b\n" + "x" * 101 + ";c\n")


@pytest.mark.parametrize(
    ("sample", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";"),
        ("a\tb\nx, y\tz\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('name;price\n"Salt, pepper; more";1\n', ";"),
        ("Product name\nMilk, semi-skimmed\nBread, white\nButter\n", NO_DELIMITER),
        ("Price list 2024\n\nsku;name\n1;Milk\n2;Bread\n", ";"),
        ("sku^name\n1^Milk, fresh\n2^Bread\n", "^"),
        ("sku\tname, en\n1\tMilk, fresh\n", "\t"),
    ],
)
def test_the_delimiter_is_the_one_under_which_records_agree(sample: str, delimiter: str) -> None:
    assert detect_dialect(sample).delimiter == delimiter


def test_a_long_cell_does_not_hinder_the_detection() -> None:
    assert detect_dialect("a;b\n" + "x" * 200_000 + ";1\n").delimiter == ";"


def test_known_headers_decide_between_delimiters_that_fit_alike() -> None:
    sample = "Name;Price, EUR\nMilk;1,50\nBread;2,50\n"
    assert detect_dialect(sample, known=lambda cells: cells.count("Name")).delimiter == ";"


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param('"Best" milk;3', ['"Best" milk', "3"], id="a quoted word begins the cell"),
        pytest.param('"a"b;"c;d"', ["a" + "b", "c;d"], id="taken as quotes where only that gives the header's cells"),
        pytest.param('"a" ;"b ""c"""', ['"a" ', 'b "c"'], id="a blank behind a mark"),
        pytest.param('5" pan;12"', ['5" pan', '12"'], id="inches"),
    ],
)
def test_marks_in_odd_places_of_a_line_are_kept(line: str, cells: list[str]) -> None:
    table = DelimitedText(
        io.StringIO(f"name;size\n{line}\nx;y\n", newline=""), dialect=Dialect(";", 2), name="products.csv"
    )
    found = table.chunk(10)
    assert (found.rows[1:], found.open_quotes) == ([cells, ["x", "y"]], set())


def test_a_stray_quote_ended_by_an_inch_mark_swallows_no_other_row() -> None:
    text = 'name;size\n"Milk;1\nBread;2\nPizza;12"\nButter;3\n'
    table = DelimitedText(io.StringIO(text, newline=""), dialect=Dialect(";", 2), name="products.csv")
    found = table.chunk(10)
    assert found.rows[1:] == [['"Milk', "1"], ["Bread", "2"], ["Pizza", '12"'], ["Butter", "3"]]
    assert found.open_quotes == {1}


def test_a_chunk_ends_past_so_many_characters() -> None:
    table = DelimitedText(io.StringIO("aaaa\n" * 10, newline=""), dialect=Dialect(";", 2), name="products.csv")
    assert [len(table.chunk(10, most_characters=12).rows) for _ in range(4)] == [3, 3, 3, 1]


def test_more_blank_lines_than_allowed_are_one_clear_error() -> None:
    text = io.StringIO("name\n" + "\n" * 50, newline="")
    table = DelimitedText(text, dialect=Dialect(";", 1), name="products.csv", most_blank_lines=10)
    with pytest.raises(
        SourceError, match=r"products\.csv: it has more than 10 blank lines by line \d+; the file is damaged"
    ):
        while table.chunk(5).rows:
            pass


def test_a_line_without_an_end_is_not_read_whole() -> None:
    text = io.StringIO("name;size\n" + "x" * 1000, newline="")
    table = DelimitedText(text, dialect=Dialect(";", 2), name="products.csv", longest_line=100)
    with pytest.raises(SourceError, match=r"products\.csv: line 2 has more than 100 characters; the file is damaged"):
        table.chunk(10)
    assert text.tell() < 200


def test_a_line_of_too_many_cells_is_refused_before_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.formats.delimited.MOST_CELLS", 10)
    assert records("a;b\n" + ";" * 10 + "\n")[1][1] == [""] * 11
    with pytest.raises(SourceError, match=r"products\.csv: line 2 has more than 10 cells"):
        records("a;b\n" + ";" * 11 + "\n")


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param('1;"Base 12" thin; 2 pack";x', ["1", 'Base 12" thin; 2 pack', "x"], id="an inch before a letter"),
        pytest.param('1;"Cases; 9"";x', ["1", 'Cases; 9"', "x"], id="an inch before the closing mark"),
        pytest.param('1;"9"" and 12" pans; 2";x', ["1", '9" and 12" pans; 2', "x"], id="one doubled, one not"),
    ],
)
def test_a_mark_closes_a_cell_only_before_a_delimiter(line: str, cells: list[str]) -> None:
    found, open_quotes, _ = read(f"{line}\n2;y;z\n")
    assert (found, open_quotes) == ([(1, cells), (2, ["2", "y", "z"])], set())


def test_lines_quoted_as_a_whole_may_hold_line_breaks() -> None:
    text = '"1;""Milk;\nsemi-skimmed"";Dale"\n2;Curd;Dale\n"Note: a; b"\n'
    dialect = Dialect(";", 3, whole_lines=True)
    found = DelimitedText(io.StringIO(text, newline=""), dialect=dialect, name="products.csv").chunk(10)
    assert found.rows == [["1", "Milk;\nsemi-skimmed", "Dale"], ["2", "Curd", "Dale"], ["Note: a; b"]]
    assert found.lines == [1, 3, 4]


def test_apostrophes_at_the_beginning_of_cells_are_no_quotation_marks() -> None:
    assert detect_dialect("'00123;'t Hof Milk;'5\n'00124;Bread;'6\n").quote == '"'
    assert detect_dialect("1;'Milk; fresh';2\n2;'Bread';3\n3;'Rye; dark';4\n4;'Tea';1\n").quote == "'"
