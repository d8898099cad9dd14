"""Runs of CategorizeFlow for the tests, in folders of their own."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaflow import Runner

from lib.settings import ROOT
from lib.storage import folder as storage_folder
from lib.storage import is_s3

FLOW = ROOT / "flows" / "categorize.py"
SAMPLE = ROOT / "tests" / "golden" / "sample" / "products.csv"


@dataclass(frozen=True)
class Imported:
    """A successful run."""

    folder: Path  # the job's results
    report: dict[str, Any]  # report.json
    printed: str


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This process's own, with Metaflow's records below a folder and no settings of a developer's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("METAFLOW_")}
    return own | {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_USER": "test"} | variables


def run(folder: Path, source: Path | str, *, config: str = "", output: str = "results", **parameters: Any) -> Imported:
    """Run the flow on a source through Metaflow's Runner; `config` is TOML laid over the defaults."""
    settings = folder / "settings.toml"
    settings.write_text(config)
    runner = Runner(
        str(FLOW),
        config=[("settings", str(settings))],
        env=environment(folder),
        cwd=str(folder),
        show_output=False,
    )
    with runner.run(source=str(source), output=output, **parameters) as running:
        assert running.status == "successful", running.stdout + running.stderr
        (job_id,) = re.findall(r"job ([0-9a-f-]{36}):", running.stdout)
        place = storage_folder(output if is_s3(output) else str(folder / output))
        report = json.loads(place.read_bytes(f"{job_id}/report.json"))
        return Imported(folder / output / job_id, report, running.stdout)


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the flow's command line as a user would, and wait for its end."""
    line = [sys.executable, str(FLOW), *arguments]
    env = environment(folder, **variables)
    return subprocess.run(line, check=False, capture_output=True, text=True, cwd=folder, env=env)
