"""What people corrected, as examples to learn from: a filled review workbook, a corrected review.csv, or the catalog.

Only what a person changed or confirmed is learned. A workbook says so by its filled cells. In a review.csv, whose
`category` is the model's until somebody changes it, a row counts where that is no longer the one that `category_name`
names; a file without that column was made by a person and counts whole.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib import database
from lib.errors import SettingsError, SourceError
from lib.learning.examples import Labelled, completed_examples, file_examples
from lib.review.book import Choices, Refusals, is_review, read_review
from lib.review.store import all_corrections
from lib.settings import parse, settings_of
from lib.storage import is_s3, split_uri
from lib.taxonomy import read_taxonomy

# For --corrections: the catalog of SHELFSORT_DATABASE_URL, else of the folder results.
CATALOG = "catalog"
SQLITE_MARK = b"SQLite format 3\0"
_NAME = "category_name"
_DATABASE = re.compile(r"(?:sqlite|postgres)\w*(?:\+\w+)?://")


def corrected_examples(told: str, *, labels: Iterable[str] = ()) -> tuple[Any, str]:
    """The examples (lib/learning/examples.py) in what --corrections names, and what was read; all of them to train on.

    `told` is a file or s3:// URI, a catalog's SQLite file or URL, or CATALOG; a workbook's categories are among
    `labels`, or the taxonomy's. Raises SourceError, SettingsError and CatalogError.
    """
    if told == CATALOG or _DATABASE.match(told) or _is_sqlite(told):
        return _of_catalog(told)
    if not is_s3(told) and is_review(Path(told)):
        return _of_workbook(told, labels), told
    rows = file_examples(
        Labelled(told, name="product_name", others={_NAME: _NAME}), split="train", may_lack=(_NAME,), completed=False
    )
    if _NAME in rows:
        taxonomy = read_taxonomy()
        named = [taxonomy[label].name if label in taxonomy else "" for label in rows["label"]]
        rows = rows[[was != now for was, now in zip(rows[_NAME], named, strict=True)]]
        if not len(rows):
            raise SourceError(
                f"{told}: no row's category was changed; what a person confirmed, only a workbook of `review` tells"
            )
    return completed_examples(rows), told


def _of_workbook(told: str, labels: Iterable[str]) -> Any:
    choices, refusals = Choices(labels), Refusals(told)
    rows = []
    for row in read_review(Path(told)):
        if row.category:
            suggested = choices.of(row.suggested) or ""
            label = choices.decided(row.category, suggested=suggested, cell=row.cell, refusals=refusals)
            rows.append(_row(row.name, label, row.customer_category, row.brand))
    refusals.check()
    if not rows:
        raise SourceError(f"{told}: no category is filled in, so there is nothing to learn")
    return _examples(rows)


def _of_catalog(told: str) -> tuple[Any, str]:
    url = told
    if told == CATALOG:
        url = settings_of(parse("")).catalog_url or "sqlite:///results/catalog.db"
    elif "://" not in told:
        url = f"sqlite:///{told}"
    target = database.checked(url)
    if told != CATALOG and target.password is not None:
        raise SettingsError(
            "--corrections: parameters are kept with each run, so a password belongs in SHELFSORT_DATABASE_URL; "
            "write --corrections catalog"
        )
    where = database.shown(target)
    if target.get_backend_name() == "sqlite" and not Path(str(target.database)).is_file():
        raise SourceError(
            f"{where}: there is no such catalog; name its file, or its database in SHELFSORT_DATABASE_URL"
        )
    found = all_corrections(target)
    if not found:
        raise SourceError(f"{where}: nobody has corrected anything there, so there is nothing to learn")
    rows = [_row(one["name"], one["category"], one["customer_category"], one["brand"]) for one in found]
    return _examples(rows), where


def _row(name: str, label: str | None, customer_category: str | None, brand: str | None) -> dict[str, str]:
    return {
        "name": name,
        "label": label or "",
        "customer_categories": customer_category or "",
        "brands": brand or "",
    }


def _examples(rows: list[dict[str, str]]) -> Any:
    import pandas as pd

    return completed_examples(pd.DataFrame(rows).assign(weight=1.0, split="train", english=False))


def _is_sqlite(told: str) -> bool:
    if is_s3(told):
        return False
    place, name = split_uri(told)
    if not place.exists(name):
        return False
    with place.reading(name) as path, path.open("rb") as file:
        return bool(file.read(len(SQLITE_MARK)) == SQLITE_MARK)
