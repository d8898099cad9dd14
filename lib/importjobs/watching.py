"""A job watched until it ends: as a bar in a terminal, or as JSON for scripts."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn
from rich.progress import Progress as Bar

from lib import jobs
from lib.importjobs.display import Rate, command, console, plain, show_status
from lib.importjobs.ends import home_of
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runners import ArgoRunner, runner_of
from lib.jobs import JobStatus
from lib.progress import ProgressReader
from lib.settings import Settings

WATCH_SECONDS = 0.5
ARGO_SECONDS = 15.0
ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True)
class Where:
    """The installation whose jobs are meant."""

    settings: Settings
    output: str

    def place(self) -> dict[str, Any]:
        """As arguments of lib.jobs' functions."""
        return {"settings": self.settings, "output": self.output}


class AskedNowAndThen(ArgoRunner):
    """Asks Argo less often than a watched job is looked at, for an answer takes a second and several requests."""

    _ask_after = 0.0

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        if time.monotonic() < self._ask_after:
            return False
        self._ask_after = time.monotonic() + ARGO_SECONDS
        return super().has_ended(job, lease_left)


def _statuses(job_id: str, where: Where) -> Iterator[JobStatus]:
    """Where a job stands, again and again until it has ended and nothing of it runs."""
    now = jobs.status_of(job_id, **where.place())
    reader = ProgressReader(home_of(now.job))
    runner = runner_of(where.settings, now.job.runner, argo=AskedNowAndThen)
    while True:
        yield now
        if now.job.status in ENDED and now.phase != "stopping":
            return
        time.sleep(WATCH_SECONDS)
        now = jobs.status_of(job_id, **where.place(), reader=reader, runner=runner)


def watched_as_json(job_id: str, where: Where) -> JobStatus:
    """Print each new state as JSON, one a line."""
    printed = None
    for now in _statuses(job_id, where):
        told = now.as_json()
        told["job"] = {name: told["job"][name] for name in ("id", "status", "attempts", "error")}
        of = now.progress
        state = (now.phase, of.pending, of.running, of.succeeded, of.failed, of.rows_done)
        if state != printed:
            print(json.dumps(told, default=plain), flush=True)
            printed = state
    return now


def columns() -> tuple[ProgressColumn, ...]:
    """What stands beside each other where a job is watched."""
    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate()


def watched(job_id: str, where: Where) -> JobStatus:
    """Show a bar that grows, and at its end where the job stands."""
    with Bar(*columns(), console=console(), transient=False) as bar:
        task = bar.add_task("waiting", total=None)
        for now in _statuses(job_id, where):
            progress = now.progress
            bar.update(
                task, description=now.phase, completed=progress.rows_done, total=progress.rows or None, now=now
            )  # fmt: skip
    show_status(now, [])
    if now.job.status == Status.SUCCEEDED:
        print(f"`{command()} report {now.job.id}` has the account of every row.")
    return now
