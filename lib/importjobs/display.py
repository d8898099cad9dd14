"""How import jobs are shown in a terminal."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Task, TextColumn
from rich.table import Table
from rich.text import Text

from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runners import log_path
from lib.importjobs.submitting import DryRun
from lib.jobs import JobStatus

NAME = "shelfsort"
# How the script `shelfsort` was called.
COMMAND_VARIABLE = "SHELFSORT_COMMAND"
# A job that has not begun by then may never.
BEGINS_WITHIN = timedelta(minutes=1)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=plain))


def plain(value: Any) -> Any:
    """What JSON has no form for, as text; times in ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def console() -> Console:
    """Where tables go."""
    # Into a pipe nothing is cut or wrapped at the width of a terminal that is not there.
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=200)


def command() -> str:
    """What a person types to get here."""
    return os.environ.get(COMMAND_VARIABLE, "python -m lib.jobs")


def shown_time(moment: datetime | None) -> str:
    """A time to the second; empty for none."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def show_dry_run(found: DryRun) -> None:
    """What submitting a file would do."""
    print(f"{found.source}: {found.rows:,} rows")
    for decision in found.decisions:
        print(f"  {decision}")
    header = ", ".join(map(repr, found.header))
    print(f"  Columns: {header}")
    for one in found.columns:
        print(f"  {one['header']!r} is the {one['field'].replace('_', ' ')}, because {one['reason']}.")
    table = Table("line", "product", "category", "confidence", box=box.SIMPLE)
    for product in found.sample:
        told = "; ".join(
            f"{value}" if name == "name" else f"{name} {value}"
            for name, value in product.items()
            if name not in ("line", "category", "confidence")
        )
        sure = product["confidence"]
        table.add_row(str(product["line"]), Text(told[:90]), product["category"], "" if sure is None else f"{sure:.2f}")
    console().print(table)
    sampled = sum(found.outcomes.values())
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in found.outcomes.items())
    print(f"Of the first {sampled:,} rows: {counts}.")
    batches = (
        "1 batch" if len(found.batches) == 1 else f"{len(found.batches)} batches of about {max(found.batches):,} rows"
    )
    print(f"It would run in {batches} ({found.runner}), with results to {found.output}.")
    print(f"It would take about {span(found.seconds)} (estimated). Nothing was kept.")
    if found.same_content:
        print(f"The same content is job {found.same_content} already; only --again would import it once more.")


def show_status(now: JobStatus, events: list[dict[str, Any]]) -> None:
    """Where a job stands, and how it got there."""
    job = now.job
    for name, value in _facts(now):
        print(f"{name:<9} {value}")
    for event in events:
        change = f"{event['before']} → {event['after']}" if event["before"] else event["after"]
        note = f": {event['note']}" if event["note"] else ""
        who = event["who"].partition(" started")[0]
        print(f"  {shown_time(event['at'])} UTC  {change} (attempt {event['attempt']}, {who}){note}")
    if job.status == Status.SUBMITTED and datetime.now(UTC) - job.submitted_at > BEGINS_WITHIN:
        print(f"It has not begun yet. Should nothing run it any more, `{command()} retry {job.id}` begins it.")
    if job.status == Status.FAILED:
        print(f"`{command()} retry {job.id}` goes on with what is missing; the run's log: {_log(job)}")


def _log(job: ImportJob) -> str:
    return f"{log_path(job)}" if job.runner == "local" else f"Argo's, of {', '.join(job.runs[-1:]) or 'its workflow'}"


def _facts(now: JobStatus) -> Iterator[tuple[str, str]]:
    job, progress = now.job, now.progress
    yield "job", job.id
    yield "status", job.status if now.phase == job.status else f"{job.status} ({now.phase})"
    if job.customer:
        yield "customer", job.customer
    yield "source", f"{job.source_uri} ({job.source_bytes:,} bytes)"
    if progress.batches:
        yield "batches", _batches(now)
    if progress.rows:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in progress.outcomes.items())
        yield "rows", f"{progress.rows_done:,} of {progress.rows:,}: {counts}"
    if job.model_version:
        yield "model", job.model_version
    if job.runs:
        yield "runs", ", ".join(job.runs)
    if job.error:
        yield "error", job.error


def _batches(now: JobStatus) -> str:
    progress = now.progress
    states = ("pending", "running", "succeeded", "failed")
    return ", ".join(f"{getattr(progress, state)} {state}" for state in states)


class Rate(TextColumn):
    """Rows per second, time left and batches, beside the bar: so short that 80 columns have room for both."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        now: JobStatus | None = task.fields.get("now")
        if now is None or not now.progress.batches:
            return Text("")
        rate, left = now.progress.rows_a_second, now.progress.seconds_left
        parts = []
        if rate:
            parts.append(f"{rate:,.0f}/s")
        if left:
            parts.append(f"{span(left)} left")
        parts.append(f"{now.progress.succeeded}/{now.progress.batches} batches")
        if now.progress.failed:
            parts.append(f"{now.progress.failed} failed")
        return Text(", ".join(parts))


def span(seconds: float) -> str:
    """A length of time as people say it."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole / 3600:.1f} h"
