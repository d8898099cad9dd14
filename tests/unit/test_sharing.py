"""lib.importjobs.sharing: workers that jobs share, whoever dies, and priorities."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.importjobs import sharing

_HOLD = """
import sys
from pathlib import Path
from lib.importjobs import sharing
with sharing.worker(sys.argv[1], pool=Path(sys.argv[2]), most=int(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.readline()
"""
WAIT_SECONDS = 60


def holding(job_id: str, pool: Path, *, most: int) -> "subprocess.Popen[str]":
    """A process that holds a worker, once it has one."""
    line = [sys.executable, "-c", _HOLD, job_id, str(pool), str(most)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def waiting(job_id: str, pool: Path, *, most: int) -> tuple[threading.Thread, threading.Event]:
    """A thread that waits for a worker, and whether it has one."""
    held = threading.Event()

    def hold() -> None:
        with sharing.worker(job_id, pool=pool, most=most):
            held.set()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    return thread, held


def test_each_job_has_a_worker_whatever_others_hold(tmp_path: Path) -> None:
    with holding("big", tmp_path, most=1) as first, holding("big", tmp_path, most=1) as second:
        with sharing.worker("another", pool=tmp_path, most=1):
            pass
        for process in (first, second):
            process.communicate("\n")


def test_a_job_has_no_more_workers_than_its_own_and_the_shared_ones(tmp_path: Path) -> None:
    with holding("big", tmp_path, most=1) as first, holding("big", tmp_path, most=1) as second:
        thread, held = waiting("big", tmp_path, most=1)
        assert not held.wait(3 * sharing.ASK_AGAIN_SECONDS)
        first.communicate("\n")
        assert held.wait(WAIT_SECONDS)
        thread.join(WAIT_SECONDS)
        second.communicate("\n")


def test_a_worker_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    with holding("big", tmp_path, most=0) as process:
        thread, held = waiting("big", tmp_path, most=0)
        assert not held.wait(2 * sharing.ASK_AGAIN_SECONDS)
        process.kill()
        assert held.wait(WAIT_SECONDS)
        thread.join(WAIT_SECONDS)


def test_a_worker_is_given_back_when_its_batch_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad batch"), sharing.worker("job", pool=tmp_path, most=0):
        raise ValueError("bad batch")
    with sharing.worker("job", pool=tmp_path, most=0):
        pass


def test_where_no_locks_can_be_made_nobody_waits(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    with sharing.worker("job", pool=place), sharing.worker("job", pool=place):
        pass


def test_a_job_that_has_ended_leaves_no_lock_behind(tmp_path: Path) -> None:
    with sharing.worker("job", pool=tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["job"]
    sharing.forget("job", pool=tmp_path)
    sharing.forget("job", pool=tmp_path)
    assert list(tmp_path.iterdir()) == []


_STEP_ASIDE = """
import os, subprocess, sys
from lib.importjobs import sharing
sharing.step_aside(int(sys.argv[1]) or os.getpid())
nice = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
print(subprocess.run([sys.executable, "-c", nice], capture_output=True, text=True).stdout.strip())
"""


def test_what_a_run_starts_after_it_stepped_aside_is_less_urgent_than_others() -> None:
    line = [sys.executable, "-c", _STEP_ASIDE, "0"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, start_new_session=True)
    assert int(done.stdout) >= max(sharing.NICENESS, os.getpriority(os.PRIO_PROCESS, 0))


def test_to_step_aside_for_a_run_that_has_ended_is_no_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    subprocess.run([sys.executable, "-c", _STEP_ASIDE, f"{ended.pid}"], capture_output=True, text=True, check=True)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="Linux with autogroups")
def test_a_run_in_a_session_of_its_own_lowers_the_whole_session() -> None:
    read = "; print(open('/proc/self/autogroup').read())"
    line = [
        sys.executable,
        "-c",
        f"import os; from lib.importjobs import sharing; sharing.step_aside(os.getpid()){read}",
    ]
    until = time.monotonic() + WAIT_SECONDS
    while True:  # the kernel takes only so many such changes a second, of all processes together
        done = subprocess.run(line, capture_output=True, text=True, check=True, start_new_session=True)
        if done.stdout.strip().endswith(f"nice {sharing.NICENESS}") or time.monotonic() > until:
            break
    assert done.stdout.strip().endswith(f"nice {sharing.NICENESS}")
