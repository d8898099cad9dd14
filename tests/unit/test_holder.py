"""The process that holds a submitted job: what it does when the store no longer renews its lease."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib import database
from lib.importjobs import holder
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runs import ATTEMPT_VARIABLE
from lib.importjobs.store import STORE_VARIABLE, JobStore
from lib.settings import parse
from tests.unit.test_jobstore import JOB

WAIT_SECONDS = 60


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStore]:
    """A store with one submitted job, whose holder asks for its lease all the time."""
    monkeypatch.setattr(holder, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(sys, "argv", ["categorize.py", "run", "--job-id", JOB.id])
    monkeypatch.setenv(ATTEMPT_VARIABLE, "")  # put back when the test is over, as the holder sets them
    monkeypatch.setenv("METAFLOW_RUN_MAX_WORKERS", "1")
    made = JobStore(database.sqlite(tmp_path / "jobs.db"), create=True)
    monkeypatch.setenv(STORE_VARIABLE, made.url.render_as_string())
    made.add(job_below(tmp_path), again=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def job_below(folder: Path) -> ImportJob:
    return ImportJob(**vars(JOB) | {"output_uri": str(folder)})


def ended(flow: Callable[[], None]) -> int:
    """The code that a process which holds the job ends with."""
    with pytest.raises(SystemExit) as exit_:
        holder.hold(JOB.id, flow, config=parse(""))
    return int(exit_.value.code or 0)


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.daemon and "_renew" in thread.name]


def test_a_run_that_has_recorded_its_success_is_left_to_end(store: JobStore) -> None:
    """Its last task still draws the card, which takes longer than from one renewal to the next."""
    done: list[str] = []

    def flow() -> None:
        assert store.change(JOB.id, [Status.RUNNING], Status.SUCCEEDED, who="run", attempt=1)
        for thread in renewing():
            thread.join(WAIT_SECONDS)
        done.append("card")

    assert ended(flow) == 0
    assert done == ["card"]
    assert store.get(JOB.id).status == Status.SUCCEEDED


@pytest.mark.parametrize("after", [Status.CANCELLED, Status.FAILED])
def test_a_run_whose_job_is_no_longer_its_own_is_stopped(store: JobStore, after: Status) -> None:
    def flow() -> None:
        assert store.change(JOB.id, [Status.RUNNING], after, who="ada")
        threading.Event().wait(WAIT_SECONDS)
        raise AssertionError("it was not interrupted")

    assert ended(flow) == 1
    job = store.get(JOB.id)
    assert (job.status, job.lease_owner) == (after, None)
