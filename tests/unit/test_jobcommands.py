"""The command line of import jobs, without runs."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from typer.testing import CliRunner, Result

from lib import jobs
from lib.importjobs import watching
from lib.importjobs.commands import app
from lib.importjobs.display import show_status
from lib.importjobs.job import Status
from lib.importjobs.store import JobStore, store_url
from lib.importjobs.watching import AskedNowAndThen
from lib.settings import ROOT
from tests.unit.test_jobstore import JOB

SAMPLE = ROOT / "tests" / "golden" / "sample" / "products.csv"
COMMANDS = ("submit", "status", "list", "report", "cancel", "retry", "rejected", "review")


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.importjobs.runners.LocalRunner.start", lambda self, job, store: None)


def called(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--output", str(folder / "results"), *arguments])


def as_json(folder: Path, *arguments: str) -> Any:
    done = called(folder, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_speaks_json(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert "--json" in done.stdout


def test_a_job_is_submitted_listed_shown_and_cancelled(tmp_path: Path) -> None:
    job = as_json(tmp_path, "submit", str(SAMPLE), "--customer", "acme")
    assert [one["id"] for one in as_json(tmp_path, "list")] == [job["id"]]
    assert as_json(tmp_path, "list", "--customer", "other") == []
    assert called(tmp_path, "list", "--customer", "other").stdout == "There are no such jobs.\n"
    told = as_json(tmp_path, "status", job["id"])
    assert (told["phase"], told["job"]["customer"]) == ("waiting", "acme")
    shown = called(tmp_path, "status", job["id"]).stdout
    assert "submitted (waiting)" in shown
    assert str(SAMPLE) in shown
    assert as_json(tmp_path, "cancel", job["id"])["status"] == "cancelled"
    assert as_json(tmp_path, "retry", job["id"])["status"] == "submitted"
    lines = called(tmp_path, "list").stdout
    assert job["id"] in lines
    assert "products.csv" in lines


def test_a_mistake_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    for arguments in (["list"], ["submit", "nowhere.csv"], ["--config", "nowhere.toml", "list"]):
        done = called(tmp_path, *arguments)
        assert done.exit_code == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("shelfsort: ")


def test_a_file_that_was_imported_says_so(tmp_path: Path) -> None:
    job = as_json(tmp_path, "submit", str(SAMPLE))
    done = called(tmp_path, "submit", str(SAMPLE))
    assert done.exit_code == 1
    assert f"the same content is job {job['id']}" in done.stderr
    assert f"The same content is job {job['id']} already" in called(tmp_path, "submit", str(SAMPLE), "--dry-run").stdout
    assert as_json(tmp_path, "submit", str(SAMPLE), "--again")["id"] != job["id"]
    other = as_json(tmp_path, "submit", str(SAMPLE), "--customer", "other", "--dry-run")
    assert other["same_content"] is None


def test_a_dry_run_says_what_would_be_done_and_leaves_nothing(tmp_path: Path) -> None:
    done = called(tmp_path, "submit", str(SAMPLE), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "502 rows" in done.stdout
    assert "'Product name' is the name, because" in done.stdout
    assert "1 batch (local)" in done.stdout
    found = as_json(tmp_path, "submit", str(SAMPLE), "--dry-run")
    assert (found["rows"], found["batches"], len(found["sample"])) == (502, [502], 5)
    assert sum(found["outcomes"].values()) == 502
    assert found["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_a_job_would_fail_of(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id;price\n1;2\n")
    done = called(tmp_path, "submit", str(tmp_path / "a.csv"), "--dry-run")
    assert done.exit_code == 1
    assert "no column is known to hold the product's name" in done.stderr


def test_watching_ends_with_the_job_and_tells_how(tmp_path: Path) -> None:
    job = as_json(tmp_path, "submit", str(SAMPLE))
    called(tmp_path, "cancel", job["id"])
    done = called(tmp_path, "status", job["id"], "--watch", "--json")
    assert done.exit_code == 1
    assert [json.loads(line)["phase"] for line in done.stdout.splitlines()] == ["cancelled"]
    assert "cancelled" in called(tmp_path, "status", job["id"], "--watch").stdout


def test_where_the_log_of_a_failed_job_is_depends_on_where_it_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = replace(JOB, status=Status.FAILED, error="no room", runs=("CategorizeFlow/argo-shelf-x",))
    for runner, log in (("local", f"/results/{JOB.id}/run.log"), ("argo", "Argo's, of CategorizeFlow/argo-shelf-x")):
        show_status(jobs.JobStatus(replace(job, runner=runner), "failed", jobs.Progress()), [])
        assert capsys.readouterr().out.endswith(f"the run's log: {log}\n")


def test_the_bar_and_all_beside_it_fit_a_terminal_of_80_columns() -> None:
    progress = jobs.Progress(
        batches=12, rows=3_000_000, pending=9, running=2, succeeded=1, rows_done=250_000, seconds=12.5
    )
    now = jobs.JobStatus(JOB, "categorizing", progress)
    shown = io.StringIO()
    with Bar(*watching.columns(), console=Console(width=80, file=shown)) as bar:
        bar.add_task("categorizing", total=3_000_000, completed=250_000, now=now)
    (line,) = shown.getvalue().splitlines()
    assert re.fullmatch(r"categorizing [━╸ ]{4,} 250000/3000000 20,000/s, 2 min left, 1/12 batches", line.strip())


class _Asked:
    """A deployed flow whose run goes on, noting how often that is asked."""

    times = 0

    def get_triggered_run(self, _template: str, _run_id: str) -> "_Asked":
        return self

    @property
    def is_running(self) -> bool:
        self.times += 1
        return True


def test_argo_is_not_asked_at_each_look_of_somebody_who_watches() -> None:
    deployed = _Asked()
    runner = AskedNowAndThen("shelf", deployed=lambda template: deployed)
    job = replace(JOB, runs=("CategorizeFlow/argo-1",))
    assert [runner.has_ended(job, 0.0) for _ in range(3)] == [False] * 3
    assert deployed.times == 1


def test_shells_complete_the_uuids_of_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = as_json(tmp_path, "submit", str(SAMPLE))
    monkeypatch.setenv("SHELFSORT_OUTPUT", str(tmp_path / "results"))
    words = {"COMP_WORDS": f"shelfsort status {job['id'][:4]}", "COMP_CWORD": "2"}
    done = CliRunner().invoke(app, [], prog_name="shelfsort", env={"_SHELFSORT_COMPLETE": "complete_bash", **words})
    assert job["id"] in done.stdout


def test_the_rejected_rows_and_the_report_are_those_of_the_files(tmp_path: Path) -> None:
    job = as_json(tmp_path, "submit", str(SAMPLE))
    home = tmp_path / "results" / job["id"]
    (home / "rejected.csv").write_text("\ufeffline,Name,reasons,explanation,job_id\n7,,missing-name,No name.,x\n")
    report = {"rows": 1, "categorized": 0, "review": 0, "rejected": 1, "files": {"rejected.csv": "here"}}
    (home / "report.json").write_text(json.dumps(report))
    store = JobStore(store_url(jobs._defaults(), str(tmp_path / "results")))
    store.begin(job["id"], owner="gone", seconds=0)
    assert as_json(tmp_path, "status", job["id"])["job"]["status"] == "succeeded"
    assert as_json(tmp_path, "report", job["id"]) == report
    row = json.loads(called(tmp_path, "rejected", job["id"], "--json").stdout)
    assert row == {"line": "7", "Name": "", "reasons": "missing-name", "explanation": "No name.", "job_id": "x"}
    assert "1 rows; all of them in here" in called(tmp_path, "rejected", job["id"]).stdout
