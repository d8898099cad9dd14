"""The file of answers and turns: many writers, a kill in the midst of it, and who may ask when."""

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lib.remote.answer_cache import Answer, AnswerFile
from lib.settings import ROOT


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_of_two_processes_with_different_answers_the_first_one_counts_for_both(tmp_path: Path) -> None:
    path = str(tmp_path / "answers.db")
    one, other = AnswerFile(path), AnswerFile(path)
    one.keep("v", {"ham": Answer("Food", 0.9)})
    assert other.keep("v", {"ham": Answer("Soap", 0.2), "egg": Answer("Food", 0.5)}) == {
        "ham": Answer("Food", 0.9),
        "egg": Answer("Food", 0.5),
    }
    assert other.answers("w", ["ham"]) == {}
    one.close()
    other.close()


WRITER = """
import sys
from lib.remote.answer_cache import Answer, AnswerFile
file = AnswerFile(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    file.keep("v", {f"text {number}": Answer("Food", 0.5)})
    file.take_turn("here", apart=0.000001)
    print(number, flush=True)
"""


def writer(path: Path, first: int, last: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(last)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    writers = [writer(path, first, first + 60) for first in (0, 30, 60, 90)]  # each half of its neighbour's too
    for one in writers:
        one.communicate(timeout=120)
    assert [one.returncode for one in writers] == [0, 0, 0, 0]
    file = AnswerFile(str(path))
    assert len(file.answers("v", [f"text {number}" for number in range(1000)])) == 150
    file.close()


def test_a_killed_process_leaves_a_file_with_all_that_it_had_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    for _ in range(3):
        killed = writer(path, 0, 1_000_000)
        assert killed.stdout
        kept = [killed.stdout.readline().strip() for _ in range(25)]
        killed.send_signal(signal.SIGKILL)
        kept += killed.stdout.read().split()
        killed.stdout.close()
        killed.wait()
        file = AnswerFile(str(path))
        assert len(file.answers("v", [f"text {number}" for number in kept])) == len(kept) >= 25
        file.keep("v", {"and goes on": Answer("Food", 1.0)})
        file.close()
        connection = sqlite3.connect(path)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        connection.close()


def test_turns_are_apart_whichever_process_takes_them(tmp_path: Path) -> None:
    clock, path = Clock(), str(tmp_path / "answers.db")
    files = [AnswerFile(path, clock=clock) for _ in range(3)]
    taken = []
    for step in range(1200):  # two minutes, three asking in turn
        clock.now = 1_000_000 + step * 0.1
        if not files[step % 3].take_turn("here", apart=5):
            taken.append(clock.now)
    assert len(taken) == 24
    assert min(np.diff(taken)) >= 5
    assert files[0].take_turn("there", apart=5) == 0
    for file in files:
        file.close()


def test_a_wait_that_the_endpoint_asks_for_is_everybodys(tmp_path: Path) -> None:
    clock, path = Clock(), str(tmp_path / "answers.db")
    one, other = AnswerFile(path, clock=clock), AnswerFile(path, clock=clock)
    one.hold("here", seconds=30)
    other.hold("here", seconds=10)
    assert other.take_turn("here", apart=0) == 30
    clock.now += 30
    assert other.take_turn("here", apart=0) == 0
    clock.now -= 100_000  # the clock is set back: a turn long ahead binds nobody
    assert one.take_turn("here", apart=5) == 0
    one.close()
    other.close()


def test_threads_share_a_file_of_answers(tmp_path: Path) -> None:
    file = AnswerFile(str(tmp_path / "answers.db"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: file.keep("v", {f"text {n}": Answer("Food", 0.5)}), range(60)))
    assert len(file.answers("v", [f"text {number}" for number in range(60)])) == 60
    file.close()
