"""Staging beside pandas' own readers, a format at a time, and staging alone at ten million rows.

Each measurement is a process of its own, `python -m tests.benchmarks.reading stage FILE`, that the operating system
times.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.flow_runs import ROOT
from tests.benchmarks.product_files import WRITERS, write_csv

LIMIT_MB = 700
LEAST_ROWS_A_SECOND = 150_000
# Workbooks are slow to write, and an .xls has 65,536 rows at most.
MOST_ROWS = {"xlsx": 50_000, "xls": 50_000, "ods": 50_000}


@dataclass(frozen=True)
class Reading:
    """A file read once."""

    seconds: float  # wall clock
    cpu_seconds: float
    peak_mb: float  # resident memory of the process, or of the largest that it started


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print rows a second and peak memory of both for every format, read in turn on the same file of 200,000 rows."""
    rows = rows or 200_000
    print(f"\nStaging beside pandas' own reader, {pairs} pairs in turn, medians; start of Python and imports included")
    print("(staging: recognizes the file, writes Parquet shards and the ledger; pandas: told format, delimiter and")
    print("encoding, holds a frame of inferred types, writes nothing)")
    print(
        f"{'':<11} {'rows':>9} {'file MB':>8} {'rows/s':>9} {'pandas':>9} {'ratio':>6}"
        f" {'CPU s':>7} {'pandas':>7} {'peak MB':>8} {'pandas':>7}"
    )
    for format, write in WRITERS.items():
        count = min(rows, MOST_ROWS.get(format, rows))
        path = folder / f"products.{format}"
        write(path, count)
        ours, theirs = [], []
        for _ in range(pairs):
            ours.append(measured("stage", path))
            theirs.append(measured("pandas", path))
        ratio = median(b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True))
        our, their = _medians(ours), _medians(theirs)
        print(
            f"{format:<11} {count:>9,} {path.stat().st_size / 1e6:>8.1f}"
            f" {count / our.seconds:>9,.0f} {count / their.seconds:>9,.0f} {ratio:>6.2f}"
            f" {our.cpu_seconds:>7.1f} {their.cpu_seconds:>7.1f} {our.peak_mb:>8.0f} {their.peak_mb:>7.0f}",
            flush=True,
        )
        path.unlink()


def run_staging(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print rows a second and peak memory of staging a CSV of 10,000,000 rows on one core."""
    rows = rows or 10_000_000
    path = folder / "products.csv"
    write_csv(path, rows)
    print(
        f"\nStaging on one core, CSV of {rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB"
        f" (goals: {LEAST_ROWS_A_SECOND:,} rows/s, {LIMIT_MB} MB)"
    )
    done = measured("stage", path, core=max(os.sched_getaffinity(0)))
    print(f"{'rows/s':>9} {'rows/CPU s':>11} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}")
    print(
        f"{rows / done.seconds:>9,.0f} {rows / done.cpu_seconds:>11,.0f} {done.seconds:>7.1f} {done.cpu_seconds:>7.1f}"
        f" {done.peak_mb:>8.0f}"
    )


def measured(how: str, path: Path, *, core: int | None = None) -> Reading:
    """Read a file in a fresh process, `how` of READERS, on one core if it is given."""
    command = [sys.executable, "-m", "tests.benchmarks.reading", how, str(path), *([] if core is None else [str(core)])]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return Reading(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _medians(readings: list[Reading]) -> Reading:
    seconds, cpu_seconds, peak_mb = zip(*((r.seconds, r.cpu_seconds, r.peak_mb) for r in readings), strict=True)
    return Reading(median(seconds), median(cpu_seconds), median(peak_mb))


def _stage(path: Path) -> None:
    from lib.staging import stage
    from lib.storage import LocalFolder

    with tempfile.TemporaryDirectory(dir=path.parent) as job:
        stage(str(path), job=LocalFolder(Path(job)))


def _pandas(path: Path) -> None:
    import pandas as pd

    def workbook(path: Path) -> Any:
        return pd.read_excel(path, engine="calamine")

    readers: dict[str, Callable[[Path], Any]] = {
        "csv": lambda path: pd.read_csv(path, sep=";"),
        "cp1252.csv": lambda path: pd.read_csv(path, sep=";", encoding="cp1252"),
        "csv.gz": lambda path: pd.read_csv(path, sep=";"),
        "xlsx": workbook,
        "xls": workbook,
        "ods": workbook,
        "json": pd.read_json,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "xml": lambda path: pd.read_xml(path, parser="etree"),
        "parquet": pd.read_parquet,
    }
    readers[path.name.partition(".")[2]](path)


READERS = {"stage": _stage, "pandas": _pandas}


def _child(how: str, path: str, core: str = "") -> None:
    if core:
        os.sched_setaffinity(0, {int(core)})
    READERS[how](Path(path))


if __name__ == "__main__":
    _child(*sys.argv[1:])
