"""What a submitted job's run asks of the store before it changes what others see."""

from pathlib import Path

import pytest

from lib import database
from lib.errors import JobError
from lib.importjobs.job import Status
from lib.importjobs.runs import fence, order_of
from lib.importjobs.store import STORE_VARIABLE, JobStore
from lib.settings import parse, settings_of
from tests.unit.test_jobstore import JOB


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """A store with one submitted job, which runs find by their environment."""
    made = JobStore(database.sqlite(tmp_path / "jobs.db"), create=True)
    monkeypatch.setenv(STORE_VARIABLE, made.url.render_as_string())
    made.add(JOB, again=False)
    return made


def test_a_run_goes_on_as_long_as_the_job_is_its_own(store: JobStore) -> None:
    check = fence(store.begin(JOB.id, owner="me", seconds=30), config=parse(""))
    check()
    store.change(JOB.id, [Status.RUNNING], Status.SUCCEEDED, who="me")
    check()
    fence(None, config=parse(""))()  # nobody submitted it


@pytest.mark.parametrize("retried", [False, True])
def test_a_run_whose_job_was_cancelled_or_retried_ends(store: JobStore, *, retried: bool) -> None:
    check = fence(store.begin(JOB.id, owner="me", seconds=30), config=parse(""))
    store.change(JOB.id, [Status.RUNNING], Status.CANCELLED, who="ada")
    if retried:
        store.change(JOB.id, [Status.CANCELLED], Status.SUBMITTED, who="ada")
        store.begin(JOB.id, owner="other", seconds=30)
    with pytest.raises(JobError, match=r"was cancelled or is another run's; this one \(attempt 1\) ends"):
        check()


def test_a_model_on_the_command_line_takes_the_settings_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"": "lib/models/carbon", "mine": str(tmp_path / "mine"), "s3://bucket/mine": "s3://bucket/mine"}
    for model, used in given.items():
        order = order_of(source="a.csv", output="out", job_id="", model=model, config=parse(""), run="Flow/1")
        assert settings_of(order.settings) == settings_of(parse("")).model_copy(update={"model": used})


@pytest.mark.parametrize("flag", ["profile", "columns", "model"])
def test_what_was_decided_when_a_job_was_submitted_is_not_told_anew(store: JobStore, flag: str) -> None:
    with pytest.raises(JobError, match=f"--{flag} comes too late"):
        order_of(source="", output="out", job_id=JOB.id, config=parse(""), run="Flow/1", **{flag: "mine"})
    assert store.get(JOB.id).status == Status.SUBMITTED
