"""What the exit handler makes of a job whose workflow did not succeed, wherever both stood."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lib import database, settings
from lib.argo.workflowend import first_failure, main, record_end
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.store import JobStore
from lib.results import REPORT_FILE

ID = "3f7f3cf8-3f68-4b3a-8f0a-0a5d0a2f7c11"
RUN, NEWER = "CategorizeFlow/argo-one", "CategorizeFlow/argo-two"
COUNTS = {"rows": 3, "categorized": 2, "review": 1, "rejected": 0}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    """A store with one submitted job."""
    url = (
        sa.make_url(str(request.getfixturevalue("postgres_url")))
        if request.param == "postgres"
        else database.sqlite(tmp_path / "jobs.db")
    )
    made = JobStore(url, create=True)
    kept = settings.snapshot(settings.settings_of(settings.parse("")))
    job = ImportJob(
        ID, "", "products.csv", "source/products.csv", "0" * 64, 1, str(tmp_path), {}, kept, "argo", "ada",
        datetime.now(UTC),
    )  # fmt: skip
    made.add(job, again=True)
    return made


def report(store: JobStore, tmp_path: Path, **more: Any) -> None:
    (tmp_path / ID).mkdir()
    (tmp_path / ID / REPORT_FILE).write_text(json.dumps(COUNTS | more))


def test_a_run_that_failed_fails_its_job_with_what_its_step_and_argo_said(store: JobStore) -> None:
    attempt = store.begin(ID, owner=RUN, seconds=None)
    store.note(attempt, error="the disk is full")
    assert record_end(store, ID, run=RUN, said="Argo says of join: OOMKilled") == (
        f"job {ID} has failed: the disk is full; Argo says of join: OOMKilled"
    )
    job = store.get(ID)
    assert (job.status, job.error, job.lease_owner) == (
        Status.FAILED,
        "the disk is full; Argo says of join: OOMKilled",
        None,
    )
    assert store.events(ID)[-1]["who"] == "exit handler"


def test_a_run_that_never_began_fails_its_job_unless_a_newer_one_waits(store: JobStore) -> None:
    store.note_run(ID, RUN)
    store.note_run(ID, NEWER)
    assert "not this run's" in record_end(store, ID, run=RUN)
    assert store.get(ID).status == Status.SUBMITTED
    record_end(store, ID, run=NEWER)
    assert (store.get(ID).status, store.get(ID).error) == (Status.FAILED, "its workflow ended without saying why")


def test_a_newer_attempt_is_left_alone(store: JobStore) -> None:
    store.begin(ID, owner=RUN, seconds=None)
    record_end(store, ID, run=RUN)
    store.change(ID, [Status.FAILED], Status.SUBMITTED, who="ada", note="retry")
    store.begin(ID, owner=NEWER, seconds=None)
    record_end(store, ID, run=RUN)
    assert (store.get(ID).status, store.get(ID).lease_owner) == (Status.RUNNING, NEWER)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param({}, Status.SUCCEEDED, id="all is there, only the last pod was lost"),
        pytest.param({"failed_batches": [{"number": 1}]}, Status.FAILED, id="batches are missing"),
    ],
)
def test_a_job_whose_results_are_all_there_has_succeeded(
    store: JobStore, tmp_path: Path, more: dict[str, Any], status: Status
) -> None:
    store.begin(ID, owner=RUN, seconds=None)
    report(store, tmp_path, **more)
    record_end(store, ID, run=RUN)
    assert store.get(ID).status == status


def test_a_cancelled_job_stays_cancelled_and_is_let_go(store: JobStore) -> None:
    store.begin(ID, owner=RUN, seconds=None)
    store.change(ID, [Status.RUNNING], Status.CANCELLED, who="ada")
    record_end(store, ID, run=RUN)
    assert (store.get(ID).status, store.get(ID).lease_owner) == (Status.CANCELLED, None)


@pytest.mark.parametrize("argument", ["", "!", base64.b64encode(b'"$(touch x)"').decode()])
def test_a_workflow_for_no_job_has_nothing_to_record(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == 0
    assert "the workflow was for no job" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        pytest.param([], "", id="Argo names none"),
        pytest.param([{"templateName": "join", "message": "Error (exit code 1)"}], "", id="our own exit code"),
        pytest.param(
            [{"templateName": "join", "message": 'a "quoted" one'}], 'Argo says of join: a "quoted" one', id=""
        ),
    ],
)
def test_what_argo_says_is_passed_on(failures: list[dict[str, str]], said: str) -> None:
    assert first_failure({"METAFLOW_ARGO_WORKFLOW_FAILURES": json.dumps(json.dumps(failures))}) == said


@pytest.mark.parametrize("text", ["", "{{workflow.failures}}", "[]", '"{}"', "null"])
def test_what_argo_did_not_fill_in_is_nothing(text: str) -> None:
    assert first_failure({"METAFLOW_ARGO_WORKFLOW_FAILURES": text}) == ""
