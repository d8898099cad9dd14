"""`make test-cluster` without a cluster: what it refuses, and that it tells equal results from others."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib import jobs
from lib.importjobs.job import ImportJob
from lib.settings import parse, settings_of
from tests.deploy import on_cluster
from tests.deploy.cluster import Imports
from tests.deploy.conftest import THREE
from tests.deploy.walk import Workflow

REACHED = "#!/bin/sh\necho customresourcedefinition.apiextensions.k8s.io/workflows.argoproj.io\n"
REFUSED = "#!/bin/sh\necho 'The connection to the server localhost:8080 was refused' >&2\nexit 1\n"


@pytest.mark.parametrize(
    ("kubectl", "arguments", "message"),
    [
        ("", [], "there is no kubectl; install it"),
        (REFUSED, [], "kubectl reaches no cluster with Argo Workflows (The connection to the server localhost:8080"),
        (REACHED, [], "set SHELFSORT_DATABASE_URL to the PostgreSQL that the pods use"),
        (REACHED, ["--source", "none.csv"], "none.csv: no such file; name a product file with --source"),
    ],
)
def test_what_is_missing_is_one_line(
    *,
    kubectl: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if kubectl:
        (tmp_path / "kubectl").write_text(kubectl, "utf-8")
        (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SHELFSORT_DATABASE_URL", raising=False)
    config = tmp_path / "mine.toml"
    config.write_text('database_url = "postgresql://ada@db/shelfsort"\n' if arguments else "", "utf-8")
    assert on_cluster.main(["--config", str(config), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"not tried: {message}")
    assert said.count("\n") == 1


def test_an_import_on_the_deployment_is_compared_with_a_run_on_this_machine(
    imports: Imports,
    undisturbed: tuple[ImportJob, Workflow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job, _ = undisturbed
    monkeypatch.setattr(jobs, "submit_import", lambda source, **told: job)
    monkeypatch.setattr(jobs, "status_of", lambda job_id, **told: SimpleNamespace(job=job))
    config = tmp_path / "mine.toml"
    config.write_text(THREE, "utf-8")
    told = f'{THREE}\n[deployment]\noutput = "{imports.output}"\n'
    settings = settings_of(parse(f'database_url = "{imports.database_url}"\n{told}'))
    fewer = tmp_path / "fewer.csv"
    fewer.write_bytes(b"".join(on_cluster.SAMPLE.read_bytes().splitlines(keepends=True)[:300]))
    with imports.reached():
        monkeypatch.setenv("USERNAME", os.environ.get("USERNAME", "test"))
        assert on_cluster.compared(on_cluster.SAMPLE, config, settings, "template", minutes=1) == 0
        assert "equal those of the run on this machine" in capsys.readouterr().out
        assert on_cluster.compared(fewer, config, settings, "template", minutes=1) == 1
        assert "differs from the run on this machine in files.categorized.csv" in capsys.readouterr().err
