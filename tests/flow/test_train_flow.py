"""TrainFlow from beginning to end, on few names."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from metaflow import Runner

from lib.categorizing import load_categorizer
from lib.settings import ROOT
from lib.training import CANDIDATES

FLOW = ROOT / "flows" / "train.py"


def environment(folder: Path) -> dict[str, str]:
    """The process's own, with Metaflow's records below a folder."""
    return {**os.environ, "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_USER": "test"}


def test_a_run_publishes_the_best_candidate_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERNAME", "test")
    runner = Runner(str(FLOW), env=environment(tmp_path), cwd=str(tmp_path), show_output=False)
    with runner.run(publish="model", work="work", limit=3000) as running:
        assert running.status == "successful", running.stderr
    card = json.loads((tmp_path / "model" / "card.json").read_text("utf-8"))
    assert load_categorizer(str(tmp_path / "model")).version == card["version"]
    assert card["split"] == {"train": 3000, "val": 25878, "test": 26187}
    assert [one["name"] for one in card["candidates"]] == [candidate.name for candidate in CANDIDATES]
    assert card["metrics"]["validation"]["top1"] == max(one["top1"] for one in card["candidates"])
    assert 0.5 < card["metrics"]["test"]["top1"] < card["metrics"]["test"]["top3"] < 0.9
    assert card["metrics"]["test"]["ece"] < 0.1
    (page,) = tmp_path.rglob("*.html")
    shown = re.search(r'__MF_DATA__\["[^"]+"\] = "([^"]+)"', page.read_text("utf-8"))
    assert shown and "Candidates on validation" in base64.b64decode(shown[1]).decode()


def test_a_folder_that_cannot_be_written_stops_the_run_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, str(FLOW), "run", "--publish", str(tmp_path / "file"), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    assert f"{tmp_path}/file" in done.stderr + done.stdout
