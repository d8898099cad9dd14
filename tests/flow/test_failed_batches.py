"""Batches that fail: within the budget they are set aside whole, beyond it the run fails; nothing is lost."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.flow.running import FLOW, SAMPLE, Imported, command, environment, run

KEPT = "keep_shards = true\n[batches]\ncount = 3\n"
TOLERANT = "[batches]\ncount = 3\nfailed_at_most = 0.4\n"
TABLES = ("categorized.csv", "review.csv", "rejected.csv")


def spoiled(imported: Imported, number: int) -> Path:
    """Take a batch's result away and put a folder in its place, so that no run can write it."""
    finished = imported.folder.glob("shards/*-results.parquet")
    result = sorted(finished)[number]
    result.with_name(f"{result.name}.json").unlink()
    result.unlink()
    (result / "in the way").mkdir(parents=True)
    return result


def again(folder: Path, job_id: str, config: str) -> Any:
    settings = folder / "settings.toml"
    settings.write_text(config)
    return command(folder, "--config", "settings", str(settings), "run", "--source", str(SAMPLE), "--job-id", job_id)


def lines_of(path: Path) -> dict[int, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {int(row["line"]): row.get("reasons", "") for row in csv.DictReader(file)}


@pytest.fixture
def first(tmp_path: Path) -> Imported:
    """An import of the sample in three batches that has kept its shards."""
    return run(tmp_path, SAMPLE, config=KEPT)


def test_a_batch_that_fails_is_set_aside_within_the_budget_and_redone_by_the_next_run(
    tmp_path: Path, first: Imported
) -> None:
    job_id = first.report["job_id"]
    before = {name: (first.folder / name).read_bytes() for name in TABLES}
    in_the_way = spoiled(first, 1)

    done = again(tmp_path, job_id, TOLERANT)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((first.folder / "report.json").read_text())
    (failed,) = report["failed_batches"]
    assert (failed["number"], failed["rows"]) == (1, first.report["batches"][1]["rows"])
    assert report["rows"] == report["categorized"] + report["review"] + report["rejected"] == 502
    assert report["reasons"]["batch-failed"] == failed["rows"]
    assert report["timing"]["reused_batches"] == [0, 2]
    told = f"set aside, batch 1 (lines {failed['first_line']} to {failed['last_line']}): {in_the_way}"
    assert told in done.stdout
    assert f"another run of job {job_id} redoes these, and no other" in done.stdout

    lines = lines_of(first.folder / "rejected.csv")
    set_aside = [line for line, reasons in lines.items() if reasons == "batch-failed"]
    assert len(set_aside) == failed["rows"]
    assert (min(set_aside), max(set_aside)) == (failed["first_line"], failed["last_line"])
    everywhere = Counter(line for name in TABLES for line in lines_of(first.folder / name))
    assert set(everywhere.values()) == {1}
    assert len(everywhere) == 502

    (in_the_way / "in the way").rmdir()
    in_the_way.rmdir()
    done = again(tmp_path, job_id, TOLERANT)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((first.folder / "report.json").read_text())
    assert (report["failed_batches"], report["timing"]["reused_batches"]) == ([], [0, 2])
    assert {name: (first.folder / name).read_bytes() for name in TABLES} == before
    assert not (first.folder / "shards").exists()


def test_rows_of_a_failed_batch_are_redone_when_they_are_handed_in_again_as_they_are(
    tmp_path: Path, first: Imported
) -> None:
    job_id = first.report["job_id"]
    before = {name: lines_of(first.folder / name) for name in TABLES}
    spoiled(first, 1)
    done = again(tmp_path, job_id, TOLERANT)
    assert done.returncode == 0, done.stdout + done.stderr
    handed_in = tmp_path / "rejected.csv"
    handed_in.write_bytes((first.folder / "rejected.csv").read_bytes())
    done = command(tmp_path, "run", "--source", str(handed_in), "--job-id", job_id)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((first.folder / "report.json").read_text())
    assert "batch-failed" not in report["reasons"]
    assert {name: lines_of(first.folder / name) for name in TABLES} == before


def test_a_correction_of_some_rows_takes_nothing_from_the_catalog_that_a_failed_batch_holds(
    tmp_path: Path, first: Imported
) -> None:
    job_id = first.report["job_id"]
    spoiled(first, 1)
    done = again(tmp_path, job_id, TOLERANT)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = first.report["categorized"] + first.report["review"]
    report = json.loads((first.folder / "report.json").read_text())
    assert report["catalog"]["rows"] == kept > report["categorized"] + report["review"]
    earlier = kept - report["categorized"] - report["review"]
    assert f"the catalog keeps {earlier} products of set-aside batches as an earlier run brought them" in done.stdout

    with (first.folder / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    handed_in = tmp_path / "some.csv"
    with handed_in.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([row for row in rows if row["reasons"] == "batch-failed"][:3])
    done = command(tmp_path, "run", "--source", str(handed_in), "--job-id", job_id)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((first.folder / "report.json").read_text())
    assert report["reasons"]["batch-failed"] == first.report["batches"][1]["rows"] - 3
    assert (report["catalog"]["rows"], report["catalog"]["gone"]) == (kept, 0)


def test_beyond_the_budget_the_run_fails_with_one_line_and_keeps_what_is_done(tmp_path: Path, first: Imported) -> None:
    job_id = first.report["job_id"]
    before = {name: (first.folder / name).read_bytes() for name in TABLES}
    in_the_way = spoiled(first, 2)
    done = again(tmp_path, job_id, "[batches]\ncount = 3\n")
    assert done.returncode == 1
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if "failed_at_most" in line]
    assert re.search(r"products.csv: 1 of 3 batches failed, \[batches\] failed_at_most = 0 tolerates 0: batch 2 ", line)
    assert re.search(r"\(lines \d+ to \d+\): " + re.escape(str(in_the_way)), line)
    assert line.endswith("the other 2 are kept, and another run of the job redoes what is missing")
    assert {name: (first.folder / name).read_bytes() for name in TABLES} == before


def test_a_batch_whose_process_is_killed_counts_as_failed(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[batches]\ncount = 3\nfailed_at_most = 0.4\n")
    line = [sys.executable, str(FLOW), "--config", "settings", str(settings), "run", "--source", str(SAMPLE)]
    with subprocess.Popen(
        line, env=environment(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        killed = _kill_a_batch(running.pid)
        printed, _ = running.communicate()
    assert running.returncode == 0, printed
    assert f"set aside, batch {killed} (lines " in printed
    assert "its process was ended from outside on every try" in printed
    assert re.search(r"502 rows = \d+ categorized \+ \d+ to review \+ \d+ rejected", printed)


def _kill_a_batch(run: int) -> int:
    """Kill the first process of a batch that is seen below a run; gives the batch's number."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode().split("\0")
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, UnicodeDecodeError):
                continue
            if parent == run and "categorize" in words and "--split-index" in words:
                os.kill(int(process.name), signal.SIGKILL)
                return int(words[words.index("--split-index") + 1])
        time.sleep(0.01)
    raise AssertionError("no batch began")
