"""lib.processes: who lives, who has ended, and ending those of a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")

_ASK = "from lib.processes import identity; print(identity(), flush=True); import sys; sys.stdin.readline()"


def started(**variables: str) -> "subprocess.Popen[str]":
    env = os.environ | variables
    return subprocess.Popen(
        [sys.executable, "-c", _ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )


def name_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_this_process_has_not_ended() -> None:
    assert not processes.has_ended(processes.identity())


def test_a_process_has_ended_when_it_is_killed_and_not_before() -> None:
    with started() as other:
        name = name_of(other)
        assert not processes.has_ended(name)
        other.kill()
        other.wait()
    assert processes.has_ended(name)


def test_a_killed_process_that_nobody_has_buried_has_ended() -> None:
    with started() as other:
        name = name_of(other)
        other.kill()
        until = time.monotonic() + 10
        while not processes.has_ended(name) and time.monotonic() < until:
            time.sleep(0.01)
        assert processes.has_ended(name)


def test_of_another_machine_or_boot_nothing_is_certain() -> None:
    words = processes.identity().split()
    assert not processes.has_ended(" ".join([*words[:6], "another/pid:[1]"]))
    assert not processes.has_ended("somebody")


def test_another_process_under_the_same_number_is_another() -> None:
    words = processes.identity().split()
    words[4] = "1"
    assert processes.has_ended(" ".join(words))


def test_only_marked_processes_are_ended() -> None:
    with started(SHELFSORT_TEST_MARK="job-1:2") as ours, started(SHELFSORT_TEST_MARK="job-2:1") as others:
        name_of(ours), name_of(others)
        assert processes.end_marked("SHELFSORT_TEST_MARK", "job-1:") == 1
        assert ours.wait(10) == -9
        assert others.poll() is None
        others.kill()
