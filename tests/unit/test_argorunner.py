"""Jobs that run on Argo, with a fake of Metaflow's API; tests/deploy/test_argo_jobs.py has the API itself."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib import jobs
from lib.errors import JobError
from lib.importjobs.job import Status
from lib.importjobs.runners import ArgoRunner
from lib.importjobs.store import JobStore, store_url
from lib.settings import parse, settings_of
from tests.unit.test_jobs import CSV, Desk, NotingRunner, desk

__all__ = ["desk"]


@dataclass
class FakeArgo:
    """A deployed flow as Metaflow's API has it."""

    is_running: bool = True
    triggered: list[dict[str, str]] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)

    def trigger(self, **parameters: str) -> Any:
        self.triggered.append(parameters)
        return SimpleNamespace(pathspec=f"CategorizeFlow/argo-{len(self.triggered)}")

    def get_triggered_run(self, template: str, run_id: str) -> Any:
        def terminate() -> bool:
            self.terminated.append(f"{template} {run_id}")
            return True

        return SimpleNamespace(is_running=self.is_running, terminate=terminate)


def test_argo_is_given_the_uuid_alone_and_asked_whether_it_still_runs(
    bucket: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    where: dict[str, Any] = {
        "settings": settings_of(parse(f"database_url = '{postgres_url}'\n[jobs]\nrunner = 'argo'")),
        "output": f"{bucket}/results",
    }
    argo = FakeArgo()
    where["runner"] = ArgoRunner("shelf", deployed=lambda template: argo)
    job = jobs.submit_import(str(tmp_path / "products.csv"), **where)
    assert argo.triggered == [{"job_id": job.id}]
    assert job.runs == ("CategorizeFlow/argo-1",)
    store = JobStore(store_url(where["settings"], where["output"]))
    store.begin(job.id, owner="argo", seconds=None)
    assert jobs.status_of(job.id, **where).job.status == Status.RUNNING
    argo.is_running = False
    assert jobs.status_of(job.id, **where).job.status == Status.FAILED
    assert jobs.retry_import(job.id, **where).runs == ("CategorizeFlow/argo-1", "CategorizeFlow/argo-2")
    store.begin(job.id, owner="argo", seconds=None)
    jobs.cancel_import(job.id, **where)
    assert argo.terminated == ["shelf argo-2"]
    argo.is_running = True
    with pytest.raises(JobError, match="its run has not ended yet"):
        jobs.retry_import(job.id, **where)
    argo.is_running = False
    assert jobs.retry_import(job.id, **where).status == Status.SUBMITTED


class Stubborn:
    """Argo that terminates nothing, and in the end knows no such workflow."""

    forgotten = False

    def trigger(self, **_parameters: str) -> Any:
        return SimpleNamespace(pathspec="CategorizeFlow/argo-1")

    def get_triggered_run(self, _template: str, _run_id: str) -> Any:
        return self

    def terminate(self) -> bool:
        return False

    @property
    def is_running(self) -> bool:
        if self.forgotten:
            raise RuntimeError("No execution found for CategorizeFlow/1 in Argo Workflows.")
        return True


def test_a_workflow_that_cannot_be_terminated_is_said_and_one_that_argo_forgot_has_ended(
    bucket: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    argo = Stubborn()
    where: dict[str, Any] = {
        "settings": settings_of(parse(f"database_url = '{postgres_url}'\n[jobs]\nrunner = 'argo'")),
        "output": f"{bucket}/results",
        "runner": ArgoRunner("shelf", deployed=lambda template: argo),
    }
    job = jobs.submit_import(str(tmp_path / "products.csv"), **where)
    store = JobStore(store_url(where["settings"], where["output"]))
    store.begin(job.id, owner="argo", seconds=None)
    with pytest.raises(JobError, match=r"its workflow CategorizeFlow/argo-1 may still run: Metaflow could not termin"):
        jobs.cancel_import(job.id, **where)
    with pytest.raises(JobError, match="its run has not ended yet"):
        jobs.retry_import(job.id, **where)
    argo.forgotten = True
    assert jobs.cancel_import(job.id, **where).status == Status.CANCELLED
    assert jobs.retry_import(job.id, **where).status == Status.SUBMITTED


@dataclass
class Several:
    """Argo with workflows of which some run."""

    running: set[str]
    triggered: int = 0
    terminated: list[str] = field(default_factory=list)

    def trigger(self, **_parameters: str) -> Any:
        self.triggered += 1
        return SimpleNamespace(pathspec=f"CategorizeFlow/argo-{self.triggered}")

    def get_triggered_run(self, _template: str, run_id: str) -> Any:
        def terminate() -> bool:
            self.terminated.append(run_id)
            return True

        return SimpleNamespace(is_running=run_id in self.running, terminate=terminate)


def test_a_job_is_judged_by_the_workflow_that_began_it_and_not_triggered_while_one_waits(
    bucket: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    argo = Several({"argo-1"})
    where: dict[str, Any] = {
        "settings": settings_of(parse(f"database_url = '{postgres_url}'\n[jobs]\nrunner = 'argo'")),
        "output": f"{bucket}/results",
        "runner": ArgoRunner("shelf", deployed=lambda template: argo),
    }
    job = jobs.submit_import(str(tmp_path / "products.csv"), **where)
    with pytest.raises(JobError, match="is waiting for CategorizeFlow/argo-1 to begin; there is nothing to retry yet"):
        jobs.retry_import(job.id, **where)
    # Two who retried at the same moment: the first one's workflow has begun, the second one's was refused and is over.
    store = JobStore(store_url(where["settings"], where["output"]))
    store.note_run(job.id, "CategorizeFlow/argo-2")
    store.begin(job.id, owner="CategorizeFlow/argo-1", seconds=None)
    assert jobs.status_of(job.id, **where).job.status == Status.RUNNING
    jobs.cancel_import(job.id, **where)
    assert argo.terminated == ["argo-1"]
    argo.running.clear()
    assert jobs.retry_import(job.id, **where).status == Status.SUBMITTED


@pytest.mark.parametrize(("size", "template"), [(10_000_000, "small"), (10_000_001, "shelf")])
def test_a_small_file_goes_to_the_template_of_its_own(
    postgres_url: str, tmp_path: Path, size: int, template: str
) -> None:
    asked = []

    def deployed(name: str) -> Any:
        asked.append(name)
        return FakeArgo()

    (tmp_path / "products.csv").write_bytes(CSV)
    settings = settings_of(parse(f"database_url = '{postgres_url}'"))
    local = jobs.submit_import(
        str(tmp_path / "products.csv"), settings=settings, output=str(tmp_path / "results"), runner=NotingRunner()
    )
    job = replace(local, source_bytes=size, output_uri="s3://bucket/results")
    runner = ArgoRunner("shelf", template_small="small", deployed=deployed)
    run = runner.start(job, JobStore(store_url(settings, "s3://bucket/results")))
    assert run is not None
    runner.stop(replace(job, runs=(run,)))
    assert asked == [template, template]


def test_argo_takes_no_job_that_its_pods_cannot_reach(desk: Desk) -> None:
    runner = ArgoRunner("shelf", deployed=lambda template: FakeArgo())
    with pytest.raises(JobError, match="pods cannot reach it"):
        jobs.submit_import(str(desk.file), **desk.where(), runner=runner)


def test_what_argo_answers_instead_is_one_line(bucket: str, postgres_url: str, tmp_path: Path) -> None:
    def unreachable(template: str) -> Any:
        raise ConnectionError("no cluster")

    (tmp_path / "products.csv").write_bytes(CSV)
    settings = settings_of(parse(f"database_url = '{postgres_url}'"))
    with pytest.raises(JobError, match="was not started, `retry` it: no cluster"):
        jobs.submit_import(
            str(tmp_path / "products.csv"),
            settings=settings,
            output=f"{bucket}/r",
            runner=ArgoRunner("shelf", deployed=unreachable),
        )
