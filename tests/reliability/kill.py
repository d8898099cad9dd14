"""Kill -9 at random moments over the whole life of a job; after `retry` it must equal one that was left alone.

python -m tests.reliability.kill --times 200                      # SQLite; half a minute each
python -m tests.reliability.kill --times 200 --database postgres --seed 7

A moment lies anywhere between the start of `submit` and the end of the run, and kills all processes of the job, only
the oldest one, or any one of them. Compared are the files of results, the report (but for times, the job's name and
whether the catalog had the rows already) and the catalog's rows; and the job's events must be a chain without gaps.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lib import jobs, settings
from lib.errors import JobError, ShelfsortError
from lib.importjobs.job import ImportJob, Status
from lib.settings import ROOT, Settings
from tests import services

SAMPLE = ROOT / "tests" / "golden" / "sample" / "products.csv"
CONFIG = "[batches]\ncount = 2\n"
MARK = "SHELFSORT_KILL_TEST"  # in the environment of every process of a job
TABLES = ("categorized.csv", "review.csv", "rejected.csv")
GIVE_UP_SECONDS = 300
RETRIES = 4


@dataclass
class Place:
    """Where the jobs of one series are run."""

    folder: Path
    database_url: str = ""
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def settings(self) -> Settings:
        """The series' settings."""
        return settings.settings_of(settings.parse(CONFIG))

    @property
    def environment(self) -> dict[str, str]:
        """For its processes: its own records and catalog, and nothing of a developer's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "SHELFSORT_"))}
        places = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.folder), "METAFLOW_USER": "test", "USERNAME": "test"}
        database = {"SHELFSORT_DATABASE_URL": self.database_url} if self.database_url else {}
        return own | places | database | {MARK: self.mark, "PYTHONPATH": str(ROOT)}

    @property
    def output(self) -> str:
        """Where results go."""
        return str(self.folder / "results")

    def where(self) -> dict[str, Any]:
        """What the functions of lib.jobs want to know."""
        return {"settings": self.settings, "output": self.output}

    def submit(self, customer: str) -> "subprocess.Popen[str]":
        """`submit` as a user runs it."""
        (self.folder / "settings.toml").write_text(CONFIG)
        options = ["--config", str(self.folder / "settings.toml"), "--output", self.output]
        line = [sys.executable, "-m", "lib.jobs", *options, "submit", str(SAMPLE), "--customer", customer]
        return subprocess.Popen(
            line, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def processes(self) -> list[int]:
        """Every process of the series' jobs, the oldest first."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return sorted(pid for pid in found if pid != os.getpid())

    def job(self, customer: str) -> ImportJob | None:
        """The customer's job; None when none was taken on."""
        try:
            found = jobs.list_jobs(**self.where(), customer=customer)
        except JobError:
            return None  # there is no store yet
        assert len(found) <= 1, found
        return found[0] if found else None


@contextlib.contextmanager
def place(folder: Path, *, database_url: str = "") -> Iterator[Place]:
    """A series' place, with the environment that this process's own calls need."""
    made = Place(folder, database_url)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(made.environment)
    try:
        yield made
    finally:
        for pid in made.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.environ.clear()
        os.environ.update(before)


def undisturbed(where: Place) -> tuple[dict[str, Any], float]:
    """The outcome of a job that is left alone, and its life in seconds."""
    began = time.monotonic()
    with where.submit("undisturbed") as submitting:
        said, _ = submitting.communicate()
    assert submitting.returncode == 0, said
    job = _ended(where, "undisturbed")
    assert job.status == Status.SUCCEEDED, job
    return outcome(where, job), time.monotonic() - began


def disturbed(where: Place, *, number: int, life: float, dice: random.Random) -> tuple[dict[str, Any], str, float]:
    """The outcome of a job that was killed at a random moment and retried, what was done, and a job's life now."""
    customer = f"moment {number}"
    moment, who = dice.uniform(0, life), dice.choice(["all", "all", "first", "any"])
    with where.submit(customer) as submitting:
        time.sleep(moment)
        found = where.processes()
        if not found:
            victims = []
        elif who == "all":
            victims = found
        else:
            victims = [found[0] if who == "first" else dice.choice(found)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        submitting.communicate()
    tries, said = _until_succeeded(where, customer)
    done = f"{moment:5.1f} s: killed {who} ({len(victims)} of {len(found)} processes), {said}, {tries} retries"
    job = where.job(customer)
    assert job is not None
    # Where nothing lived any more to be killed, the machine has become faster.
    return outcome(where, job), done, life if found else moment


def outcome(where: Place, job: ImportJob) -> dict[str, Any]:
    """All that a job leaves behind, without what differs between two jobs that were left alone."""
    home = Path(where.output) / job.id
    report = json.loads((home / "report.json").read_text().replace(job.id, "JOB"))
    report.pop("timing")
    report["catalog"].pop("touched")
    report["catalog"].pop("customer")
    url = where.database_url or f"sqlite:///{where.output}/catalog.db"
    query = sa.text("SELECT * FROM products WHERE job_id = :id ORDER BY sheet, line")
    named = ("customer", "only_job", "job_id")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        found = connection.execute(query, {"id": job.id}).mappings()
        catalog = [tuple(value for name, value in row.items() if name not in named) for row in found]
        stored = connection.execute(sa.text("SELECT rows FROM imports WHERE job_id = :id"), {"id": job.id}).scalar()
    assert stored == len(catalog)
    changes = [(event["before"], event["after"]) for event in jobs.events_of(job.id, **where.where())]
    assert [after for _, after in changes[:-1]] == [before for before, _ in changes[1:]], changes
    assert sum(after == Status.RUNNING for _, after in changes) == job.attempts, changes
    return {
        "files": {name: (home / name).read_bytes().replace(job.id.encode(), b"JOB") for name in TABLES},
        "names": sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()),
        "report": report,
        "catalog": catalog,
        "counts": (job.status, job.rows, job.categorized, job.review, job.rejected, job.error, job.lease_owner),
    }


def _until_succeeded(where: Place, customer: str) -> tuple[int, str]:
    """Do what a user would until the job has succeeded: how many retries that took, and where the kill left the job."""
    left = None
    for tries in range(RETRIES + 1):
        job = where.job(customer)
        if job is None:
            left = left or "no job taken on"
            with where.submit(customer) as again:
                said, _ = again.communicate()
            assert again.returncode == 0, said
            job = where.job(customer)
            assert job is not None
        # One that was taken on, but not started, will not start by itself.
        if job.status != Status.SUBMITTED or where.processes():
            job = _ended(where, customer)
        left = left or f"left {job.status}"
        if job.status == Status.SUCCEEDED:
            return tries, left
        _retry(where, job)
        job = _ended(where, customer)
        if job.status == Status.SUCCEEDED:
            return tries + 1, left
    raise AssertionError(f"{customer}: not succeeded after {RETRIES} retries: {job}")


def _retry(where: Place, job: ImportJob) -> None:
    """Retry a job, once more in a moment while a failed run is still ending, as the refusal says."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            jobs.retry_import(job.id, **where.where())
            return
        except JobError as error:
            if "try again in some seconds" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.5)


def _ended(where: Place, customer: str) -> ImportJob:
    """The job when its run has ended, by itself or because it was killed."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < until:
        job = where.job(customer)
        assert job is not None
        now = jobs.status_of(job.id, **where.where())
        if now.job.status in (Status.SUCCEEDED, Status.FAILED) and now.phase != "stopping":
            return now.job
        if now.job.status == Status.SUBMITTED and not where.processes():
            return now.job
        time.sleep(0.2)
    raise AssertionError(f"{customer}: still {now} after {GIVE_UP_SECONDS} s")


def series(where: Place, *, times: int, seed: int) -> Iterator[str]:
    """Disturb so many jobs, each once; gives a line for each, and raises AssertionError at a difference."""
    expected, life = undisturbed(where)
    yield f"undisturbed: {life:.1f} s, {expected['report']['rows']} rows"
    dice = random.Random(seed)
    for number in range(1, times + 1):
        try:
            found, done, life = disturbed(where, number=number, life=life, dice=dice)
        except ShelfsortError as error:
            raise AssertionError(f"moment {number} of seed {seed}: {error}") from error
        different = [name for name in expected if found[name] != expected[name]]
        assert not different, f"moment {number} of seed {seed} ({done}): {different} differ in {where.folder}"
        yield f"{number:3d}  {done}: equal"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.database}", flush=True)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(services.running("postgres"))["url"] if options.database == "postgres" else ""
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shelfsort-kill-")))
        where = stack.enter_context(place(folder, database_url=url))
        for line in series(where, times=options.times, seed=options.seed):
            print(line, flush=True)


if __name__ == "__main__":
    main()
