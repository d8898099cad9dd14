"""Every folder of tests/golden through the flow: its source against its expected results.

Add a folder with a file `products.*` and run `pytest tests/flow/test_golden_files.py --update-golden`, then read what
was written. After another model has been published, the same brings the results up to date.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lib.settings import ROOT
from tests.flow.running import Imported, run

GOLDEN = sorted(path.parent for path in (ROOT / "tests" / "golden").glob("*/products.*"))
JOB = "12345678-1234-5678-1234-567812345678"
FILES = ("categorized.csv", "review.csv", "rejected.csv")


def lasting(imported: Imported) -> dict[str, Any]:
    """The report without what differs from run to run: the job, the places, the times."""
    report = copy.deepcopy(imported.report)
    for passing in ("job_id", "files", "timing"):
        del report[passing]
    del report["source"]["uri"], report["model"]["uri"], report["catalog"]["url"]
    return report


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_a_golden_source_gives_its_expected_results(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (source,) = folder.glob("products.*")
    imported = run(tmp_path, source, job_id=JOB)
    expected = folder / "expected"
    found = {name: (imported.folder / name).read_bytes() for name in FILES}
    found["report.json"] = (json.dumps(lasting(imported), indent=2, ensure_ascii=False) + "\n").encode()
    if request.config.getoption("--update-golden"):
        expected.mkdir(exist_ok=True)
        for name, content in found.items():
            (expected / name).write_bytes(content)
    for name, content in found.items():
        assert content.decode() == (expected / name).read_bytes().decode(), name


def test_there_are_golden_folders() -> None:
    assert GOLDEN
