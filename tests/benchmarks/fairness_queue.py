"""What many teams have instead of import jobs: a table as a queue, and workers that ask it for work every second.

The baseline of the fairness benchmark. A worker takes the oldest file that none has (FOR UPDATE SKIP LOCKED), runs the
same flow on it with one worker of Metaflow's, and asks again at once; only when there is nothing it waits a second.
There are as many workers as cores. `python -m tests.benchmarks.fairness_queue OUTPUT` is one of them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from lib import database
from lib.processes import cores
from tests.benchmarks.flow_runs import ROOT

POLL_SECONDS = 1.0

metadata = sa.MetaData()
queue = sa.Table(
    "import_queue",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("put_at", sa.Double, nullable=False, server_default=sa.text("extract(epoch FROM clock_timestamp())")),
    sa.Column("ended_at", sa.Double),
)
_NOW = sa.text("extract(epoch FROM clock_timestamp())")


class Queue:
    """The queue in a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._engine = database.engine(database.checked(url))
        with self._engine.begin() as connection:
            database.wait_for_turn(connection, "benchmark queue")
            metadata.create_all(connection)

    def put(self, source: Path) -> int:
        """Add a file; gives its number."""
        with self._engine.begin() as connection:
            return int(connection.scalar(queue.insert().values(source=str(source)).returning(queue.c.id)))

    def take(self) -> tuple[int, str] | None:
        """The oldest file that no worker has, now this one's."""
        oldest = sa.select(queue).where(queue.c.status == "waiting").order_by(queue.c.id).limit(1)
        with self._engine.begin() as connection:
            row = connection.execute(oldest.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            connection.execute(queue.update().where(queue.c.id == row.id).values(status="running"))
            return int(row.id), str(row.source)

    def end(self, number: int, *, status: str) -> None:
        """Record how a file's import ended."""
        with self._engine.begin() as connection:
            connection.execute(queue.update().where(queue.c.id == number).values(status=status, ended_at=_NOW))

    def state(self, number: int) -> tuple[str, float | None]:
        """A file's status, and its seconds from being put there to its end."""
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(queue).where(queue.c.id == number)).one()
        return row.status, row.ended_at - row.put_at if row.ended_at else None


@contextmanager
def workers(output: Path) -> Iterator[None]:
    """As many workers as cores, for the length of the block."""
    line = [sys.executable, "-m", "tests.benchmarks.fairness_queue", str(output)]
    # A session each, as services have: Linux divides the cores among sessions.
    started = [subprocess.Popen(line, cwd=ROOT, start_new_session=True) for _ in range(cores())]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def main(output: str) -> None:
    """Work until told to stop."""
    own = Queue(os.environ["SHELFSORT_DATABASE_URL"])
    while True:
        if (taken := own.take()) is None:
            time.sleep(POLL_SECONDS)
            continue
        number, source = taken
        line = [sys.executable, str(ROOT / "flows/categorize.py"), "run", "--source", source]
        line += ["--output", output, "--max-workers", "1"]
        done = subprocess.run(line, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        own.end(number, status="failed" if done.returncode else "succeeded")


if __name__ == "__main__":
    main(sys.argv[1])
