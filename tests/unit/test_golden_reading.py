"""Each file of tests/golden_reading/samples, one peculiarity a file, against what should be understood of it.

Add a file there and run `pytest tests/unit/test_golden_reading.py --update-golden`: it writes what was understood to
tests/golden_reading/expected, to be read by a person before it is committed.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib.batching import plan_batches
from lib.errors import SourceError
from lib.products import PRODUCT_COLUMNS, Products, to_products
from lib.settings import parse, settings_of
from lib.shards import Staged, read_batch
from lib.staging import stage
from lib.storage import LocalFolder

GOLDEN = Path(__file__).parent.parent / "golden_reading"
SAMPLES = sorted((GOLDEN / "samples").iterdir())
ROWS_SHOWN = 12


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_is_understood_as_a_person_would(sample: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    expected = GOLDEN / "expected" / f"{sample.name}.json"
    found = understood(sample, job=LocalFolder(tmp_path))
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(as_text(found), "utf-8")
    assert expected.exists(), f"run with --update-golden, then read {expected}"
    assert found == json.loads(expected.read_text("utf-8"))


def test_every_expectation_has_its_sample() -> None:
    expected = {path.name.removesuffix(".json") for path in (GOLDEN / "expected").iterdir()}
    assert expected <= {sample.name for sample in SAMPLES}


def understood(sample: Path, *, job: LocalFolder) -> dict[str, Any]:
    """What becomes of a file that somebody sends without a word: decisions, columns and products, or the refusal."""
    try:
        staged = stage(str(sample), job=job)
    except SourceError as error:
        return {"error": str(error).replace(str(sample), sample.name)}
    return {
        "decisions": list(staged.decisions),
        "columns": [f"{match.field}: {match.header!r}, because {match.reason}" for match in staged.columns],
        "rows": staged.rows,
        "blank_lines": staged.blank_lines,
        "products": _products(staged, job),
    }


def _products(staged: Staged, job: LocalFolder) -> list[dict[str, Any]]:
    (batch,) = plan_batches(list(staged.shards), count=1)
    rows = pa.concat_tables(read_batch(batch, ledger=staged.ledger, job=job)).slice(0, ROWS_SHOWN)
    validation = settings_of(parse("")).validation
    products = to_products(rows, columns=list(staged.columns), validation=validation)
    sources = zip(rows["line"].to_pylist(), rows["sheet"].to_pylist(), strict=True)
    return [_shown(products, at, line, sheet) for at, (line, sheet) in enumerate(sources)]


def _shown(products: Products, at: int, line: int, sheet: str | None) -> dict[str, Any]:
    values = {name.removeprefix("product_"): products.table[name][at].as_py() for name in PRODUCT_COLUMNS}
    return {
        "line": line,
        **({"sheet": sheet} if sheet is not None else {}),
        **{name: value for name, value in values.items() if value is not None},
        "reasons": [reason.value for reason in products.rejections[at]],
        "warnings": [reason.value for reason in products.warnings[at]],
    }


def as_text(found: dict[str, Any]) -> str:
    """JSON with a decision or a product a line, so that changes show well."""
    members = []
    for key, value in found.items():
        shown = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            items = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in value)
            shown = f"[\n{items}\n  ]"
        members.append(f'  "{key}": {shown}')
    return "{\n" + ",\n".join(members) + "\n}\n"
