"""How submitted jobs share this machine: a small one waits for nobody, and large ones not for each other.

Of each job one batch is worked on whatever others do. Further ones need a worker from a pool that all jobs of this user
on this machine share, one a core less one: a job alone uses every core, and N jobs N - 1 processes more than there are
cores. A job of more than one batch runs at a lower priority: the operating system gives it what small ones leave.

Workers are held by file locks, which the kernel takes back however a process ends.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.processes import cores

# A fifth of the weight of a process at 0: small ones hardly notice, and beside something that never rests it goes on.
NICENESS = 7
# A source that is larger is a large one before its rows are counted; 49,999 rows of a usual export have 3 to 5 MB.
LARGE_BYTES = 10_000_000
ASK_AGAIN_SECONDS = 0.2


def step_aside(run: int) -> None:
    """Lower the priority of this process and of a run's first one, whose children inherit it.

    Where that one leads a session, as `submit` starts it, also the session's: Linux with autogroups divides the cores
    among sessions, and then within each by its processes' priorities.
    """
    for process in {run, os.getpid()}:
        with suppress(OSError):  # it has ended, or is another's
            os.setpriority(os.PRIO_PROCESS, process, max(NICENESS, os.getpriority(os.PRIO_PROCESS, process)))
    with suppress(OSError):  # not Linux, or without autogroups
        if os.getsid(0) == run:
            Path(f"/proc/{run}/autogroup").write_text(f"{NICENESS}")


@contextmanager
def worker(job_id: str, *, pool: Path | None = None, most: int | None = None) -> Iterator[None]:
    """Hold a worker for one batch of a job: the job's own or, while another batch has that, one of the shared ones.

    Waits for one. `pool` is the folder of locks and `most` the number of shared workers; by default this user's on this
    machine. Where no locks can be made, nobody waits.
    """
    lock = None
    try:
        pool = pool or _pool()
        names = [job_id, *(f"{number}" for number in range(cores() - 1 if most is None else most))]
        while (lock := _first_free(pool, names)) is None:
            time.sleep(ASK_AGAIN_SECONDS)
    except OSError:
        pass
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def forget(job_id: str, *, pool: Path | None = None) -> None:
    """Remove what a job that has ended leaves in the pool's folder."""
    with suppress(OSError):
        ((pool or _pool()) / job_id).unlink(missing_ok=True)


def _first_free(pool: Path, names: list[str]) -> int | None:
    for name in names:
        lock = os.open(pool / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
    return None


def _pool() -> Path:
    # Not in the user's home, which machines may share: the workers are this one's.
    pool = Path(tempfile.gettempdir()) / f"shelfsort-workers-{os.getuid()}"
    pool.mkdir(mode=0o700, exist_ok=True)
    if pool.lstat().st_uid != os.getuid() or pool.is_symlink():
        raise PermissionError(f"{pool}: is another user's")
    return pool
