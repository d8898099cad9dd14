"""The deployment's settings change nothing for a local run."""

import os
from pathlib import Path

from lib.settings import ROOT
from tests.flow.running import SAMPLE, command


def test_a_run_with_the_production_settings_is_local_and_needs_no_kubernetes_package(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "kubernetes"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden by a test')\n")
    path = f"{hidden.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    production = str(ROOT / "config" / "production.toml")
    done = command(tmp_path, "--config", "settings", production, "run", "--source", str(SAMPLE), PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Project:" not in done.stdout
    assert list((tmp_path / "results").glob("*/report.json"))
