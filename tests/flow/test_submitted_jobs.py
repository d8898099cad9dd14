"""Submitted jobs as they really run: to their end, to an error, cancelled, and killed at random moments."""

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib import jobs
from lib.importjobs.job import Status
from lib.jobs import JobStatus
from lib.settings import parse, settings_of
from tests.flow.running import SAMPLE, command, run
from tests.reliability import kill
from tests.reliability.kill import TABLES, Place

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc")
WAIT_SECONDS = 300


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place for jobs, with the store and the catalog in a database of either kind."""
    url = str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else ""
    with kill.place(tmp_path, database_url=url) as made:
        yield made


def waited(where: Place, job_id: str, until: Callable[[JobStatus], bool]) -> JobStatus:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        now = jobs.status_of(job_id, **where.where())
        if until(now):
            return now
        time.sleep(0.1)
    raise AssertionError(f"still {now} after {WAIT_SECONDS} s")


def has_ended(now: JobStatus) -> bool:
    return now.job.status in (Status.SUCCEEDED, Status.FAILED)


def test_a_submitted_job_gives_what_a_run_without_a_store_gives(where: Place, tmp_path: Path) -> None:
    job = jobs.submit_import(str(SAMPLE), **where.where(), customer="acme")
    now = waited(where, job.id, has_ended)
    assert now.job.status == Status.SUCCEEDED, now
    plain = run(tmp_path, SAMPLE, output="plain", config=kill.CONFIG)
    home = Path(where.output) / job.id
    for name in TABLES:
        assert (home / name).read_bytes() == (plain.folder / name).read_bytes().replace(
            plain.report["job_id"].encode(), job.id.encode()
        )
    report = jobs.report_of(job.id, **where.where())
    assert (now.job.rows, now.job.rejected) == (report["rows"], report["rejected"])
    assert now.job.model_version == report["model"]["version"]
    assert [run_of.partition("/")[0] for run_of in now.job.runs] == ["CategorizeFlow"]
    assert len(list(jobs.rejected_of(job.id, **where.where()))) == report["rejected"]
    assert (home / "run.log").read_text("utf-8").count(f"job {job.id}: 502 rows in 2 batches") == 1


def test_a_job_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    with kill.place(tmp_path) as where:
        settings = settings_of(parse('model = "nowhere"'))
        job = jobs.submit_import(str(SAMPLE), settings=settings, output=where.output)
        now = waited(where, job.id, has_ended)
        assert now.job.status == Status.FAILED
        assert now.job.error is not None
        assert now.job.error.startswith("no usable model: ")
        assert "\n" not in now.job.error
        assert now.job.lease_owner is None
        assert jobs.events_of(job.id, **where.where())[-1]["note"] == now.job.error


def test_a_cancelled_job_leaves_no_process_and_goes_on_when_retried(where: Place) -> None:
    job = jobs.submit_import(str(SAMPLE), **where.where())
    waited(where, job.id, lambda now: now.progress.running > 0)
    jobs.cancel_import(job.id, **where.where())
    now = waited(where, job.id, lambda now: now.phase == "cancelled")
    assert (now.job.lease_owner, now.job.rows) == (None, None)
    end = time.monotonic() + WAIT_SECONDS
    while where.processes() and time.monotonic() < end:
        time.sleep(0.05)
    assert where.processes() == []
    home = Path(where.output) / job.id
    assert [path.name for path in home.rglob(".writing-*")] == []
    done = len(list((home / "shards").glob("*-results.parquet.json")))
    jobs.retry_import(job.id, **where.where())
    assert waited(where, job.id, has_ended).job.status == Status.SUCCEEDED
    report = jobs.report_of(job.id, **where.where())
    assert len(report["timing"]["reused_batches"]) == done
    assert report["rows"] == 502


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--job-id", "0" * 32], "no jobs are kept there; submit a file first", id="no store"),
        pytest.param(["--job-id", "x"], "not a UUID", id="no UUID"),
        pytest.param([], "no source given; add --source FILE", id="neither"),
    ],
)
def test_a_run_without_anything_to_run_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = command(tmp_path, "run", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in printed
    assert len([line for line in printed.splitlines() if message in line]) == 1


def test_a_correction_changes_the_counts_of_its_job(where: Place, tmp_path: Path) -> None:
    job = jobs.submit_import(str(SAMPLE), **where.where(), customer="acme")
    before = waited(where, job.id, has_ended).job
    home = Path(where.output) / job.id
    with (home / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [row for row in rows if "missing-name" in row["reasons"]]
    for row in missing:
        row["Product name"] = "Oat drink without sugar"
    mended = tmp_path / "mended.csv"
    with mended.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(missing)
    done = command(
        tmp_path, "run", "--source", str(mended), "--output", where.output, "--job-id", job.id,
        SHELFSORT_DATABASE_URL=where.database_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    after = jobs.status_of(job.id, **where.where()).job
    report = jobs.report_of(job.id, **where.where())
    assert (after.rows, after.rejected) == (before.rows, report["rejected"])
    assert after.rejected is not None
    assert before.rejected is not None
    assert after.rejected < before.rejected
    assert jobs.events_of(job.id, **where.where())[-1]["note"] == f"corrected: {after.rejected} rows are still rejected"


@pytest.mark.parametrize("times", [2])
def test_a_job_that_is_killed_at_any_moment_ends_as_if_it_had_not_been(where: Place, times: int) -> None:
    """`python -m tests.reliability.kill --times 200` does it for as long as one likes."""
    assert len(list(kill.series(where, times=times, seed=20261124))) == times + 1
