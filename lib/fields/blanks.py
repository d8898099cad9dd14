"""What programs write into cells that hold nothing: '#N/A', 'NULL', 'NaN', '-'."""

# A spreadsheet's errors, what pandas and databases export, and what people write for want of anything.
NOTHING = frozenset(
    {
        *("#N/A", "#N/A!", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#NV", "#BEZUG!", "#WERT!"),
        *("NULL", "null", "\\N", "NaN", "nan", "<NA>", "NaT", "N/A", "n/a"),
    }
)
# These are nothing too, but in a name.
DASHES = frozenset({"-", "--", "---", "–", "—"})


def without_placeholders(cells: list[str], *, dashes: bool) -> list[str]:
    """The cells with '' for those that are placeholders alone; `dashes` too."""
    if NOTHING.isdisjoint(cells) and not (dashes and not DASHES.isdisjoint(cells)):
        return cells
    return ["" if cell in NOTHING or (dashes and cell in DASHES) else cell for cell in cells]
