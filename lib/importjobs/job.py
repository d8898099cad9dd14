"""An import job: one submitted file, known by its UUID; it may take several runs of the flow."""

import getpass
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


class Status(StrEnum):
    """Where a job stands."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ImportJob:
    """An import job as the store has it; lib/importjobs/tables.py says what each field is."""

    id: str
    customer: str
    source_uri: str
    source_name: str
    source_sha256: str
    source_bytes: int
    output_uri: str
    profile: dict[str, Any]
    settings: dict[str, Any]
    runner: str
    submitted_by: str
    submitted_at: datetime
    status: Status = Status.SUBMITTED
    model_version: str | None = None
    rows: int | None = None
    categorized: int | None = None
    review: int | None = None
    rejected: int | None = None
    attempts: int = 0
    runs: tuple[str, ...] = ()
    lease_owner: str | None = None
    lease_until: float | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; times in ISO 8601."""
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Attempt:
    """One beginning of a job: what tells a run from those before and after it."""

    job_id: str
    number: int


def of_row(row: "sa.Row[Any]") -> ImportJob:
    """The job in a row of import_jobs."""
    values = dict(row._mapping)
    times = {name: utc(values[name]) for name in ("submitted_at", "started_at", "finished_at")}
    return ImportJob(**values | times | {"status": Status(values["status"]), "runs": tuple(values["runs"])})


def utc(moment: datetime | None) -> datetime | None:
    """A time from the store with its time zone."""
    # SQLite keeps no time zone; what stands there is UTC.
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def person() -> str:
    """Who is at it, where nobody says so."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # a container's number without a name
