"""The job store: what is known of every import job, in SQLite or PostgreSQL, changed by compare-and-set only.

Who runs a job holds a lease on it and renews it; the number of its attempt tells it from those who held it before.
Leases are read and written by the store's clock alone (PostgreSQL's, or this machine's where it is a file), and
a holder measures how long it has one by its own steady clock, so that no two clocks are ever compared.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lib import database, migrations
from lib.errors import AlreadyImported, JobError
from lib.importjobs.job import Attempt, ImportJob, Status, of_row, utc
from lib.importjobs.tables import import_job_events, import_jobs
from lib.settings import Settings
from lib.storage import is_s3

FILE = "jobs.db"
# The store of the process that started this one; a URL with all that it takes to use it.
STORE_VARIABLE = "SHELFSORT_JOB_STORE"
# How long a holder that stopped renewing its lease keeps others off.
LEASE_SECONDS = 30.0


def store_url(settings: Settings, output: str) -> sa.URL:
    """Where jobs with these settings are kept: the catalog's PostgreSQL, or jobs.db beside its SQLite file.

    A file of its own, since an import keeps catalog.db locked for its whole length. Raises JobError when the output
    is on S3 and there is no database, CatalogError for a URL that is none.
    """
    if told := os.environ.get(STORE_VARIABLE):
        return sa.make_url(told)
    if settings.catalog_url:
        url = database.checked(settings.catalog_url)
        return (
            url
            if url.get_backend_name() != "sqlite"
            else url.set(database=str(Path(str(url.database)).with_name(FILE)))
        )
    if is_s3(output):
        raise JobError(
            f"{output}: jobs cannot be kept on S3; name a database in database_url or SHELFSORT_DATABASE_URL"
        )
    return database.sqlite(Path(output).expanduser().absolute() / FILE)


class JobStore:
    """The jobs at a database's URL; each method is one transaction. Raises CatalogError when the database refuses."""

    def __init__(self, url: sa.URL, *, create: bool = False) -> None:
        self.url = url
        self.where = database.shown(url)
        self._engine = database.engine(url)
        if url.get_backend_name() == "sqlite":
            path = Path(str(url.database))
            if create:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise JobError(
                        f"{path.parent}: {error.strerror or error}; jobs are kept there, so it must be writable"
                    ) from None
            elif not path.exists():
                raise JobError(f"{path}: no jobs are kept there; submit a file first, or name the --output it was for")
        with self._transaction() as connection:
            database.wait_for_turn(connection, "shelfsort jobs tables")
            migrations.upgrade(connection, where=self.where)

    def add(self, job: ImportJob, *, again: bool) -> None:
        """Take a job on; AlreadyImported when the customer's same content is a job already and `again` is not said."""
        with self._transaction() as connection:
            database.wait_for_turn(connection, f"shelfsort content {job.customer} {job.source_sha256}")
            if not again and (earlier := _same_content(connection, job.customer, job.source_sha256)):
                raise AlreadyImported(
                    f"{job.source_uri}: the same content is job {earlier.id} ({earlier.status}, submitted"
                    f" {earlier.submitted_at:%Y-%m-%d %H:%M} UTC from {earlier.source_uri});"
                    " --again imports it once more",
                    job_id=earlier.id,
                )
            submitted = {"submitted_at": self._submitted_at(connection, job)}
            connection.execute(import_jobs.insert(), asdict(job) | submitted)
            self._event(connection, job.id, None, Status.SUBMITTED, attempt=0, who=job.submitted_by)

    def with_content(self, sha256: str, *, customer: str) -> ImportJob | None:
        """The customer's newest job of a content that has not failed, which `add` refuses to take on once more."""
        with self._transaction() as connection:
            return _same_content(connection, customer, sha256)

    def _submitted_at(self, connection: sa.Connection, job: ImportJob) -> datetime:
        """The job's time of submission, after those of its customer's other jobs: the catalog knows them in this order,
        whatever a clock that went back says."""
        newest = sa.select(sa.func.max(import_jobs.c.submitted_at)).where(import_jobs.c.customer == job.customer)
        latest = utc(connection.execute(newest).scalar()) if job.customer else None
        return job.submitted_at if latest is None else max(job.submitted_at, latest + timedelta(microseconds=1))

    def get(self, job_id: str) -> ImportJob:
        """The job; JobError when there is none."""
        with self._transaction() as connection:
            row = connection.execute(sa.select(import_jobs).where(import_jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobError(f"there is no job {job_id} in {self.where}; `list` shows those there are")
        return of_row(row)

    def jobs(self, *, customer: str | None = None, status: Status | None = None, most: int = 20) -> list[ImportJob]:
        """The newest jobs, newest first."""
        query = sa.select(import_jobs).order_by(import_jobs.c.submitted_at.desc(), import_jobs.c.id).limit(most)
        if customer is not None:
            query = query.where(import_jobs.c.customer == customer)
        if status is not None:
            query = query.where(import_jobs.c.status == status)
        with self._transaction() as connection:
            return [of_row(row) for row in connection.execute(query)]

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """What happened to a job, in order: at, before, after, attempt, who, note."""
        query = (
            sa.select(import_job_events).where(import_job_events.c.job_id == job_id).order_by(import_job_events.c.id)
        )
        with self._transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [row | {"at": utc(row["at"])} for row in rows]

    def change(
        self,
        job_id: str,
        before: Sequence[Status],
        after: Status,
        *,
        who: str,
        note: str = "",
        seen: ImportJob | None = None,
        attempt: int | None = None,
        **values: Any,
    ) -> bool:
        """Set the status, and other columns with it, if it is one of `before`; whether it was, with an event if so.

        `seen` also asks for attempt and lease to be as they were when somebody looked, `attempt` for that attempt.
        """
        with self._transaction() as connection:
            row = self._locked(connection, job_id)
            same = seen is None or (row.attempts, row.lease_until) == (seen.attempts, seen.lease_until)
            if row.status not in before or not same or attempt not in (None, row.attempts):
                return False
            if after in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
                values |= {"finished_at": self._now(connection)[1]}
            conditions = (
                import_jobs.c.id == job_id,
                import_jobs.c.status == row.status,
                import_jobs.c.attempts == row.attempts,
            )
            done = connection.execute(import_jobs.update().where(*conditions).values(status=after, **values))
            if done.rowcount != 1:
                return False
            self._event(connection, job_id, row.status, after, attempt=row.attempts, who=who, note=note)
        return True

    def begin(self, job_id: str, *, owner: str, seconds: float | None) -> Attempt:
        """Begin a submitted job: it is running now, with a lease of so many seconds, or none where others know better.

        An owner without a lease that has begun it already, and whose first step is tried again, gets the same attempt.
        Raises JobError when it is not there to be begun; of any number who try at once, one does.
        """
        with self._transaction() as connection:
            row = self._locked(connection, job_id)
            if seconds is None and (row.status, row.lease_owner, row.lease_until) == (Status.RUNNING, owner, None):
                return Attempt(job_id, row.attempts)
            if row.status != Status.SUBMITTED:
                advice = f"`retry {job_id}` begins it again" if row.status != Status.RUNNING else "it has its own run"
                raise JobError(f"job {job_id} is {row.status} and not waiting to be begun; {advice}")
            seconds_now, now = self._now(connection)
            number = row.attempts + 1
            done = connection.execute(
                import_jobs.update()
                .where(
                    import_jobs.c.id == job_id,
                    import_jobs.c.status == Status.SUBMITTED,
                    import_jobs.c.attempts == row.attempts,
                )
                .values(
                    status=Status.RUNNING,
                    attempts=number,
                    lease_owner=owner,
                    lease_until=None if seconds is None else seconds_now + seconds,
                    started_at=now,
                    finished_at=None,
                    error=None,
                )
            )
            if done.rowcount != 1:
                raise JobError(f"job {job_id} was begun by another run at the same moment")
            self._event(connection, job_id, Status.SUBMITTED, Status.RUNNING, attempt=number, who=owner)
        return Attempt(job_id, number)

    def holds(self, attempt: Attempt) -> bool:
        """Whether the attempt is still the one that runs the job; also when it has just ended well."""
        job = self.get(attempt.job_id)
        return job.status in (Status.RUNNING, Status.SUCCEEDED) and job.attempts == attempt.number

    def renew(self, attempt: Attempt, *, seconds: float = LEASE_SECONDS) -> bool:
        """Extend the attempt's lease; False when the job is no longer its own."""
        with self._transaction() as connection:
            until = self._now(connection)[0] + seconds
            return self._update(connection, attempt, Status.RUNNING, lease_until=until)

    def release(self, attempt: Attempt) -> None:
        """Let go of the job, when nothing of the attempt runs any more."""
        with self._transaction() as connection:
            self._update(connection, attempt, None, lease_owner=None, lease_until=None)

    def note(self, attempt: Attempt, **values: Any) -> None:
        """Record columns of the job that became known during an attempt."""
        with self._transaction() as connection:
            self._update(connection, attempt, Status.RUNNING, **values)

    def note_run(self, job_id: str, run: str) -> None:
        """Add a run's pathspec to the job's, once."""
        with self._transaction() as connection:
            row = self._locked(connection, job_id)
            if run not in row.runs:
                connection.execute(import_jobs.update().where(import_jobs.c.id == job_id).values(runs=[*row.runs, run]))

    def lease_left(self, job_id: str) -> float:
        """For how many seconds the job is still somebody's, 0 or less for not at all; infinite for a run without lease.

        A lease longer than any that is given was written before the clock went back; it is cut, and so ends in time
        unless its holder renews it.
        """
        with self._transaction() as connection:
            row, now = self._locked(connection, job_id), self._now(connection)[0]
            if row.lease_until is None:
                return float("inf") if row.lease_owner is not None else 0.0
            if row.lease_until > now + LEASE_SECONDS:
                connection.execute(
                    import_jobs.update()
                    .where(import_jobs.c.id == job_id, import_jobs.c.lease_until == row.lease_until)
                    .values(lease_until=now + LEASE_SECONDS)
                )
            return float(min(row.lease_until - now, LEASE_SECONDS))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with database.errors(self.where, url=self.url), self._engine.begin() as connection:
            yield connection

    def _locked(self, connection: sa.Connection, job_id: str) -> sa.Row[Any]:
        """The job's row, which nobody else changes before this transaction ends."""
        row = connection.execute(
            sa.select(import_jobs).where(import_jobs.c.id == job_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise JobError(f"there is no job {job_id} in {self.where}; `list` shows those there are")
        return row

    def _update(self, connection: sa.Connection, attempt: Attempt, status: Status | None, **values: Any) -> bool:
        if not values:
            return False
        conditions = [import_jobs.c.id == attempt.job_id, import_jobs.c.attempts == attempt.number]
        if status is not None:
            conditions.append(import_jobs.c.status == status)
        return connection.execute(import_jobs.update().where(*conditions).values(**values)).rowcount == 1

    def _event(
        self,
        connection: sa.Connection,
        job_id: str,
        before: str | None,
        after: str,
        *,
        attempt: int,
        who: str,
        note: str = "",
    ) -> None:
        entry = {"job_id": job_id, "at": self._now(connection)[1], "before": before, "after": after}
        connection.execute(import_job_events.insert(), entry | {"attempt": attempt, "who": who, "note": note})

    def _now(self, connection: sa.Connection) -> tuple[float, datetime]:
        """The store's time, in seconds since 1970 and as a date."""
        if connection.dialect.name == "postgresql":
            seconds = float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))
        else:
            seconds = time.time()
        return seconds, datetime.fromtimestamp(seconds, UTC)


def _same_content(connection: sa.Connection, customer: str, sha256: str) -> ImportJob | None:
    same = sa.and_(import_jobs.c.customer == customer, import_jobs.c.source_sha256 == sha256)
    alive = import_jobs.c.status.in_([Status.SUBMITTED, Status.RUNNING, Status.SUCCEEDED])
    newest = sa.select(import_jobs).where(same, alive).order_by(import_jobs.c.submitted_at.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else of_row(row)
